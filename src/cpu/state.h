/* SPDX-License-Identifier: MIT */
/*
 * state.h - everything a virtual CPU is: architectural state first, then what is derived from it,
 * then the engine's own. Plain data; functions that change it are in the files named beside it.
 *
 * Invariants. `flags` holds only CF PF AF ZF SF OF, `rflags_rest` everything else (bit 1 set).
 * Derived fields are recomputed by cpu_mode_update() (mode.c) after any change to a segment
 * register, CR0, CR4, EFER, CPL or rflags_rest. Only the thread in weir_run touches a vCPU, but
 * for `attention`, which anyone may set by cpu_attention().
 */
#ifndef CPU_STATE_H
#define CPU_STATE_H

#include <pthread.h>
#include <weir/weir.h>
#include "base/bits.h"
#include "base/clock.h"
#include "base/log.h"
#include "cpu/decode/insn.h"
#include "cpu/x86.h"
#include "mem/bus.h"

struct segment {
    uint64_t base;
    uint32_t limit; /* in bytes, expanded */
    uint16_t selector;
    uint16_t attr; /* descriptor bits 40-55 (SEG_ATTR_*); P clear = unusable */
};

/* What an access through a segment needs, precomputed. `ok` has ACCESS_READ/WRITE/EXECUTE bits for
 * which `offset+size-1 <= limit` is the whole check; everything else goes the slow way. */
struct segment_cache {
    uint64_t base;
    uint64_t limit; /* ~0 in 64-bit mode */
    uint32_t ok;
    int64_t last[2]; /* limit for [0] reads, [1] writes, -1 if not `ok`: translated code's */
};

struct table_register {
    uint64_t base;
    uint16_t limit;
};

enum access { ACCESS_READ = 1, ACCESS_WRITE = 2, ACCESS_EXECUTE = 4 };

/* Software TLB: a hit is one compare, because the tag is the linear page and the compared value is
 * the page of the access's last byte. MMIO, code pages (for writes), watched pages and A/D
 * updates have no tag here (tlb_empty) and so take the slow path. */
#define TLB_ENTRIES 16384u
struct tlb_entry {
    uint64_t read, write; /* linear page address */
    uint64_t execute;     /* tlb_code_tag */
    uintptr_t host;       /* where that page is on the host */
};
/* Bits 47-12 of a canonical linear address and the number of the page of code there, below
 * TLB_CODE_PAGES: one compare says whether this code is what is mapped there. */
#define TLB_CODE_BITS  28
#define TLB_CODE_PAGES (1ull << TLB_CODE_BITS)
static inline uint64_t tlb_code_tag(uint64_t linear, uint64_t gpa)
{
    return linear >> 12 << TLB_CODE_BITS | gpa >> 12;
}
/* Tag of entry n if it has none: a page that belongs to neither it nor the next entry, whatever
 * the address, and as a code tag not to it either. Zero, so that fresh memory is empty, but for
 * two entries. */
static inline uint64_t tlb_empty(unsigned n)
{
    return n == 0 || n == TLB_ENTRIES - 1 ? 0x20002000 : 0;
}
static inline unsigned tlb_index(uint64_t linear)
{
    return (unsigned)(linear >> 12) & (TLB_ENTRIES - 1);
}

/* A guest fault or trap on its way to delivery. Not a host error. */
struct x86_fault {
    uint8_t vector;
    uint8_t kind; /* enum fault_kind */
    bool has_error;
    uint32_t error;
    uint64_t address;  /* #PF: CR2; otherwise 0 */
    uint64_t dr6_bits; /* #DB: bits to set */
};
enum fault_kind {
    FAULT_EXCEPTION,
    FAULT_SOFTWARE_INT,
    FAULT_INT3_INTO,
    FAULT_ICEBP,
    FAULT_EXTERNAL,
    FAULT_NMI,
    FAULT_RETRY, /* no fault: see vcpu.exit.pending; becomes STOP_RETRY */
    FAULT_EVENT  /* no fault: the instruction must be executed by events_step (events.h) */
};

