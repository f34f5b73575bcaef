/* SPDX-License-Identifier: MIT */
/*
 * boot_multiboot.c - kernels by the Multiboot Specification 0.6.96 (version 1): ELF (32-bit,
 * and 64-bit images with 32-bit entry code, as GRUB takes them) or flat images with the address
 * fields in the header. The kernel starts in 32-bit protected mode with EAX = 2BADB002h and EBX
 * = address of the information structure.
 *
 * Low memory: BOOT_PARAMS_GPA + 0: information; 200h: memory map; 400h: module list; 1000h:
 * strings. Modules follow the kernel on page boundaries.
 */
#include "board/boot_kernel.h"
#include "board/e820.h"

#include <stdio.h>

#define BOOT_MAGIC 0x2badb002u

enum { AT_MMAP = 0x200, AT_MODULES = 0x400, AT_STRINGS = 0x1000, STRINGS_BYTES = 0xf000 };
enum { INFO_MEMORY = 1, INFO_CMDLINE = 4, INFO_MODULES = 8, INFO_MMAP = 64, INFO_NAME = 512 };

/* ---- modules ---- */

static uint64_t page_up(uint64_t v)
{
    return (v + RAM_PAGE_BYTES - 1) & ~(uint64_t)(RAM_PAGE_BYTES - 1);
}

int multiboot_prepare(struct weir *vm, struct kernel *k)
{
    char why[160];
    int rc = multiboot_layout(k->image, k->length, k->ram_end, &k->multiboot, why);
    if (rc < 0)
        return err_set(&vm->err, -rc, "%s: %s", k->path, why);
    if (strlen(k->path) + 1 + strlen(k->cmdline) >= BOOT_CMDLINE_MAX)
        return err_set(&vm->err, WEIR_ERANGE, "%s: the command line is too long", k->path);
    uint64_t end = page_up(k->multiboot.end);
    size_t text = 0;
    for (unsigned i = 0; i < k->module_count; i++) {
        const struct kernel_module *m = &k->modules[i];
        if (end > k->ram_end || m->length > k->ram_end - end)
            return err_set(&vm->err, WEIR_ERANGE, "%s: the module does not fit in RAM",
                           m->text);
        end = page_up(end + m->length);
        text += strlen(m->text) + 1;
    }
    if (text > STRINGS_BYTES)
        return err_set(&vm->err, WEIR_ERANGE, "%s: module names are too long", k->path);
    return 0;
}

static void store_modules(struct weir *vm, const struct kernel *k, uint8_t *info)
{
    uint64_t at = page_up(k->multiboot.end);
    uint32_t text = AT_STRINGS;
    for (unsigned i = 0; i < k->module_count; i++) {
        const struct kernel_module *m = &k->modules[i];
        uint8_t *entry = info + AT_MODULES + i * 16;
        boot_store(vm, at, m->data, m->length);
        store_le(entry, at, 4);
        store_le(entry + 4, at + m->length, 4);
        store_le(entry + 8, BOOT_PARAMS_GPA + text, 4);
        boot_store(vm, BOOT_PARAMS_GPA + text, m->text, strlen(m->text) + 1);
        text += (uint32_t)strlen(m->text) + 1;
        at = page_up(at + m->length);
    }
    store_le(info + 20, k->module_count, 4);
    store_le(info + 24, BOOT_PARAMS_GPA + AT_MODULES, 4);
}

static void store_map(const struct weir *vm, const struct kernel *k, uint8_t *info)
{
    struct e820_entry map[E820_MAX];
    unsigned count = e820_direct(&vm->ram, k->ram_end, map);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *entry = info + AT_MMAP + i * 24;
        store_le(entry, sizeof(map[0]), 4);
        memcpy(entry + 4, &map[i], sizeof(map[0]));
    }
    store_le(info + 44, count * 24, 4);
    store_le(info + 48, BOOT_PARAMS_GPA + AT_MMAP, 4);
    store_le(info + 4, 639, 4);
    store_le(info + 8, (k->ram_end - BOOT_HIGH_MEMORY) >> 10, 4);
}

static void store_segments(struct weir *vm, const struct kernel *k)
{
    static const uint8_t zeros[RAM_PAGE_BYTES];
    for (unsigned i = 0; i < k->multiboot.segment_count; i++) {
        uint64_t at = k->multiboot.segment[i].gpa;
        uint64_t end = at + k->multiboot.segment[i].bytes;
        boot_store(vm, at, k->image + k->multiboot.segment[i].offset,
                   k->multiboot.segment[i].file_bytes);
        for (at += k->multiboot.segment[i].file_bytes; at < end;) {
            uint64_t part = end - at < sizeof(zeros) ? end - at : sizeof(zeros);
            boot_store(vm, at, zeros, part);
            at += part;
        }
    }
}

void multiboot_start(struct weir *vm, const struct kernel *k)
{
    static const char name[] = "weir";
    uint8_t info[AT_STRINGS] = {0};
    char cmdline[BOOT_CMDLINE_MAX];
    store_segments(vm, k);
    store_map(vm, k, info);
    store_modules(vm, k, info);
    int length = snprintf(cmdline, sizeof(cmdline), "%s%s%s", k->path, *k->cmdline ? " " : "",
                          k->cmdline);
    boot_store(vm, BOOT_CMDLINE_GPA, cmdline, (unsigned)length + 1);
    store_le(info, INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MMAP | INFO_NAME, 4);
    store_le(info + 16, BOOT_CMDLINE_GPA, 4);
    store_le(info + 64, BOOT_PARAMS_GPA + 0x180, 4);
    memcpy(info + 0x180, name, sizeof(name));
    boot_store(vm, BOOT_PARAMS_GPA, info, sizeof(info));
    boot_flat32(vm, k->multiboot.entry);
    vm->cpu.gpr[0] = BOOT_MAGIC;
    vm->cpu.gpr[3] = BOOT_PARAMS_GPA;
}
