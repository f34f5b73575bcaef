/* SPDX-License-Identifier: MIT */
/*
 * rom.c - finding a VMI ROM and binding to it, as Linux 2.6 did with API 3: a scan of the option
 * ROM space, the rules a header must pass, GetRelocationInfo for every patched site and function.
 */
#include "kernel.h"

enum { SCAN_FIRST = 0xc0000, SCAN_END = 0xe0000, SCAN_STEP = 2048 };
enum { SIGNATURE = 0xaa55, VROM = 0x696d5663, AT_INIT = 0x80, AT_QUERY = 0x88, SLOT = 32 };

const u8 *rom;
unsigned rom_api;

/* ---- finding ---- */

static bool refuse(bool tell, const char *why)
{
    if (tell) {
        print("VMI: ");
        print(why);
        print("\n");
    }
    return false;
}

static const char *string_at(const u8 *at, u32 offset, const char *otherwise)
{
    return offset ? (const char *)at + offset : otherwise;
}

static void greet(const u8 *at, const struct vmi_header *h)
{
    const u8 *pnp = h->pnp ? at + h->pnp : 0, *pci = at + h->pci;
    print("VMI: Found ");
    print(string_at(at, pnp ? *(const u16 *)(pnp + 14) : 0, "UNKNOWN"));
    print(" ");
    print(string_at(at, pnp ? *(const u16 *)(pnp + 16) : 0, "UNKNOWN"));
    print(", API version ");
    print_dec(h->major);
    print(".");
    print_dec(h->minor);
    print(", ROM version ");
    print_dec(pci[19]);
    print(".");
    print_dec(pci[18]);
    print("\n");
}

bool rom_accept(const u8 *at, bool tell)
{
    const struct vmi_header *h = (const struct vmi_header *)at;
    if (h->signature != SIGNATURE || h->vrom != VROM)
        return false;
    if (h->major != 3 && !(h->major == 13 && h->minor == 0))
        return refuse(tell, "Found mismatched rom version");
    if (!h->pci)
        return refuse(tell, "ROM does not contain PCI header");
    const u8 *pci = at + h->pci;
    if (*(const u16 *)(pci + 4) != 0x15ad || *(const u16 *)(pci + 6) != 0x0801)
        refuse(tell, "ROM from unknown manufacturer");
    if (tell)
        greet(at, h);
    if (h->major != 3)
        return true;
    const char *licence = string_at(at, h->licence, "unspecified");
    if (!equal(licence, "GPL") && !equal(licence, "GPL v2"))
        return refuse(tell, "Non GPL license found for ROM. Not used.");
    return true;
}

bool rom_find(void)
{
    for (u32 gpa = SCAN_FIRST; gpa < SCAN_END; gpa += SCAN_STEP) {
        const u8 *at = (const u8 *)(HIGH + gpa);
        if (rom_accept(at, true)) {
            rom = at;
            rom_api = ((const struct vmi_header *)at)->major;
            return true;
        }
    }
    return false;
}

/* ---- calling ---- */

u32 rom_init(u32 eax)
{
    u32 result;
    __asm__ volatile("call *%1"
                     : "=a"(result)
                     : "r"(rom + AT_INIT), "a"(eax)
                     : "ecx", "edx", "memory", "cc");
    return result;
}

u64 relocation(u32 number)
{
    u32 low, high;
    __asm__ volatile("call *%2"
                     : "=a"(low), "=d"(high)
                     : "r"(rom + AT_QUERY), "a"(number)
                     : "ecx", "memory", "cc");
    return low | (u64)high << 32;
}

u32 rom_entry(int number)
{
    if (!rom || number < 0)
        return 0;
    return rom_api == 3 ? (u32)relocation((u32)number) : (u32)rom + (u32)number * SLOT;
}

/* ---- binding ---- */

extern struct site {
    u8 *at;
    u32 bytes;
    int number3, number13;
} sites_start[], sites_end[];

