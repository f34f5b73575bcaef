/* SPDX-License-Identifier: MIT */
/*
 * weir.h - a PC as a library: create a machine, run its vCPU, see every crossing.
 *
 * Errors. Functions that can fail on the host side return int: 0 (or a count) on success, a
 * negative -WEIR_E* otherwise; weir_last_error() then has one line of text that names the thing.
 * What goes wrong inside the guest (faults) is never such an error.
 *
 * Threads. Every call may be made from any thread unless its comment says otherwise. One thread
 * runs a vCPU (weir_run); the library runs one helper thread per VM for timers and host I/O.
 * Calls that read or change vCPU state need the VM stopped (weir_pause) or must be made in the
 * thread that runs the vCPU (inside a callback).
 *
 * The library never prints, never exits and shares nothing between two VMs.
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_VERSION_MAJOR  0
#define WEIR_VERSION_MINOR  1
#define WEIR_VERSION_PATCH  0
#define WEIR_VERSION_STRING "0.1.0"

#define WEIR_API               __attribute__((visibility("default")))
#define WEIR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

typedef struct weir weir;           /* one virtual machine */
typedef struct weir_vcpu weir_vcpu; /* one virtual CPU of it */
typedef uint64_t weir_gpa;          /* guest-physical address */
typedef uint64_t weir_gva;          /* guest-virtual (linear) address */

/* Version of the library that is loaded (which may differ from the header's). */
WEIR_API const char *weir_version(void);

/* ---- errors ---------------------------------------------------------------------------- */

#define WEIR_ERRORS(X)                                                                         \
    X(NOMEM, 1, "out of memory")                                                               \
    X(INVAL, 2, "invalid argument")                                                            \
    X(NOENT, 3, "not found")                                                                   \
    X(IO, 4, "input/output error")                                                             \
    X(PERM, 5, "permission denied")                                                            \
    X(EXIST, 6, "already exists")                                                              \
    X(RANGE, 7, "out of range")                                                                \
    X(STATE, 8, "not possible in the current state")                                           \
    X(FORMAT, 9, "malformed data")                                                             \
    X(UNSUPPORTED, 10, "not supported")                                                        \
    X(BUSY, 11, "busy")                                                                        \
    X(FAULT, 12, "address is not mapped in the guest")

enum weir_error {
    WEIR_OK = 0,
#define X(name, number, text) WEIR_E##name = number,
    WEIR_ERRORS(X)
#undef X
};

/* Text of an error code; takes the code or its negative. Never NULL. */
WEIR_API const char *weir_strerror(int error);

/* The last failed call's text on this VM, "ide0: /x.img: read-only file system". Valid until the
 * next failing call on the VM from any thread; copy it if you keep it. */
WEIR_API const char *weir_last_error(const weir *vm);

/* ---- log ------------------------------------------------------------------------------- */

/* Categories of the log (-d). Bits; names are those of the command line. */
#define WEIR_LOG_ITEMS(X)                                                                      \
    X(OUT_ASM, 0, "out_asm", "show generated host code for each translated block")             \
    X(IN_ASM, 1, "in_asm", "show guest code for each block when it is first decoded")          \
    X(OP, 2, "op", "show the plan of each translated block")                                   \
    X(INT, 4, "int", "show interrupts/exceptions in short format")                             \
    X(EXEC, 5, "exec", "show trace before each executed block (lots of logs)")                 \
    X(PCALL, 6, "pcall", "show protected mode far calls/returns/exceptions")                   \
    X(CPU, 8, "cpu", "show CPU registers before entering a block (lots of logs)")              \
    X(CPU_RESET, 9, "cpu_reset", "show CPU state before CPU resets")                           \
    X(UNIMP, 10, "unimp", "log unimplemented functionality")                                   \
    X(GUEST_ERRORS, 11, "guest_errors", "log when the guest does something invalid")           \
    X(MMU, 12, "mmu", "log MMU-related activities")                                            \
    X(STEP, 13, "step", "show each executed instruction and the registers it changed (slow)")  \
    X(OUT_BYTES, 24, "out_bytes", "add the bytes to each line of out_asm")