/* x87/SSE/AVX/AVX-512 state. What is above a register's supported width is zero. The FXSAVE64
 * image holds x87 state only: its XMM part, pointers and MXCSR are scratch of host code. ES and B
 * of the status word always agree with flags and masks: loading it never makes the host trap. */
struct fpu_state {
    _Alignas(64) uint8_t zmm[32][64];
    struct {
        uint16_t fcw, fsw;
        uint8_t ftw, reserved1; /* abridged tags, by physical register: 1 = not empty */
        uint16_t scratch_fop;
        uint64_t scratch_fip, scratch_fdp;
        uint32_t scratch_mxcsr, scratch_mxcsr_mask;
        uint8_t st[8][16]; /* ST0 first */
        uint8_t scratch[352];
    } fx;
    uint64_t k[8];
    uint32_t mxcsr;
    uint16_t fop, fcs, fds;
    uint64_t fip, fdp;
    bool ferr; /* FERR# is asserted */
};

/* How the CPU reaches the interrupt controllers; filled by the board. Device lock held. */
struct cpu_wires {
    int (*acknowledge)(void *ctx);  /* INTA: vector, or -1 when nothing is pending any more */
    uint64_t (*get_tpr)(void *ctx); /* CR8, 0-15 */
    void (*set_tpr)(void *ctx, uint64_t tpr);
    /* Local APIC MSRs (1Bh, 6E0h, 800h-8FFh): 0 or -1 for #GP. */
    int (*apic_msr_read)(void *ctx, uint32_t msr, uint64_t *value);
    int (*apic_msr_write)(void *ctx, uint32_t msr, uint64_t value);
    void (*ferr)(void *ctx, int level); /* x87 FERR# (IRQ 13), CR0.NE = 0 */
    void *ctx;
};

/* vcpu.attention: reasons to leave translated or interpreted code at the next boundary. */
enum {
    ATTENTION_INTR = 1 << 0, /* the INTR line is high (level: stays set while it is) */
    ATTENTION_NMI = 1 << 1,
    ATTENTION_RESET = 1 << 2,
    ATTENTION_INIT = 1 << 3,
    ATTENTION_SIPI = 1 << 4,
    ATTENTION_STOP = 1 << 5, /* pause, quit or an exit asked for by a device */
    ATTENTION_BUS = 1 << 6,  /* memory layout changed: flush TLBs, drop decoded blocks */
    ATTENTION_CODE = 1 << 7, /* a device wrote to code pages: drop their blocks */
    ATTENTION_A20 = 1 << 8,
    ATTENTION_SMI = 1 << 9,
    ATTENTION_EVENT = 1 << 10,  /* an injection or a debug trap was set from outside */
    ATTENTION_EVENTS = 1 << 11, /* who watches what has changed */
    ATTENTION_WINDOW = 1 << 12, /* as INTR, for an embedder who waits until IF lets one in */
    ATTENTION_NMI_WINDOW = 1 << 13, /* as NMI, for one who waits until one could be delivered */
    /* Nothing to do about the first group until RFLAGS.IF and the like let them in. */
    ATTENTION_BY_IF = ATTENTION_INTR | ATTENTION_WINDOW,
    ATTENTION_BY_NMI = ATTENTION_NMI | ATTENTION_NMI_WINDOW,
};

/* vcpu.shadow. TF_NOW: the single-step trap behind this instruction depends on TF as it is now, not
 * as it was when it began (INT n, SYSCALL). */
enum { SHADOW_STI = 1, SHADOW_MOV_SS = 2, SHADOW_TF_NOW = 4 };

