/* SPDX-License-Identifier: MIT */
/*
 * step_log.c - see step_log.h. A hidden step without end (introspect.h); interrupts are let in,
 * -dfilter chooses the instructions.
 */
#include "debug/step_log.h"

#include <weir/inspect.h>
#include <weir/machine.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct step_log {
    struct log *log;
    uint64_t handle;
    unsigned bits;    /* of the code before the step */
    uint64_t gpr[16]; /* at the last line */
};

static void insn_text(const struct step_log *s, weir_vcpu *cpu, uint64_t pc, char *text,
                      size_t bytes)
{
    uint8_t code[15];
    size_t length = sizeof(code);
    while (length && weir_virt_read(cpu, pc, code, length) < 0)
        length--;
    if (!length || weir_disassemble(code, length, s->bits, pc, false, text, bytes) <= 0)
        snprintf(text, bytes, "(bad)");
}

static size_t add_changes(struct step_log *s, weir_vcpu *cpu, char *line, size_t at,
                          size_t bytes)
{
    const char *space = "  ";
    for (unsigned i = 0; i < 16; i++) {
        uint64_t value = weir_reg_get_u64(cpu, (enum weir_reg)(WEIR_RAX + i));
        if (value != s->gpr[i] && at < bytes) {
            at += (size_t)snprintf(line + at, bytes - at, "%s%s=%llx", space,
                                   weir_reg_name((enum weir_reg)(WEIR_RAX + i)),
                                   (unsigned long long)value);
            space = " ";
        }
        s->gpr[i] = value;
    }
    return at < bytes ? at : bytes - 1;
}

static unsigned on_step(void *ctx, weir_vcpu *cpu, struct weir_step_event *event)
{
    struct step_log *s = ctx;
    char code[128], line[800];
    size_t at;
    if (log_wants(s->log, event->from)) {
        insn_text(s, cpu, event->from, code, sizeof(code));
        at = (size_t)snprintf(line, sizeof(line), "step %u: 0x%016llx:  %s", event->head.vcpu,
                              (unsigned long long)event->from, code);
        if (event->faulted)
            at += (size_t)snprintf(line + at, sizeof(line) - at, "  [fault %u]", event->vector);
        at = add_changes(s, cpu, line, at, sizeof(line) - 1);
        line[at++] = '\n';
        log_write(s->log, WEIR_LOG_STEP, line, at);
    }
    s->bits = (unsigned)weir_code_bits(cpu);
    return WEIR_CONTINUE;
}

struct step_log *step_log_start(weir *vm, struct log *log)
{
    struct weir_step step = {.flags = WEIR_STEP_INTERRUPTS};
    weir_vcpu *cpu = weir_get_vcpu(vm, 0);
    struct step_log *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->log = log;
    s->bits = (unsigned)weir_code_bits(cpu);
    if (weir_step(cpu, &step, on_step, s, &s->handle) >= 0)
        return s;
    free(s);
    return NULL;
}

void step_log_end(weir *vm, struct step_log *s)
{
    if (!s)
        return;
    weir_event_remove(vm, s->handle);
    free(s);
}
