/* SPDX-License-Identifier: MIT */
/* What the board does for and instead of firmware: ROM and PAM, CMOS and fw_cfg contents, PCI
 * resources, kernels placed in memory with the vCPU at their entry. */
#include "pcbench.h"
#include "board/boot_kernel.h"
#include "board/e820.h"
#include "dev/chips.h"
#include "dev/fw_cfg.h"
#include "dev/pci_board.h"
#include "dev/vga.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MIB        (1u << 20)
#define RAM_BYTES  (32u * MIB)
#define BIOS_BYTES 0x40000u
#define PAM0       0x59

struct fixture {
    struct weir *vm;
    char dir[40], bios[64], kernel[64], initrd[64];
    unsigned code_writes;
};

static void write_file(const char *path, const void *data, size_t length)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    fclose(file);
}

static void code_written(void *ctx, uint64_t address, uint64_t length)
{
    ((struct fixture *)ctx)->code_writes++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct weir *vm = f->vm = bench_new(RAM_BYTES);
    strcpy(f->dir, "/tmp/weir-firmware-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->bios, sizeof(f->bios), "%s/bios.bin", f->dir);
    snprintf(f->kernel, sizeof(f->kernel), "%s/kernel", f->dir);
    snprintf(f->initrd, sizeof(f->initrd), "%s/initrd", f->dir);
    vm->cpu.mem = &vm->mem;
    vm->cpu.io = &vm->io;
    vm->cpu.ram = &vm->ram;
    vm->cpu.clock = &vm->clock;
    vm->cpu.log = &vm->log;
    vm->cpu.vm = vm;
    vm->cpu.device_lock = &vm->device_lock;
    pthread_mutex_init(&vm->device_lock, NULL);
    vm->cpu.tsc_hz = 1000000000;
    assert_int_equal(vcpu_init(&vm->cpu, "host", &vm->err), 0);
    for (unsigned i = 0; i < 24; i++)
        vm->gsi[i] = (struct weir_line){0};
    vm->pci = bench_add(vm, &i440fx_class, NULL);
    bench_add(vm, &piix3_class, NULL);
    bench_add(vm, &rtc_146818_class, NULL);
    vm->fw_cfg = bench_add(vm, &fw_cfg_class, NULL);
    vm->vga = bench_add(vm, &vga_class, NULL);
    bench_add(vm, &piix3_ide_class, NULL);
    vm->mem.code_written = code_written;
    vm->mem.changed_ctx = f;
    vm->config.firmware_dir = f->dir;
    vm->config.bios = "bios.bin";
    uint8_t *image = malloc(BIOS_BYTES);
    for (unsigned i = 0; i < BIOS_BYTES; i++)
        image[i] = (uint8_t)(i >> 12 ^ i);
    write_file(f->bios, image, BIOS_BYTES);
    free(image);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->bios);
    unlink(f->kernel);
    unlink(f->initrd);
    rmdir(f->dir);
    firmware_free(f->vm);
    vcpu_fini(&f->vm->cpu);
    bench_free(f->vm);
    free(f);
    return 0;
}

static uint8_t bios_byte(unsigned at)
{
    return (uint8_t)(at >> 12 ^ at);
}

static void load(struct fixture *f)
{
    if (firmware_load(f->vm) < 0)
        fail_msg("%s", f->vm->err.text);
    i440fx_connect(f->vm->pci, pam_set, f->vm);
}

static void test_missing(void **state)
{
    struct fixture *f = *state;
    f->vm->config.bios = NULL;
    assert_int_equal(firmware_load(f->vm), -WEIR_ENOENT);
    assert_non_null(strstr(f->vm->err.text, "bios-256k.bin"));
    assert_non_null(strstr(f->vm->err.text, "package seabios"));
    firmware_free(f->vm);
    f->vm->config.bios = "bios.bin";
    write_file(f->bios, "short", 5);
    assert_int_equal(firmware_load(f->vm), -WEIR_EFORMAT);
    assert_non_null(strstr(f->vm->err.text, "bios.bin"));
}

