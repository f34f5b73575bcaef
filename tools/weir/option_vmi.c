/* SPDX-License-Identifier: MIT */
/* option_vmi.c - the VMI option ROM. */
#include "option_parse.h"

#include <stdlib.h>
#include <string.h>

static enum parse_result vmi_base(struct options *o, const char *text)
{
    uint64_t base;
    if (!text)
        return PARSE_OK;
    if (!parse_u64(text, &base) || base > UINT32_MAX)
        return option_fail(o, "-vmi: base=%s: use an address like 0xd0000", text);
    o->vmi.base = (uint32_t)base;
    return PARSE_OK;
}

enum parse_result option_vmi(struct options *o, const char *name, const char *argument)
{
    static const char *const names[] = {"api", "counters", "base", "faults", NULL};
    static const char *const apis[] = {"on", "3", "13", "off", NULL};
    static const char *const faults[] = {"stop", "guest", NULL};
    struct props p;
    weir_vmi_config_init(&o->vmi, sizeof(o->vmi));
    if (option_props(o, &p, "-vmi", argument, "api", names) != PARSE_OK)
        return PARSE_FAIL;
    const char *api = props_get(&p, "api"), *fault = props_get(&p, "faults");
    int which = option_choice(o, "-vmi", api ? api : "on", apis);
    int choice = fault ? option_choice(o, "-vmi: faults", fault, faults) : 0;
    enum parse_result result = which < 0 || choice < 0 ? PARSE_FAIL : PARSE_OK;
    o->vmi_on = which != 3;
    o->vmi.api = which == 2 ? 13 : 3;
    o->vmi.faults = choice == 1 ? WEIR_VMI_FAULTS_GUEST : WEIR_VMI_FAULTS_STOP;
    if (result == PARSE_OK)
        result = option_bool_prop(o, &p, "-vmi", "counters", &o->vmi.counters);
    if (result == PARSE_OK)
        result = vmi_base(o, props_get(&p, "base"));
    props_free(&p);
    return result;
}
