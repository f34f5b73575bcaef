/* SPDX-License-Identifier: MIT */
/*
 * ops.c - every call of the API, by what a kernel would do without the ROM and through it: the same
 * results, the same state afterwards, nothing changed that the contract does not name.
 */
#include "kernel.h"

#define N(name) extern char native_##name[];
// clang-format off
N(CPUID) N(WRMSR) N(RDMSR) N(SetGDT) N(SetLDT) N(SetIDT) N(SetTR) N(GetGDT) N(GetLDT) N(GetIDT)
N(GetTR) N(WriteGDTEntry) N(UpdateKernelStack3) N(UpdateKernelStack13) N(SetCR0) N(SetCR2)
N(SetCR3) N(SetCR4) N(GetCR0) N(GetCR2) N(GetCR3) N(GetCR4) N(RDPMC) N(RDTSC) N(CLTS) N(WBINVD)
N(INVD) N(Pause) N(EnableInterrupts) N(DisableInterrupts) N(GetInterruptMask)
N(SetInterruptMask) N(IRET) N(Halt) N(InvalPage) N(FlushTLB) N(SetDR) N(GetDR) N(INL) N(INB)
N(INW) N(INSL) N(INSB) N(INSW) N(OUTL) N(OUTB) N(OUTW) N(OUTSL) N(OUTSB) N(OUTSW) N(APICWrite)
N(APICRead) N(IODelay) N(Nothing) N(SetPxE3) N(SetPxE13) N(SetPxELong3) N(SetPxELong13)
N(SwapPxE) N(SwapPxELong) N(ClearPxELong) N(SetBit) N(ClearBit) N(SetIOPLMask) N(One)
// clang-format on
#undef N

                                        static u32 words[8]; /* what calls read and write */
static struct table six;                                     /* operands of 6 bytes */
static u32 mapped_cr3;

/* ---- states before, digests after ---- */

