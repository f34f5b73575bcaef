/* SPDX-License-Identifier: MIT */
/* Kernel files as they should be, cut off at every length, and with every byte of their headers
 * changed: a layout that is accepted lies in the file and in RAM, a refusal has one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "board/boot_kernel.h"

#include <elf.h>
#include <stdlib.h>

#define MIB     (1u << 20)
#define RAM_END (64ull * MIB)

static void check_refusal(int rc, const char *why)
{
    assert_true(rc < 0);
    assert_true(why[0] && strlen(why) < 160 && !strchr(why, '\n'));
}

/* ---- Linux ---- */

#define SETUP_BYTES  (5 * 512u)
#define KERNEL_BYTES 3000u
static uint8_t bzimage[SETUP_BYTES + KERNEL_BYTES];

static void make_bzimage(void)
{
    memset(bzimage, 0, sizeof(bzimage));
    bzimage[0x1f1] = 4;
    bzimage[0x201] = 0x66;
    memcpy(bzimage + 0x202, "HdrS", 4);
    store_le(bzimage + 0x206, 0x20f, 2);
    bzimage[0x211] = 1;
    store_le(bzimage + 0x214, 0x100000, 4);
    store_le(bzimage + 0x22c, 0x7fffffff, 4);
    store_le(bzimage + 0x238, 2047, 4);
    store_le(bzimage + 0x258, 16 * MIB, 8);
    store_le(bzimage + 0x260, 8 * MIB, 4);
}

static int layout(uint32_t length, uint32_t initrd, struct linux_layout *l)
{
    char why[160] = "";
    uint8_t *copy = malloc(length + 1); /* exact size, so that overruns are seen */
    memcpy(copy, bzimage, length);
    int rc = linux_layout(copy, length, initrd, 10, RAM_END, l, why);
    if (rc < 0) {
        check_refusal(rc, why);
    } else {
        assert_true((uint64_t)l->setup_bytes + l->kernel_bytes == length);
        assert_true((uint64_t)l->kernel_gpa + l->kernel_bytes <= RAM_END);
        assert_true(l->setup_bytes >= 0x264);
        assert_true(l->entry >= l->kernel_gpa && l->entry < l->kernel_gpa + l->kernel_bytes);
        if (initrd)
            assert_true(l->initrd_gpa >= l->kernel_gpa + l->kernel_bytes &&
                        (uint64_t)l->initrd_gpa + initrd <= RAM_END &&
                        l->initrd_gpa % 4096 == 0);
    }
    free(copy);
    return rc;
}

static void test_linux(void **state)
{
    struct linux_layout l;
    make_bzimage();
    assert_int_equal(layout(sizeof(bzimage), 5 * MIB + 1, &l), 0);
    assert_int_equal(l.setup_bytes, SETUP_BYTES);
    assert_int_equal(l.kernel_bytes, KERNEL_BYTES);
    assert_int_equal(l.kernel_gpa, MIB);
    assert_int_equal(l.initrd_gpa, RAM_END - 5 * MIB - 4096);
    assert_int_equal(layout(sizeof(bzimage), 40 * MIB, &l),
                     0); /* just: kernel ends at 24 MiB */
    assert_int_equal(layout(sizeof(bzimage), 40 * MIB + 1, &l), -WEIR_ERANGE);
    store_le(bzimage + 0x22c, 32 * MIB - 1, 4); /* initrd_addr_max */
    assert_int_equal(layout(sizeof(bzimage), 4096, &l), 0);
    assert_int_equal(l.initrd_gpa, 32 * MIB - 4096);
    make_bzimage();
    bzimage[0x211] = 0;
    assert_int_equal(layout(sizeof(bzimage), 0, &l), -WEIR_EUNSUPPORTED); /* zImage */
    make_bzimage();
    store_le(bzimage + 0x206, 0x201, 2);
    assert_int_equal(layout(sizeof(bzimage), 0, &l), -WEIR_EUNSUPPORTED);
    make_bzimage();
    store_le(bzimage + 0x260, 0x7f000000, 4); /* init_size */
    assert_int_equal(layout(sizeof(bzimage), 0, &l), -WEIR_ERANGE);
    make_bzimage();
    char why[160];
    assert_int_equal(linux_layout(bzimage, sizeof(bzimage), 0, 2048, RAM_END, &l, why),
                     -WEIR_ERANGE);
    assert_int_equal(linux_layout(bzimage, sizeof(bzimage), 0, 2047, RAM_END, &l, why), 0);
    store_le(bzimage + 0x206, 0x202, 2); /* an old kernel: 255 bytes, initrd below 896 MiB */
    assert_int_equal(linux_layout(bzimage, sizeof(bzimage), 0, 256, RAM_END, &l, why),
                     -WEIR_ERANGE);
    assert_int_equal(linux_layout(bzimage, sizeof(bzimage), MIB, 255, 2048ull * MIB, &l, why),
                     0);
    assert_int_equal(l.initrd_gpa, 0x38000000 - MIB);
}