/* vcpu.mode: all that decoding and fast paths depend on; the key of a block with its address. */
enum {
    MODE_CODE16 = 0,
    MODE_CODE32 = 1,
    MODE_CODE64 = 2,
    MODE_CODE_MASK = 3,
    MODE_CPL_SHIFT = 2,
    MODE_CPL_MASK = 3 << 2,
    MODE_STACK16 = 0 << 4,
    MODE_STACK32 = 1 << 4,
    MODE_STACK64 = 2 << 4,
    MODE_STACK_MASK = 3 << 4,
    MODE_PE = 1 << 6,
    MODE_VM = 1 << 7,  /* virtual-8086 */
    MODE_LMA = 1 << 8, /* long mode active (64-bit or compatibility) */
    MODE_PG = 1 << 9,
    MODE_TF = 1 << 10,      /* RFLAGS.TF */
    MODE_DEBUG = 1 << 11,   /* breakpoints are armed: one instruction at a time */
    MODE_AC = 1 << 12,      /* alignment checks apply now */
    MODE_FLAT = 1 << 13,    /* 64-bit code, or CS, DS, ES, SS cover all of 4 GiB from 0 */
    MODE_SMAP_AC = 1 << 14, /* supervisor with SMAP suspended by RFLAGS.AC */
    MODE_EVENTS = 1 << 15, /* somebody is stepping: one instruction at a time, by events_step */
    MODE_WATCHED = 1 << 16, /* of blocks only: made for a page in which code is watched */
};

struct block_cache;    /* interp's decoded blocks (interp/blocks.c) */
struct host_exec;      /* thunks that run guest instructions on the host (interp/hostexec.c) */
struct address_spaces; /* TLBs (tlb.c) */
struct cpu_model;      /* what CPUID says (cpuid.c) */
struct jit;            /* the translator (jit/jit.h) */
struct block;          /* decoded code (interp/blocks.h) */
struct event_hooks;    /* who watches (events.h) */
struct vcpu;

/*
 * The host call (UD1 with a displacement for an operand; interp/int_hostcall.c). `call` gets the
 * operand's offset in segment i->seg and does the rest; NULL: off.
 */
struct host_call_gate {
    enum weir_stop (*call)(struct vcpu *c, const struct insn *i, uint64_t offset);
    void *ctx;
    uint32_t groups;  /* for CPUID */
    uint8_t rings;    /* WEIR_HC_RING_*: who may */
    uint64_t address; /* hidden register: linear address of the last block */
};

#define SPACES     8u /* address spaces with a TLB of their own */
#define ALL_SPACES ~0u

/* What the translator, which keeps copies of mappings and blocks, must be told. */
struct engine_hooks {
    /* Address space `space` (ALL_SPACES) lost its translations, and perhaps the global ones. */
    void (*space_flushed)(struct vcpu *c, unsigned space, bool and_global);
    /* It is the current one from now on. */
    void (*space_selected)(struct vcpu *c, unsigned space);
    /* Translations of pages that agree with `linear` above bit `log2` were dropped everywhere. */
    void (*page_dropped)(struct vcpu *c, uint64_t linear, unsigned log2);
    /* Writes to the page at this host address must go the slow way from now on. */
    void (*page_protected)(struct vcpu *c, const uint8_t *host);
    void (*block_dropped)(struct vcpu *c, struct block *b);
    void (*blocks_flushed)(struct vcpu *c);
};

