/* SPDX-License-Identifier: MIT */
/*
 * seg.h - descriptors, gates, stacks and control transfers: what seg.c, far.c, iret.c, task.c,
 * deliver.c and the SYS operations share.
 *
 * Functions returning bool: false = c->fault is filled, nothing architectural changed (accessed
 * bits may be set).
 */
#ifndef CPU_SEG_H
#define CPU_SEG_H

#include "cpu/access.h"
#include "cpu/cpu.h"

/* Types of system descriptors (S = 0) */
enum {
    DESC_TSS16 = 1,
    DESC_LDT = 2,
    DESC_TSS16_BUSY = 3,
    DESC_CALL16 = 4,
    DESC_TASK_GATE = 5,
    DESC_INT16 = 6,
    DESC_TRAP16 = 7,
    DESC_TSS32 = 9,
    DESC_TSS32_BUSY = 11,
    DESC_CALL32 = 12,
    DESC_INT32 = 14,
    DESC_TRAP32 = 15
};

struct descriptor {
    uint32_t low, high;
    uint32_t base_high; /* bits 63:32 of the base or offset, where the entry has 16 bytes */
    uint32_t limit;
    uint16_t attr;
    uint64_t base;
    uint64_t address; /* linear, of the entry itself */
};

static inline bool selector_null(uint16_t selector)
{
    return (selector & 0xfffc) == 0;
}
static inline unsigned attr_dpl(uint16_t attr)
{
    return (attr >> 5) & 3;
}
static inline bool attr_present(uint16_t attr)
{
    return attr & SEG_ATTR_P;
}
static inline bool attr_is_code(uint16_t attr)
{
    return (attr & (SEG_ATTR_S | SEG_ATTR_CODE)) == (SEG_ATTR_S | SEG_ATTR_CODE);
}
static inline bool attr_is_writable_data(uint16_t attr)
{
    return (attr & (SEG_ATTR_S | SEG_ATTR_CODE | SEG_ATTR_RW)) == (SEG_ATTR_S | SEG_ATTR_RW);
}
static inline bool attr_is_conforming(uint16_t attr)
{
    return attr & SEG_ATTR_DC;
}
static inline unsigned attr_system_type(uint16_t attr)
{
    return attr & SEG_ATTR_S ? 0x100 : attr & SEG_ATTR_TYPE;
}
static inline bool long_mode(const struct vcpu *c)
{
    return c->efer & EFER_LMA;
}
static inline bool protected_mode(const struct vcpu *c) /* and not virtual-8086 */
{
    return (c->mode & (MODE_PE | MODE_VM)) == MODE_PE;
}

/* Whether offset..offset+size-1 lies within the limit (expand-down included). */
static inline bool seg_contains(const struct segment *s, uint64_t offset, uint64_t size)
{
    uint64_t last = offset + (size - 1);
    if ((s->attr & (SEG_ATTR_S | SEG_ATTR_CODE | SEG_ATTR_DC)) == (SEG_ATTR_S | SEG_ATTR_DC)) {
        uint64_t top = s->attr & SEG_ATTR_DB ? 0xffffffff : 0xffff;
        return offset > s->limit && last <= top;
    }
    /* A flat 4 GiB segment wraps around, as processors do that need not check its limit. */
    return last <= s->limit || s->limit == 0xffffffff;
}

/* ---- seg.c ---- */
enum descriptor_status { DESCRIPTOR_OK, DESCRIPTOR_OUTSIDE, DESCRIPTOR_FAULT };
enum descriptor_status descriptor_read(struct vcpu *c, uint16_t selector, struct descriptor *d);
/* The same; an index outside the table raises `vector` with the selector as error code. */
bool descriptor_get(struct vcpu *c, uint16_t selector, unsigned vector, struct descriptor *d);
/* Second half of a 16-byte entry (long mode); bits 12:8 of its last word must be 0. */
bool descriptor_get_high(struct vcpu *c, uint16_t selector, unsigned vector,
                         struct descriptor *d);
bool descriptor_set_accessed(struct vcpu *c, struct descriptor *d);
/* TSS busy bit, in memory. */
bool descriptor_set_busy(struct vcpu *c, struct descriptor *d, bool busy);
/* c->fault = vector(selector with RPL cleared); always false. */
bool selector_fault(struct vcpu *c, unsigned vector, uint16_t selector);
/* c->fault = #GP(0); always false. */
static inline bool gp0_fault(struct vcpu *c)
{
    raise_gp0(c);
    return false;
}

