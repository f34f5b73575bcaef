/* SPDX-License-Identifier: MIT */
/*
 * linux_layout.c - where the parts of a bzImage go: pure, see boot_kernel.h. Offsets (H_...)
 * are those of the kernel's boot documentation (Documentation/arch/x86/boot.rst).
 */
#include "board/boot_kernel.h"

#include <stdio.h>

enum {
    H_SETUP_SECTORS = 0x1f1,
    H_MAGIC = 0x202,
    H_VERSION = 0x206,
    H_LOAD_FLAGS = 0x211,
    H_CODE32_START = 0x214,
    H_INITRD_LAST = 0x22c,
    H_CMDLINE_MAX = 0x238,
    H_PREFERRED_GPA = 0x258,
    H_INIT_BYTES = 0x260,
    H_END = 0x264,
};
#define LOADED_HIGH     1
#define SECTOR_BYTES    512u
#define OLD_INITRD_LAST 0x37ffffffu
#define OLD_CMDLINE_MAX 255u

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