/* What is watched, and the instruction that is executed for it. See events.h. */
struct cpu_events {
    const struct event_hooks *hooks; /* NULL: there is nobody who could watch */
    uint32_t armed;       /* bits by enum weir_event_kind, of kinds raised by the CPU */
    bool active;          /* instructions run alone go through events_step */
    bool watching;        /* pages are watched, or a view is not the real memory */
    bool watching_linear; /* pages by linear address */
    bool stepping;        /* MODE_EVENTS is wanted, by the two below */
    uint8_t step_cpls;
    bool step_by_cr3;
    bool quiet;          /* nobody is told of page walks: they are not the guest's */
    bool rep_each;       /* an iteration of a string instruction is a step */
    bool hold;           /* interrupts wait while stepping */
    bool inside;         /* an instruction is being executed with its events raised */
    uint8_t in_place;    /* events are raised where they are: what runs cannot be restarted */
    uint8_t verdict;     /* enum event_verdict: what becomes of the instruction */
    bool undo;           /* its last write was refused: it has not happened */
    bool answered;       /* events before the instruction at answered_rip were raised already */
    uint8_t replace[16]; /* the instruction to execute instead */
    uint8_t replace_bytes;
    uint32_t deliveries; /* of exceptions and interrupts, counted while stepping */
    uint8_t delivered;   /* vector of the last one */
    uint64_t step_cr3;
    uint64_t start; /* RIP of the instruction inside */
    uint64_t moved; /* RIP that a handler has set */
    uint64_t answered_rip;
    struct x86_fault undo_fault;
    bool fpu_saved; /* fpu is what it was before a write that may be refused */
    struct fpu_state fpu;
};

/* What a ROM that stands for the host (src/vmi) is told. Thread of the vCPU but for `activity`. */
enum vcpu_activity { VCPU_STOPPED, VCPU_RUNNING, VCPU_HALTED, VCPU_WOKEN };
struct rom_hooks {
    /* VMCALL; rip is behind it. Results as of an op. */
    enum weir_stop (*call)(struct vcpu *c, const struct insn *i);
    /* An exception, interrupt or INT n is about to be delivered. False: `exit` says why the VM
     * stops instead. */
    bool (*deliver)(struct vcpu *c, const struct x86_fault *event);
    void (*init)(struct vcpu *c);  /* behind INIT# */
    void (*reset)(struct vcpu *c); /* behind a reset of the machine; device lock held */
    void (*activity)(struct vcpu *c, enum vcpu_activity now);
};

struct vcpu {
    /* ---- architectural */
    uint64_t gpr[16];
    uint64_t rip;
    uint32_t flags;
    uint32_t rflags_rest;
    uint64_t zero; /* always 0: base or index of an address that has none (interp/operands.h) */
    struct segment seg[8]; /* SEG_ES.. SEG_GS, SEG_LDTR, SEG_TR */
    struct table_register gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, xcr0, efer;
    uint64_t pdpte[4]; /* PAE paging: loaded with CR3 */
    uint64_t dr[8];    /* 4, 5 unused */
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, mtrr_def_type, mtrr_fixed[11], mtrr_base[16], mtrr_mask[16];
    uint64_t debugctl, misc_enable, mcg_status, mcg_ctl, mc_bank[32][4];
    uint64_t spec_ctrl, xss;
    int64_t tsc_offset; /* added to clock_now_ns() scaled by tsc_hz */
    uint64_t tsc_adjust;
    uint64_t monitor_gpa;
    struct fpu_state fpu;
    uint8_t cpl;
    uint8_t shadow; /* SHADOW_*: set by an instruction, for the boundary behind it */
    bool halted;    /* HLT, MWAIT: waits for an interrupt */
    bool nmi_blocked;
    bool wait_for_sipi;
    bool monitor_armed;
    uint64_t pending_dr6;            /* debug traps to report at the next boundary */
    struct weir_injection injection; /* set from outside: before the next instruction */

    /* ---- derived (mode.c) */
    uint32_t mode;
    uint64_t linear_mask; /* 0xffffffff outside 64-bit mode */
    uint64_t a20_mask;    /* ~0 or ~(1 << 20) */
    struct segment_cache segc[6];
    struct tlb_entry *tlb; /* TLB_ENTRIES of them: current address space and privilege */