/* Hidden part from a descriptor; caller updates the mode. */
void segment_set(struct vcpu *c, unsigned seg, uint16_t selector, const struct descriptor *d);
void segment_set_null(struct vcpu *c, unsigned seg, uint16_t selector);
/* Real and virtual-8086 mode. */
void segment_set_real(struct vcpu *c, unsigned seg, uint16_t selector);
void segment_set_v86(struct vcpu *c, unsigned seg, uint16_t selector);
void code_set(struct vcpu *c, uint16_t selector, const struct descriptor *d, unsigned cpl);
/* MOV/POP/LxS to ES, SS, DS, FS, GS with all checks and the cache's update; with SS: mode. */
bool segment_load(struct vcpu *c, unsigned seg, uint16_t selector);
/* After a return to an outer level: data segments that are too privileged become null. */
void segments_revalidate(struct vcpu *c);

/* A stack being switched to. */
struct stack {
    struct segment ss;
    uint64_t sp;
    uint64_t mask; /* 0xffff, 0xffffffff, ~0 */
    unsigned cpl;
    uint16_t error; /* for #SS */
    bool use_gp;    /* non-canonical: #GP instead */
};
/* The current one. */
void stack_current(const struct vcpu *c, struct stack *s);
/* SS:ESP of privilege level `cpl` from the TSS, checked; d = its descriptor (not in long mode). */
bool stack_from_tss(struct vcpu *c, unsigned cpl, struct stack *s, struct descriptor *d);
/* Long mode: RSPn (slot 0-2) or ISTn (slot 4-10: 3 + n) from the TSS. */
bool rsp_from_tss(struct vcpu *c, unsigned slot, uint64_t *rsp);
/* Pushes values[0], values[1]...; all or nothing; sp is updated. */
bool frame_push(struct vcpu *c, struct stack *s, unsigned width, const uint64_t *values,
                unsigned count);
bool frame_pop(struct vcpu *c, struct stack *s, unsigned width, uint64_t *values,
               unsigned count);
/* rSP of the current stack := sp within the mask. */
void stack_commit_sp(struct vcpu *c, const struct stack *s);

/* ---- far.c: far JMP, CALL, RET. Results as of an op. ---- */
enum weir_stop far_jump(struct vcpu *c, uint16_t selector, uint64_t offset, unsigned opsize);
enum weir_stop far_call(struct vcpu *c, uint16_t selector, uint64_t offset, unsigned opsize);
enum weir_stop far_return(struct vcpu *c, unsigned opsize, unsigned release);

/* Checks shared with iret.c. */
/* Instruction pointer against the code segment being entered. */
bool target_offset_ok(struct vcpu *c, const struct descriptor *code, uint64_t offset);
/* CS popped by a far return or IRET; bits 1:0 are the new CPL. */
bool return_code_checks(struct vcpu *c, uint16_t selector, struct descriptor *d);
/* SS popped with it; null is allowed for 64-bit code below CPL 3 (then d->attr is 0). */
bool return_stack_checks(struct vcpu *c, uint16_t selector, unsigned cpl, bool to_64bit,
                         struct descriptor *d);
void return_stack_set(struct vcpu *c, uint16_t selector, const struct descriptor *d,
                      uint64_t sp);

/* ---- iret.c ---- */
enum weir_stop far_iret(struct vcpu *c, unsigned opsize);
/* RFLAGS := value for POPF and IRET in other than virtual-8086 mode: only what CPL (as it is
 * now), IOPL and operand size allow. */
void flags_load(struct vcpu *c, uint64_t value, unsigned opsize, unsigned cpl);

/* ---- task.c ---- */
enum task_source { TASK_JMP, TASK_CALL, TASK_IRET, TASK_EVENT };
/* STOP_FAULT: in the old task, nothing changed. STOP_TRAP: the new task runs and takes the fault.
 * `error` (TASK_EVENT with has_error) is pushed on the new stack. */
enum weir_stop task_switch(struct vcpu *c, uint16_t selector, enum task_source source,
                           bool has_error, uint32_t error);

/* ---- deliver.c: one event through IVT or IDT, at c->rip. Results as task_switch. ---- */
enum weir_stop event_deliver(struct vcpu *c, const struct x86_fault *event);
/* ---- exceptions.c: INT n, INT3, INTO, INT1. Results as of an op. ---- */
enum weir_stop software_interrupt(struct vcpu *c, const struct insn *i, unsigned vector,
                                  enum fault_kind kind);

#endif
