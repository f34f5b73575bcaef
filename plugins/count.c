/* SPDX-License-Identifier: MIT */
/*
 * count.c - how many instructions the guest executed.
 *
 *   weir -plugin count.so[,out=FILE]      default: standard error
 */
#include "options.h"

#include <weir/machine.h>
#include <weir/plugin.h>

const unsigned weir_plugin_version = WEIR_PLUGIN_VERSION;

struct count {
    FILE *out;
    unsigned long long before;
};

int weir_plugin_start(weir *vm, const char *options, void **state, const char **error)
{
    if (!options_known(options, "out")) {
        *error = "unknown option; there is out=FILE";
        return -1;
    }
    struct count *c = calloc(1, sizeof(*c));
    if (!c || !(c->out = option_out(options, NULL))) {
        *error = "cannot write to out=";
        free(c);
        return -1;
    }
    c->before = weir_instructions(weir_get_vcpu(vm, 0));
    weir_set_counting(vm, true);
    *state = c;
    return 0;
}

void weir_plugin_end(weir *vm, void *state)
{
    struct count *c = state;
    unsigned long long n = weir_instructions(weir_get_vcpu(vm, 0)) - c->before;
    fprintf(c->out, "%llu instructions\n", n);
    if (c->out != stderr)
        fclose(c->out);
    free(c);
}
