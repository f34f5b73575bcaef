/* SPDX-License-Identifier: MIT */
/* bad.c - what a kernel should not do: it gets an answer or a fault, and Weir goes on; or, with a
 * stack that is none, Weir says where the ROM faulted. */
#include "kernel.h"

static bool call(u32 target, struct regs *in, struct regs *out, u32 stack0)
{
    const u32 stack[2] = {stack0, 0};
    fault_wanted = true;
    bool good = do_call(in, out, target, stack);
    fault_wanted = false;
    return good;
}

/* Headers that a kernel must not take. */
static void bad_headers(void)
{
    static u8 image[4096];
    static const struct {
        u8 at, value;
    } changes[] = {{0x00, 0}, {0x08, 0}, {0x0d, 2}, {0x0d, 4}, {0x18, 0}};
    copy(image, rom, sizeof(image));
    if (!rom_accept(image, false))
        fail("header", "its copy", 0, 1);
    for (unsigned i = 0; i < COUNT(changes); i++) {
        copy(image, rom, sizeof(image));
        image[changes[i].at] = changes[i].value;
        if (changes[i].at == 0x18)
            image[0x19] = 0;
        if (rom_accept(image, false))
            fail("header", "taken", changes[i].at, changes[i].value);
    }
    copy(image, rom, sizeof(image));
    if (rom_api == 3) {
        copy(image + *(u16 *)(image + 0x16), "BSD", 4);
        if (rom_accept(image, false))
            fail("licence", "BSD", 1, 0);
    } else {
        image[0x0c] = 1; /* minor */
        if (rom_accept(image, false))
            fail("header", "minor", 1, 0);
    }
}

static void bad_init(void)
{
    for (unsigned k = 0; k < 3; k++)
        if (rom_init((u32)rom) != 0)
            fail("Init", "again", k, 0);
    if (rom_api == 3)
        return;
    static const u32 addresses[] = {0xe0000000, 0xfffff000, 0xffffffff, 0, 0x100000, TEST_PAGE};
    for (unsigned k = 0; k < COUNT(addresses); k++)
        if (rom_init(addresses[k]) != 0xffffffff)
            fail("Init", "taken", addresses[k], 0);
    if (rom_init((u32)rom) != 0)
        fail("Init", "after bad ones", 1, 0);
}

/* A fault of what the call was asked to do is the kernel's. */
static void bad_operands(void)
{
    static const struct {
        const char *name;
        int n3, n13;
        u32 eax, ecx, edx, vector;
    } cases[] = {
        {"SetPxE", 38, -1, 0x67, 1, 0xe0000000, 14},
        {"SetPxE", -1, 45, 0xe0000000, 2, 0x67, 14},
        {"SetGDT", 3, 8, 0xe0000000, 0, 0, 14},
        {"SetGDT", 3, 8, (u32)page_a, 0, 0, 13},
        {"SetTR", 6, 11, 0x1000, 0, 0, 13},
        {"SetLDT", 4, 9, KERNEL_DS, 0, 0, 13},
        {"SetCR0", 15, 20, 0x80000000, 0, 0, 13},
        {"SetCR4", 18, 23, 0xffffffff, 0, 0, 13},
        {"WRMSR", 1, 6, 0, 0x12345678, 0, 13},
        {"RDMSR", 2, 7, 0, 0x12345678, 0, 13},
        {"SetDR", 24, 30, 8, 0, 0, 6},
        {"GetDR", 25, 31, 0xffffffff, 0, 0, 6},
        {"WriteGDTEntry", 11, 16, 0xe0000000, 0, 0, 14},
        {"SetInitialAPState", 62, 75, 0xe0000000, 0, 0, 14},
        {"GetIDT", 9, 14, 0xe0000000, 0, 0, 14},
    };
    for (unsigned i = 0; i < COUNT(cases); i++) {
        int n = rom_api == 3 ? cases[i].n3 : cases[i].n13;
        struct regs in = {cases[i].eax, cases[i].ecx, cases[i].edx, 0, 0, 0, 0, 2, 0}, out;
        if (n < 0)
            continue;
        if (call(rom_entry(n), &in, &out, 0) || fault.vector != cases[i].vector)
            fail(cases[i].name, "vector", fault.vector, cases[i].vector);
        u16 ds;
        __asm__ volatile("mov %%ds, %0" : "=r"(ds));
        if (ds != KERNEL_DS)
            fail(cases[i].name, "DS", ds, KERNEL_DS);
    }
    /* A page table where there is no memory: nothing happens to anybody. */
    test_table[0] = 0xf0000000 | PG_W | PG_P;
    struct regs in3 = {0x67, 1, TEST_PAGE, 0, 0, 0, 0, 2, 0}, out;
    struct regs in13 = {TEST_PAGE, 2, 0x67, 0, 0, 0, 0, 2, 0};
    if (!call(rom_entry(rom_api == 3 ? 38 : 45), rom_api == 3 ? &in3 : &in13, &out, 0))
        fail("SetPxE", "no memory", fault.vector, 0);
}

