/* SPDX-License-Identifier: MIT */
/*
 * smbios.c - DMTF DSP0134 version 2.8: types 0, 1, 3, 4, 16, 17, 19, 32, 127. A structure is
 * its fixed part, then its strings (referred to by number from 1), then an empty string.
 */
#include "board/smbios.h"
#include "dev/fw_cfg.h"

#define OTHER           1
#define UNKNOWN         2
#define NO_ERROR_HANDLE 0xfffe
#define ARRAY_HANDLE    0x1000

/* One structure in the making. */
struct writer {
    struct smbios *s;
    uint16_t start;
    uint8_t strings;
    char text[256];
    uint16_t text_bytes;
};

static void put(struct writer *w, uint64_t value, unsigned bytes)
{
    store_le(w->s->table + w->s->length, value, bytes);
    w->s->length += (uint16_t)bytes;
}

static void put_string(struct writer *w, const char *text)
{
    size_t bytes = strlen(text) + 1;
    if (bytes == 1 || w->text_bytes + bytes > sizeof(w->text)) {
        put(w, 0, 1);
        return;
    }
    memcpy(w->text + w->text_bytes, text, bytes);
    w->text_bytes += (uint16_t)bytes;
    put(w, ++w->strings, 1);
}

static struct writer begin(struct smbios *s, uint8_t type, uint16_t handle)
{
    struct writer w = {.s = s, .start = s->length};
    put(&w, type, 1);
    put(&w, 0, 1);
    put(&w, handle, 2);
    return w;
}

static void end(struct writer *w)
{
    struct smbios *s = w->s;
    s->table[w->start + 1] = (uint8_t)(s->length - w->start);
    memcpy(s->table + s->length, w->text, w->text_bytes);
    s->length += w->text_bytes;
    put(w, 0, w->text_bytes ? 1 : 2);
    uint16_t bytes = (uint16_t)(s->length - w->start);
    if (bytes > s->largest)
        s->largest = bytes;
    s->count++;
}

static void bios_information(struct smbios *s)
{
    struct writer w = begin(s, 0, 0);
    put_string(&w, "Weir");
    put_string(&w, WEIR_VERSION_STRING);
    put(&w, 0xe800, 2);
    put_string(&w, "01/01/2026");
    put(&w, 0, 1);
    put(&w, BIT(3), 8); /* characteristics not given */
    put(&w, 0x1400, 2); /* a virtual machine; targeted content distribution */
    put(&w, WEIR_VERSION_MAJOR, 1);
    put(&w, WEIR_VERSION_MINOR, 1);
    put(&w, 0xffff, 2);
    end(&w);
}

/* The first three fields of a UUID are little-endian here (DSP0134 7.2.1). */
static void put_uuid(struct writer *w, const uint8_t uuid[16])
{
    static const uint8_t order[16] = {3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15};
    for (unsigned i = 0; i < 16; i++)
        put(w, uuid[order[i]], 1);
}

static void system_information(struct smbios *s, const struct smbios_machine *m)
{
    struct writer w = begin(s, 1, 0x100);
    put_string(&w, "Weir");
    put_string(&w, "PC (i440FX + PIIX3)");
    put_string(&w, WEIR_VERSION_STRING);
    put_string(&w, "");
    put_uuid(&w, m->uuid);
    put(&w, 6, 1); /* woken by the power switch */
    put_string(&w, "");
    put_string(&w, "");
    end(&w);
}

static void chassis(struct smbios *s)
{
    struct writer w = begin(s, 3, 0x300);
    put_string(&w, "Weir");
    put(&w, OTHER, 1);
    put_string(&w, WEIR_VERSION_STRING);
    put_string(&w, "");
    put_string(&w, "");
    put(&w, 0x030303, 3); /* boot-up, power supply, thermal: safe */
    put(&w, UNKNOWN, 1);
    put(&w, 0, 4);
    put(&w, 0, 4);
    put_string(&w, "");
    end(&w);
}

static void processor(struct smbios *s, const struct smbios_machine *m)
{
    struct writer w = begin(s, 4, 0x400);
    put_string(&w, "CPU 0");
    put(&w, 3, 1); /* central processor */
    put(&w, OTHER, 1);
    put_string(&w, m->cpu_vendor);
    put(&w, m->cpuid_eax, 4);
    put(&w, m->cpuid_edx, 4);
    put_string(&w, m->cpu_brand);
    put(&w, 0, 1);
    put(&w, 0, 2);
    put(&w, 2000, 2);
    put(&w, 2000, 2);
    put(&w, 0x41, 1); /* populated, enabled */
    put(&w, OTHER, 1);
    put(&w, 0xffffffffffffull, 6); /* no cache structures */
    put_string(&w, "");
    put_string(&w, "");
    put_string(&w, "");
    put(&w, 0x010101, 3);
    put(&w, UNKNOWN, 2);
    put(&w, OTHER, 2);
    end(&w);
}

static void memory_array(struct smbios *s, const struct smbios_machine *m)
{
    uint64_t kib = m->ram_bytes >> 10;
    struct writer w = begin(s, 16, ARRAY_HANDLE);
    put(&w, OTHER, 1);
    put(&w, 3, 1); /* system memory */
    put(&w, 6, 1); /* multi-bit ECC */
    put(&w, kib < 0x80000000u ? kib : 0x80000000u, 4);
    put(&w, NO_ERROR_HANDLE, 2);
    put(&w, 1, 2);
    put(&w, kib < 0x80000000u ? 0 : m->ram_bytes, 8);
    end(&w);
}

