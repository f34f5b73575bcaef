/* SPDX-License-Identifier: MIT */
/*
 * introspect.h - every crossing is an event: watch memory, instructions, registers of control,
 * interrupts and system calls, answer them, step unseen.
 *
 * Handlers run in the thread that runs the vCPU, in the middle of the guest's instruction: RIP is
 * that of the instruction (of the next one, for what comes behind an instruction), all registers
 * are exact, the virtual clock stands still. A handler may call everything but weir_run,
 * weir_destroy and weir_pause-and-wait; it may add and remove handlers, itself included.
 *
 * Registration and removal work from any thread and while the guest runs: effective at the next
 * block of guest code. After weir_event_remove returns the handler does not run any more. What
 * nobody watches costs nothing; what is watched costs where it is hit.
 *
 * The guest sees none of it: no flag, register, debug register, pushed image or clock differs.
 * Not seen: what devices and host calls do to memory (DMA), and what weir_mem_write and the like
 * do.
 */
#ifndef WEIR_INTROSPECT_H
#define WEIR_INTROSPECT_H

#include "context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- what handlers answer ---------------------------------------------------------------- */

/* Combinable. Where two contradict each other: DENY, SKIP, REPLACE, SUPPLY, NO_WRITE, the others;
 * if several handlers answer one event, all their answers hold. */
enum weir_response {
    WEIR_CONTINUE = 0,
    WEIR_EMULATE = 1 << 0,  /* carry out this one access although a view forbids it */
    WEIR_NO_WRITE = 1 << 1, /* as if done, but memory (port, register) is not written */
    WEIR_SUPPLY = 1 << 2,   /* what is read, or written, is what `data` or `value` says now */
    WEIR_REPLACE = 1 << 3,  /* execute answer.insn instead of the instruction's bytes */
    WEIR_DENY = 1 << 4,     /* nothing is done: the guest gets the fault answer.fault */
    WEIR_SKIP = 1 << 5,     /* nothing is done: go on behind the instruction */
    WEIR_SET_REGISTERS = 1 << 6, /* they were set; if RIP was, go on there, nothing is done */
    WEIR_STEP_ON = 1 << 7,       /* handlers of steps `on_demand` are called from now on */
    WEIR_STEP_OFF = 1 << 8,
    WEIR_VIEW = 1 << 9,       /* switch to view answer.view, then execute the instruction */
    WEIR_VIEW_ONCE = 1 << 10, /* the same, for this instruction only */
    WEIR_PAUSE =
        1 << 11, /* as weir_pause: at once if the instruction has not begun yet (EXECUTE,
                                 BREAKPOINT, STEP, BLOCK), else behind it */
    WEIR_STOP = 1 << 12,   /* the same, but weir_run returns WEIR_EXIT_STOPPED */
    WEIR_REMOVE = 1 << 13, /* this handler has seen enough */
};

struct weir_answer {
    struct {
        uint8_t vector; /* preset to what the hardware would raise for a refused access */
        bool has_error;
        uint32_t error;
        uint64_t address; /* CR2 if it is a page fault */
    } fault;
    uint8_t insn[15]; /* REPLACE */
    uint8_t insn_bytes;
    unsigned view; /* VIEW, VIEW_ONCE */
};

/* ---- events ------------------------------------------------------------------------------ */

