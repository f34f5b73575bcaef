/* SPDX-License-Identifier: MIT */
/* ACPI and SMBIOS tables as an operating system walks them; the memory map. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bits.h"
#include "board/acpi.h"
#include "board/e820.h"
#include "board/smbios.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BASE 0x7fe0000u
#define MIB  (1ull << 20)
#define GIB  (1ull << 30)

static uint8_t sum(const void *data, unsigned length)
{
    const uint8_t *p = data;
    uint8_t total = 0;
    while (length--)
        total += *p++;
    return total;
}

static const struct acpi_machine all = {true, true, true, true, true, true, 0, 0};

/* The table at a guest address: inside the blob, length and checksum right. */
static const uint8_t *table_at(const struct acpi_tables *t, uint64_t gpa, const char *signature)
{
    assert_true(gpa >= BASE && gpa + 36 <= BASE + t->length);
    const uint8_t *table = t->data + (gpa - BASE);
    uint32_t length = (uint32_t)load_le(table + 4, 4);
    assert_true(gpa + length <= BASE + t->length);
    assert_memory_equal(table, signature, 4);
    if (memcmp(signature, "FACS", 4))
        assert_int_equal(sum(table, length), 0);
    return table;
}

static void test_acpi_walk(void **state)
{
    static const char *const names[] = {"FACP", "APIC", "HPET"};
    struct acpi_tables t;
    assert_int_equal(acpi_build(&all, &t), 0);
    acpi_relocate(&t, BASE);
    assert_memory_equal(t.rsdp, "RSD PTR ", 8);
    assert_int_equal(sum(t.rsdp, 20), 0);
    assert_int_equal(sum(t.rsdp, 36), 0);
    const uint8_t *rsdt = table_at(&t, load_le(t.rsdp + 16, 4), "RSDT");
    const uint8_t *xsdt = table_at(&t, load_le(t.rsdp + 24, 8), "XSDT");
    assert_int_equal(load_le(rsdt + 4, 4), 36 + 3 * 4);
    assert_int_equal(load_le(xsdt + 4, 4), 36 + 3 * 8);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t gpa = load_le(rsdt + 36 + i * 4, 4);
        assert_int_equal(gpa, load_le(xsdt + 36 + i * 8, 8));
        table_at(&t, gpa, names[i]);
    }
    const uint8_t *fadt = table_at(&t, load_le(rsdt + 36, 4), "FACP");
    assert_int_equal(load_le(fadt + 4, 4), 244);
    uint64_t facs = load_le(fadt + 36, 4);
    assert_int_equal(facs % 64, 0);
    table_at(&t, facs, "FACS");
    table_at(&t, load_le(fadt + 40, 4), "DSDT");
    assert_int_equal(load_le(fadt + 140, 8), load_le(fadt + 40, 4));
    assert_int_equal(load_le(fadt + 56, 4), 0x600);
    assert_int_equal(load_le(fadt + 64, 4), 0x604);
    assert_int_equal(load_le(fadt + 76, 4), 0x608);
    assert_int_equal(fadt[88], 4);
    assert_int_equal(fadt[89], 2);
    assert_int_equal(fadt[91], 4);
    assert_int_equal(fadt[108], 0x32);
    assert_int_equal(load_le(fadt + 120, 8), 0xcf9); /* reset register's address */
    assert_int_equal(load_le(fadt + 152, 8), 0x600);
    assert_int_equal(load_le(fadt + 176, 8), 0x604);
    assert_int_equal(load_le(fadt + 212, 8), 0x608);
    acpi_free(&t);
}

static void test_acpi_presence(void **state)
{
    static const uint8_t name[] = {8, 'P', 'R', 'E', 'S', 12};
    struct acpi_machine machine = {.com2 = true, .keyboard = true};
    struct acpi_tables t;
    assert_int_equal(acpi_build(&machine, &t), 0);
    acpi_relocate(&t, BASE);
    const uint8_t *rsdt = table_at(&t, load_le(t.rsdp + 16, 4), "RSDT");
    assert_int_equal(load_le(rsdt + 4, 4), 36 + 4); /* no MADT, no HPET */
    const uint8_t *at = memmem(t.data, t.length, name, sizeof(name));
    assert_non_null(at);
    assert_int_equal(load_le(at + 6, 4), 0x12);
    acpi_free(&t);
}

static void test_madt(void **state)
{
    struct acpi_tables t;
    acpi_build(&all, &t);
    const uint8_t *madt = memmem(t.data, t.length, "APIC", 4);
    uint32_t length = (uint32_t)load_le(madt + 4, 4), at = 44;
    unsigned count[256] = {0};
    while (at < length) {
        count[madt[at]]++;
        assert_true(madt[at + 1] >= 2);
        if (madt[at] == 2 && madt[at + 3] == 0)
            assert_int_equal(load_le(madt + at + 4, 4), 2); /* the timer */
        at += madt[at + 1];
    }
    assert_int_equal(at, length);
    assert_int_equal(count[0], 1);
    assert_int_equal(count[1], 1);
    assert_int_equal(count[2], 5);
    assert_int_equal(count[4], 1);
    acpi_free(&t);
}

