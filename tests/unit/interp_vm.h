/* SPDX-License-Identifier: MIT */
/*
 * interp_vm.h - a vCPU with RAM, two buses and nothing else, for the interpreter's tests and
 * benchmarks: flat segments, paging off, supervisor.
 */
#ifndef TESTS_INTERP_VM_H
#define TESTS_INTERP_VM_H

#include "cpu/access.h"
#include "cpu/cpu.h"

#include <stdlib.h>

/* Nobody sleeps here; the library's own would bring the whole machine along. */
void cpu_attention_wake(struct vcpu *c) {}

struct interp_vm {
    struct vcpu *cpu;
    struct bus mem, io;
    struct ram ram;
    struct clock clock;
    struct log log;
    pthread_mutex_t lock;
};

/* Code of 16 (real mode), 32 or 64 bits (without paging, which no CPU has but the interpreter
 * does not mind); everything else as after RESET#. */
static inline void interp_vm_mode(struct interp_vm *vm, unsigned bits)
{
    struct vcpu *c = vm->cpu;
    vcpu_reset(c, false);
    for (unsigned s = SEG_ES; s <= SEG_GS; s++)
        c->seg[s] = (struct segment){0, bits == 16 ? 0xffff : 0xffffffff, 0,
                                     (uint16_t)(bits == 16 ? 0x93 : 0xc093)};
    c->seg[SEG_CS].attr = bits == 16 ? 0x9b : bits == 32 ? 0xc09b : 0xa09b;
    c->cr0 = bits == 16 ? CR0_ET : CR0_ET | CR0_PE | CR0_NE;
    c->efer = bits == 64 ? EFER_LME | EFER_LMA : 0;
    c->insn_limit = UINT64_MAX;
    cpu_mode_update(c);
}

static inline bool interp_vm_init(struct interp_vm *vm, uint64_t ram_bytes)
{
    struct err err;
    memset(vm, 0, sizeof(*vm));
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&vm->lock, &recursive);
    log_init(&vm->log, NULL, NULL);
    if (clock_init(&vm->clock, CLOCK_MANUAL) ||
        bus_init(&vm->mem, "memory", UINT64_MAX >> 12) || bus_init(&vm->io, "io", 0xffff) ||
        ram_init(&vm->ram, ram_bytes, &err) ||
        !bus_map_memory(&vm->mem, 0, ram_bytes, vm->ram.base, vm->ram.tags, false, 0, "ram"))
        return false;
    struct vcpu *c = aligned_alloc(64, (sizeof(*c) + 63) & ~(size_t)63);
    memset(c, 0, sizeof(*c));
    c->mem = &vm->mem;
    c->io = &vm->io;
    c->ram = &vm->ram;
    c->clock = &vm->clock;
    c->log = &vm->log;
    c->device_lock = &vm->lock;
    c->tsc_hz = 1000000000;
    vm->cpu = c;
    return vcpu_init(c, "max", &err) == 0 || vcpu_init(c, "host", &err) == 0;
}

static inline void interp_vm_fini(struct interp_vm *vm)
{
    vcpu_fini(vm->cpu);
    free(vm->cpu);
    bus_fini(&vm->mem);
    bus_fini(&vm->io);
    ram_fini(&vm->ram);
    clock_fini(&vm->clock);
    log_fini(&vm->log);
    pthread_mutex_destroy(&vm->lock);
}

/* Runs exactly `count` instructions from `rip` unless something stops it earlier. */
static inline enum weir_stop interp_vm_run(struct interp_vm *vm, uint64_t rip, uint64_t count)
{
    struct vcpu *c = vm->cpu;
    enum weir_stop stop = STOP_BOUNDARY;
    c->rip = rip;
    c->insn_limit = c->instructions + count;
    while (c->instructions < c->insn_limit && stop <= STOP_REPEAT)
        stop = interp_run(c);
    return stop;
}

#endif
