/* SPDX-License-Identifier: MIT */
/*
 * hostexec.h - what hostexec.c (execution) and thunk.c (code generation) share.
 *
 * A thunk is a short host function made for one kind of instruction: it loads the guest
 * registers the instruction uses, runs it with its memory operand at a host address, and stores
 * what it wrote. Instructions that differ only in how they address memory share a thunk.
 */
#ifndef CPU_INTERP_HOSTEXEC_H
#define CPU_INTERP_HOSTEXEC_H

#include "base/err.h"
#include "cpu/cpuid.h"
#include "cpu/decode/optab.h"
#include "cpu/fpu.h"

/* What a thunk and its caller exchange besides registers; addressed by disp8 from RDI. */
struct host_frame {
    _Alignas(64) uint8_t mem[64]; /* stands in for a memory operand that is not plain RAM */
    uint32_t mxcsr_guest, mxcsr_out, mxcsr_host;
    uint16_t fcw_host;
    uint16_t flags_out; /* AH of LAHF above AL of SETO */
    uint8_t flags_in;   /* for SAHF */
    uint16_t fsw_out;   /* x87 windows: status word */
    uint8_t pushed[10]; /* and the new ST0 */
};

typedef void thunk_fn(struct host_frame *frame, void *mem, uint64_t rdx, uint64_t rcx,
                      struct fpu_state *fpu, uint64_t *gpr);

enum thunk_memory { MEMORY_NONE, MEMORY_READ, MEMORY_WRITE };

/* How EVEX masking decides which bytes of the memory operand are touched. */
enum thunk_masking {
    MASKING_NONE,     /* all of it */
    MASKING_ELEMENTS, /* element n is touched if mask bit n is set */
    MASKING_FOLDED,   /* element n stands for vector elements n, n + elements...: broadcasts */
    MASKING_PACKED,   /* as many elements as bits are set (compress, expand) */
    MASKING_STORE,    /* the elements set are written, but all of it must be writable */
};

/*
 * Fast form of x87 instructions: only the registers they use are loaded into the (empty) host
 * stack, at the places the instruction expects them. Usable while all x87 exceptions are masked
 * and the stack neither over- nor underflows; else the whole state is loaded.
 */
struct x87_window {
    bool usable;
    uint8_t depth;       /* ST0..ST(depth-1) must be valid */
    int8_t delta;        /* pushes (1) or pops (-1, -2) */
    uint8_t stores;      /* bit n: ST(n), numbered as before, is written */
    uint16_t conditions; /* C0-C3 that get a new value, as bits of FSW */
};

/* All that decides what a thunk does: equal specs share one. */
struct thunk_spec {
    uint8_t code[20]; /* the instruction as the host runs it, memory at [RSI] */
    uint8_t code_bytes;
    uint8_t needs;             /* FPU_NEEDS_* */
    uint8_t memory;            /* enum thunk_memory */
    uint8_t mem_bytes;         /* 1-64 */
    uint8_t alignment;         /* 0: none */
    uint8_t masking;           /* enum thunk_masking */
    uint8_t mask;              /* EVEX.aaa */
    uint8_t element, elements; /* of the memory operand */
    uint8_t vector_elements;   /* MASKING_FOLDED */
    bool quiet;                /* raises no SIMD exceptions: EVEX.b, or its class */
    bool mxcsr;                /* depends on MXCSR */
    bool x87, mmx, vex, evex;
    bool flags_in;
    uint32_t flags_out; /* RFLAGS bits written */
    /* Guest registers in host RAX, RCX, RDX (and how many bytes are written); 0xff = unused. */
    struct thunk_gpr {
        uint8_t guest;
        uint8_t written_bytes;
        bool read;
    } gpr[3];
    uint32_t vector_loads, vector_stores; /* bit = register */
    uint8_t mmx_loads, mmx_stores, mask_loads, mask_stores;
    struct x87_window window;
};

struct thunk {
    thunk_fn *code;
    thunk_fn *window; /* NULL: no fast form */
    struct thunk_spec spec;
};

#define THUNK_MAX       8192u
#define THUNK_MAX_BYTES 512u
#define ARENA_BYTES     (1u << 20)

struct host_exec {
    struct host_frame frame;
    struct host_cpu cpu;
    bool has_avx512, has_avx512bw;
    /* Code: written through one mapping, run through another of the same memory. */
    uint8_t *arena_rw, *arena_rx;
    uint32_t arena_used;
    bool arena_toggles; /* one mapping only, writable or executable */
    uint32_t generation;
    uint32_t thunk_count;
    struct thunk *thunks; /* THUNK_MAX */
    uint16_t *hash;       /* 2 * THUNK_MAX: index + 1 */
};

/* thunk.c: false if the host cannot run the instruction (table error: #UD). */
bool thunk_describe(const struct host_exec *h, const struct insn *i, struct thunk_spec *spec);
/* Writes the function, at most THUNK_MAX_BYTES; returns its length. */
unsigned thunk_emit(const struct host_exec *h, const struct thunk_spec *spec, uint8_t *out);

/* thunk_x87.c: spec->window of an x87 instruction, and its function. */
void x87_window_describe(const struct insn *i, struct thunk_spec *spec);
unsigned x87_window_emit(const struct thunk_spec *spec, uint8_t *out);

#endif