static void test_linux_corrupt(void **state)
{
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
    struct linux_layout l;
    make_bzimage();
    for (uint32_t length = 0; length <= sizeof(bzimage); length++)
        layout(length, 4096, &l);
    assert_true(layout(SETUP_BYTES, 0, &l) < 0);
    for (unsigned at = 0x1f1; at < 0x268; at++)
        for (unsigned i = 0; i < sizeof(values); i++) {
            make_bzimage();
            bzimage[at] = values[i];
            layout(sizeof(bzimage), 4096, &l);
            layout(sizeof(bzimage), 0xfffffff0, &l);
        }
}

/* ---- multiboot ---- */

static uint8_t image[8192];

static void make_header(uint32_t at, uint32_t flags)
{
    store_le(image + at, 0x1badb002, 4);
    store_le(image + at + 4, flags, 4);
    store_le(image + at + 8, -(0x1badb002 + flags), 4);
}

static uint32_t make_elf32(void)
{
    memset(image, 0, sizeof(image));
    Elf32_Ehdr h = {.e_machine = EM_386,
                    .e_type = ET_EXEC,
                    .e_entry = 0xc0100040,
                    .e_phoff = sizeof(h),
                    .e_phentsize = sizeof(Elf32_Phdr),
                    .e_phnum = 2};
    memcpy(h.e_ident, "\177ELF\1\1\1", 7);
    Elf32_Phdr p[2] = {
        {.p_type = PT_NOTE, .p_filesz = 0xffffffff},
        {.p_type = PT_LOAD,
         .p_offset = 0x1000,
         .p_vaddr = 0xc0100000,
         .p_paddr = 0x100000,
         .p_filesz = 0x800,
         .p_memsz = 0x3000},
    };
    memcpy(image, &h, sizeof(h));
    memcpy(image + sizeof(h), p, sizeof(p));
    make_header(0x100c, 3);
    return 0x1800;
}

static uint32_t make_elf64(void)
{
    memset(image, 0, sizeof(image));
    Elf64_Ehdr h = {.e_machine = EM_X86_64,
                    .e_type = ET_EXEC,
                    .e_entry = 0x200010,
                    .e_phoff = sizeof(h),
                    .e_phentsize = sizeof(Elf64_Phdr),
                    .e_phnum = 1};
    memcpy(h.e_ident, "\177ELF\2\1\1", 7);
    Elf64_Phdr p = {.p_type = PT_LOAD,
                    .p_offset = 0x1000,
                    .p_vaddr = 0x200000,
                    .p_paddr = 0x200000,
                    .p_filesz = 0x800,
                    .p_memsz = 0x800};
    memcpy(image, &h, sizeof(h));
    memcpy(image + sizeof(h), &p, sizeof(p));
    make_header(0x1000, 0);
    return 0x1800;
}

static uint32_t make_flat(void)
{
    memset(image, 0, sizeof(image));
    make_header(0x40, 0x10003);
    store_le(image + 0x4c, 0x100040, 4); /* header */
    store_le(image + 0x50, 0x100000, 4); /* load */
    store_le(image + 0x54, 0x100400, 4); /* load end */
    store_le(image + 0x58, 0x101000, 4); /* bss end */
    store_le(image + 0x5c, 0x100080, 4); /* entry */
    return 0x600;
}

