/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - what the rest of the library may ask of a vCPU, and what the CPU's own files ask of each
 * other. One section per file.
 */
#ifndef CPU_CPU_H
#define CPU_CPU_H

#include "cpu/state.h"

/* ---- cpu.c: life ---- */
/* Outside-world members of *c and tsc_hz are set by the caller. */
int vcpu_init(struct vcpu *c, const char *model, struct err *err);
void vcpu_fini(struct vcpu *c);
/* Power-up/RESET# state (SDM Vol. 3A 9.1.1); init = INIT#, which keeps FPU, MTRRs, TSC... */
void vcpu_reset(struct vcpu *c, bool init);
/* CS:RIP as a linear address. */
static inline uint64_t cpu_linear_rip(struct vcpu *c)
{
    if (!cpu_is_64bit(c))
        c->rip = (uint32_t)c->rip; /* ran off the end of 4 GiB */
    return (c->segc[SEG_CS].base + c->rip) & c->linear_mask;
}
/* RFLAGS as a whole; updates the mode. */
void cpu_set_rflags(struct vcpu *c, uint64_t rflags);

/* ---- mode.c: derived state ---- */
void cpu_mode_update(struct vcpu *c);
void seg_cache_update(struct vcpu *c, unsigned seg);

/* ---- exceptions.c ---- */
/* Fill c->fault; return STOP_FAULT so that ops can `return raise(...)`. */
enum weir_stop raise(struct vcpu *c, unsigned vector);
enum weir_stop raise_error(struct vcpu *c, unsigned vector, uint32_t error);
static inline enum weir_stop raise_ud(struct vcpu *c)
{
    return raise(c, 6);
}
static inline enum weir_stop raise_gp0(struct vcpu *c)
{
    return raise_error(c, 13, 0);
}
/* Delivers c->fault at c->rip through the IDT, with contributory/double/triple fault rules.
 * Returns STOP_BOUNDARY, or STOP_TRIPLE. */
enum weir_stop exception_deliver(struct vcpu *c);
/* An external interrupt or NMI whose vector is known; same results. Clears halted. */
enum weir_stop interrupt_deliver(struct vcpu *c, unsigned vector, bool nmi);
/* Whether a maskable interrupt can be taken at this boundary (IF, shadow, VME, not halted-off). */
bool interrupt_window(const struct vcpu *c);
/* Whether an NMI can. */
static inline bool nmi_window(const struct vcpu *c)
{
    return !c->nmi_blocked && !c->shadow && (!c->ev.hold || c->halted);
}
/* Whether code must be left at the next boundary. The loops ask this and not `attention` alone:
 * a pending INTR with IF = 0 must not make every block end at once (what sets IF ends a block), nor
 * an NMI that waits for IRET. */
static inline bool attention_due(const struct vcpu *c)
{
    uint32_t a = __atomic_load_n(&c->attention, __ATOMIC_RELAXED);
    if (LIKELY(a == 0))
        return false;
    return (a & ~(uint32_t)(ATTENTION_BY_IF | ATTENTION_BY_NMI)) ||
           ((a & ATTENTION_BY_IF) && interrupt_window(c)) ||
           ((a & ATTENTION_BY_NMI) && nmi_window(c));
}

/* ---- debug.c: debug registers, TF ---- */
/* Before an instruction, if mode has MODE_DEBUG: true if a breakpoint #DB was put in c->fault. */
bool debug_before(struct vcpu *c);
/* After an instruction: turns TF and data breakpoints (pending_dr6) into c->fault (STOP_TRAP);
 * tf_at_start = RFLAGS.TF when the instruction began; branched: it went elsewhere than behind
 * itself. True if c->fault is to be delivered. */
bool debug_after(struct vcpu *c, bool tf_at_start, bool branched);

/* ---- paging.c, tlb.c ---- */
struct walk {
    uint64_t gpa;
    uint64_t page_bytes;
    bool writable, user, no_execute, global, dirty;
    uint8_t levels;
    uint64_t entry[5]; /* as read, root first */
    uint64_t entry_gpa[5];
};
/* Page walk without side effects and permission checks (debuggers): false if not mapped. */
bool paging_walk(struct vcpu *c, uint64_t linear, struct walk *walk);
/* Architectural translation with permission checks, A/D updates and TLB fill; false = c->fault. */
bool paging_translate(struct vcpu *c, uint64_t linear, enum access access, unsigned cpl,
                      uint64_t *gpa);
int tlb_init(struct vcpu *c);
void tlb_fini(struct vcpu *c);
void tlb_flush_all(struct vcpu *c);                   /* everything, all address spaces */
void tlb_flush_non_global(struct vcpu *c);            /* current PCID, not global pages */
void tlb_flush_page(struct vcpu *c, uint64_t linear); /* INVLPG */
void tlb_flush_pcid(struct vcpu *c, unsigned pcid, bool and_global);
/* A page of RAM became code, or is no longer: write entries to it must go slow / may go fast. */
void tlb_protect_page(struct vcpu *c, uint64_t gpa);
/* Whether the TLB knows that this access is permitted, and its address. */
bool tlb_knows(const struct vcpu *c, uint64_t linear, enum access access, uint64_t *gpa);
/* What filling the TLB for a program's accesses to the page would give without setting anything
 * in the page tables; false: that would fault, or set something. access: what could be direct. */
