/* SPDX-License-Identifier: MIT */
/* bare_fixture.h - each test of a file has a bare vCPU of model max, `b`, as after RESET#. */
#ifndef TESTS_BARE_FIXTURE_H
#define TESTS_BARE_FIXTURE_H

#include "bare_vcpu.h"

static struct bare *b;

static inline int setup(void **state)
{
    (void)state;
    b = bare_new("max");
    return 0;
}
static inline int teardown(void **state)
{
    (void)state;
    bare_free(b);
    return 0;
}

/* The fault that was raised. */
static inline void expect(unsigned vector, uint32_t error)
{
    assert_int_equal(b->cpu.fault.vector, vector);
    assert_int_equal(b->cpu.fault.error, error);
}
static inline uint64_t stack32(unsigned n)
{
    return bare_get(b, (uint32_t)b->cpu.gpr[RSP] + 4 * n, 4);
}

#endif