/* With iasl (acpica-tools): every table disassembles without a complaint. */
static void test_iasl(void **state)
{
    if (system("command -v iasl >/dev/null 2>&1"))
        skip();
    struct acpi_tables t;
    acpi_build(&all, &t);
    acpi_relocate(&t, BASE);
    for (uint32_t at = 64; at + 36 <= t.length; at = (at + 15) & ~15u) {
        char dir[] = "/tmp/weir-acpi-XXXXXX", path[64], command[512];
        assert_non_null(mkdtemp(dir));
        snprintf(path, sizeof(path), "%s/table.aml", dir);
        FILE *file = fopen(path, "wb");
        uint32_t length = (uint32_t)load_le(t.data + at + 4, 4);
        assert_int_equal(fwrite(t.data + at, 1, length, file), length);
        fclose(file);
        snprintf(
            command, sizeof(command),
            "cd %s && iasl -d table.aml >log 2>&1 && ! grep -iE 'error|warning|invalid|"
            "incorrect' log && test -s table.dsl && "
            "! grep -E 'Invalid|Incorrect|Unknown|Error' table.dsl; rc=$?; rm -r %s; exit $rc",
            dir, dir);
        if (system(command))
            fail_msg("iasl does not like the table at %x (%.4s)", at, (char *)t.data + at);
        at += length;
    }
    acpi_free(&t);
}

/* ---- SMBIOS ---- */

static const struct smbios_machine machine = {
    .uuid = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd,
             0xee, 0xff},
    .ram_bytes = 8 * GIB,
    .ram_below_4g = 3 * GIB,
    .cpu_vendor = "GenuineIntel",
    .cpu_brand = "A processor with a name of full length, 47 chars",
};

static void test_smbios(void **state)
{
    static const uint8_t want[] = {0, 1, 3, 4, 16, 17, 19, 19, 32, 127};
    static const uint8_t uuid[] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99};
    struct smbios s;
    smbios_build(&machine, &s);
    smbios_locate(&s, 0xf5200);
    assert_memory_equal(s.anchor, "_SM_", 4);
    assert_int_equal(sum(s.anchor, 31), 0);
    assert_int_equal(sum(s.anchor + 16, 15), 0);
    assert_int_equal(load_le(s.anchor + 24, 4), 0xf5200);
    unsigned at = 0, count = 0, largest = 0;
    while (at < s.length) {
        assert_true(count < sizeof(want));
        const uint8_t *entry = s.table + at;
        assert_int_equal(entry[0], want[count++]);
        if (entry[0] == 1)
            assert_memory_equal(entry + 8, uuid, sizeof(uuid));
        if (entry[0] == 17)
            assert_int_equal(load_le(entry + 12, 2), 8192);
        unsigned end = at + entry[1];
        while (s.table[end] || s.table[end + 1])
            end++;
        end += 2;
        assert_true(end <= s.length);
        largest = end - at > largest ? end - at : largest;
        at = end;
    }
    assert_int_equal(count, sizeof(want));
    assert_int_equal(count, load_le(s.anchor + 28, 2));
    assert_int_equal(at, load_le(s.anchor + 22, 2));
    assert_int_equal(largest, load_le(s.anchor + 8, 2));
}

static void test_smbios_huge(void **state)
{
    struct smbios_machine m = machine;
    struct smbios s;
    m.ram_bytes = 1024 * GIB;
    smbios_build(&m, &s);
    for (unsigned at = 0; at < s.length;) {
        const uint8_t *e = s.table + at;
        if (e[0] == 17)
            assert_int_equal(load_le(e + 28, 4), MIB);
        at += e[1];
        while (s.table[at] || s.table[at + 1])
            at++;
        at += 2;
    }
}

/* ---- e820 ---- */

static void check_map(const struct e820_entry *map, unsigned count, uint64_t ram_bytes)
{
    uint64_t end = 0, total = 0;
    assert_true(count <= E820_MAX);
    for (unsigned i = 0; i < count; i++) {
        assert_true(map[i].start >= end && map[i].length > 0);
        end = map[i].start + map[i].length;
        total += map[i].type == E820_RAM ? map[i].length : 0;
    }
    assert_true(total <= ram_bytes);
}

static void test_e820(void **state)
{
    static const struct ram rams[] = {
        {.bytes = 128 * MIB, .below_4g = 128 * MIB},
        {.bytes = 8 * GIB, .below_4g = 3 * GIB},
        {.bytes = 4096, .below_4g = 4096},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rams); i++) {
        struct e820_entry map[E820_MAX];
        unsigned count = e820_ram(&rams[i], map);
        assert_int_equal(count, rams[i].bytes > rams[i].below_4g ? 2 : 1);
        check_map(map, count, rams[i].bytes);
        if (rams[i].bytes < MIB)
            continue;
        count = e820_direct(&rams[i], rams[i].below_4g - 0x20000, map);
        assert_int_equal(count, i == 0 ? 6 : 7);
        check_map(map, count, rams[i].bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_acpi_walk), cmocka_unit_test(test_acpi_presence),
        cmocka_unit_test(test_madt),      cmocka_unit_test(test_iasl),
        cmocka_unit_test(test_smbios),    cmocka_unit_test(test_smbios_huge),
        cmocka_unit_test(test_e820),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