struct tlb_peek {
    uint8_t *host;
    uint8_t access, page_log2;
};
bool tlb_peek(struct vcpu *c, uint64_t linear, struct tlb_peek *p);
/* Where from vcpu.tlb on there is the bit map of entries whose pages are global. */
extern const size_t tlb_global_map;
/* Where tlb_info.page of entry 0 is; those of the others follow every 16 bytes. */
extern const size_t tlb_info_pages;
/* What STAC adds to vcpu.tlb when SMAP is on (jit only). */
extern const size_t tlb_ac_distance;
/* What SYSCALL adds to it (jit only). */
extern const size_t tlb_super_distance;
/* Number of the current address space, below SPACES. */
unsigned tlb_space(const struct vcpu *c);
/* Whether code at `linear`, just fetched, is on a global page. */
bool tlb_is_global(const struct vcpu *c, uint64_t linear);
/* Selects c->tlb for the current CR3/PCID, CPL, AC; called by cpu_mode_update. */
void tlb_select(struct vcpu *c);

/* ---- control.c: CR, MSR, XCR ---- */
enum weir_stop cr_write(struct vcpu *c, unsigned n,
                        uint64_t value); /* NEXT/BOUNDARY or FAULT */
uint64_t cr_read(struct vcpu *c, unsigned n);
/* False: no such MSR / bad value (#GP by the caller). */
bool msr_read(struct vcpu *c, uint32_t msr, uint64_t *value);
bool msr_write(struct vcpu *c, uint32_t msr, uint64_t value);
uint64_t cpu_tsc(const struct vcpu *c);
/* The same for an instruction that reads it: what was due before has happened, even if the host did
 * not let the I/O thread run. */
uint64_t cpu_tsc_read(struct vcpu *c);

/* ---- dump.c, paging_dump.c: text for people, QEMU's layout ---- */
void cpu_dump(const struct vcpu *c, struct weir_text *out, bool with_fpu, bool with_cc);
void paging_dump_mem(struct vcpu *c, struct weir_text *out); /* info mem */
void paging_dump_tlb(struct vcpu *c, struct weir_text *out); /* info tlb */

/* ---- cpuid.c ---- */
void cpuid_query(const struct vcpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4]);

/* ---- context.c: state set from outside ---- */
/* To be called before the register is changed: the engine that is running takes the change. */
void context_touch(struct vcpu *c, enum weir_reg reg);
/* An engine is about to run: what was set is used. */
void context_used(struct vcpu *c);
/* Whether a processor can have these together; cr0 and cr4 of this model. */
bool context_control_ok(const struct vcpu *c, uint64_t cr0, uint64_t cr4, uint64_t efer,
                        uint64_t rflags);
bool context_injection_ok(const struct weir_injection *injection);
/* ATTENTION_EVENT: delivers what is due. STOP_NEXT: there was nothing. */
enum weir_stop context_deliver(struct vcpu *c);

/* Makes both engines leave behind the current instruction. */
void context_leave(struct vcpu *c);

/* ---- exits.c: instructions and exceptions that end the run ---- */
/* Before `i` is executed, if c->exits: STOP_RETRY or STOP_FAULT instead, or STOP_NEXT. */
enum weir_stop exits_before(struct vcpu *c, const struct insn *i);
/* Before c->fault is delivered: true if that is an exit. */
bool exits_exception(struct vcpu *c, const struct x86_fault *f, unsigned insn_bytes);
/* Length of the instruction that is being executed; 0 if none is. */
unsigned exits_insn_bytes(const struct vcpu *c);

/* ---- interp/blocks.c: decoded code ---- */
int blocks_init(struct vcpu *c);
void blocks_fini(struct vcpu *c);
void blocks_flush(struct vcpu *c);
/* Guest memory [gpa, gpa+length) was written; drops blocks there. vCPU thread only. */
void blocks_invalidate(struct vcpu *c, uint64_t gpa, uint64_t length);

/* ---- interp/interp.c ---- */
/* Runs until attention, insn_limit (exactly, unless soft) or a stop other than
 * NEXT/BRANCH/BOUNDARY. rip is already rewound where the stop says so. STOP_BOUNDARY/BRANCH = look
 * at attention and come again. */
enum weir_stop interp_run(struct vcpu *c);
/* For the translator. Whether instructions must be run one by one now (TF, breakpoints, ...). */
bool interp_must_step(const struct vcpu *c);
/* Runs one instruction, in any situation. */
enum weir_stop interp_step_one(struct vcpu *c);
/* Runs a block; rip is at its start. STOP_NEXT: to its end, and nothing asks for attention. */
enum weir_stop interp_run_block(struct vcpu *c, struct block *b);
/* `i` has run and returned `stop`; rip is behind it. Counts it, rewinds it, delivers its fault. */
enum weir_stop interp_settle(struct vcpu *c, const struct insn *i, enum weir_stop stop);

/* ---- interp/hostexec.c, fpu.c ---- */
int hostexec_init(struct vcpu *c, struct err *err);
void hostexec_fini(struct vcpu *c);
void fpu_reset(struct vcpu *c); /* FNINIT/XRSTOR init state after RESET# */

static inline bool is_canonical(uint64_t linear)
{
    return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

#endif