static void memory_device(struct smbios *s, const struct smbios_machine *m)
{
    uint64_t mib = m->ram_bytes >> 20;
    struct writer w = begin(s, 17, 0x1100);
    put(&w, ARRAY_HANDLE, 2);
    put(&w, NO_ERROR_HANDLE, 2);
    put(&w, 0xffffffff, 4); /* widths unknown */
    put(&w, mib < 0x7fff ? mib : 0x7fff, 2);
    put(&w, 9, 1); /* DIMM */
    put(&w, 0, 1);
    put_string(&w, "DIMM 0");
    put_string(&w, "");
    put(&w, 7, 1); /* RAM */
    put(&w, BIT(1), 2);
    put(&w, 0, 2);
    put_string(&w, "Weir");
    put_string(&w, "");
    put_string(&w, "");
    put_string(&w, "");
    put(&w, 0, 1);
    put(&w, mib < 0x7fff ? 0 : mib, 4);
    put(&w, 0, 2);
    put(&w, 0, 6);
    end(&w);
}

static void mapped_range(struct smbios *s, uint16_t handle, uint64_t start, uint64_t bytes)
{
    uint64_t last = start + bytes - 1;
    bool extended = last >> 10 >= 0xffffffffu;
    struct writer w = begin(s, 19, handle);
    put(&w, extended ? 0xffffffff : start >> 10, 4);
    put(&w, extended ? 0xffffffff : last >> 10, 4);
    put(&w, ARRAY_HANDLE, 2);
    put(&w, 1, 1);
    put(&w, extended ? start : 0, 8);
    put(&w, extended ? last : 0, 8);
    end(&w);
}

static void boot_status(struct smbios *s)
{
    struct writer w = begin(s, 32, 0x2000);
    put(&w, 0, 6);
    put(&w, 0, 1);
    end(&w);
}

static void build_anchor(struct smbios *s)
{
    memcpy(s->anchor, "_SM_", 4);
    s->anchor[5] = SMBIOS_ANCHOR_BYTES;
    s->anchor[6] = 2;
    s->anchor[7] = 8;
    store_le(s->anchor + 8, s->largest, 2);
    memcpy(s->anchor + 16, "_DMI_", 5);
    store_le(s->anchor + 22, s->length, 2);
    store_le(s->anchor + 28, s->count, 2);
    s->anchor[30] = 0x28;
}

void smbios_build(const struct smbios_machine *m, struct smbios *s)
{
    memset(s, 0, sizeof(*s));
    bios_information(s);
    system_information(s, m);
    chassis(s);
    processor(s, m);
    memory_array(s, m);
    memory_device(s, m);
    mapped_range(s, 0x1300, 0, m->ram_below_4g);
    if (m->ram_bytes > m->ram_below_4g)
        mapped_range(s, 0x1301, 0x100000000ull, m->ram_bytes - m->ram_below_4g);
    boot_status(s);
    struct writer last = begin(s, 127, 0x7f00);
    end(&last);
    build_anchor(s);
}

static uint8_t sum(const uint8_t *p, unsigned length)
{
    uint8_t total = 0;
    while (length--)
        total += *p++;
    return total;
}

void smbios_locate(struct smbios *s, uint32_t table_gpa)
{
    store_le(s->anchor + 24, table_gpa, 4);
    s->anchor[4] = s->anchor[21] = 0;
    s->anchor[21] = (uint8_t)-sum(s->anchor + 16, 15);
    s->anchor[4] = (uint8_t)-sum(s->anchor, SMBIOS_ANCHOR_BYTES);
}

static void describe_cpu(struct vcpu *c, struct smbios_machine *m)
{
    uint32_t r[4];
    cpuid_query(c, 0, 0, r);
    memcpy(m->cpu_vendor, (uint32_t[]){r[1], r[3], r[2]}, 12);
    cpuid_query(c, 1, 0, r);
    m->cpuid_eax = r[0];
    m->cpuid_edx = r[3];
    cpuid_query(c, 0x80000000, 0, r);
    for (unsigned i = 0; i < 3 && r[0] >= 0x80000004; i++) {
        uint32_t part[4];
        cpuid_query(c, 0x80000002 + i, 0, part);
        memcpy(m->cpu_brand + 16 * i, part, 16);
    }
}

static void describe(struct weir *vm, struct smbios *out)
{
    struct smbios_machine m = {.ram_bytes = vm->ram.bytes, .ram_below_4g = vm->ram.below_4g};
    memcpy(m.uuid, vm->config.uuid, sizeof(m.uuid));
    describe_cpu(&vm->cpu, &m);
    smbios_build(&m, out);
}

int smbios_add_files(struct weir *vm)
{
    struct smbios s;
    describe(vm, &s);
    int rc = fw_cfg_add_file(vm->fw_cfg, "etc/smbios/smbios-tables", s.table, s.length);
    if (rc < 0)
        return rc;
    return fw_cfg_add_file(vm->fw_cfg, "etc/smbios/smbios-anchor", s.anchor, sizeof(s.anchor));
}

int smbios_install(struct weir *vm, uint64_t gpa)
{
    struct smbios s;
    describe(vm, &s);
    uint64_t table = (gpa + SMBIOS_ANCHOR_BYTES + 15) & ~15ull;
    smbios_locate(&s, (uint32_t)table);
    bus_write_block(&vm->mem, gpa, s.anchor, sizeof(s.anchor));
    bus_write_block(&vm->mem, table, s.table, s.length);
    return 0;
}
