/* SPDX-License-Identifier: MIT */
/*
 * boot_linux.c - Linux bzImages by the 32-bit boot protocol (Documentation/arch/x86/boot.rst):
 * the protected-mode part goes to 1 MiB, the zero page is filled in our own words, and the vCPU
 * starts at code32_start. The kernel's real-mode code never runs.
 *
 * Offsets (H_...) are those of the boot documentation; the header's offsets are the same in the
 * file and in the zero page.
 */
#include "board/boot_kernel.h"
#include "board/e820.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    H_START = 0x1f1,
    H_SETUP_SECTORS = 0x1f1,
    H_VIDEO_MODE = 0x1fa,
    H_JUMP_LENGTH = 0x201,
    H_MAGIC = 0x202,
    H_VERSION = 0x206,
    H_LOADER_TYPE = 0x210,
    H_LOAD_FLAGS = 0x211,
    H_CODE32_START = 0x214,
    H_INITRD_GPA = 0x218,
    H_INITRD_BYTES = 0x21c,
    H_HEAP_END = 0x224,
    H_CMDLINE_GPA = 0x228,
    H_INITRD_LAST = 0x22c,
    H_CMDLINE_MAX = 0x238,
    H_PREFERRED_GPA = 0x258,
    H_INIT_BYTES = 0x260,
    H_END = 0x264,
    H_LIMIT = 0x290, /* the zero page's e820-independent end of the header */
};
#define LOADED_HIGH     1
#define CAN_USE_HEAP    0x80
#define SECTOR_BYTES    512u
#define OLD_INITRD_LAST 0x37ffffffu
#define OLD_CMDLINE_MAX 255u
#define ZERO_PAGE_BYTES 4096u
#define E820_COUNT_AT   0x1e8
#define E820_MAP_AT     0x2d0

static uint32_t field(const uint8_t *image, unsigned at, unsigned bytes)
{
    return (uint32_t)load_le(image + at, bytes);
}

static int refuse(char why[160], enum weir_error code, const char *text)
{
    snprintf(why, 160, "%s", text);
    return -(int)code;
}

static int place_kernel(const uint8_t *image, uint32_t length, uint64_t ram_end,
                        struct linux_layout *out, uint64_t *end, char why[160])
{
    uint32_t sectors = image[H_SETUP_SECTORS] ? image[H_SETUP_SECTORS] : 4;
    out->setup_bytes = (sectors + 1) * SECTOR_BYTES;
    if (length <= out->setup_bytes)
        return refuse(why, WEIR_EFORMAT, "the file ends inside the setup code");
    out->kernel_bytes = length - out->setup_bytes;
    out->kernel_gpa = BOOT_HIGH_MEMORY;
    uint32_t code32 = field(image, H_CODE32_START, 4);
    out->entry = code32 ? code32 : BOOT_HIGH_MEMORY;
    if (out->entry < out->kernel_gpa || out->entry - out->kernel_gpa >= out->kernel_bytes)
        return refuse(why, WEIR_EUNSUPPORTED, "entry point outside the kernel");
    *end = (uint64_t)out->kernel_gpa + out->kernel_bytes;
    if (out->protocol >= 0x20a) {
        uint64_t preferred = load_le(image + H_PREFERRED_GPA, 8);
        uint64_t need = preferred + field(image, H_INIT_BYTES, 4);
        if (preferred > UINT32_MAX)
            return refuse(why, WEIR_EFORMAT, "preferred address above 4 GiB");
        *end = need > *end ? need : *end;
    }
    if (*end > ram_end) {
        snprintf(why, 160, "the kernel needs RAM up to %llu MiB",
                 (unsigned long long)((*end + BOOT_TABLES_BYTES + 0xfffff) >> 20));
        return -WEIR_ERANGE;
    }
    return 0;
}

static int place_initrd(const uint8_t *image, uint64_t kernel_end, uint64_t ram_end,
                        struct linux_layout *out, char why[160])
{
    if (!out->initrd_bytes)
        return 0;
    uint64_t last = out->protocol >= 0x203 ? field(image, H_INITRD_LAST, 4) : OLD_INITRD_LAST;
    uint64_t limit = last + 1 < ram_end ? last + 1 : ram_end;
    uint64_t pages_end = (kernel_end + RAM_PAGE_BYTES - 1) & ~(uint64_t)(RAM_PAGE_BYTES - 1);
    if (limit < out->initrd_bytes ||
        ((limit - out->initrd_bytes) & ~(uint64_t)(RAM_PAGE_BYTES - 1)) < pages_end) {
        snprintf(why, 160, "no room for an initrd of %u KiB in RAM", out->initrd_bytes >> 10);
        return -WEIR_ERANGE;
    }
    out->initrd_gpa = (uint32_t)(limit - out->initrd_bytes) & ~(RAM_PAGE_BYTES - 1);
    return 0;
}

