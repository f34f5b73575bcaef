/* SPDX-License-Identifier: MIT */
/* stepper.c - a plugin that steps a program, and the kernel for it, from its CPUID of leaf "WEIR"
 * on; the count of steps goes to out=FILE. */
#include "../../../plugins/options.h"

#include <weir/introspect.h>
#include <weir/plugin.h>

const unsigned weir_plugin_version = WEIR_PLUGIN_VERSION;

struct stepper {
    FILE *out;
    weir *vm;
    unsigned long long steps, programs;
    uint64_t handle;
};

static unsigned stepped(void *ctx, weir_vcpu *cpu, struct weir_step_event *event)
{
    ((struct stepper *)ctx)->steps++;
    return WEIR_CONTINUE;
}

static unsigned announced(void *ctx, weir_vcpu *cpu, struct weir_cpuid_event *event)
{
    struct stepper *s = ctx;
    struct weir_filter f = {.by = WEIR_BY_CR3, .cr3 = event->head.cr3};
    if (s->handle)
        weir_event_remove(s->vm, s->handle);
    s->programs++;
    weir_on_step(s->vm, &f, stepped, s, &s->handle);
    return WEIR_CONTINUE;
}

int weir_plugin_start(weir *vm, const char *options, void **state, const char **error)
{
    struct weir_filter f = {
        .by = WEIR_BY_NUMBER, .number_first = 0x57454952, .number_last = 0x57454952};
    struct stepper *s = calloc(1, sizeof(*s));
    if (!s || !(s->out = option_out(options, NULL))) {
        *error = "cannot write to out=";
        return -1;
    }
    s->vm = vm;
    *state = s;
    return weir_on_cpuid(vm, &f, announced, s, NULL);
}

void weir_plugin_end(weir *vm, void *state)
{
    struct stepper *s = state;
    fprintf(s->out, "%llu steps of %llu programs\n", s->steps, s->programs);
    fclose(s->out);
    free(s);
}
