/* SPDX-License-Identifier: MIT */
/*
 * tasks.c - a kernel at work: two address spaces, four tasks in user mode, memory that comes with
 * the first touch, system calls, and a timer that chooses the next task; natively, or bound to the
 * ROM. What it prints depends on none of that: a task may be replaced once it has told its round.
 */
#include "kernel.h"

enum { TASKS = 4, SPACES = 2, HZ = 1000, SHARED = 0x60000000, HEAP = 0x50000000 };
enum { CALL_TELL = 1, CALL_WAIT = 2, CALL_END = 3, FRAMES = 512 };

static struct task {
    struct frame frame;
    u32 space, faults;
    bool told, over;
} tasks[TASKS];
static struct space {
    u32 __attribute__((aligned(4096))) dir[1024], heap[1024], shared[1024];
} spaces[SPACES];
static u8 __attribute__((aligned(4096))) frames[FRAMES][4096], shared_page[4096];
static u32 frames_used, current, left, alarms;
static u64 began;
static bool by_timer, quiet;
static u8 __attribute__((aligned(16))) trap_stack[8192];

/* ---- the timer ---- */

static void start_timer(void)
{
    const u32 period[2] = {1000000000 / HZ, 0};
    u32 how = 0x100;
    if (!rom) {
        pit_start(HZ);
        return;
    }
    pit_start(0);
    if (rom_api == 13) { /* by the local APIC */
        how |= 0x10000;
        *(volatile u32 *)(APIC_VA + 0xf0) = 0x1ff;
        *(volatile u32 *)(APIC_VA + 0x320) = 0x40;
    } else {
        outb(0x21, 0xfe);
    }
    struct regs in = {.flags = 2}, out;
    do_call(&in, &out, rom_entry(rom_api == 3 ? 67 : 80), period);
    u64 at = (out.eax | (u64)out.edx << 32) + period[0];
    in = (struct regs){.eax = how, .ecx = (u32)(at >> 32), .edx = (u32)at, .flags = 2};
    do_call(&in, &out, rom_entry(rom_api == 3 ? 68 : 81), period);
}

static void timer_done(u32 vector)
{
    alarms++;
    if (vector == 0x40)
        *(volatile u32 *)(APIC_VA + 0xb0) = 0;
    else
        eoi();
}

/* ---- memory ---- */

static void new_space(struct space *s)
{
    copy(s->dir, page_dir, sizeof(s->dir));
    s->dir[HEAP >> 22] = (u32)s->heap | PG_U | PG_W | PG_P;
    s->dir[SHARED >> 22] = (u32)s->shared | PG_U | PG_W | PG_P;
    pv.set_pte((u32)shared_page | PG_U | PG_W | PG_P, &s->shared[0]);
}

static bool page_fault(struct task *t, u32 error)
{
    u32 address;
    __asm__ volatile("mov %%cr2, %0" : "=r"(address));
    u32 *entry = &spaces[t->space].heap[address >> 12 & 1023];
    if (address >> 22 != HEAP >> 22 || (error & 5) != 4)
        return false;
    pv.set_pte((u32)frames[frames_used++ % FRAMES] | PG_U | PG_W | PG_P, entry);
    pv.invalidate(address);
    t->faults++;
    return true;
}

/* Gives the page of a round that is over back, so that rounds do not need memory without end. */
static void forget_page(struct task *t, u32 address)
{
    u32 *entry = &spaces[t->space].heap[address >> 12 & 1023];
    pv.set_pte(0, entry);
    pv.invalidate(address);
}

/* ---- tasks ---- */

static void choose(struct frame *f)
{
    u32 next = current, was = tasks[current].space;
    tasks[current].frame = *f;
    do
        next = (next + 1) % TASKS;
    while (tasks[next].over && next != current);
    current = next;
    tasks[current].told = false;
    ((volatile u32 *)shared_page)[current]++;
    if (tasks[current].space != was)
        pv.set_cr3((u32)spaces[tasks[current].space].dir);
    pv.kernel_stack((u32)(trap_stack + sizeof(trap_stack)));
    *f = tasks[current].frame;
}