int linux_layout(const uint8_t *image, uint32_t length, uint32_t initrd_bytes,
                 uint32_t cmdline_bytes, uint64_t ram_end, struct linux_layout *out,
                 char why[160])
{
    *out = (struct linux_layout){.initrd_bytes = initrd_bytes};
    if (length < H_END || memcmp(image + H_MAGIC, "HdrS", 4))
        return refuse(why, WEIR_EFORMAT, "not a Linux kernel with a boot header");
    out->protocol = (uint16_t)field(image, H_VERSION, 2);
    if (out->protocol < 0x202)
        return refuse(why, WEIR_EUNSUPPORTED, "boot protocol older than 2.02");
    if (!(image[H_LOAD_FLAGS] & LOADED_HIGH))
        return refuse(why, WEIR_EUNSUPPORTED, "a zImage; only bzImages can be started");
    uint64_t end;
    int rc = place_kernel(image, length, ram_end, out, &end, why);
    if (rc < 0)
        return rc;
    uint32_t max = out->protocol >= 0x206 ? field(image, H_CMDLINE_MAX, 4) : OLD_CMDLINE_MAX;
    if (max >= BOOT_CMDLINE_MAX)
        max = BOOT_CMDLINE_MAX - 1;
    if (cmdline_bytes > max) {
        snprintf(why, 160, "the command line has %u bytes, the kernel takes %u", cmdline_bytes,
                 max);
        return -WEIR_ERANGE;
    }
    return place_initrd(image, end, ram_end, out, why);
}

int linux_prepare(struct weir *vm, struct kernel *k)
{
    char why[160];
    int rc = linux_layout(k->image, k->length, k->module_count ? k->modules[0].length : 0,
                          (uint32_t)strlen(k->cmdline), k->ram_end, &k->bzimage, why);
    return rc < 0 ? err_set(&vm->err, -rc, "%s: %s", k->path, why) : 0;
}

/* Screen, memory sizes and map, as setup code would have found them. */
static void fill_machine(const struct weir *vm, const struct kernel *k, uint8_t *zero_page)
{
    zero_page[0x06] = 3; /* video mode */
    zero_page[0x07] = 80;
    zero_page[0x0e] = 25;
    zero_page[0x0f] = vm->vga ? 1 : 0; /* is VGA */
    zero_page[0x10] = 16;              /* scan lines of a character */
    uint64_t high_kib = (k->ram_end - BOOT_HIGH_MEMORY) >> 10;
    store_le(zero_page + 0x02, high_kib < 0xfc00 ? high_kib : 0xfc00, 2);
    store_le(zero_page + 0x1e0, high_kib, 4);
    struct e820_entry map[E820_MAX];
    unsigned count = e820_direct(&vm->ram, k->ram_end, map);
    zero_page[E820_COUNT_AT] = (uint8_t)count;
    memcpy(zero_page + E820_MAP_AT, map, count * sizeof(map[0]));
}

static void fill_header(const struct kernel *k, uint8_t *zero_page)
{
    const struct linux_layout *l = &k->bzimage;
    uint32_t end = H_MAGIC + k->image[H_JUMP_LENGTH];
    if (end < H_CMDLINE_GPA + 4)
        end = H_CMDLINE_GPA + 4;
    if (end > H_LIMIT)
        end = H_LIMIT;
    if (end > l->setup_bytes)
        end = l->setup_bytes;
    memcpy(zero_page + H_START, k->image + H_START, end - H_START);
    zero_page[H_LOADER_TYPE] = 0xff; /* no number assigned to us */
    zero_page[H_LOAD_FLAGS] |= CAN_USE_HEAP;
    store_le(zero_page + H_VIDEO_MODE, 0xffff, 2);
    store_le(zero_page + H_HEAP_END, 0xfe00, 2);
    store_le(zero_page + H_CODE32_START, l->entry, 4);
    store_le(zero_page + H_CMDLINE_GPA, BOOT_CMDLINE_GPA, 4);
    store_le(zero_page + H_INITRD_GPA, l->initrd_gpa, 4);
    store_le(zero_page + H_INITRD_BYTES, l->initrd_bytes, 4);
}

void linux_start(struct weir *vm, const struct kernel *k, uint32_t rsdp_gpa)
{
    const struct linux_layout *l = &k->bzimage;
    uint8_t zero_page[ZERO_PAGE_BYTES] = {0};
    fill_machine(vm, k, zero_page);
    fill_header(k, zero_page);
    if (l->protocol >= 0x20e)
        store_le(zero_page + 0x70, rsdp_gpa, 8);
    boot_store(vm, BOOT_PARAMS_GPA, zero_page, sizeof(zero_page));
    boot_store(vm, BOOT_CMDLINE_GPA, k->cmdline, strlen(k->cmdline) + 1);
    boot_store(vm, l->kernel_gpa, k->image + l->setup_bytes, l->kernel_bytes);
    if (l->initrd_bytes)
        boot_store(vm, l->initrd_gpa, k->modules[0].data, l->initrd_bytes);
    boot_flat32(vm, l->entry);
    vm->cpu.gpr[6] = BOOT_PARAMS_GPA; /* ESI */
}
