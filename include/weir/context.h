/* SPDX-License-Identifier: MIT */
/*
 * context.h - the state of a vCPU: every register by number, and all of them as one struct.
 *
 * When. While the VM is stopped (before the first weir_run, after it returned, while paused), or
 * in the thread that runs the vCPU, inside a callback. At any other time: -WEIR_ESTATE.
 *
 * What a set does. It changes that register and no other, whatever the engine keeps in the host's
 * registers at the time, and the guest's next instruction sees it: engines keep no copy over a
 * callback. Inside a callback of an instruction (a port, a device register) RIP is already behind
 * that instruction, which still writes its own results when the callback returns; if RIP is set
 * there, the guest goes on at the new one. RFLAGS: see weir_set_exact_flags.
 *
 * What is checked. A value is refused (-WEIR_EINVAL, nothing changed) when no processor could be in
 * that state. States that a processor could not reach by its instructions are allowed.
 */
#ifndef WEIR_CONTEXT_H
#define WEIR_CONTEXT_H

#include "weir.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- registers by number ----------------------------------------------------------------- */

/* Plain: union weir_value.u64. */
enum weir_reg {
    WEIR_RAX,
    WEIR_RCX,
    WEIR_RDX,
    WEIR_RBX,
    WEIR_RSP,
    WEIR_RBP,
    WEIR_RSI,
    WEIR_RDI,
    WEIR_R8,
    WEIR_R9,
    WEIR_R10,
    WEIR_R11,
    WEIR_R12,
    WEIR_R13,
    WEIR_R14,
    WEIR_R15,
    WEIR_RIP,
    WEIR_RFLAGS,
    WEIR_ES, /* to TR: segment */
    WEIR_CS,
    WEIR_SS,
    WEIR_DS,
    WEIR_FS,
    WEIR_GS,
    WEIR_LDTR,
    WEIR_TR,
    WEIR_GDTR, /* segment: base and limit only */
    WEIR_IDTR,
    WEIR_CR0,
    WEIR_CR2,
    WEIR_CR3,
    WEIR_CR4,
    WEIR_CR8,
    WEIR_XCR0,
    WEIR_EFER,
    WEIR_DR0,
    WEIR_DR1,
    WEIR_DR2,
    WEIR_DR3,
    WEIR_DR6,
    WEIR_DR7,
    WEIR_FCW,
    WEIR_FSW,
    WEIR_FTW, /* 2 bits per register, as FNSTENV stores it */
    WEIR_MXCSR,
    WEIR_ST0, /* to ST7: bytes, 10 of them */
    WEIR_ST1,
    WEIR_ST2,
    WEIR_ST3,
    WEIR_ST4,
    WEIR_ST5,
    WEIR_ST6,
    WEIR_ST7,
    WEIR_ZMM0, /* bytes: XMMn is the first 16, YMMn 32; what the CPU model lacks is zero */
    WEIR_ZMM31 = WEIR_ZMM0 + 31,
    WEIR_K0,
    WEIR_K7 = WEIR_K0 + 7,
    WEIR_FOP, /* of the last x87 instruction; kept while an x87 exception is unmasked */
    WEIR_FIP,
    WEIR_FCS,
    WEIR_FDP,
    WEIR_FDS,
    WEIR_PDPTE0, /* PAE paging: what CR3's load left; a set of CR3 loads them anew */
    WEIR_PDPTE1,
    WEIR_PDPTE2,
    WEIR_PDPTE3,
    WEIR_CPL,              /* a set of SS sets it to SS.DPL in protected mode */
    WEIR_INTERRUPTIBILITY, /* WEIR_BLOCKED_* */
    WEIR_ACTIVITY,         /* enum weir_activity */
    WEIR_PENDING_DEBUG,    /* DR6 bits B0-B3 and BS that trap before the next instruction */
    WEIR_INJECTION,        /* injection */
    WEIR_FS_BASE,          /* the bases of FS and GS as MSRs C0000100h and C0000101h */
    WEIR_GS_BASE,
    WEIR_KERNEL_GS_BASE, /* from here on: MSRs that have a name; all others by number */
    WEIR_STAR,
    WEIR_LSTAR,
    WEIR_CSTAR,
    WEIR_SFMASK,
    WEIR_SYSENTER_CS,
    WEIR_SYSENTER_ESP,
    WEIR_SYSENTER_EIP,
    WEIR_PAT,
    WEIR_DEBUGCTL,
    WEIR_APIC_BASE,
    WEIR_TSC,
    WEIR_TSC_AUX,
    WEIR_REG_COUNT
};