/* X(name, NAME, what): kinds, their payloads struct weir_<name>_event and weir_on_<name>. */
#define WEIR_EVENT_KINDS(X)                                                                    \
    X(memory, MEMORY, "read or write of watched memory, before it")                            \
    X(execute, EXECUTE, "instruction in a watched range, before it")                           \
    X(breakpoint, BREAKPOINT, "instruction at a breakpoint, before it")                        \
    X(step, STEP, "instruction retired")                                                       \
    X(block, BLOCK, "block of code about to be executed")                                      \
    X(control, CONTROL, "CR0, CR3, CR4, CR8, XCR0 written")                                    \
    X(cr3, CR3, "address space switched")                                                      \
    X(msr, MSR, "RDMSR, WRMSR")                                                                \
    X(table, TABLE, "GDTR, IDTR, LDTR, TR loaded or stored")                                   \
    X(cpuid, CPUID, "CPUID")                                                                   \
    X(rdtsc, RDTSC, "RDTSC, RDTSCP")                                                           \
    X(io, IO, "IN, OUT, INS, OUTS")                                                            \
    X(interrupt, INTERRUPT, "exception or interrupt about to be delivered")                    \
    X(syscall, SYSCALL, "SYSCALL, SYSENTER, INT 80h about to be executed")                     \
    X(sysret, SYSRET, "system call returned")                                                  \
    X(invlpg, INVLPG, "INVLPG, INVPCID")                                                       \
    X(task, TASK, "hardware task switch")                                                      \
    X(hostcall, HOSTCALL, "guest called the host")                                             \
    X(reset, RESET, "machine was reset")                                                       \
    X(shutdown, SHUTDOWN, "machine was powered off")

enum weir_event_kind {
#define X(name, NAME, what) WEIR_EV_##NAME,
    WEIR_EVENT_KINDS(X)
#undef X
        WEIR_EV_COUNT
};
/* "memory"; NULL beyond the last. And back: -WEIR_ENOENT. */
WEIR_API const char *weir_event_name(enum weir_event_kind kind, const char **what);
WEIR_API int weir_event_by_name(const char *name);

enum weir_access { WEIR_READ = 1, WEIR_WRITE = 2, WEIR_EXECUTE = 4, WEIR_RWX = 7 };

/* First member of all payloads. */
struct weir_event {
    enum weir_event_kind kind;
    uint8_t cpl, vcpu;
    uint64_t handle; /* of the registration that is called */
    uint64_t rip;    /* offset in CS */
    weir_gva pc;     /* CS base + RIP */
    uint64_t cr3;
    struct weir_answer answer;
};