static void test_rom(void **state)
{
    struct fixture *f = *state;
    load(f);
    for (unsigned at = 0; at < BIOS_BYTES; at += 997)
        assert_int_equal(peek(f->vm, 0x100000000ull - BIOS_BYTES + at, 1), bios_byte(at));
    for (unsigned at = 0; at < 0x20000; at += 97)
        assert_int_equal(peek(f->vm, 0xe0000 + at, 1), bios_byte(BIOS_BYTES - 0x20000 + at));
    poke(f->vm, 0xfffffff0, 0x12345678, 4);
    assert_int_equal(peek(f->vm, 0xfffffff0, 1), bios_byte(BIOS_BYTES - 16));
}

static void pam(struct fixture *f, unsigned segment, unsigned bits)
{
    unsigned offset = PAM0 + (segment + 1) / 2, shift = segment == 0 || !(segment & 1) ? 4 : 0;
    uint32_t old = pci_config_read(f->vm->pci, 0, offset, 1);
    pci_config_write(f->vm->pci, 0, offset, (old & ~(3u << shift)) | bits << shift, 1);
}

static void test_pam(void **state)
{
    struct fixture *f = *state;
    struct weir *vm = f->vm;
    load(f);
    for (unsigned segment = 0; segment < PAM_SEGMENT_COUNT; segment++) {
        uint64_t gpa = pam_segment_start(segment) + 0x123;
        bool has_rom = gpa >= 0xe0000;
        uint8_t rom = has_rom ? bios_byte(BIOS_BYTES - 0x100000 + (unsigned)gpa) : 0xff;
        uint8_t *ram = vm->ram.base + gpa;
        *ram = 0x5a;
        poke(vm, gpa, 1, 1); /* neither readable nor writable */
        assert_int_equal(peek(vm, gpa, 1), rom);
        assert_int_equal(*ram, 0x5a);
        pam(f, segment, 2); /* write-only: shadowing */
        poke(vm, gpa, 0x77, 1);
        assert_int_equal(peek(vm, gpa, 1), rom);
        assert_int_equal(*ram, 0x77);
        vm->ram.tags[gpa >> 12] = RAM_CODE;
        unsigned before = f->code_writes;
        poke(vm, gpa, 0x78, 1);
        assert_int_equal(f->code_writes, before + 1);
        vm->ram.tags[gpa >> 12] = 0;
        pam(f, segment, 1); /* read-only RAM */
        poke(vm, gpa, 2, 1);
        assert_int_equal(peek(vm, gpa, 1), 0x78);
        pam(f, segment, 3);
        poke(vm, gpa, 3, 1);
        assert_int_equal(peek(vm, gpa, 1), 3);
        pam(f, segment, 0);
        assert_int_equal(peek(vm, gpa, 1), rom);
    }
}

static void test_tables(void **state)
{
    struct fixture *f = *state;
    struct weir *vm = f->vm;
    weir_dev *rtc = weir_dev_find(vm, "mc146818", NULL);
    load(f);
    vm->config.boot_order = "dca";
    assert_int_equal(firmware_tables(vm), 0);
    assert_int_equal(rtc_cmos_get(rtc, 0x15) | rtc_cmos_get(rtc, 0x16) << 8, 640);
    assert_int_equal(rtc_cmos_get(rtc, 0x34) | rtc_cmos_get(rtc, 0x35) << 8, 16 * 16);
    assert_int_equal(rtc_cmos_get(rtc, 0x30) | rtc_cmos_get(rtc, 0x31) << 8, 31 * 1024);
    assert_int_equal(rtc_cmos_get(rtc, 0x3d), 0x23);
    assert_int_equal(rtc_cmos_get(rtc, 0x38), 0x10);
    assert_int_equal(rtc_cmos_get(rtc, 0x14) & 1, 0);
    out(vm, 0x510, FW_CFG_RAM_BYTES, 2);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < 8; i++)
        bytes |= in(vm, 0x511, 1) << (8 * i);
    assert_int_equal(bytes, RAM_BYTES);
    static const char *const files[] = {
        "etc/e820",         "etc/acpi/tables",          "etc/acpi/rsdp",
        "etc/table-loader", "etc/smbios/smbios-tables", "etc/smbios/smbios-anchor"};
    for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
        uint32_t length = 0;
        assert_non_null(fw_cfg_file(vm->fw_cfg, files[i], &length));
        assert_true(length > 0);
    }
    uint32_t length;
    fw_cfg_file(vm->fw_cfg, "etc/table-loader", &length);
    assert_int_equal(length % 128, 0);
    vm->config.boot_order = "cx";
    assert_int_equal(firmware_tables(vm), -WEIR_EINVAL);
}

