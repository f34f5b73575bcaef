/* SPDX-License-Identifier: MIT */
/* lib.c - output, descriptor tables, paging, faults that a test expects. */
#include "kernel.h"

unsigned failures;
u64 gdt[GDT_ENTRIES], gdt2[GDT_ENTRIES], idt[256], idt2[256], ldt[2];
struct tss tss, tss2;
u32 __attribute__((aligned(4096))) page_dir[1024], page_dir2[1024], low_tables[4][1024],
    test_table[1024], test_table2[1024], top_table[1024];
u8 __attribute__((aligned(4096))) page_a[4096], page_b[4096], user_stack[4096];
volatile u32 ticks;
volatile bool fault_wanted;
struct frame fault;
void (*trap_hook)(struct frame *f);

/* ---- output ---- */

void print(const char *text)
{
    while (*text)
        outb(0x3f8, (u8)*text++);
}
void print_hex(u32 value)
{
    for (int shift = 28; shift >= 0; shift -= 4)
        outb(0x3f8, (u8) "0123456789abcdef"[value >> shift & 15]);
}
void print_dec(u32 value)
{
    char text[11], *at = text + 10;
    *at = 0;
    do
        *--at = (char)('0' + value % 10);
    while (value /= 10);
    print(at);
}
void finish(unsigned status)
{
    outb(0xf4, (u8)status);
    for (;;)
        __asm__ volatile("cli\n hlt");
}
bool equal(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}
void fail(const char *what, const char *why, u32 got, u32 wanted)
{
    print("FAILED ");
    print(what);
    print(": ");
    print(why);
    print(": ");
    print_hex(got);
    print(", wanted ");
    print_hex(wanted);
    print("\n");
    failures++;
}

void *copy(void *to, const void *from, u32 bytes)
{
    for (u32 i = 0; i < bytes; i++)
        ((volatile u8 *)to)[i] = ((const u8 *)from)[i];
    return to;
}
void fill(void *to, int value, u32 bytes)
{
    for (u32 i = 0; i < bytes; i++)
        ((volatile u8 *)to)[i] = (u8)value;
}
/* gcc may call these. */
void *memcpy(void *to, const void *from, unsigned long bytes)
{
    return copy(to, from, bytes);
}
void *memset(void *to, int value, unsigned long bytes)
{
    fill(to, value, bytes);
    return to;
}

/* ---- tables ---- */

static u64 segment(u32 base, u32 limit, u32 attributes)
{
    u32 high = (base & 0xff000000) | (base >> 16 & 0xff) | (limit & 0xf0000) | attributes;
    return (u64)high << 32 | base << 16 | (limit & 0xffff);
}

static void setup_gdt(void)
{
    gdt[1] = segment(0, 0xfffff, 0xc09b00);
    gdt[2] = segment(0, 0xfffff, 0xc09300);
    gdt[3] = segment(0, 0xfffff, 0xc0fb00);
    gdt[4] = segment(0, 0xfffff, 0xc0f300);
    gdt[5] = segment((u32)&tss, sizeof(tss) - 1, 0x8900);
    gdt[6] = segment((u32)&tss2, sizeof(tss2) - 1, 0x8900);
    gdt[7] = segment((u32)ldt, sizeof(ldt) - 1, 0x8200);
    tss.ss0 = tss2.ss0 = KERNEL_DS;
    tss.rest[22] = tss2.rest[22] = sizeof(tss) << 16;
    struct table t = {sizeof(gdt) - 1, (u32)gdt};
    __asm__ volatile("lgdt %0\n ljmp $8, $1f\n1: mov %1, %%ds\n mov %1, %%es\n mov %1, %%ss\n"
                     "mov %1, %%fs\n mov %1, %%gs\n ltr %w2" ::"m"(t),
                     "r"(KERNEL_DS), "r"(TSS_SEL)
                     : "memory");
    copy(gdt2, gdt, sizeof(gdt));
}

