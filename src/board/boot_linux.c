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

enum {
    H_START = 0x1f1,
    H_VIDEO_MODE = 0x1fa,
    H_JUMP_LENGTH = 0x201,
    H_MAGIC = 0x202,
    H_LOADER_TYPE = 0x210,
    H_LOAD_FLAGS = 0x211,
    H_CODE32_START = 0x214,
    H_INITRD_GPA = 0x218,
    H_INITRD_BYTES = 0x21c,
    H_HEAP_END = 0x224,
    H_CMDLINE_GPA = 0x228,
    H_LIMIT = 0x290, /* the zero page's e820-independent end of the header */
};
#define CAN_USE_HEAP    0x80
#define ZERO_PAGE_BYTES 4096u
#define E820_COUNT_AT   0x1e8
#define E820_MAP_AT     0x2d0

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