/* The commands of etc/table-loader, carried out as firmware does it. */
struct placed {
    const char *name;
    uint64_t gpa;
    uint8_t *data;
};

static struct placed *find_placed(struct placed files[2], const uint8_t *name)
{
    for (unsigned i = 0; i < 2; i++)
        if (files[i].data && !strcmp(files[i].name, (const char *)name))
            return &files[i];
    fail_msg("file %s is used before it is allocated", name);
    return NULL;
}

static void run_command(struct placed files[2], const uint8_t *c)
{
    struct placed *file = find_placed(files, c + 4);
    if (load_le(c, 4) == 2) {
        uint8_t *field = file->data + load_le(c + 116, 4);
        uint64_t gpa = find_placed(files, c + 60)->gpa;
        store_le(field, load_le(field, c[120]) + gpa, c[120]);
        return;
    }
    assert_int_equal(load_le(c, 4), 3);
    uint8_t sum = 0, *start = file->data + load_le(c + 64, 4);
    for (uint32_t i = 0; i < load_le(c + 68, 4); i++)
        sum += start[i];
    file->data[load_le(c + 60, 4)] -= sum;
}

static void test_table_loader(void **state)
{
    struct fixture *f = *state;
    struct weir *vm = f->vm;
    uint32_t length, bytes;
    struct placed files[2] = {{"etc/acpi/rsdp", 0xf6000, NULL},
                              {"etc/acpi/tables", 0x10000, NULL}};
    load(f);
    assert_int_equal(firmware_tables(vm), 0);
    const uint8_t *loader = fw_cfg_file(vm->fw_cfg, "etc/table-loader", &length);
    for (uint32_t at = 0; at < length; at += 128) {
        const uint8_t *c = loader + at;
        if (load_le(c, 4) != 1) {
            run_command(files, c);
            continue;
        }
        struct placed *file = &files[!strcmp((const char *)c + 4, files[1].name)];
        assert_string_equal((const char *)c + 4, file->name);
        assert_int_equal(file->gpa % load_le(c + 60, 4), 0);
        file->data = vm->ram.base + file->gpa;
        const uint8_t *content = fw_cfg_file(vm->fw_cfg, file->name, &bytes);
        memcpy(file->data, content, bytes);
    }
    const uint8_t *ram = vm->ram.base, *rsdp = ram + 0xf6000;
    uint64_t xsdt = load_le(rsdp + 24, 8);
    assert_memory_equal(ram + xsdt, "XSDT", 4);
    for (uint64_t at = xsdt + 36; at < xsdt + load_le(ram + xsdt + 4, 4); at += 8) {
        const uint8_t *table = ram + load_le(ram + at, 8);
        uint8_t sum = 0;
        for (uint32_t i = 0; i < load_le(table + 4, 4); i++)
            sum += table[i];
        assert_int_equal(sum, 0);
    }
}

static void test_pci_assign(void **state)
{
    struct fixture *f = *state;
    struct weir *vm = f->vm;
    pci_assign_resources(vm);
    uint64_t starts[64], ends[64];
    unsigned count = 0;
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        const struct pci_function *p = pci_find(vm->pci, devfn);
        for (unsigned n = 0; p && n < 6; n++) {
            if (!p->bar[n].bytes)
                continue;
            uint64_t start = pci_config_read(vm->pci, devfn, 0x10 + n * 4, 4) & ~15ull;
            uint64_t end = start + p->bar[n].bytes;
            assert_int_equal(start % p->bar[n].bytes, 0);
            if (p->bar[n].is_io)
                assert_true(start >= 0xc000 && end <= 0x10000);
            else
                assert_true(start >= 0xe0000000 && end <= 0xfec00000);
            for (unsigned i = 0; i < count; i++)
                assert_true(start >= ends[i] || end <= starts[i]);
            starts[count] = start;
            ends[count++] = end;
        }
    }
    assert_true(count >= 3); /* VGA: two, IDE: bus master */
    poke(vm, starts[0], 0xa5, 1);
    for (unsigned n = 0; n < 4; n++)
        assert_int_equal(pci_config_read(vm->pci, 8, 0x60 + n, 1), n < 2 ? 10 : 11);
}

