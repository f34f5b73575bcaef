/* SPDX-License-Identifier: MIT */
/* program_world.h - a vCPU, memory and devices for random programs, and the engines. */
#ifndef TESTS_DIFF_PROGRAM_WORLD_H
#define TESTS_DIFF_PROGRAM_WORLD_H

#include <stdio.h>
#include "cpu/cpu.h"
#include "program.h"

struct world;

struct engine {
    const char *name;
    int (*init)(struct vcpu *c, struct err *err); /* or NULL */
    void (*fini)(struct vcpu *c);                 /* or NULL */
    enum weir_stop (*run)(struct vcpu *c);        /* until insn_limit or a stop */
    /* A program has been loaded: lets the engine make code early. Or NULL. */
    void (*loaded)(struct world *w, const struct program *p);
};
const struct engine *engine_find(const char *name);

struct device_access {
    uint64_t address, value;
    uint8_t size;
    bool is_write, is_port;
};
#define DEVICE_LOG 512u

struct world {
    struct vcpu cpu; /* first */
    const struct engine *engine;
    struct bus mem, io;
    struct ram ram;
    uint8_t *rom;
    struct clock clock;
    struct log log;
    pthread_mutex_t lock;
    struct err err;
    struct vcpu *reset_state;
    const struct program *program; /* the loaded one */
    struct device_access accesses[DEVICE_LOG];
    unsigned access_count; /* may exceed DEVICE_LOG */
    bool device_fetched;   /* code was read from the device */
};

struct world *world_new(const struct engine *engine, const char *model);
void world_free(struct world *w);
/* Everything as the program needs it; registers and data by program and `run`. */
void world_load(struct world *w, const struct program *p, unsigned run);
/* Drops everything the engine remembers of earlier programs. */
void world_forget(struct world *w);
/* Runs at most `limit` instructions. How many it were: cpu.instructions. */
enum weir_stop world_run(struct world *w, uint64_t limit);
/* Linear address of the next instruction. */
uint64_t world_at(const struct world *w);

/* What is not compared. */
enum { IGNORE_FRAME_FLAGS = 1, IGNORE_COUNT = 2, IGNORE_FLAGS = 4 };
/* True if both worlds are in the same state, but for flags that the program leaves undefined;
 * differences are printed to `out` if it is not NULL. */
bool world_same(struct world *a, struct world *b, const struct program *p, unsigned ignore,
                FILE *out);

/* The program has overwritten instructions that it was not meant to, so that nobody knows which
 * flags they leave undefined; or it ran into the device, which is read as often as one likes. */
bool world_is_spoiled(const struct world *w, const struct program *p);
/* The item that raised the exception whose handler has halted; -1 = none, or unknown. */
int world_fault_item(const struct world *w, const struct program *p);

#endif