static void setup_idt(void)
{
    for (unsigned n = 0; n < 256; n++)
        idt[n] = (u64)((trap_stubs[n] & 0xffff0000) | (n == 0x80 ? 0xee00 : 0x8e00)) << 32 |
                 KERNEL_CS << 16 | (trap_stubs[n] & 0xffff);
    copy(idt2, idt, sizeof(idt));
    struct table t = {sizeof(idt) - 1, (u32)idt};
    __asm__ volatile("lidt %0" ::"m"(t));
}

/* 16 MiB at 0 and at C0000000h, global as kernels map themselves; the test's page; local APIC; a
 * second place for the ROM. */
static void setup_paging(void)
{
    for (u32 i = 0; i < 4096; i++)
        low_tables[i / 1024][i % 1024] = i << 12 | PG_G | PG_W | PG_P;
    for (u32 at = (u32)user_code; at < (u32)user_code_end; at += 4096)
        low_tables[at >> 22][at >> 12 & 1023] |= PG_U;
    low_tables[(u32)user_stack >> 22][(u32)user_stack >> 12 & 1023] |= PG_U;
    for (u32 i = 0; i < 4; i++)
        page_dir[i] = page_dir[(HIGH >> 22) + i] = (u32)low_tables[i] | PG_U | PG_W | PG_P;
    page_dir[TEST_PAGE >> 22] = (u32)test_table | PG_U | PG_W | PG_P;
    page_dir[MOVED_ROM >> 22] = (u32)top_table | PG_W | PG_P;
    page_dir[APIC_VA >> 22] = (APIC_VA & 0xffc00000) | 0x80 | PG_W | PG_P;
    test_table[0] = (u32)page_a | PG_U | PG_W | PG_P;
    test_table2[0] = (u32)page_b | PG_U | PG_W | PG_P;
    copy(page_dir2, page_dir, sizeof(page_dir));
    page_dir2[TEST_PAGE >> 22] = (u32)test_table2 | PG_U | PG_W | PG_P;
    page_a[0] = 'a';
    page_b[0] = 'b';
    u32 cr;
    __asm__ volatile("mov %%cr4, %0\n or $0x90, %0\n mov %0, %%cr4\n mov %1, %%cr3\n"
                     "mov %%cr0, %0\n or $0x80010000, %0\n mov %0, %%cr0"
                     : "=&r"(cr)
                     : "r"(page_dir)
                     : "memory");
}

void setup(void)
{
    static u8 kernel_stack[4096];
    setup_gdt();
    setup_idt();
    setup_paging();
    tss.esp0 = tss2.esp0 = (u32)(kernel_stack + sizeof(kernel_stack));
    static const u8 pic[][2] = {{0x20, 0x11}, {0xa0, 0x11}, {0x21, 0x20}, {0xa1, 0x28},
                                {0x21, 4},    {0xa1, 2},    {0x21, 1},    {0xa1, 1},
                                {0x21, 0xff}, {0xa1, 0xff}};
    for (unsigned i = 0; i < COUNT(pic); i++)
        outb(pic[i][0], pic[i][1]);
}

void pit_start(u32 hz)
{
    u32 count = hz ? 1193182 / hz : 0;
    outb(0x43, hz ? 0x34 : 0x3a);
    outb(0x40, (u8)count);
    outb(0x40, (u8)(count >> 8));
    outb(0x21, hz ? 0xfe : 0xff);
}
void eoi(void)
{
    outb(0x20, 0x20);
}

/* ---- traps ---- */

void trap(struct frame *f);
void trap(struct frame *f)
{
    if (trap_hook) {
        trap_hook(f);
        return;
    }
    if (f->vector == 0x20) {
        ticks++;
        eoi();
        return;
    }
    if (f->vector == 0x40) { /* LVTT */
        ticks++;
        *(volatile u32 *)(APIC_VA + 0xb0) = 0;
        return;
    }
    fault = *f;
    if (!fault_wanted) {
        print("trap ");
        print_hex(f->vector);
        print(" error ");
        print_hex(f->error);
        print(" at ");
        print_hex(f->eip);
        print("\n");
        finish(99);
    }
    fault_wanted = false;
    /* As if do_call or run_user returned; the stack is theirs again. */
    __asm__ volatile("jmp fault_resume");
    __builtin_unreachable();
}