static void patch(struct site *s, unsigned type, u32 eip)
{
    u32 rest = 0;
    if (type == VMI_NONE)
        return;
    if (type != VMI_NOP) {
        s->at[0] = type == VMI_CALL_REL ? 0xe8 : 0xe9;
        *(u32 *)(s->at + 1) = eip - (u32)s->at - 5;
        rest = 5;
    }
    fill(s->at + rest, 0x90, s->bytes - rest);
}

/* A function pointer: CALL_REL only; otherwise the native one stays. */
static void bind(void **function, u32 number)
{
    u64 r = relocation(number);
    if ((r >> 32 & 0xff) == VMI_CALL_REL)
        *function = (void *)(u32)r;
}

static void PV (*rom_kernel_stack)(u32 ss, u32 esp0);
static void PV kernel_stack_3(u32 esp0)
{
    rom_kernel_stack(KERNEL_DS, esp0);
}
static void PV (*rom_set_pte)(u32 value, u32 *entry, u32 flags_);
static void PV set_pte_3(u32 value, u32 *entry)
{
    rom_set_pte(value, entry, 1);
}

bool bind_3(void)
{
    if (rom_init(0) != 0)
        return false;
    for (struct site *s = sites_start; s < sites_end; s++) {
        u64 r = relocation((u32)s->number3);
        if (s->bytes < 5 || (r >> 32 & 0xff) > VMI_NOP)
            return false;
        patch(s, r >> 32 & 0xff, (u32)r);
    }
    bind((void **)&pv.set_cr3, 17);
    bind((void **)&pv.invalidate, 46);
    bind((void **)&pv.halt, 35);
    bind((void **)&rom_kernel_stack, 14);
    bind((void **)&rom_set_pte, 38);
    if (rom_kernel_stack)
        pv.kernel_stack = kernel_stack_3;
    if (rom_set_pte)
        pv.set_pte = set_pte_3;
    return true;
}

/* 13.0: slots at fixed places; SetPxE takes (entry, value, level). IRET is called. */
static void PV (*slot_set_pte)(u32 *entry, u32 value, u32 level);
static void PV set_pte_13(u32 value, u32 *entry)
{
    slot_set_pte(entry, value, 2);
}
static void PV (*slot_kernel_stack)(struct tss *t, u32 esp0);
static void PV kernel_stack_13(u32 esp0)
{
    slot_kernel_stack(&tss, esp0);
}

bool bind_13(u32 slots)
{
    if (rom_init(slots) != 0)
        return false;
    for (struct site *s = sites_start; s < sites_end; s++)
        patch(s, VMI_CALL_REL, slots + (u32)(s->number13 < 0 ? 39 : s->number13) * SLOT);
    pv.set_cr3 = (void PV (*)(u32))(slots + 22 * SLOT);
    pv.invalidate = (void PV (*)(u32))(slots + 55 * SLOT);
    pv.halt = (void (*)(void))(slots + 42 * SLOT);
    slot_kernel_stack = (void PV (*)(struct tss *, u32))(slots + 19 * SLOT);
    slot_set_pte = (void PV (*)(u32 *, u32, u32))(slots + 45 * SLOT);
    pv.kernel_stack = kernel_stack_13;
    pv.set_pte = set_pte_13;
    return true;
}

/* ---- natively ---- */

static void PV native_cr3(u32 value)
{
    __asm__ volatile("mov %0, %%cr3" ::"r"(value) : "memory");
}
static void PV native_pte(u32 value, u32 *entry)
{
    *(volatile u32 *)entry = value;
}
static void PV native_invalidate(u32 address)
{
    __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory");
}
static void PV native_stack(u32 esp0)
{
    tss.esp0 = esp0;
}
static void native_wait(void)
{
    __asm__ volatile("sti\n hlt");
}
struct pv pv = {native_cr3, native_pte, native_invalidate, native_stack, native_wait};