/* Every byte of the ROM as an address to go to, in ring 3: at worst a fault. */
static void from_user(void)
{
    u32 first = (u32)rom, bytes = rom[2] * 512u;
    for (u32 i = 0; i < bytes >> 12; i++)
        low_tables[0][((first - HIGH) >> 12) + i] |= PG_U;
    __asm__ volatile("mov %%cr3, %%eax\n mov %%eax, %%cr3" ::: "eax", "memory");
    for (u32 at = 0; at < bytes; at += at < 0x1000 ? 1 : 61) {
        u32 *top = (u32 *)(user_stack + sizeof(user_stack) - 64);
        for (unsigned k = 0; k < 16; k++)
            top[k] = (u32)user_int80;
        fault_wanted = true;
        run_user(first + at, (u32)top);
        if ((fault.cs & 3) != 3)
            fail("ring 3", "not from there", at, fault.cs);
    }
    fault_wanted = true;
    run_user(rom_entry(rom_api == 3 ? 30 : 36), (u32)user_stack + 4000);
    if (fault.vector != 13 || fault.cs != USER_CS)
        fail("ring 3", "DisableInterrupts", fault.vector, 13);
    fault_wanted = false;
}

/* The private exit somewhere else, and in the ROM's middle. */
static void exit_elsewhere(void)
{
    static const u8 code[] = {0x0f, 0x01, 0xc1, 0xc3};
    struct regs in = {0, 0, 0, 0, 0, 0, 0, 2, 0}, out;
    if (call((u32)code, &in, &out, 0) || fault.vector != 6)
        fail("VMCALL", "outside", fault.vector, 6);
    /* Exits of 13.0 want the frame that their entry makes. */
    if (rom_api == 13) {
        const u8 *slot = rom + 80 * 32, *at = slot; /* GetCycleCounter: no #GP of its own */
        while (*at != 0xe8)
            at++;
        u32 body = (u32)at + 5 + *(const u32 *)(at + 1);
        if (call(body, &in, &out, 0) || fault.vector != 13)
            fail("exit", "without its frame", fault.vector, 13);
    }
}

/* Entries with a stack that is none; does not come back. */
static void bad_stack(void)
{
    u32 target = rom_entry(rom_api == 3 ? 47 : 56);
    print("stack\n");
    __asm__ volatile("mov $0xe0001000, %%esp\n jmp *%0" ::"r"(target), "a"(1));
}

static void end(int n3, int n13, u32 eax)
{
    struct regs in = {eax, 0, 0, 0, 0, 0, 0, 0x202, 0}, out;
    print("end\n");
    call(rom_entry(rom_api == 3 ? n3 : n13), &in, &out, 0);
    fail("the end", "came back", eax, 0);
}