/* ---- kernels ---- */

static void make_bzimage(struct fixture *f)
{
    uint8_t *image = calloc(1, 5 * 512 + 0x4000);
    image[0x1f1] = 4;
    image[0x201] = 0x66;
    memcpy(image + 0x202, "HdrS", 4);
    store_le(image + 0x206, 0x20f, 2);
    image[0x211] = 1;
    store_le(image + 0x214, 0x100000, 4);
    store_le(image + 0x22c, 0x7fffffff, 4);
    store_le(image + 0x238, 2047, 4);
    store_le(image + 0x258, MIB, 8);
    store_le(image + 0x260, 4 * MIB, 4);
    for (unsigned i = 0; i < 0x4000; i++)
        image[5 * 512 + i] = (uint8_t)(i * 3);
    write_file(f->kernel, image, 5 * 512 + 0x4000);
    free(image);
    write_file(f->initrd, "initial ramdisk", 15);
}

static void check_tables(struct weir *vm)
{
    uint8_t sum = 0;
    uint8_t *rsdp = bus_host_pointer(&vm->mem, 0xf5000, 36);
    assert_memory_equal(rsdp, "RSD PTR ", 8);
    for (unsigned i = 0; i < 36; i++)
        sum += rsdp[i];
    assert_int_equal(sum, 0);
    uint8_t *xsdt = bus_host_pointer(&vm->mem, load_le(rsdp + 24, 8), 36);
    assert_memory_equal(xsdt, "XSDT", 4);
    assert_int_equal(load_le(rsdp + 24, 8) / 0x20000, (RAM_BYTES - 0x20000) / 0x20000);
    assert_memory_equal(bus_host_pointer(&vm->mem, 0xf5100, 31), "_SM_", 4);
    poke(vm, 0xf5000, 0, 1);
    assert_int_equal(peek(vm, 0xf5000, 1), 'R'); /* read-only */
}

static void test_linux(void **state)
{
    struct fixture *f = *state;
    struct weir *vm = f->vm;
    make_bzimage(f);
    vm->boot.kernel = f->kernel;
    vm->boot.initrd = f->initrd;
    vm->boot.cmdline = "console=ttyS0 quiet";
    load(f);
    assert_int_equal(firmware_tables(vm), 0);
    if (boot_kernel(vm) < 0)
        fail_msg("%s", vm->err.text);
    for (unsigned round = 0; round < 2; round++) { /* a reset finds destroyed memory */
        memset(vm->ram.base, 0xcc, RAM_BYTES);
        devices_reset(vm);
        vcpu_reset(&vm->cpu, false);
        assert_int_equal(boot_reset(vm), 0);
        const struct vcpu *c = &vm->cpu;
        assert_int_equal(c->rip, MIB);
        assert_int_equal(c->mode & MODE_CODE_MASK, MODE_CODE32);
        assert_int_equal(c->cr0 & (CR0_PE | CR0_PG), CR0_PE);
        assert_int_equal(c->seg[SEG_CS].selector, 0x10);
        assert_int_equal(c->seg[SEG_DS].selector, 0x18);
        assert_int_equal(peek(vm, MIB + 5, 1), 15);
        const uint8_t *zero_page = vm->ram.base + c->gpr[6];
        assert_memory_equal(zero_page + 0x202, "HdrS", 4);
        assert_int_equal(zero_page[0x210], 0xff);
        uint32_t cmdline = (uint32_t)load_le(zero_page + 0x228, 4);
        assert_string_equal((char *)vm->ram.base + cmdline, "console=ttyS0 quiet");
        uint32_t initrd = (uint32_t)load_le(zero_page + 0x218, 4);
        assert_int_equal(load_le(zero_page + 0x21c, 4), 15);
        assert_memory_equal(vm->ram.base + initrd, "initial ramdisk", 15);
        assert_int_equal(zero_page[0x1e8], 6);
        struct e820_entry map[6];
        memcpy(map, zero_page + 0x2d0, sizeof(map));
        assert_int_equal(map[3].type, E820_RAM);
        assert_int_equal(map[3].start + map[3].length, RAM_BYTES - BOOT_TABLES_BYTES);
        assert_int_equal(load_le(zero_page + 0x70, 8), 0xf5000);
        check_tables(vm);
        assert_int_equal(peek(vm, 0xb8000, 2), 0x0720); /* text mode */
    }
}

