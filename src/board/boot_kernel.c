/* SPDX-License-Identifier: MIT */
/*
 * boot_kernel.c - a kernel instead of the firmware: reading the files once, and before the
 * first instruction after each reset doing what firmware would have done to the machine (PCI,
 * text mode, MTRRs, virtual wire, tables in the F0000h segment), then handing over to the
 * format.
 */
#include "board/boot_kernel.h"
#include "board/acpi.h"
#include "board/smbios.h"
#include "dev/machine_hooks.h"
#include "dev/pci_board.h"
#include "dev/vga.h"

#include <stdlib.h>

#define KERNEL_MAX_BYTES (512u << 20)
#define MODULE_MAX_BYTES (2047u << 20)
#define MIN_RAM_BYTES    (4u << 20)
#define RSDP_GPA         0xf5000u
#define SMBIOS_GPA       0xf5100u
#define PAM0_REGISTER    0x59 /* bits 5:4: F0000h segment */
#define APIC_GPA         0xfee00000u

/* ---- files ---- */

void kernel_free(struct kernel *k)
{
    if (!k)
        return;
    for (unsigned i = 0; i < k->module_count; i++) {
        free(k->modules[i].text);
        free(k->modules[i].data);
    }
    free(k->modules);
    free(k->path);
    free(k->cmdline);
    free(k->image);
    free(k);
}

/* `text` is "FILE" or, for multiboot, "FILE ARGUMENTS". */
static int add_module(struct weir *vm, struct kernel *k, const char *text, size_t length)
{
    char *copy = strndup(text, length);
    struct kernel_module *modules =
        realloc(k->modules, (k->module_count + 1) * sizeof(*modules));
    if (modules)
        k->modules = modules;
    if (!copy || !modules) {
        free(copy);
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    }
    struct kernel_module *m = &modules[k->module_count++];
    *m = (struct kernel_module){.text = copy};
    size_t name = k->is_multiboot ? strcspn(copy, " ") : length;
    char *path = strndup(copy, name);
    if (!path)
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    int rc = firmware_read(vm, path, MODULE_MAX_BYTES, &m->data, &m->length);
    free(path);
    return rc;
}

static int read_modules(struct weir *vm, struct kernel *k, const char *list)
{
    if (!list || !*list)
        return 0;
    if (!k->is_multiboot)
        return add_module(vm, k, list, strlen(list));
    while (*list) {
        size_t length = strcspn(list, ",");
        if (k->module_count == MULTIBOOT_MODULES)
            return err_set(&vm->err, WEIR_ERANGE, "more than %u modules", MULTIBOOT_MODULES);
        int rc = length ? add_module(vm, k, list, length) : 0;
        if (rc < 0)
            return rc;
        list += length + (list[length] == ',');
    }
    return 0;
}

static int read_kernel(struct weir *vm, struct kernel *k)
{
    k->path = strdup(vm->boot.kernel);
    k->cmdline = strdup(vm->boot.cmdline ? vm->boot.cmdline : "");
    if (!k->path || !k->cmdline)
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    int rc = firmware_read(vm, k->path, KERNEL_MAX_BYTES, &k->image, &k->length);
    if (rc < 0)
        return rc;
    bool is_linux = k->length > 0x206 && !memcmp(k->image + 0x202, "HdrS", 4);
    k->is_multiboot = !is_linux && multiboot_detect(k->image, k->length);
    if (!is_linux && !k->is_multiboot)
        return err_set(&vm->err, WEIR_EFORMAT,
                       "%s: neither a Linux bzImage nor a multiboot kernel", k->path);
    if (vm->ram.below_4g < MIN_RAM_BYTES)
        return err_set(&vm->err, WEIR_ERANGE, "%s: needs at least 4 MiB of RAM", k->path);
    k->ram_end = vm->ram.below_4g - BOOT_TABLES_BYTES;
    rc = read_modules(vm, k, vm->boot.initrd);
    if (rc < 0)
        return rc;
    return k->is_multiboot ? multiboot_prepare(vm, k) : linux_prepare(vm, k);
}

int boot_kernel(struct weir *vm)
{
    if (!vm->boot.kernel)
        return 0;
    struct kernel *k = calloc(1, sizeof(*k));
    if (!k)
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    vm->firmware->kernel = k;
    return read_kernel(vm, k);
}

/* ---- the machine as firmware leaves it ---- */

void boot_store(struct weir *vm, uint64_t gpa, const void *data, uint64_t length)
{
    bus_write_block(&vm->mem, gpa, data, length);
}

