/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - a small 32-bit kernel that knows the VMI ROM: what its files share.
 *
 *   start.S   entry, traps, calls with all registers known, native counterparts of the ROM's calls
 *   lib.c     output, descriptor tables, paging, faults that a test expects
 *   rom.c     finding a ROM, binding to it: patched sites, function pointers
 *   ops.c     every call, natively and through the ROM
 *   bad.c     what a kernel should not do
 *   tasks.c   two address spaces, four tasks, natively or on the ROM
 *   bench.c   what each call costs
 *
 * The command line says which. Output goes to the first serial port, the verdict to
 * isa-debug-exit (port F4h): 0 = good.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdbool.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#define PV           __attribute__((regparm(3)))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- start.S ---- */
struct regs {
    u32 eax, ecx, edx, ebx, ebp, esi, edi, flags;
    u32 popped; /* ESP behind minus ESP before */
};
enum { R_EAX = 1, R_ECX = 2, R_EDX = 4, R_EBX = 8, R_EBP = 16, R_ESI = 32, R_EDI = 64 };
#define R_STD (R_EAX | R_ECX | R_EDX)
struct frame { /* as traps push it */
    u32 eax, ecx, edx, ebx, ebp, esi, edi, ds, vector, error, eip, cs, eflags, esp, ss;
};
/* Calls `target` with these registers and two words on the stack. False: a fault ended it. */
bool do_call(const struct regs *in, struct regs *out, u32 target, const u32 stack[2]);
/* To ring 3 at eip by IRET; comes back with whatever trap follows. */
void run_user(u32 eip, u32 esp);
extern char fault_resume[]; /* where do_call and run_user go on after a fault */
extern u32 fault_esp;
extern u32 trap_stubs[];
extern char user_code[], user_code_end[], user_int80[];
void task_resume(struct frame *f) __attribute__((noreturn));
extern char multiboot_cmdline[];

/* ---- lib.c ---- */
void print(const char *text);
void print_hex(u32 value);
void print_dec(u32 value);
void finish(unsigned status) __attribute__((noreturn));
bool equal(const char *a, const char *b);
void fail(const char *what, const char *why, u32 got, u32 wanted);
extern unsigned failures;
void *copy(void *to, const void *from, u32 bytes);
void fill(void *to, int value, u32 bytes);

enum {
    KERNEL_CS = 0x08,
    KERNEL_DS = 0x10,
    USER_CS = 0x1b,
    USER_DS = 0x23,
    TSS_SEL = 0x28,
    TSS2_SEL = 0x30,
    LDT_SEL = 0x38,
    GDT_ENTRIES = 8
};
enum { PG_P = 1, PG_W = 2, PG_U = 4, PG_G = 0x100 };
struct tss {
    u32 link, esp0, ss0, rest[23];
};
struct __attribute__((packed)) table {
    u16 limit;
    u32 base;
};
extern u64 gdt[GDT_ENTRIES], gdt2[GDT_ENTRIES], idt[256], idt2[256], ldt[2];
extern struct tss tss, tss2;
extern u32 page_dir[1024], page_dir2[1024], low_tables[4][1024], test_table[1024],
    test_table2[1024], top_table[1024];
extern u8 page_a[4096], page_b[4096], user_stack[4096];
void setup(void);
/* Timer interrupts by PIT and 8259 at vector 20h; 0 Hz: off. */
void pit_start(u32 hz);
void eoi(void);
extern volatile u32 ticks;
/* The last trap that ended a do_call or run_user, and whether one is awaited. */
extern volatile bool fault_wanted;
extern struct frame fault;
extern void (*trap_hook)(struct frame *f); /* tasks.c takes all of them */

#define HIGH      0xc0000000u /* physical memory is seen here too */
#define TEST_PAGE 0x40000000u /* one page that test_table maps */
#define APIC_VA   0xfee00000u
#define MOVED_ROM 0xfc000000u /* a second mapping of the ROM, or a copy */

static inline void outb(u16 port, u8 v)
{
    __asm__ volatile("outb %0, %1" ::"a"(v), "Nd"(port));
}
static inline u8 inb(u16 port)
{
    u8 v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}
static inline u64 rdtsc(void)
{
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return low | (u64)high << 32;
}
static inline u32 flags(void)
{
    u32 v;
    __asm__ volatile("pushf\n pop %0" : "=r"(v));
    return v;
}

/* ---- rom.c ---- */
enum { VMI_NONE, VMI_CALL_REL, VMI_JUMP_REL, VMI_NOP };
struct __attribute__((packed)) vmi_header {
    u16 signature;
    u8 length, entry[4], pad;
    u32 vrom;
    u8 minor, major, slots, reserved1;
    u32 virtual_top;
    u16 reserved2, licence, pci, pnp;
    u32 reserved3;
};
extern const u8 *rom;    /* as mapped, NULL: none */
extern unsigned rom_api; /* 3 or 13 */
/* Whether a kernel takes the ROM at this place; prints why not if `tell`. */
bool rom_accept(const u8 *at, bool tell);
bool rom_find(void);
/* Address of a call, by its number in this API. 0: there is none. */
u32 rom_entry(int number);
u32 rom_init(u32 eax);
u64 relocation(u32 number);

/* The kernel's own operations; natively until bound. */
struct pv {
    void PV (*set_cr3)(u32 value);
    void PV (*set_pte)(u32 value, u32 *entry);
    void PV (*invalidate)(u32 address);
    void PV (*kernel_stack)(u32 esp0);
    void (*halt)(void);
};
extern struct pv pv;
bool bind_3(void);
bool bind_13(u32 slots);

/* Sites that are patched: native code, five bytes or more. */
#define SITE(number3, number13, code)                                                          \
    "771:\n" code "\n .balign 8, 0x90\n772:\n"                                                 \
    ".pushsection .sites, \"aw\"\n .long 771b, 772b - 771b, " #number3 ", " #number13          \
    "\n .popsection\n"
static inline void pv_disable(void)
{
    __asm__ volatile(".balign 8\n" SITE(30, 36, "cli")::: "memory", "cc");
}
static inline void pv_enable(void)
{
    __asm__ volatile(".balign 8\n" SITE(29, 35, "sti")::: "memory", "cc");
}
static inline u32 pv_save(void)
{
    u32 f;
    __asm__ volatile(".balign 8\n" SITE(31, 37, "pushf\n pop %%eax") : "=a"(f)::"memory", "cc");
    return f;
}
static inline void pv_restore(u32 f)
{
    __asm__ volatile(".balign 8\n" SITE(32, 38, "push %%eax\n popf")::"a"(f) : "memory", "cc");
}

/* ---- the tests ---- */
void test_calls(void);
void test_bad(const char *which);
void test_tasks(const char *mode, u32 rounds, bool by_timer);
void test_ap(const char *how);
void bench(void);

#endif