static void make_multiboot(struct fixture *f)
{
    uint8_t image[0x400] = {0};
    static const uint32_t header[] = {0x1badb002, 0x10003,  -(0x1badb002 + 0x10003),
                                      0x100000,   0x100000, 0,
                                      0x103000,   0x100020};
    memcpy(image, header, sizeof(header));
    write_file(f->kernel, image, sizeof(image));
    write_file(f->initrd, "a module", 8);
}

static void test_multiboot(void **state)
{
    struct fixture *f = *state;
    struct weir *vm = f->vm;
    char modules[160], text[96];
    make_multiboot(f);
    snprintf(text, sizeof(text), "%s first=1", f->initrd);
    snprintf(modules, sizeof(modules), "%s,%s", text, f->initrd);
    vm->boot.kernel = f->kernel;
    vm->boot.initrd = modules;
    vm->boot.cmdline = "debug";
    load(f);
    if (boot_kernel(vm) < 0)
        fail_msg("%s", vm->err.text);
    memset(vm->ram.base, 0xcc, RAM_BYTES);
    vcpu_reset(&vm->cpu, false);
    assert_int_equal(boot_reset(vm), 0);
    assert_int_equal(vm->cpu.gpr[0], 0x2badb002);
    assert_int_equal(vm->cpu.rip, 0x100020);
    assert_int_equal(peek(vm, 0x102fff, 1), 0); /* bss */
    assert_int_equal(peek(vm, 0x103800, 1), 0xcc);
    const uint8_t *ram = vm->ram.base, *info = ram + vm->cpu.gpr[3];
    assert_int_equal(load_le(info, 4) & 0x4d, 0x4d);
    char want[128];
    snprintf(want, sizeof(want), "%s debug", f->kernel);
    assert_string_equal((char *)ram + load_le(info + 16, 4), want);
    assert_int_equal(load_le(info + 20, 4), 2);
    const uint8_t *module = ram + load_le(info + 24, 4);
    assert_int_equal(load_le(module, 4), 0x103000);
    assert_int_equal(load_le(module + 4, 4), 0x103008);
    assert_memory_equal(ram + 0x103000, "a module", 8);
    assert_string_equal((char *)ram + load_le(module + 8, 4), text);
    assert_int_equal(load_le(module + 16, 4), 0x104000);
    const uint8_t *map = ram + load_le(info + 48, 4);
    assert_int_equal(load_le(map, 4), 20);
    assert_int_equal(load_le(info + 44, 4) % 24, 0);
}

static void test_refusals(void **state)
{
    struct fixture *f = *state;
    struct weir *vm = f->vm;
    load(f);
    vm->boot.kernel = f->kernel;
    assert_int_equal(boot_kernel(vm), -WEIR_ENOENT);
    assert_non_null(strstr(vm->err.text, f->kernel));
    kernel_free(vm->firmware->kernel);
    write_file(f->kernel, "#!/bin/sh\n", 10);
    assert_int_equal(boot_kernel(vm), -WEIR_EFORMAT);
    assert_non_null(strstr(vm->err.text, f->kernel));
    kernel_free(vm->firmware->kernel);
    make_bzimage(f);
    vm->boot.initrd = "/nonexistent/initrd";
    assert_int_equal(boot_kernel(vm), -WEIR_ENOENT);
    assert_non_null(strstr(vm->err.text, "/nonexistent/initrd"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rom, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pam, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(test_table_loader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pci_assign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_linux, setup, teardown),
        cmocka_unit_test_setup_teardown(test_multiboot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