/* One event per page and operand, per element of a string instruction, per entry of a page walk. */
struct weir_memory_event {
    struct weir_event head;
    weir_gva gva; /* of a page walk: the entry's physical address */
    weir_gpa gpa;
    uint32_t size; /* within the page */
    bool write, implicit /* stack of a delivery, descriptor, TSS */, walk;
    bool denied;   /* the current view does not permit it */
    uint8_t *data; /* writes: what will be written; reads: put here what to SUPPLY */
};
struct weir_execute_event {
    struct weir_event head;
    weir_gpa gpa;
    uint32_t bytes; /* length of the instruction */
    bool denied;
};
struct weir_breakpoint_event {
    struct weir_event head;
    weir_gpa gpa;
};
struct weir_step_event {
    struct weir_event head; /* rip: of the next instruction */
    uint64_t from;          /* pc of the one that retired */
    uint64_t count;         /* of steps reported to this handler */
    bool branched;          /* RIP is not the one behind it */
    bool faulted;           /* it did not retire: RIP is at the handler of its fault */
    bool last;              /* the count, address or return was reached: no more calls */
    uint8_t vector;         /* if faulted */
};
struct weir_block_event {
    struct weir_event head;
    weir_gpa gpa;
    uint32_t bytes, instructions;
};
struct weir_control_event {
    struct weir_event head;
    unsigned number;     /* 0, 3, 4, 8; 0x100 = XCR0 */
    uint64_t old, value; /* `value` is what will be loaded: SUPPLY */
};
struct weir_cr3_event {
    struct weir_event head;
    uint64_t old, value;
};
struct weir_msr_event {
    struct weir_event head;
    uint32_t number;
    bool write;
    uint64_t old, value; /* SUPPLY: what is written or read */
};
struct weir_table_event {
    struct weir_event head;
    enum { WEIR_TABLE_GDTR, WEIR_TABLE_IDTR, WEIR_TABLE_LDTR, WEIR_TABLE_TR } table;
    bool write;    /* LGDT...; else SGDT... */
    uint64_t base; /* GDTR, IDTR; what they have now for stores */
    uint32_t limit;
    uint16_t selector; /* LDTR, TR */
};
struct weir_cpuid_event {
    struct weir_event head;
    uint32_t leaf, subleaf;
    uint32_t value[4]; /* EAX EBX ECX EDX: the result; SUPPLY */
};
struct weir_rdtsc_event {
    struct weir_event head;
    uint64_t value; /* SUPPLY */
    bool rdtscp;
};
struct weir_io_event {
    struct weir_event head;
    uint16_t port;
    uint8_t size;
    bool write, string;
    uint32_t value; /* writes: what goes out; reads: what to SUPPLY instead of asking */
};
struct weir_interrupt_event {
    struct weir_event head;
    uint8_t vector;
    enum {
        WEIR_INT_EXCEPTION,
        WEIR_INT_EXTERNAL,
        WEIR_INT_NMI,
        WEIR_INT_SOFTWARE, /* INT n */
        WEIR_INT_BREAK,    /* INT3, INTO, INT1 */
    } type;
    bool has_error;
    uint32_t error;
    uint64_t address; /* CR2 of a page fault */
};
struct weir_syscall_event {
    struct weir_event head;
    enum { WEIR_SYS_SYSCALL, WEIR_SYS_SYSENTER, WEIR_SYS_INT } how;
    uint64_t number;      /* RAX */
    uint64_t argument[6]; /* by Linux's convention for this way in */
    bool is_64bit;
};
struct weir_sysret_event {
    struct weir_event head;  /* rip, cpl: of the program, behind the call */
    uint64_t number, result; /* as at the call; RAX */
    uint64_t argument[6];    /* as at the call */
    bool is_64bit;
};
struct weir_invlpg_event {
    struct weir_event head;
    int type; /* -1 = INVLPG, else INVPCID's */
    weir_gva gva;
    uint16_t pcid;
};
struct weir_task_event {
    struct weir_event head;
    uint16_t from, to; /* selectors */
};
struct weir_hostcall_event {
    struct weir_event head;
    weir_gva block; /* of arguments */
    uint16_t service;
};
struct weir_reset_event {
    struct weir_event head;
    bool from_guest;
};
struct weir_shutdown_event {
    struct weir_event head;
};

/* ---- registration ------------------------------------------------------------------------ */

/* Zero = everything. `by` says which of the members below it count. */
enum {
    WEIR_BY_VCPU = 1 << 0,
    WEIR_BY_CR3 = 1 << 1, /* cr3: bits 12 and up are compared */
    WEIR_BY_PCID = 1 << 2,
    WEIR_BY_CPL = 1 << 3,    /* cpls: bit n = CPL n */
    WEIR_BY_PC = 1 << 4,     /* pc_first..pc_last: linear address of the instruction (of a
                             step: the one that is done) */
    WEIR_BY_NUMBER = 1 << 5, /* number_first..number_last: CR, MSR, CPUID leaf, port, vector,
                                system call, host call service */
    WEIR_BY_ACCESS = 1 << 6, /* access: READ and/or WRITE, of MSRs, tables, ports */
};
struct weir_filter {
    uint32_t by;
    unsigned vcpu;
    uint64_t cr3;
    uint16_t pcid;
    uint8_t cpls;
    uint8_t access; /* weir_on_memory: always counts, 0 = READ | WRITE */
    uint64_t pc_first, pc_last;
    uint64_t number_first, number_last;
    /* weir_on_memory, weir_on_execute, weir_on_block: the range, both 0 = all; weir_on_breakpoint:
     * first. Linear addresses in all address spaces or that of WEIR_BY_CR3; or physical ones. */
    uint64_t first, last;
    bool physical;
    bool walks;     /* memory: page walks too (physical ranges) */
    bool on_demand; /* step: only between STEP_ON and STEP_OFF */
    bool once;      /* block: each piece of code once, when it is first executed */
};