static int mb_layout(uint32_t length, struct multiboot_layout *l)
{
    char why[160] = "";
    uint8_t *copy = malloc(length + 1);
    memcpy(copy, image, length);
    multiboot_detect(copy, length);
    int rc = multiboot_layout(copy, length, RAM_END, l, why);
    if (rc < 0)
        check_refusal(rc, why);
    for (unsigned i = 0; rc == 0 && i < l->segment_count; i++) {
        assert_true((uint64_t)l->segment[i].offset + l->segment[i].file_bytes <= length);
        assert_true(l->segment[i].file_bytes <= l->segment[i].bytes);
        uint32_t gpa = l->segment[i].gpa;
        assert_true(gpa >= 0xc0000 || (gpa >= 0x30000 && gpa + l->segment[i].bytes <= 0x9fc00));
        assert_true((uint64_t)l->segment[i].gpa + l->segment[i].bytes <= RAM_END);
        assert_true(l->segment[i].gpa + l->segment[i].bytes <= l->end);
    }
    free(copy);
    return rc;
}

static void test_multiboot(void **state)
{
    struct multiboot_layout l;
    assert_int_equal(mb_layout(make_elf32(), &l), 0);
    assert_int_equal(l.segment_count, 1);
    assert_int_equal(l.entry, 0x100040); /* the linked address, moved to the physical one */
    assert_int_equal(l.end, 0x103000);
    assert_int_equal(mb_layout(make_elf64(), &l), 0);
    assert_int_equal(l.entry, 0x200010);
    assert_int_equal(mb_layout(make_flat(), &l), 0);
    assert_int_equal(l.segment[0].offset, 0);
    assert_int_equal(l.segment[0].file_bytes, 0x400);
    assert_int_equal(l.segment[0].bytes, 0x1000);
    assert_int_equal(l.entry, 0x100080);
    make_flat();
    store_le(image + 0x54, 0, 4); /* to the end of the file */
    store_le(image + 0x58, 0, 4);
    assert_int_equal(mb_layout(0x600, &l), 0);
    assert_int_equal(l.segment[0].bytes, 0x600);
    make_elf32(); /* headers in front of 1 MiB are let through, low memory in use is not */
    store_le(image + 52 + 32 + 12, 0xff000, 4);
    assert_int_equal(mb_layout(0x1800, &l), 0);
    store_le(image + 52 + 32 + 12, 0x40000, 4);
    assert_int_equal(mb_layout(0x1800, &l), 0);
    store_le(image + 52 + 32 + 12, 0x9f000, 4);
    assert_int_equal(mb_layout(0x1800, &l), -WEIR_EUNSUPPORTED);
    store_le(image + 52 + 32 + 12, 0x8000, 4);
    assert_int_equal(mb_layout(0x1800, &l), -WEIR_EUNSUPPORTED);
    make_elf32();
    make_header(0x100c, 8); /* a requirement nobody knows */
    assert_int_equal(mb_layout(0x1800, &l), -WEIR_EUNSUPPORTED);
    image[0x1014]++; /* checksum */
    assert_false(multiboot_detect(image, 0x1800));
}

static void test_multiboot_corrupt(void **state)
{
    static uint32_t (*const make[])(void) = {make_elf32, make_elf64, make_flat};
    static const uint8_t values[] = {0, 1, 0x10, 0x7f, 0x80, 0xff};
    struct multiboot_layout l;
    for (unsigned kind = 0; kind < ARRAY_SIZE(make); kind++) {
        uint32_t length = make[kind]();
        for (uint32_t cut = 0; cut <= length; cut++)
            mb_layout(cut, &l);
        for (unsigned at = 0; at < 0x120; at++)
            for (unsigned i = 0; i < sizeof(values); i++) {
                make[kind]();
                image[at] = values[i];
                mb_layout(length, &l);
            }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linux),
        cmocka_unit_test(test_linux_corrupt),
        cmocka_unit_test(test_multiboot),
        cmocka_unit_test(test_multiboot_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