static void clear_words(void)
{
    for (unsigned i = 0; i < COUNT(words); i++)
        words[i] = 0x01010101u * i;
    six = (struct table){0, 0};
}
static u64 see_words(void)
{
    u64 sum = six.limit * 31u + six.base;
    for (unsigned i = 0; i < COUNT(words); i++)
        sum = sum * 131 + words[i];
    return sum;
}
static u64 see_msr(void)
{
    u32 low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(0x174));
    return low | (u64)high << 32;
}
static void set_msr(void)
{
    __asm__ volatile("wrmsr" ::"a"(0x11), "d"(0), "c"(0x174));
}
static void first_gdt(void)
{
    six = (struct table){sizeof(gdt) - 1, (u32)gdt};
    __asm__ volatile("lgdt %0" ::"m"(six));
    six = (struct table){sizeof(gdt2) - 1, (u32)gdt2};
}
static u64 see_gdt(void)
{
    struct table t;
    u16 ds, ss, cs;
    __asm__ volatile("sgdt %0\n mov %%ds, %1\n mov %%ss, %2\n mov %%cs, %3"
                     : "=m"(t), "=r"(ds), "=r"(ss), "=r"(cs));
    return t.base * 7u + t.limit + (((u64)ds << 32 | ss) ^ (u64)cs << 40);
}
static void first_idt(void)
{
    six = (struct table){sizeof(idt) - 1, (u32)idt};
    __asm__ volatile("lidt %0" ::"m"(six));
    six = (struct table){sizeof(idt2) - 1, (u32)idt2};
}
static u64 see_idt(void)
{
    struct table t;
    __asm__ volatile("sidt %0" : "=m"(t));
    return t.base * 7u + t.limit;
}
static void no_ldt(void)
{
    __asm__ volatile("lldt %w0" ::"r"(0));
}
static u64 see_ldt(void)
{
    u32 v;
    __asm__ volatile("sldt %0" : "=r"(v));
    return v;
}
static void free_tss(void)
{
    gdt[5] &= ~(2ull << 40);
    gdt[6] &= ~(2ull << 40);
    __asm__ volatile("ltr %w0" ::"r"(TSS_SEL));
    gdt[6] &= ~(2ull << 40);
}
static u64 see_tr(void)
{
    u32 v;
    __asm__ volatile("str %0" : "=r"(v));
    return v | gdt[6] >> 40 << 32;
}
static void clear_stack(void)
{
    tss.esp0 = 1;
    tss.ss0 = 2;
}
static u64 see_stack(void)
{
    u64 v = tss.esp0 | (u64)tss.ss0 << 32;
    tss.esp0 = tss2.esp0;
    tss.ss0 = tss2.ss0;
    return v;
}
#define CONTROL(n)                                                                             \
    static u64 see_cr##n(void)                                                                 \
    {                                                                                          \
        u32 v;                                                                                 \
        __asm__ volatile("mov %%cr" #n ", %0" : "=r"(v));                                      \
        return v;                                                                              \
    }
CONTROL(0)
CONTROL(2)
CONTROL(3)
CONTROL(4)
#define SET_CONTROL(n, v) __asm__ volatile("mov %0, %%cr" #n ::"r"(v) : "memory")
static void plain_cr0(void)
{
    SET_CONTROL(0, 0x80010011);
}
static void task_switched(void)
{
    SET_CONTROL(0, 0x80010019);
}
static void plain_cr2(void)
{
    SET_CONTROL(2, 0);
}
static void plain_cr4(void)
{
    SET_CONTROL(4, 0x90);
}
/* The first address space, and its page is known to the TLB. */
static void first_space(void)
{
    test_table[0] = (u32)page_a | PG_U | PG_W | PG_P;
    SET_CONTROL(3, page_dir);
    mapped_cr3 += *(volatile u8 *)TEST_PAGE;
}
static u64 see_space(void)
{
    u64 v = see_cr3() << 8 | *(volatile u8 *)TEST_PAGE;
    SET_CONTROL(3, page_dir);
    return v;
}
/* The page is another one, and perhaps the TLB does not know yet. */
static void remap(void)
{
    first_space();
    test_table[0] = (u32)page_b | PG_U | PG_W | PG_P;
}
static void remap_global(void)
{
    test_table[0] = (u32)page_a | PG_G | PG_W | PG_P;
    SET_CONTROL(4, 0x10);
    SET_CONTROL(4, 0x90);
    mapped_cr3 += *(volatile u8 *)TEST_PAGE;
    test_table[0] = (u32)page_b | PG_G | PG_W | PG_P;
}
static void clear_debug(void)
{
    __asm__ volatile("mov %0, %%dr0\n mov %0, %%dr1\n mov %1, %%dr7" ::"r"(0x1234), "r"(0x400));
}
static u64 see_debug(void)
{
    u32 a, b, c;
    __asm__ volatile("mov %%dr0, %0\n mov %%dr1, %1\n mov %%dr7, %2"
                     : "=r"(a), "=r"(b), "=r"(c));
    return a + b * 3ull + c * 5ull;
}
static void plain_iopl(void)
{
    __asm__ volatile("push $2\n popf");
}
/* Ports: the 8259's mask, the PCI address, the host bridge's configuration space, CMOS. */
static void clear_ports(void)
{
    clear_words();
    outb(0x21, 0xff);
    __asm__ volatile("outl %0, %w1" ::"a"(0x80000000), "d"(0xcf8));
    outb(0x70, 0x0f);
    outb(0x71, 0x5a);
    outb(0x70, 0x0f);
}
static u64 see_ports(void)
{
    u32 address;
    u16 command;
    u8 mask = inb(0x21);
    __asm__ volatile("inl %w1, %0" : "=a"(address) : "d"(0xcf8));
    __asm__ volatile("outl %0, %w1" ::"a"(0x80000004), "d"(0xcf8));
    __asm__ volatile("inw %w1, %0" : "=a"(command) : "d"(0xcfc));
    outb(0x21, 0xff);
    return see_words() * 3 + mask + ((u64)address << 20) + ((u64)command << 52);
}
static void pci_command(void)
{
    clear_ports();
    __asm__ volatile("outl %0, %w1" ::"a"(0x80000004), "d"(0xcf8));
    __asm__ volatile("outw %w0, %w1" ::"a"(0), "d"(0xcfc));
}
static u64 see_tpr(void)
{
    volatile u32 *tpr = (volatile u32 *)(APIC_VA + 0x80);
    u32 v = *tpr;
    *tpr = 0;
    return v;
}
static void timer_once(void)
{
    ticks = 0;
    pit_start(2000);
}
static u64 see_tick(void)
{
    pit_start(0);
    return ticks != 0;
}

/* ---- the table ---- */

#define W(n)  (u32)(words + n)
#define STD   R_STD
#define KEEP  1 /* flags survive */
#define IF_ON 2 /* the call ends with interrupts on */
struct op {
    const char *name;
    int n3, n13;
    const char *native;
    u32 eax, ecx, edx, stack0; /* 0x5eed....: left */
    unsigned result;           /* registers that agree */
    unsigned may;              /* registers that may change besides */
    unsigned how;
    void (*before)(void);
    u64 (*after)(void);
};
#define L 0x5eed0000 /* no argument: any value */
// clang-format off
static const struct op ops[] = {
#include "ops.def"
};
// clang-format on

/* ---- comparing ---- */

enum { SOME_FLAGS = 0x8d5 };

static u32 reg_at(const struct regs *r, unsigned bit)
{
    return (&r->eax)[bit];
}

static u64 run(const struct op *op, struct regs *in, struct regs *out, u32 target)
{
    const u32 stack[2] = {op->stack0, 0};
    first_gdt();
    if (op->before)
        op->before();
    __asm__ volatile("cli");
    fault_wanted = true;
    if (!do_call(in, out, target, stack))
        fail(op->name, "fault", fault.vector, fault.eip);
    fault_wanted = false;
    return op->after ? op->after() : 0;
}

static void check_contract(const struct op *op, const struct regs *in, const struct regs *out)
{
    static const char *const names[] = {"eax", "ecx", "edx", "ebx", "ebp", "esi", "edi"};
    for (unsigned k = 0; k < COUNT(names); k++)
        if (!((op->result | op->may) >> k & 1) && reg_at(in, k) != reg_at(out, k))
            fail(op->name, names[k], reg_at(out, k), reg_at(in, k));
    if (out->popped)
        fail(op->name, "esp moved", out->popped, 0);
    if ((op->how & KEEP) && (out->flags & SOME_FLAGS) != (in->flags & SOME_FLAGS))
        fail(op->name, "flags", out->flags, in->flags);
    if ((out->flags & 0x200) != (op->how & IF_ON ? 0x200u : 0))
        fail(op->name, "interrupt flag", out->flags, in->flags);
}

static void compare(const struct op *op, u32 arithmetic)
{
    struct regs in = {op->eax, op->ecx,          op->edx,        0xbbbb0003, 0xbbbb0005,
                      W(0),    (u32)(words + 4), 2 | arithmetic, 0},
                out[2];
    int number = rom_api == 3 ? op->n3 : op->n13;
    if (number < 0)
        return;
    u64 native = run(op, &in, &out[0], (u32)op->native);
    u64 paravirtual = run(op, &in, &out[1], rom_entry(number));
    if (native != paravirtual) {
        fail(op->name, "state, low", (u32)paravirtual, (u32)native);
        fail(op->name, "state, high", (u32)(paravirtual >> 32), (u32)(native >> 32));
    }
    for (unsigned k = 0; k < 7; k++)
        if ((op->result >> k & 1) && reg_at(&out[0], k) != reg_at(&out[1], k))
            fail(op->name, "result", reg_at(&out[1], k), reg_at(&out[0], k));
    if ((out[0].flags ^ out[1].flags) & 0x3200)
        fail(op->name, "IF or IOPL", out[1].flags, out[0].flags);
    check_contract(op, &in, &out[1]);
    if (op->name[0] == 'S' && op->name[3] == 'T') /* SetTR: the task register as it was */
        free_tss();
    first_gdt();
    first_idt();
    no_ldt();
    plain_cr4();
    plain_cr0();
}

/* ---- calls with a test of their own ---- */

extern void call_iret(void), call_iret_jump(void);
extern u32 iret_target;

static void test_iret(void)
{
    u32 before = flags() & 0x3200;
    iret_target = (u32)native_IRET;
    call_iret();
    iret_target = rom_entry(rom_api == 3 ? 33 : 39);
    if (rom_api == 3)
        call_iret_jump();
    else
        call_iret();
    if ((flags() & 0x3200) != before)
        fail("IRET", "flags", flags(), before);
}

static u64 call64(int n3, int n13, u32 eax)
{
    struct regs in = {eax, 0, 0, 0, 0, 0, 0, 2, 0}, out;
    const u32 none[2] = {0, 0};
    fault_wanted = true;
    if (!do_call(&in, &out, rom_entry(rom_api == 3 ? n3 : n13), none))
        fail("a call", "fault", fault.vector, (u32)n3);
    fault_wanted = false;
    return out.eax | (u64)out.edx << 32;
}

static u64 counter(u32 which)
{
    return call64(67, 80, which);
}

static void test_counters(void)
{
    u64 hz = call64(66, 79, 0), t = rdtsc(), before = counter(0), tsc = call64(27, 33, 0);
    u64 behind = counter(0), wall = call64(70, 83, 0);
    if (hz != 1000000000)
        fail("GetCycleFrequency", "hz", (u32)hz, 1000000000);
    if (tsc < t || tsc > rdtsc())
        fail("RDTSC", "between two others", (u32)tsc, (u32)t);
    if (before > behind)
        fail("GetCycleCounter", "goes back", (u32)behind, (u32)before);
    u64 real = counter(0), available = counter(1), stolen = counter(2), again = counter(0);
    if (available + stolen < real || available + stolen > again + 10000000)
        fail("GetCycleCounter", "available + stolen", (u32)(available + stolen), (u32)real);
    if (counter(3) || counter(0xffffffff))
        fail("GetCycleCounter", "undefined one", (u32)counter(3), 0);
    if (wall < 1500000000ull * 1000000000)
        fail("GetWallclockTime", "seconds / 4", (u32)(wall >> 32), 0);
    if (call64(71, 84, 0))
        fail("WallclockUpdated", "nothing happened", 1, 0);
}

static u32 set_alarm(u32 how, u64 expiry, u32 period)
{
    struct regs in = {how, (u32)(expiry >> 32), (u32)expiry, 0, 0, 0, 0, 2, 0}, out;
    const u32 stack[2] = {period, 0};
    return do_call(&in, &out, rom_entry(rom_api == 3 ? 68 : 81), stack) ? out.popped : 99;
}
static u32 cancel_alarm(u32 how)
{
    return (u32)call64(69, 82, how);
}

/* Waits until `count` interrupts came. */
static void await(u32 count)
{
    while (ticks < count)
        pv.halt();
    __asm__ volatile("cli");
}

enum { PERIODIC = 0x100, BY_LVTT = 0x10000, MS = 1000000 };

static void test_alarms(void)
{
    outb(0x43, 0x3a); /* as Linux stops the PIT */
    outb(0x21, 0xfe);
    __asm__ volatile("sti; nop; nop; cli"); /* the PIT's last one may be pending yet */
    for (u32 which = 0; which < 2; which++) {
        u64 expiry = counter(which) + 2 * MS;
        ticks = 0;
        set_alarm(which, expiry, 0);
        await(1);
        if (counter(which) < expiry)
            fail("SetAlarm", "early", (u32)counter(which), (u32)expiry);
        if (cancel_alarm(which))
            fail("CancelAlarm", "a one-shot that fired", 1, 0);
        ticks = 0;
        set_alarm(which | PERIODIC, counter(which) + MS, MS);
        await(4);
        if (cancel_alarm(which) != 1 || cancel_alarm(which) != 0)
            fail("CancelAlarm", "a periodic one", which, 1);
    }
    *(volatile u32 *)(APIC_VA + 0xf0) = 0x1ff;
    *(volatile u32 *)(APIC_VA + 0x320) = 0x40;
    ticks = 0;
    set_alarm(PERIODIC | BY_LVTT, counter(0) + MS, MS);
    await(3);
    cancel_alarm(0);
    outb(0x21, 0xff);
    if (set_alarm(2, 0, 0) || set_alarm(0xfe, 0, 0) || cancel_alarm(2) || cancel_alarm(0xff))
        fail("SetAlarm", "undefined counters", 1, 0);
    set_alarm(0, counter(0) + 1000ull * MS, 0);
    if (cancel_alarm(0) != 1)
        fail("CancelAlarm", "one that waits", 0, 1);
}

static void test_sysexit(void)
{
    struct regs
        in = {0x1111, (u32)(user_stack + sizeof(user_stack)), (u32)user_int80, 3, 5, 6, 7, 2,
              0},
        out;
    const u32 none[2] = {0, 0};
    __asm__ volatile("wrmsr" ::"a"(KERNEL_CS), "d"(0), "c"(0x174));
    fault_wanted = true;
    do_call(&in, &out, rom_entry(rom_api == 3 ? 34 : 40), none);
    if (fault.vector != 0x80 || fault.cs != USER_CS || !(fault.eflags & 0x200) ||
        fault.eax != 0x1111 || fault.esp != in.ecx || fault.ss != USER_DS)
        fail("SYSEXIT", "arrived", fault.vector << 16 | fault.cs, 0x80 << 16 | USER_CS);
    fault_wanted = false;
}

/* ---- relocation ---- */

static void test_relocation(void)
{
    for (u32 n = 0; n < 200; n++) {
        u64 r = relocation(n), again = relocation(n);
        u32 type = r >> 32 & 0xff, eip = (u32)r;
        bool inside = eip - (u32)rom < rom[2] * 512u;
        if (r != again || type > VMI_NOP || (n < 74 ? type == VMI_NONE || !inside : r != 0))
            fail("GetRelocationInfo", "answer", type, n);
    }
    static const u32 others[] = {0x8000004a, 0x20000000, 0x7fffffff, 0x80000000, 0xffffffff};
    for (unsigned k = 0; k < COUNT(others); k++)
        if (relocation(others[k]))
            fail("GetRelocationInfo", "of no call", (u32)relocation(others[k]), others[k]);
}

/* 13.0: the second mapping of the ROM, or a copy of it in RAM. */
static u8 __attribute__((aligned(4096))) moved[0x3000];
static void move(bool as_copy)
{
    if (as_copy)
        copy(moved, rom, rom[2] * 512u);
    for (u32 k = 0; k < 3; k++)
        top_table[k] = ((as_copy ? (u32)moved : (u32)rom - HIGH) + k * 4096) | PG_W | PG_P;
    SET_CONTROL(3, page_dir);
}

static void call_all(void)
{
    test_iret();
    for (unsigned i = 0; i < COUNT(ops); i++) {
        compare(&ops[i], 0);
        compare(&ops[i], SOME_FLAGS);
    }
    test_sysexit();
    test_counters();
    test_alarms();
}

static void call_moved(bool as_copy)
{
    const u8 *low = rom;
    move(as_copy);
    if (rom_init(MOVED_ROM) != 0) {
        fail("Init", as_copy ? "a copy" : "a mapping", 1, 0);
        return;
    }
    rom = (const u8 *)MOVED_ROM;
    call_all();
    rom = low;
    print(as_copy ? "calls through a copy\n" : "calls through a second mapping\n");
}

void test_calls(void)
{
    if (!rom) {
        fail("ROM", "not found", 0, 1);
        return;
    }
    if (rom_init((u32)rom) != 0)
        fail("Init", "failed", 1, 0);
    if (rom_api == 3)
        test_relocation();
    call_all();
    print("calls where the ROM is\n");
    if (rom_api == 3)
        return;
    call_moved(false);
    call_moved(true);
}

/* ---- what they cost ---- */

extern char native_Empty[];
void bench_loop(const struct regs *in, u32 target, u32 count, u32 stack0);
enum { BENCH_COUNT = 20000, BENCH_TRIES = 5 };

static u32 best(const struct op *op, u32 target)
{
    struct regs in = {op->eax, op->ecx, op->edx, 0, 0, W(0), (u32)(words + 4), 2, 0};
    u64 least = ~0ull;
    for (unsigned k = 0; k < BENCH_TRIES; k++) {
        if (op->before)
            op->before();
        u64 t = rdtsc();
        bench_loop(&in, target, BENCH_COUNT, op->stack0);
        t = rdtsc() - t;
        least = t < least ? t : least;
    }
    return (u32)least;
}

static void print_both(const char *name, u32 native, u32 through)
{
    print("bench ");
    print(name);
    print(": ");
    print_dec(native);
    print(" ");
    print_dec(through);
    print("\n");
}

extern char native_AlarmPIT[], native_WallclockCMOS[];
static void by_call(void)
{
    iret_target = (u32)native_IRET;
}
static void by_rom(void)
{
    iret_target = rom_entry(rom_api == 3 ? 33 : 39);
}

/* Time has other instruments natively: the TSC, the PIT, the real-time clock. */
// clang-format off
static const struct op timing_ops[] = {
    {"RDTSC", 27, 33, native_RDTSC, L, L, L, 0, 0, STD, 0, 0, 0},
    {"GetCycleFrequency", 66, 79, native_Nothing, L, L, L, 0, 0, STD, 0, 0, 0},
    {"GetCycleCounter real", 67, 80, native_RDTSC, 0, L, L, 0, 0, STD, 0, 0, 0},
    {"GetCycleCounter available", 67, 80, native_RDTSC, 1, L, L, 0, 0, STD, 0, 0, 0},
    {"SetAlarm", 68, 81, native_AlarmPIT, 0, 0x100, L, 0, 0, STD, 0, 0, 0},
    {"CancelAlarm", 69, 82, native_AlarmPIT, 0, L, L, 0, 0, STD, 0, 0, 0},
    {"GetWallclockTime", 70, 83, native_WallclockCMOS, L, L, L, 0, 0, STD, 0, 0, 0},
    {"WallclockUpdated", 71, 84, native_Nothing, L, L, L, 0, 0, STD, 0, 0, 0},
};
// clang-format on

static void bench_iret(void)
{
    static const struct op native = {.before = by_call}, through = {.before = by_rom};
    u32 a = best(&native, (u32)call_iret);
    print_both("IRET, with its frame", a,
               best(&through, rom_api == 3 ? (u32)call_iret_jump : (u32)call_iret));
}

static void bench_op(const struct op *op)
{
    int number = rom_api == 3 ? op->n3 : op->n13;
    if (number < 0 || op->native == native_SetTR || op->native == native_Halt)
        return;
    u32 native = best(op, (u32)op->native);
    print_both(op->name, native, best(op, rom_entry(number)));
    first_gdt();
    first_idt();
    no_ldt();
    plain_cr4();
    plain_cr0();
}

/* name: ticks of the TSC for BENCH_COUNT calls natively and through the ROM. The first line is what
 * to take off: an empty call, the loop alone. */
void bench(void)
{
    static const struct op none = {.name = "none"};
    if (!rom || rom_init((u32)rom) != 0) {
        fail("ROM", "not found", 0, 1);
        return;
    }
    u32 empty = best(&none, (u32)native_Empty);
    print_both("-", empty, best(&none, 0));
    for (unsigned i = 0; i < COUNT(ops); i++)
        bench_op(&ops[i]);
    for (unsigned i = 0; i < COUNT(timing_ops); i++)
        bench_op(&timing_ops[i]);
    bench_iret();
}