/* Bits of WEIR_INTERRUPTIBILITY, as in a VMCS. */
#define WEIR_BLOCKED_BY_STI    1u /* for one instruction */
#define WEIR_BLOCKED_BY_MOV_SS 2u /* for one instruction, debug traps too */
#define WEIR_BLOCKED_BY_NMI    8u /* until IRET: further NMIs only */

enum weir_activity {
    WEIR_ACTIVE,
    WEIR_HALTED, /* HLT, MWAIT */
    WEIR_WAIT_FOR_SIPI = 3,
};

/* Kinds of weir_injection, numbered as in a VMCS. */
enum weir_injection_kind {
    WEIR_INJECT_EXTERNAL = 0,     /* any vector; IF and interrupt controllers are not asked */
    WEIR_INJECT_NMI = 2,          /* vector 2 */
    WEIR_INJECT_EXCEPTION = 3,    /* vector below 32 */
    WEIR_INJECT_SOFTWARE = 4,     /* INT n: DPL of the gate is checked */
    WEIR_INJECT_ICEBP = 5,        /* INT1: vector 1 */
    WEIR_INJECT_INT3_OR_INTO = 6, /* vectors 3 and 4 */
};

/* An event that the vCPU takes before its next instruction, through the guest's IDT, even if it
 * is halted. The three software kinds push RIP + instruction_length. */
struct weir_injection {
    bool pending;
    uint8_t kind; /* enum weir_injection_kind */
    uint8_t vector;
    bool has_error;
    uint8_t instruction_length; /* 0-15 */
    uint32_t error;
};

struct weir_segment {
    uint16_t selector;
    uint16_t attributes; /* descriptor bits 40-55: type, S, DPL, P, AVL, L, D/B, G at 15;
                            P clear = unusable */
    uint32_t limit;      /* in bytes, expanded */
    uint64_t base;
};

union weir_value {
    uint64_t u64;
    struct weir_segment segment;
    struct weir_injection injection;
    uint8_t bytes[64];
};

/* One register. INVAL for an unknown one. Setting a control register loads it without the checks
 * and side effects of MOV CRn, but never into a combination that a CPU cannot have. EFER.LMA
 * follows from CR0.PG and EFER.LME. */
WEIR_API int weir_reg_get(weir_vcpu *cpu, enum weir_reg reg, union weir_value *value);
WEIR_API int weir_reg_set(weir_vcpu *cpu, enum weir_reg reg, const union weir_value *value);
/* For registers that are a number. The getter gives 0 for others. */
WEIR_API uint64_t weir_reg_get_u64(weir_vcpu *cpu, enum weir_reg reg);
WEIR_API int weir_reg_set_u64(weir_vcpu *cpu, enum weir_reg reg, uint64_t value);
/* The translator lets arithmetic flags in RFLAGS be stale where the guest overwrites them before it
 * reads them. Exact: never (as with a budget or -icount); costs some speed. Any thread; from the
 * next weir_run on. */
WEIR_API void weir_set_exact_flags(weir *vm, bool on);
/* Whether the register was set since the vCPU last executed an instruction. */
WEIR_API bool weir_reg_is_dirty(weir_vcpu *cpu, enum weir_reg reg);
/* Name as in the manual, lower case ("rax"); and back, -WEIR_ENOENT if there is none. */
WEIR_API const char *weir_reg_name(enum weir_reg reg);
WEIR_API int weir_reg_by_name(const char *name);
/* Significant bytes of a value: 1-64 for numbers and bytes, 16 for segments (selector, base...),
 * what the CPU model has of a ZMM register, 0 for a register that it has not. */
