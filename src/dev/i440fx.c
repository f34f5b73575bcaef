/* SPDX-License-Identifier: MIT */
/*
 * i440fx.c - the 82441FX host bridge: configuration mechanism #1 at CF8h/CFCh, the programmable
 * attribute map (PAM, 59h-5Fh) and the SMRAM register (72h), and bus 0 itself.
 *
 * CF8h answers only to 32-bit accesses; a byte access to CF9h in the middle of it is the reset
 * control register, which on the board belongs to the PIIX3 but shares the decoder.
 * Intel 290549, sections 3.1 and 3.2.
 */
#include "dev/pci_bus.h"
#include "dev/machine_hooks.h"
#include "base/bits.h"

enum { REG_PAM0 = 0x59, REG_PAM6 = 0x5f, REG_SMRAM = 0x72 };
enum { SMRAM_CLOSED = 0x20, SMRAM_LOCK = 0x10, SMRAM_OPEN = 0x40, SMRAM_BASE = 0x02 };
#define CONFIG_ENABLE 0x80000000u
#define RESET_CPU     0x04u

struct i440fx {
    struct pci_bus bus; /* first: see i440fx_bus */
    struct pci_function function;
    uint32_t config_address;
    uint8_t reset_control, smram_locked;
    /* wiring */
    weir_dev *dev;
    pam_fn *pam;
    void *pam_ctx;
    uint8_t pam_seen[PAM_SEGMENTS]; /* what the board was told last */
};

struct pci_bus *i440fx_bus(weir_dev *host)
{
    return &((struct i440fx *)weir_dev_state(host))->bus;
}

/* ---- PAM ---- */

static unsigned pam_attributes(const struct i440fx *s, unsigned segment)
{
    unsigned nibble = segment + 1; /* segment 0 is the upper half of 59h */
    return s->function.config[REG_PAM0 + nibble / 2] >> (nibble % 2 * 4) & 3;
}

static void pam_update(struct i440fx *s, bool all)
{
    for (unsigned n = 0; n < PAM_SEGMENTS; n++) {
        uint8_t now = (uint8_t)pam_attributes(s, n);
        if (s->pam && (all || now != s->pam_seen[n]))
            s->pam(s->pam_ctx, n, now & 1, now & 2);
        s->pam_seen[n] = now;
    }
}

void i440fx_connect(weir_dev *host, pam_fn *pam, void *ctx)
{
    struct i440fx *s = weir_dev_state(host);
    s->pam = pam;
    s->pam_ctx = ctx;
    pam_update(s, true);
}

/* D_LCK makes the register read-only but for G_SMRAME... of which nothing is left to write:
 * C_BASE_SEG is fixed and D_OPEN reads as zero. Only reset unlocks. */
static void smram_written(struct i440fx *s)
{
    uint8_t *reg = &s->function.config[REG_SMRAM];
    if (s->smram_locked)
        *reg &= (uint8_t)~SMRAM_OPEN;
    *reg = (uint8_t)((*reg & 0x78) | SMRAM_BASE);
    if (*reg & SMRAM_LOCK) {
        *reg &= (uint8_t)~SMRAM_OPEN;
        s->smram_locked = 1;
        s->function.writable[REG_SMRAM] = 0;
    }
}

static void config_written(void *state, unsigned offset, unsigned size)
{
    struct i440fx *s = state;
    if (offset <= REG_PAM6 && offset + size > REG_PAM0)
        pam_update(s, false);
    if (offset <= REG_SMRAM && offset + size > REG_SMRAM)
        smram_written(s);
}

/* ---- configuration mechanism #1 ---- */

struct pci_function *pci_find(weir_dev *host, unsigned devfn)
{
    return devfn < 256 ? i440fx_bus(host)->function[devfn] : NULL;
}

static bool config_access_ok(unsigned offset, unsigned size)
{
    return (size == 1 || size == 2 || size == 4) && offset <= 256 - size;
}

uint32_t pci_config_read(weir_dev *host, unsigned devfn, unsigned offset, unsigned size)
{
    struct pci_function *f = pci_find(host, devfn);
    if (!f || !config_access_ok(offset, size))
        return UINT32_MAX;
    return pci_function_read(f, offset, size);
}

void pci_config_write(weir_dev *host, unsigned devfn, unsigned offset, uint32_t value,
                      unsigned size)
{
    struct pci_function *f = pci_find(host, devfn);
    if (f && config_access_ok(offset, size))
        pci_function_write(f, offset, value, size);
}

/* The function that CF8h names; only bus 0 has any. */
static struct pci_function *addressed(const struct i440fx *s)
{
    if (!(s->config_address & CONFIG_ENABLE) || (s->config_address & 0xff0000))
        return NULL;
    return s->bus.function[s->config_address >> 8 & 0xff];
}

static uint64_t data_read(void *state, uint64_t offset, unsigned size)
{
    struct i440fx *s = state;
    struct pci_function *f = addressed(s);
    if (!f)
        return UINT32_MAX;
    return pci_function_read(f, (s->config_address & 0xfc) + (unsigned)offset, size);
}