/* weir_on_memory(vm, &filter, fn, ctx, &handle) and so on: 0 or -WEIR_E*. `filter` and `handle` may
 * be NULL. Returns OR'ed enum weir_response. */
#define X(name, NAME, what)                                                                    \
    typedef unsigned weir_##name##_fn(void *ctx, weir_vcpu *cpu,                               \
                                      struct weir_##name##_event *event);                      \
    WEIR_API int weir_on_##name(weir *vm, const struct weir_filter *filter,                    \
                                weir_##name##_fn *fn, void *ctx, uint64_t *handle);
WEIR_EVENT_KINDS(X)
#undef X
/* Any handle of this header. -WEIR_ENOENT if it is gone already. */
WEIR_API int weir_event_remove(weir *vm, uint64_t handle);
/* The registrations, oldest first: i = 0, 1...; -WEIR_ENOENT at the end. */
struct weir_event_info {
    uint64_t handle, hits;
    enum weir_event_kind kind;
    struct weir_filter filter;
};
WEIR_API int weir_event_list(weir *vm, unsigned i, struct weir_event_info *info);

/* ---- stepping ---------------------------------------------------------------------------- */

enum weir_step_flags {
    WEIR_STEP_OVER = 1 << 0,       /* not into handlers of interrupts and exceptions */
    WEIR_STEP_BRANCHES = 1 << 1,   /* report taken branches only */
    WEIR_STEP_INTERRUPTS = 1 << 2, /* let them in; default: held while stepping, until HLT */
    WEIR_STEP_REP = 1 << 3,        /* report each iteration of REP, not the whole */
    WEIR_STEP_RETURN = 1 << 4,     /* the end is a RET from the current procedure */
    WEIR_STEP_UNTIL = 1 << 5,      /* the end is before the instruction at `until` (linear) */
    WEIR_STEP_END_ONLY = 1 << 6,   /* call the handler at the end only */
    WEIR_STEP_PAUSE = 1 << 7,      /* pause at the end */
    WEIR_STEP_STOP = 1 << 8,       /* weir_run returns WEIR_EXIT_STOPPED at the end */
};
struct weir_step {
    uint32_t flags;
    uint64_t count; /* 0 = no limit */
    weir_gva until;
};
/* From the next instruction on. fn may be NULL with PAUSE or STOP. Ends by itself at the count, the
 * address or the return, whichever comes first; `last` is set then. */
WEIR_API int weir_step(weir_vcpu *cpu, const struct weir_step *step, weir_step_fn *fn,
                       void *ctx, uint64_t *handle);

/* Watches the page around an address; the first access to it is carried out, then `count`
 * instructions (0: until the procedure returns) are reported, then it is armed anew, `rounds`
 * times (0: without end). */
struct weir_page_trace {
    uint64_t address;
    bool physical;
    uint8_t access; /* READ, WRITE, EXECUTE; 0 = all */
    uint32_t by;    /* WEIR_BY_CR3, WEIR_BY_CPL */
    uint64_t cr3;
    uint8_t cpls;
    uint64_t count, rounds;
    uint32_t step_flags;
};
/* hit: memory or execute event; step: NULL when it is a hit, and reverse. */
typedef unsigned weir_page_trace_fn(void *ctx, weir_vcpu *cpu,
                                    const struct weir_memory_event *access,
                                    const struct weir_execute_event *execute,
                                    const struct weir_step_event *step);
WEIR_API int weir_trace_page(weir *vm, const struct weir_page_trace *what,
                             weir_page_trace_fn *fn, void *ctx, uint64_t *handle);

/* Instructions executed by the vCPU. The translator counts them only while counting is on. */
WEIR_API void weir_set_counting(weir *vm, bool on);
WEIR_API uint64_t weir_instructions(weir_vcpu *cpu);

#ifdef __cplusplus
}
#endif
#endif