enum weir_log_item {
#define X(name, bit, text, help) WEIR_LOG_##name = 1u << bit,
    WEIR_LOG_ITEMS(X)
#undef X
    /* Not a category of -d: warnings and errors for the person who runs the VM. */
    WEIR_LOG_MESSAGE = 1u << 31,
};

/* Receives log text, complete lines, from any thread (calls are serialised by the library). */
typedef void weir_log_fn(void *ctx, enum weir_log_item item, const char *text, size_t length);

/* ---- machine --------------------------------------------------------------------------- */

struct weir_config {
    size_t size;              /* set by weir_config_init: the caller's sizeof */
    const char *name;         /* -name; default "weir" */
    uint8_t uuid[16];         /* -uuid, for SMBIOS; all zero = none */
    const char *machine;      /* "pc" (default) or "none": RAM and a vCPU, no device */
    uint64_t ram_bytes;       /* default 128 MiB; multiple of 4096, at most 1 TiB */
    unsigned vcpus;           /* 1 for now */
    const char *cpu;          /* -cpu: MODEL[,+feature][,-feature]; default "host" */
    const char *accel;        /* "jit" (translator) or "interp" */
    const char *bios;         /* firmware file name or path; NULL = "bios-256k.bin" */
    const char *firmware_dir; /* where firmware files are looked for; NULL = built-in list */
    const char *vga;          /* "std" (default) or "none" */
    const char *boot_order;   /* letters as -boot order=: a,c,d,n; NULL = "cda" */
    bool boot_menu;
    int64_t rtc_offset_s; /* RTC = host UTC + this */
    bool no_devices;      /* -nodefaults: only the chips a PC cannot be without */
    weir_log_fn *log;     /* may be NULL */
    void *log_ctx;
    uint64_t code_cache_bytes; /* jit: size of the code cache; default 64 MiB */
    bool screen_on_serial; /* -nographic: the BIOS's text output goes to serial port 0 too */
    /* -icount: virtual time is the number of executed instructions shifted left by this, 0-10, so
     * that two runs with the same input are the same; -1 (default): the host's time. Instructions
     * that give random numbers are not offered then, and the RTC starts at a fixed date. */
    int icount_shift;
    bool icount_sleep;  /* HLT waits for the next timer in real time; else time jumps there */
    int64_t rtc_base_s; /* seconds since 1970 instead of the host's UTC; 0 = not given */
    /* jit: programs that run for long are not to be mapped by the host; no SIGSEGV is caught then,
     * GS not used, and address space (the lowest 4 GiB too, if they are free) not reserved. */
    bool no_windows;
};

/* Fills in defaults. `size` is the caller's sizeof(struct weir_config). */
WEIR_API void weir_config_init(struct weir_config *config, size_t size);

/* Creates a machine. The configuration is copied. On failure *out is NULL and the text goes to
 * config->log as WEIR_LOG_MESSAGE. */
WEIR_API int weir_create(const struct weir_config *config, weir **out);

/* Stops and frees everything. Not while weir_run runs in another thread. NULL is allowed. */
WEIR_API void weir_destroy(weir *vm);

/* The vCPU with this number, or NULL. Owned by the VM. */
WEIR_API weir_vcpu *weir_get_vcpu(weir *vm, unsigned index);
WEIR_API weir *weir_vcpu_vm(weir_vcpu *cpu);

/* Wires up devices, loads firmware and resets. Called by the first weir_run if the embedder did
 * not; after it devices and drives can no longer be added. */
WEIR_API int weir_start(weir *vm);

/* ---- run ------------------------------------------------------------------------------- */