    /* ---- engine */
    uint32_t attention; /* atomic */
    uint32_t poll;      /* atomic: set with `attention`; what translated code looks at */
    uint32_t sleeping;  /* atomic: the vCPU thread waits on `attention` (futex) */
    struct x86_fault fault;
    /* What was set from outside since an engine last ran, by enum weir_reg; `rip_set`: the
     * instruction that is being executed must not move rip back (context.c). */
    uint64_t dirty[3];
    bool touched, rip_set;
    /* What ends the run before an instruction (exits.h). Bits of the mask read as the shadow's. */
    uint32_t insn_exits, exception_exits;
    bool nmi_exits;
    struct {
        uint64_t mask, shadow;
    } cr_guard[2]; /* CR0, CR4 */
    bool exits;    /* any of these but exception_exits */
    bool pass_insn;
    uint64_t pass_rip;
    uint8_t insn_bytes;         /* of the instruction executed outside the fast loop */
    uint64_t operand_linear;    /* of the last access that took the slow way */
    struct weir_exit insn_exit; /* STOP_RETRY or STOP_EXIT with exit.reason INSN, EXCEPTION */
    bool exact_flags;           /* jit: keep arithmetic flags that nothing needs */
    uint64_t instructions;      /* executed since creation */
    uint32_t deliveries_logged; /* number of the next "int" entry in the log */
    uint64_t insn_limit;        /* leave when instructions reaches it (budget, timer) */
    bool insn_limit_soft; /* leave before a block that would pass the limit, if any was run */
    /* -icount (icount.h): time is base + (instructions << shift). */
    bool icount;
    uint8_t icount_shift;
    uint64_t icount_base_ns; /* idle time that was skipped */
    struct block_cache *blocks;
    const struct insn *stopped_at; /* the instruction that ended a run of them (interp/ops.h) */
    bool counting;                 /* instructions are counted even without a limit */
    bool one_insn; /* -singlestep: blocks of one instruction; any thread sets it */
    uint64_t tlb_fills;
    /* -d in_asm: told of every block when it is decoded; set by the board, may be NULL. */
    void (*trace_block)(struct vcpu *c, uint64_t linear, const struct insn *insns,
                        unsigned count);
    struct host_exec *host;
    const struct rom_hooks *rom;      /* NULL: there is none */
    struct jit *jit;                  /* NULL: interpreter only */
    const struct engine_hooks *hooks; /* NULL without jit */
    struct address_spaces *spaces;
    struct cpu_events ev;
    const struct cpu_model *model;
    uint64_t tsc_hz;
    struct host_call_gate host_call;
    struct {        /* STOP_EXIT, STOP_RETRY: what to tell the embedder */
        int reason; /* enum weir_exit_reason */
        uint64_t address, value;
        uint8_t size, insn_bytes;
        uint64_t linear;
        bool is_write;
        /* An access found no one to serve it. A read must not complete: the access functions see
         * this, fail with FAULT_RETRY, and the instruction runs again once there is an answer. */
        bool pending;
    } exit;

    /* ---- outside world */
    struct weir *vm; /* opaque here */
    struct bus *mem, *io;
    struct ram *ram;
    struct clock *clock;
    struct log *log;
    pthread_mutex_t *device_lock; /* taken around every bus access that is not RAM */
    struct cpu_wires wires;
    unsigned index;
};

static inline uint64_t cpu_rflags(const struct vcpu *c)
{
    return c->flags | c->rflags_rest;
}

/* Wakes the vCPU thread out of HLT (run/control.c). */
void cpu_attention_wake(struct vcpu *c);

static inline void cpu_attention(struct vcpu *c, uint32_t bits)
{
    __atomic_or_fetch(&c->attention, bits, __ATOMIC_SEQ_CST);
    __atomic_store_n(&c->poll, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&c->sleeping, __ATOMIC_SEQ_CST))
        cpu_attention_wake(c);
}
static inline void cpu_attention_clear(struct vcpu *c, uint32_t bits)
{
    __atomic_and_fetch(&c->attention, ~bits, __ATOMIC_SEQ_CST);
}
static inline bool cpu_is_64bit(const struct vcpu *c)
{
    return (c->mode & MODE_CODE_MASK) == MODE_CODE64;
}

#endif