void test_bad(const char *which)
{
    if (!rom) {
        fail("ROM", "not found", 0, 1);
        return;
    }
    /* Before Init: the exits work, counted ROMs count where they were built for. */
    struct regs in = {0, 0, 0, 0, 0, 0, 0, 2, 0}, out;
    call(rom_entry(rom_api == 3 ? 67 : 80), &in, &out, 0);
    bad_init();
    if (equal(which, "stack"))
        bad_stack();
    if (equal(which, "shutdown"))
        end(37, 44, 0);
    if (equal(which, "reboot"))
        end(36, 43, 1);
    bad_headers();
    bad_operands();
    exit_elsewhere();
    from_user();
}

/* ---- the state behind INIT ---- */

struct __attribute__((packed)) ap_state {
    u32 cr0, cr2, cr3, cr4;
    u64 efer;
    u32 eip, eflags, eax, ebx, ecx, edx, esp, ebp, esi, edi;
    u16 cs, ss, ds, es, fs, gs, ldtr, gdtr_limit;
    u32 gdtr_base, idtr_base;
    u16 idtr_limit, pad;
};
static u8 __attribute__((aligned(16))) ap_stack[4096];

static void ap_main(void)
{
    u32 cr3, esp;
    u16 tr;
    __asm__ volatile("mov %%cr3, %0\n mov %%esp, %1\n str %2" : "=r"(cr3), "=r"(esp), "=r"(tr));
    if (cr3 != (u32)page_dir2 || tr || esp - (u32)ap_stack > sizeof(ap_stack) ||
        *(volatile u8 *)TEST_PAGE != 'b')
        fail("SetInitialAPState", "state", cr3, (u32)page_dir2);
    print(failures ? "failed\n" : "started again by INIT\ngood\n");
    finish(failures != 0);
}

static void set_state(const struct ap_state *state, u32 id)
{
    struct regs in = {(u32)state, 0, id, 0, 0, 0, 0, 2, 0}, out;
    if (!call(rom_entry(rom_api == 3 ? 62 : 75), &in, &out, 0))
        fail("SetInitialAPState", "fault", fault.vector, id);
}

enum { INIT_IPI = 0x4500, STARTUP_IPI = 0x4600, ICR_BUSY = 0x1000 };
static void send(u32 id, u32 message)
{
    *(volatile u32 *)(APIC_VA + 0x310) = id << 24;
    *(volatile u32 *)(APIC_VA + 0x300) = message;
    if (*(volatile u32 *)(APIC_VA + 0x300) & ICR_BUSY)
        fail("ICR", "busy", message, id);
}

/* As a kernel starts its second processor, which this machine does not have. */
static void start_others(const struct ap_state *state)
{
    static const u32 ids[] = {1, 2, 0x7f, 0xfe};
    for (unsigned k = 0; k < COUNT(ids); k++) {
        send(ids[k], INIT_IPI);
        set_state(state, ids[k]);
        send(ids[k], STARTUP_IPI | 8);
        send(ids[k], STARTUP_IPI | 8);
    }
    set_state(state, 0xffffffff);
}

/* By the local APIC's own INIT, or by Reboot. */
void test_ap(const char *how)
{
    struct ap_state state = {.cr0 = 0x80010011,
                             .cr3 = (u32)page_dir2,
                             .cr4 = 0x90,
                             .eip = (u32)ap_main,
                             .esp = (u32)(ap_stack + sizeof(ap_stack) - 16),
                             .cs = KERNEL_CS,
                             .ss = KERNEL_DS,
                             .ds = KERNEL_DS,
                             .es = KERNEL_DS,
                             .gdtr_limit = sizeof(gdt) - 1,
                             .gdtr_base = (u32)gdt,
                             .idtr_base = (u32)idt,
                             .idtr_limit = sizeof(idt) - 1};
    if (!rom || rom_init((u32)rom) != 0) {
        fail("ROM", "not found", 0, 1);
        return;
    }
    start_others(&state);
    if (equal(how, "bad"))
        state.cr0 = 0x10011; /* no PG */
    set_state(&state, 0);
    print("others did not start\n");
    if (equal(how, "ipi"))
        send(0, INIT_IPI);
    end(36, 43, 0);
}
