/* SPDX-License-Identifier: MIT */
/* speed.c - see speed.h. */
#include "speed.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *speed_accel;

void speed_options(int *argc, char ***argv)
{
    if (*argc > 2 && !strcmp((*argv)[1], "-a")) {
        speed_accel = (*argv)[2];
        *argv += 2;
        *argc -= 2;
    }
}

double speed_now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void print_message(void *ctx, enum weir_log_item item, const char *text, size_t length)
{
    fwrite(text, 1, length, stderr);
}

weir *speed_machine(const char *machine, uint64_t ram_bytes)
{
    struct weir_config config;
    weir *vm;
    weir_config_init(&config, sizeof(config));
    config.machine = machine;
    if (speed_accel)
        config.accel = speed_accel;
    config.ram_bytes = ram_bytes;
    config.log = print_message;
    if (weir_create(&config, &vm) < 0)
        exit(1);
    return vm;
}

/* ---- a Linux guest ---- */

struct watch {
    weir *vm;
    char line[4096];
    size_t length;
    bool reached;
};

static void console(void *ctx, const uint8_t *data, size_t length)
{
    struct watch *w = ctx;
    for (size_t i = 0; i < length && !w->reached; i++) {
        if (w->length + 1 < sizeof(w->line))
            w->line[w->length++] = (char)data[i];
        if (data[i] != '\n')
            continue;
        w->line[w->length] = 0;
        w->length = 0;
        if (strstr(w->line, "init reached")) {
            w->reached = true;
            weir_quit(w->vm);
        }
    }
}

weir *speed_boot(const char *kernel, const char *initrd,
                 void (*arm)(weir *vm, const char *what), const char *what, double *seconds,
                 uint64_t *instructions)
{
    static struct watch w; /* the terminal knows it as long as the machine is there */
    weir_char *chr;
    struct weir_exit e;
    double start = speed_now_s();
    w = (struct watch){.vm = speed_machine("pc", 512 << 20)};
    if (weir_char_new(w.vm, "console", console, &w, &chr) < 0 ||
        weir_serial_set(w.vm, 0, chr) < 0 ||
        weir_kernel_set(w.vm, kernel, initrd, "console=ttyS0") < 0) {
        fprintf(stderr, "%s\n", weir_last_error(w.vm));
        exit(1);
    }
    if (arm)
        arm(w.vm, what);
    if (weir_run(weir_get_vcpu(w.vm, 0), 0, &e) < 0 || !w.reached) {
        fprintf(stderr, "init was not reached: exit %d, %s\n", e.reason, weir_last_error(w.vm));
        exit(1);
    }
    *seconds = speed_now_s() - start;
    if (instructions)
        *instructions = e.instructions;
    return w.vm;
}