enum weir_exit_reason {
    WEIR_EXIT_BUDGET,       /* the instruction budget is used up */
    WEIR_EXIT_PAUSED,       /* weir_pause */
    WEIR_EXIT_QUIT,         /* weir_quit */
    WEIR_EXIT_HALT,         /* HLT in a machine in which nothing can wake the vCPU */
    WEIR_EXIT_SHUTDOWN,     /* power off by ACPI */
    WEIR_EXIT_RESET,        /* the guest asked for a reset and weir_set_reset_exits is on */
    WEIR_EXIT_TRIPLE_FAULT, /* same, caused by a triple fault */
    WEIR_EXIT_DEBUG_EXIT,   /* isa-debug-exit, or a host call; status says with what */
    WEIR_EXIT_IO,           /* a port that nobody serves (weir_set_unclaimed_exits) */
    WEIR_EXIT_MMIO,         /* an address that nobody serves (weir_set_unclaimed_exits) */
    WEIR_EXIT_STOPPED,      /* a callback answered WEIR_STOP */
    WEIR_EXIT_ERROR,        /* a host error: weir_run returned it too */
    WEIR_EXIT_INSN,         /* an instruction of weir_set_insn_exits, not executed */
    WEIR_EXIT_EXCEPTION,    /* one of weir_set_exception_exits, not delivered */
    WEIR_EXIT_WINDOW,       /* an interrupt could be taken now (weir_set_window_exit) */
    WEIR_EXIT_NMI,          /* an NMI, not delivered (weir_set_nmi_exits) */
    WEIR_EXIT_NMI_WINDOW,   /* an NMI could be delivered now (weir_set_nmi_window_exit) */
    WEIR_EXIT_TIME,         /* the time of weir_set_time_exit is over */
};

/* Kinds of instructions that can be made to end weir_run (bits of weir_set_insn_exits). */
enum weir_insn_kind {
    WEIR_INSN_VMCALL, /* #UD if it does not exit */
    WEIR_INSN_CPUID,
    WEIR_INSN_HLT,
    WEIR_INSN_IN, /* INS too; number: port */
    WEIR_INSN_OUT,
    WEIR_INSN_RDMSR, /* number: ECX */
    WEIR_INSN_WRMSR,
    WEIR_INSN_RDTSC, /* RDTSCP too */
    WEIR_INSN_RDPMC,
    WEIR_INSN_INVLPG, /* value: linear address */
    WEIR_INSN_INVPCID,
    WEIR_INSN_INVD,
    WEIR_INSN_WBINVD,
    WEIR_INSN_XSETBV,
    WEIR_INSN_MONITOR,
    WEIR_INSN_MWAIT,
    WEIR_INSN_READ_CR3,  /* register: where it goes */
    WEIR_INSN_WRITE_CR3, /* register, value: what is written */
    WEIR_INSN_READ_DR,   /* number: of the debug register */
    WEIR_INSN_WRITE_DR,
    /* As weir_set_cr_mask says, whatever the bits of weir_set_insn_exits. number: 0 or 4. */
    WEIR_INSN_WRITE_CR,
    WEIR_INSN_CLTS,
    WEIR_INSN_LMSW, /* value: the operand */
};

struct weir_exit {
    enum weir_exit_reason reason;
    int status; /* DEBUG_EXIT: process exit status; ERROR: -WEIR_E* */
    /* Executed by this call. The translator counts them only with a budget or icount. */
    uint64_t instructions;
    struct { /* IO and MMIO; a read is answered by setting value and running on */
        uint64_t address;
        uint64_t value;
        uint8_t size_bytes;
        bool is_write;
        /* Of the instruction that makes the access. A read's has not been executed: RIP is at
         * it. A write is done, and RIP behind it. 0: not known. */
        uint8_t instruction_bytes;
        uint64_t gva; /* MMIO: linear address of the (first byte of the) operand */
    } access;
    struct { /* INSN; RIP is at the instruction */
        enum weir_insn_kind kind;
        uint8_t instruction_bytes;
        uint8_t size_bytes; /* IN, OUT: 1, 2 or 4 */
        uint8_t reg;        /* general register of a control or debug register's move */
        bool is_string, is_rep, is_immediate; /* IN, OUT */
        bool is_memory;                       /* LMSW: value comes from memory at gva */
        uint32_t number;
        uint64_t value, gva;
    } insn;
    struct { /* EXCEPTION; RIP is at the instruction that caused it */
        uint8_t vector;
        bool has_error;
        uint32_t error;
        uint64_t address;          /* #PF: what CR2 would become */
        uint64_t dr6_bits;         /* #DB: what DR6 would get */
        uint8_t instruction_bytes; /* INT3, INTO, INT1 */
        bool is_software;          /* these: a trap, delivered with RIP behind it */
    } exception;
};

