/* SPDX-License-Identifier: MIT */
/*
 * Watches a page of code; when the chosen function in it is entered, prints each instruction up to
 * its return. The guest runs on as if nobody had looked.
 *
 *   trace_page                                        a few bytes of code of its own
 *   trace_page VMLINUZ INITRD FUNCTION [COMMAND]      a kernel function of a Linux guest whose
 *                                                     initrd ends in a shell on ttyS0
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/introspect.h>
#include <weir/machine.h>
#include <weir/memory.h>

#define LONGEST 5000 /* instructions of one call that are printed */

struct tracer {
    weir *vm;
    weir_char *console;
    const char *name, *command;
    weir_gva function; /* 0: not known yet */
    bool inside, asked, done;
    uint64_t rsp; /* where it was entered */
    unsigned printed;
    char input[512]; /* for the guest, as fast as its serial port takes it */
    char line[512];
    size_t length;
};

static void print_instruction(struct tracer *t, weir_vcpu *cpu, weir_gva pc)
{
    uint8_t bytes[15];
    char text[128];
    size_t length = sizeof(bytes);
    while (length && weir_virt_read(cpu, pc, bytes, length) < 0)
        length--; /* the next page may not be there */
    if (weir_disassemble(bytes, length, (unsigned)weir_code_bits(cpu), pc, false, text,
                         sizeof(text)) <= 0)
        snprintf(text, sizeof(text), "(no disassembly)");
    printf("%5u  %016llx  rsp=%016llx  %s\n", ++t->printed, (unsigned long long)pc,
           (unsigned long long)weir_reg_get_u64(cpu, WEIR_RSP), text);
}

/* At the instruction at `pc`, which comes next. */
static unsigned look(struct tracer *t, weir_vcpu *cpu, weir_gva pc)
{
    uint64_t rsp = weir_reg_get_u64(cpu, WEIR_RSP);
    if (!t->inside && pc == t->function) {
        printf("%s, called with %llx %llx %llx:\n", t->name,
               (unsigned long long)weir_reg_get_u64(cpu, WEIR_RDI),
               (unsigned long long)weir_reg_get_u64(cpu, WEIR_RSI),
               (unsigned long long)weir_reg_get_u64(cpu, WEIR_RDX));
        t->inside = true;
        t->rsp = rsp;
    }
    if (!t->inside)
        return WEIR_CONTINUE;
    if (rsp <= t->rsp) {
        print_instruction(t, cpu, pc);
        return t->printed < LONGEST ? WEIR_CONTINUE : WEIR_REMOVE | WEIR_STOP;
    }
    printf("returned %llx\n", (unsigned long long)weir_reg_get_u64(cpu, WEIR_RAX));
    t->done = true;
    return WEIR_REMOVE | WEIR_STOP;
}

static unsigned trace(void *ctx, weir_vcpu *cpu, const struct weir_memory_event *access,
                      const struct weir_execute_event *execute,
                      const struct weir_step_event *step)
{
    (void)access;
    if (execute)
        return look(ctx, cpu, execute->head.pc);
    return step ? look(ctx, cpu, step->head.pc) : WEIR_CONTINUE;
}

static int watch(struct tracer *t)
{
    struct weir_page_trace what = {.address = t->function,
                                   .access = WEIR_EXECUTE,
                                   .step_flags = WEIR_STEP_OVER,
                                   .count = LONGEST};
    return weir_trace_page(t->vm, &what, trace, t, NULL);
}

/* ---- a Linux guest ---- */

/* "ffffffff81234560 T name" */
static void look_for_address(struct tracer *t)
{
    unsigned long long at;
    char type, name[256];
    if (t->function || sscanf(t->line, "%llx %c %255s", &at, &type, name) != 3 ||
        strcmp(name, t->name) || at < 0x80000000)
        return;
    t->function = at;
    watch(t);
    snprintf(t->input, sizeof(t->input), "%s\n", t->command);
}

static void console(void *ctx, const uint8_t *data, size_t length)
{
    struct tracer *t = ctx;
    for (size_t n = 0; n < length; n++) {
        if (data[n] != '\n' && t->length + 1 < sizeof(t->line)) {
            t->line[t->length++] = (char)data[n];
            t->line[t->length] = 0;
        }
        if (!t->asked && t->length >= 7 && !strcmp(t->line + t->length - 7, "guest# ")) {
            snprintf(t->input, sizeof(t->input), "grep -w %s /proc/kallsyms\n", t->name);
            t->asked = true;
        }
        if (data[n] != '\n')
            continue;
        look_for_address(t);
        t->length = 0;
    }
    size_t taken =
        weir_char_feed(t->vm, t->console, (const uint8_t *)t->input, strlen(t->input));
    memmove(t->input, t->input + taken, strlen(t->input + taken) + 1);
}

static int run_linux(struct tracer *t, char **argv, struct weir_config *config)
{
    config->ram_bytes = 512ull << 20;
    if (weir_create(config, &t->vm) < 0)
        return 1;
    if (weir_char_new(t->vm, "console", console, t, &t->console) < 0 ||
        weir_serial_set(t->vm, 0, t->console) < 0 ||
        weir_kernel_set(t->vm, argv[1], argv[2], "console=ttyS0") < 0) {
        fprintf(stderr, "%s\n", weir_last_error(t->vm));
        return 1;
    }
    return 0;
}

/* ---- code of its own: a function of four instructions, called three times ---- */

static int run_own(struct tracer *t, struct weir_config *config)
{
    static const uint8_t code[] = {
        0xb9, 3,    0,    0,    0,       /* mov ecx, 3 */
        0xe8, 4,    0,    0,    0,       /* l: call f */
        0xe2, 0xf9,                      /* loop l */
        0xf4,                            /* hlt */
        0x90,                            /* nop */
        0x55, 0x8d, 0x44, 0x09, 1, 0x5d, /* f: push ebp; lea eax, [ecx+ecx+1]; pop ebp */
        0xc3,                            /* ret */
    };
    config->machine = "none";
    config->ram_bytes = 1 << 20;
    t->name = "f";
    t->function = 0x100e;
    if (weir_create(config, &t->vm) < 0)
        return 1;
    weir_mem_write(t->vm, 0x1000, code, sizeof(code));
    return weir_boot_flat(t->vm, 32, 0x1000, 0x8000, 0) < 0 || watch(t) < 0;
}

int main(int argc, char **argv)
{
    struct tracer t = {.name = argc > 3 ? argv[3] : "",
                       .command = argc > 4 ? argv[4] : "uname"};
    struct weir_config config;
    struct weir_exit e;
    weir_config_init(&config, sizeof(config));
    if (argc > 3 ? run_linux(&t, argv, &config) : run_own(&t, &config))
        return 1;
    if (weir_run(weir_get_vcpu(t.vm, 0), 0, &e) < 0)
        fprintf(stderr, "%s\n", weir_last_error(t.vm));
    bool ok = t.done && e.reason == WEIR_EXIT_STOPPED;
    if (!ok)
        fprintf(stderr, "%s was not called\n", t.name);
    weir_destroy(t.vm);
    return !ok;
}