/* The segment that operating systems scan for tables becomes RAM, written, then read-only. */
static int install_tables(struct weir *vm, const struct kernel *k)
{
    if (vm->pci)
        pci_config_write(vm->pci, 0, PAM0_REGISTER, 0x30, 1);
    int rc = acpi_install(vm, k->ram_end, BOOT_TABLES_BYTES, RSDP_GPA);
    if (rc == 0)
        rc = smbios_install(vm, SMBIOS_GPA);
    if (vm->pci)
        pci_config_write(vm->pci, 0, PAM0_REGISTER, 0x10, 1);
    return rc;
}

/* What old kernels look for in the BIOS data area: base memory, EBDA, text mode geometry. */
static void store_bios_data(struct weir *vm)
{
    uint8_t bda[0x100] = {0};
    store_le(bda + 0x0e, 0x9fc0, 2);
    store_le(bda + 0x13, 639, 2);
    bda[0x49] = 3;
    bda[0x4a] = 80;
    store_le(bda + 0x4c, 4096, 2);
    store_le(bda + 0x63, 0x3d4, 2);
    bda[0x84] = 24;
    bda[0x85] = 16;
    boot_store(vm, 0x400, bda, sizeof(bda));
    boot_store(vm, 0x9fc00, "\1", 1); /* the EBDA's size in KiB */
}

/* Write-back but for video memory and [the hole below 4 GiB, 4 GiB). */
static void set_mtrrs(struct vcpu *c)
{
    uint32_t regs[4] = {0};
    cpuid_query(c, 0x80000008, 0, regs);
    unsigned bits = regs[0] & 0xff;
    if (bits < 36 || bits > 52)
        bits = 36;
    for (unsigned i = 0; i < ARRAY_SIZE(c->mtrr_fixed); i++)
        c->mtrr_fixed[i] = i == 2 ? 0 : 0x0606060606060606ull;
    c->mtrr_base[0] = RAM_HOLE_START;
    c->mtrr_mask[0] = (BIT64(bits) - (0x100000000ull - RAM_HOLE_START)) | BIT(11);
    c->mtrr_def_type = 0xc06;
}

/* Virtual wire: the 8259 through LINT0, NMI through LINT1. */
static void set_virtual_wire(struct weir *vm)
{
    if (!vm->apic)
        return;
    bus_write(&vm->mem, APIC_GPA + 0xf0, 0x1ff, 4);
    bus_write(&vm->mem, APIC_GPA + 0x350, 0x700, 4);
    bus_write(&vm->mem, APIC_GPA + 0x360, 0x400, 4);
}

/* 8 data bits: small kernels write to the UART without setting it up. */
static void set_serial(struct weir *vm)
{
    static const uint16_t line_control[4] = {0x3fb, 0x2fb, 0x3eb, 0x2eb};
    for (unsigned n = 0; n < ARRAY_SIZE(line_control); n++)
        if (vm->serial[n])
            bus_write(&vm->io, line_control[n], 3, 1);
}

void boot_flat32(struct weir *vm, uint32_t entry)
{
    static const uint64_t gdt[4] = {0, 0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull};
    struct vcpu *c = &vm->cpu;
    boot_store(vm, BOOT_GDT_GPA, gdt, sizeof(gdt));
    memset(c->gpr, 0, sizeof(c->gpr));
    c->rip = entry;
    c->flags = 0;
    c->rflags_rest = 2;
    c->cr0 = CR0_PE | CR0_ET;
    c->cpl = 0;
    c->gdtr = (struct table_register){BOOT_GDT_GPA, sizeof(gdt) - 1};
    c->idtr = (struct table_register){0, 0};
    for (unsigned i = SEG_ES; i <= SEG_GS; i++)
        c->seg[i] = (struct segment){
            .limit = UINT32_MAX,
            .selector = i == SEG_CS ? 0x10 : 0x18,
            .attr = SEG_ATTR_G | SEG_ATTR_DB | (i == SEG_CS ? 0x9b : 0x93),
        };
    c->halted = false;
    cpu_mode_update(c);
}

int boot_reset(struct weir *vm)
{
    struct kernel *k = vm->firmware ? vm->firmware->kernel : NULL;
    if (!k)
        return 0;
    machine_a20_set(vm, true);
    pci_assign_resources(vm);
    if (vm->vga)
        vga_set_text_mode(vm->vga);
    set_virtual_wire(vm);
    set_serial(vm);
    store_bios_data(vm);
    int rc = install_tables(vm, k);
    if (rc < 0)
        return rc;
    set_mtrrs(&vm->cpu);
    if (k->is_multiboot)
        multiboot_start(vm, k);
    else
        linux_start(vm, k, RSDP_GPA);
    return 0;
}