/* Runs the vCPU until a reason to stop; budget 0 = no limit. Returns 0 and fills *exit, or a
 * negative error. The virtual clock runs only while some vCPU is inside weir_run. */
WEIR_API int weir_run(weir_vcpu *cpu, uint64_t budget_instructions, struct weir_exit *exit);

/* Makes weir_run return with WEIR_EXIT_PAUSED and waits until it has (returns at once when called
 * from the vCPU's own thread). weir_run calls while paused wait until weir_resume. */
WEIR_API void weir_pause(weir *vm);
WEIR_API void weir_resume(weir *vm);
WEIR_API bool weir_is_paused(const weir *vm);
/* The same for a short look at the machine by any number of threads at once: a pause in between
 * stays one, and no listener is told. Not in the vCPU's own thread. */
WEIR_API void weir_hold(weir *vm);
WEIR_API void weir_release(weir *vm);
/* Makes weir_run return with WEIR_EXIT_QUIT as soon as possible. Not from a signal handler. */
WEIR_API void weir_quit(weir *vm);

WEIR_API void weir_reset(weir *vm);     /* as the reset button; takes effect in weir_run */
WEIR_API void weir_powerdown(weir *vm); /* as the power button (ACPI event) */
WEIR_API void weir_nmi(weir *vm);
/* Guest resets end weir_run with WEIR_EXIT_RESET instead of happening (-no-reboot). */
WEIR_API void weir_set_reset_exits(weir *vm, bool on);
/* Accesses that no device claims end weir_run instead of reading as all ones. */
WEIR_API void weir_set_unclaimed_exits(weir *vm, bool on);

/* Exits before an instruction: for embedders that carry it out themselves (set registers and RIP).
 * Privilege is checked first. The setters need the VM stopped. `kinds`: 1 << enum
 * weir_insn_kind. */
WEIR_API int weir_set_insn_exits(weir *vm, uint32_t kinds);
/* The instruction at RIP is executed by the vCPU although it is of such a kind. */
WEIR_API int weir_pass_insn(weir_vcpu *cpu);
/* Bit n: exception n, also if raised by INT3, INTO and INT1, but not by INT n. */
WEIR_API int weir_set_exception_exits(weir *vm, uint32_t vectors);
/* Bits of CR0 or CR4 that belong to the embedder: the guest reads those of `shadow`, and an
 * instruction that would make them differ from it is an exit; all other changes of the guest's
 * are made without touching them. */
WEIR_API int weir_set_cr_mask(weir_vcpu *cpu, unsigned number, uint64_t mask, uint64_t shadow);
/* Exits as soon as a maskable interrupt could be taken, before the next instruction; once. */
WEIR_API int weir_set_window_exit(weir *vm, bool on);
/* The same for an NMI; and NMIs are not delivered but end weir_run. */
WEIR_API int weir_set_nmi_window_exit(weir *vm, bool on);
WEIR_API int weir_set_nmi_exits(weir *vm, bool on);
/* Exits when this much virtual time has passed from now on, once; with -icount exactly there. 0:
 * never. The vCPU may be halted until then. */
WEIR_API int weir_set_time_exit(weir *vm, uint64_t ns);
/* What is left of it; 0 if none is set or it is over. Any thread. */
WEIR_API uint64_t weir_time_left(weir *vm);

#ifdef __cplusplus
}
#endif

/* Registers. */
#include "context.h"

#endif
