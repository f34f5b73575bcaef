/* SPDX-License-Identifier: MIT */
/* pcbench.h - a machine of buses, RAM and a hand-moved clock, without CPU: devices are plugged
 * in and poked. */
#ifndef TESTS_PCBENCH_H
#define TESTS_PCBENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "board/device.h"

struct weir *bench_new(uint64_t ram_bytes);
void bench_free(struct weir *vm);
int bench_teardown(void **state); /* the state is the machine */
weir_dev *bench_add(struct weir *vm, const struct weir_dev_class *cls, const char *props);

static inline uint64_t in(struct weir *vm, unsigned port, unsigned size)
{
    return bus_read(&vm->io, port, size);
}
static inline void out(struct weir *vm, unsigned port, uint64_t value, unsigned size)
{
    bus_write(&vm->io, port, value, size);
}
static inline uint64_t peek(struct weir *vm, uint64_t gpa, unsigned size)
{
    return bus_read(&vm->mem, gpa, size);
}
static inline void poke(struct weir *vm, uint64_t gpa, uint64_t value, unsigned size)
{
    bus_write(&vm->mem, gpa, value, size);
}
/* A small reproducible generator. */
static inline uint32_t bench_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 33);
}

#endif