WEIR_API unsigned weir_reg_bytes(weir_vcpu *cpu, enum weir_reg reg);

/* Model-specific registers by number, as RDMSR and WRMSR: ENOENT, EINVAL where those fault. */
WEIR_API int weir_msr_get(weir_vcpu *cpu, uint32_t msr, uint64_t *value);
WEIR_API int weir_msr_set(weir_vcpu *cpu, uint32_t msr, uint64_t value);
/* Numbers of the MSRs that hold state of this vCPU, i = 0, 1...; -WEIR_ENOENT at the end. */
WEIR_API int weir_msr_number(weir_vcpu *cpu, unsigned i, uint32_t *msr);

/* Width in bits (16, 32, 64) of the code at CS:RIP, and RIP as a linear address. */
WEIR_API int weir_code_bits(weir_vcpu *cpu);
WEIR_API weir_gva weir_linear_rip(weir_vcpu *cpu);

/* ---- all of them ------------------------------------------------------------------------- */

/* Which members of struct weir_context are meant. */
enum weir_context_part {
    WEIR_CONTEXT_GENERAL = 1 << 0,
    WEIR_CONTEXT_SEGMENTS = 1 << 1,
    WEIR_CONTEXT_CONTROL = 1 << 2,
    WEIR_CONTEXT_DEBUG = 1 << 3,
    WEIR_CONTEXT_FPU = 1 << 4,
    WEIR_CONTEXT_EVENTS = 1 << 5,
    WEIR_CONTEXT_MSRS = 1 << 6,
    WEIR_CONTEXT_ALL = 0x7f,
};

struct weir_msr {
    uint32_t number;
    uint64_t value;
};
#define WEIR_CONTEXT_MSR_MAX 128

struct weir_context {
    size_t size; /* sizeof(struct weir_context), set by the caller before get and set */
    /* GENERAL */
    uint64_t gpr[16]; /* RAX RCX RDX RBX RSP RBP RSI RDI R8-R15: WEIR_RAX + n */
    uint64_t rip, rflags;
    /* SEGMENTS */
    struct weir_segment segment[8]; /* ES CS SS DS FS GS LDTR TR: WEIR_ES + n */
    struct weir_segment gdtr, idtr; /* base and limit */
    uint8_t cpl;
    /* CONTROL */
    uint64_t cr0, cr2, cr3, cr4, cr8, xcr0, efer;
    uint64_t pdpte[4];
    /* DEBUG */
    uint64_t dr[8]; /* 4 and 5 unused */
    /* FPU */
    uint16_t fcw, fsw, ftw, fop, fcs, fds;
    uint32_t mxcsr;
    uint64_t fip, fdp;
    uint8_t st[8][16];
    uint8_t zmm[32][64];
    uint64_t k[8];
    /* EVENTS */
    uint32_t interruptibility;
    enum weir_activity activity;
    uint64_t pending_debug;
    struct weir_injection injection;
    bool intr_pending; /* an interrupt controller raises INTR; not to be set */
    bool nmi_pending;
    /* MSRS: those of weir_msr_number */
    unsigned msr_count;
    struct weir_msr msr[WEIR_CONTEXT_MSR_MAX];
};

/* Parts are OR'ed WEIR_CONTEXT_*; members of other parts are left alone. A set changes everything
 * or, on failure, nothing: the combination is checked, not one register after the other. What was
 * got can always be set. */
WEIR_API int weir_context_get(weir_vcpu *cpu, unsigned parts, struct weir_context *context);
WEIR_API int weir_context_set(weir_vcpu *cpu, unsigned parts,
                              const struct weir_context *context);

#ifdef __cplusplus
}
#endif
#endif