static void data_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct i440fx *s = state;
    struct pci_function *f = addressed(s);
    if (f)
        pci_function_write(f, (s->config_address & 0xfc) + (unsigned)offset, (uint32_t)value,
                           size);
}

static uint64_t address_read(void *state, uint64_t offset, unsigned size)
{
    const struct i440fx *s = state;
    if (size == 4)
        return s->config_address;
    return offset == 1 && size == 1 ? s->reset_control : UINT32_MAX;
}

static void address_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct i440fx *s = state;
    if (size == 4)
        s->config_address = (uint32_t)value & 0x80fffffc;
    if (offset != 1 || size != 1)
        return;
    bool rising = !(s->reset_control & RESET_CPU) && (value & RESET_CPU);
    s->reset_control = value & 0x06;
    if (rising)
        machine_reset_request(weir_dev_vm(s->dev));
}

static const struct weir_io_ops address_ops = {
    .read = address_read, .write = address_write, .max_bytes = 4};
static const struct weir_io_ops data_ops = {
    .read = data_read, .write = data_write, .max_bytes = 4};

/* ---- life ---- */

static int i440fx_init(weir_dev *dev, void *state)
{
    struct i440fx *s = state;
    static const struct pci_ids ids = {.vendor = 0x8086,
                                       .device = 0x1237,
                                       .subsystem_vendor = 0x1af4,
                                       .subsystem = 0x1100,
                                       .class_code = 0x060000,
                                       .revision = 2};
    s->dev = dev;
    s->function.bus = &s->bus;
    s->function.config_written = config_written;
    if (!weir_map_ports(dev, 0xcf8, 4, &address_ops, 0, "pci-config-address") ||
        !weir_map_ports(dev, 0xcfc, 4, &data_ops, 0, "pci-config-data"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return pci_register(dev, s, &s->function, &ids, 0);
}

static void i440fx_reset(void *state)
{
    struct i440fx *s = state;
    struct pci_function *f = &s->function;
    pci_reset(f);
    memset(f->config + 0x40, 0, sizeof(f->config) - 0x40);
    memset(f->writable + 0x40, 0xff, sizeof(f->writable) - 0x40);
    store_le(&f->config[4], 0x0006, 2); /* memory and bus mastering are hard-wired on */
    store_le(&f->writable[4], 0x0100, 2);
    f->config[7] = 0x02; /* medium DEVSEL# timing */
    f->config[REG_SMRAM] = SMRAM_BASE;
    s->smram_locked = 0;
    s->config_address = 0;
    s->reset_control = 0;
    pam_update(s, false);
}

static int i440fx_loaded(void *state)
{
    struct i440fx *s = state;
    s->config_address &= 0x80fffffc;
    s->function.writable[REG_SMRAM] = s->smram_locked ? 0 : 0xff;
    pam_update(s, true);
    return 0;
}

static void i440fx_fini(void *state)
{
    pci_unregister(&((struct i440fx *)state)->function);
}

static void i440fx_info(void *state, struct weir_text *out)
{
    struct i440fx *s = state;
    weir_textf(out, "config address %08x\n", s->config_address);
    for (unsigned n = 0; n < PAM_SEGMENTS; n++) {
        unsigned start = (unsigned)pam_segment_start(n), bits = pam_attributes(s, n);
        weir_textf(out, "PAM %05x-%05x read %s write %s\n", start,
                   start + pam_segment_bytes(n) - 1, bits & 1 ? "RAM" : "PCI",
                   bits & 2 ? "RAM" : "PCI");
    }
}

static const struct weir_field bus_fields[] = {
    WEIR_FIELD_ARRAY(struct pci_bus, pirq_count),
    WEIR_FIELD_END,
};
static const struct weir_field i440fx_fields[] = {
    WEIR_FIELD_STRUCT1(struct i440fx, bus, bus_fields),
    WEIR_FIELD_STRUCT1(struct i440fx, function, pci_function_fields),
    WEIR_FIELD(struct i440fx, config_address),
    WEIR_FIELD(struct i440fx, reset_control),
    WEIR_FIELD(struct i440fx, smram_locked),
    WEIR_FIELD_END,
};

void pci_set_msi_handler(weir_dev *host, msi_fn *msi, void *ctx)
{
    struct pci_bus *bus = i440fx_bus(host);
    bus->msi = msi;
    bus->msi_ctx = ctx;
}

const struct weir_dev_class i440fx_class = {
    .name = "i440FX",
    .help = "82441FX host bridge and PCI bus",
    .bus = "system",
    .state_bytes = sizeof(struct i440fx),
    .version = 1,
    .init = i440fx_init,
    .reset = i440fx_reset,
    .fini = i440fx_fini,
    .loaded = i440fx_loaded,
    .info = i440fx_info,
    .fields = i440fx_fields,
};