static void tell(struct task *t, struct frame *f)
{
    u32 flags_before = pv_save();
    pv_disable();
    if (!quiet) {
        print("task ");
        print_dec(current);
        print(" round ");
        print_dec(f->ecx);
        print(" sum ");
        print_hex(f->edx);
        print(" faults ");
        print_dec(t->faults);
        print("\n");
    }
    t->told = true;
    pv_restore(flags_before);
}

static void task_end(struct frame *f)
{
    tasks[current].over = true;
    if (--left) {
        choose(f);
        return;
    }
    trap_hook = 0;
    pit_start(0);
    u32 faults = 0;
    for (u32 k = 0; k < TASKS; k++)
        faults += tasks[k].faults;
    if (quiet) { /* ticks: nanoseconds, or instructions with -icount */
        u64 took = rdtsc() - began;
        print("ticks ");
        print_hex((u32)(took >> 32));
        print_hex((u32)took);
        print("\n");
    }
    print("all tasks done, page faults ");
    print_dec(faults);
    print("\ngood\n");
    finish(0);
}

static void bad_trap(const struct frame *f)
{
    print("trap ");
    print_hex(f->vector);
    print(" at ");
    print_hex(f->eip);
    print("\n");
    finish(97);
}

/* Until the timer has come, unless the task was chosen again since it looked (EDX). */
static void wait(struct frame *f)
{
    u32 before = alarms;
    if (((volatile u32 *)shared_page)[current] != f->edx)
        return;
    while (*(volatile u32 *)&alarms == before)
        pv.halt();
    pv_disable();
    choose(f);
}

static void system_call(struct frame *f)
{
    struct task *t = &tasks[current];
    if (f->eax == CALL_TELL) {
        tell(t, f);
    } else if (f->eax == CALL_WAIT && by_timer) {
        wait(f);
    } else if (f->eax == CALL_WAIT) {
        forget_page(t, f->esi + ((f->ecx + 1) % 32 << 12));
        choose(f);
    } else if (f->eax == CALL_END) {
        task_end(f);
    } else {
        bad_trap(f);
    }
}

static void on_trap(struct frame *f)
{
    if (f->vector == 0x20 || f->vector == 0x40) {
        timer_done(f->vector);
        if ((f->cs & 3) == 3 && tasks[current].told)
            choose(f);
    } else if (f->vector == 14 && (f->cs & 3) == 3 && page_fault(&tasks[current], f->error)) {
        return;
    } else if (f->vector == 0x80) {
        system_call(f);
    } else {
        bad_trap(f);
    }
}

/* 13.0: by a second mapping of the ROM. */
static bool bind_rom(void)
{
    if (!rom || rom_api == 3)
        return rom && bind_3();
    for (u32 k = 0; k < 3; k++)
        top_table[k] = ((u32)rom - HIGH + k * 4096) | PG_W | PG_P;
    pv.set_cr3((u32)page_dir);
    bool good = bind_13(MOVED_ROM);
    rom = (const u8 *)MOVED_ROM;
    return good;
}

void test_tasks(const char *mode, u32 count, bool timer)
{
    bool native = equal(mode, "native");
    if (native)
        rom = 0;
    if (!native && !bind_rom()) {
        fail("ROM", "cannot be bound to", 0, 1);
        return;
    }
    by_timer = timer;
    quiet = !timer;
    left = TASKS;
    for (u32 k = 0; k < SPACES; k++)
        new_space(&spaces[k]);
    for (u32 k = 0; k < TASKS; k++) {
        extern char user_task[];
        tasks[k].space = k % SPACES;
        tasks[k].frame = (struct frame){.ebx = k,
                                        .ebp = SHARED + 4 * k,
                                        .esi = HEAP + (k << 18),
                                        .edi = count | (timer ? 0 : 0x80000000),
                                        .ds = USER_DS,
                                        .eip = (u32)user_task,
                                        .cs = USER_CS,
                                        .eflags = 0x202,
                                        .esp = (u32)user_stack + 1024 * (k + 1),
                                        .ss = USER_DS};
    }
    pv.kernel_stack((u32)(trap_stack + sizeof(trap_stack)));
    pv.set_cr3((u32)spaces[0].dir);
    if (timer)
        start_timer();
    trap_hook = on_trap;
    began = rdtsc();
    struct frame first = tasks[0].frame;
    task_resume(&first);
}
