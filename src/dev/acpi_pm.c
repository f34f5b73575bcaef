/* SPDX-License-Identifier: MIT */
/*
 * acpi_pm.c - power management of the 82371AB (PIIX4), PCI function 3 of its ISA bridge: ACPI
 * event, control and timer registers, the SMI command port B2h-B3h, and an SMBus controller
 * with nothing on its bus. Intel 290562, ACPI 6.4 section 4.8.
 *
 * There is no SMM: a write to B2h does what the handler would (switch ACPI on and off), and
 * firmware is told by APMC_EN that its handler is installed. TMR_STS is brought up to date when
 * looked at; the timer is armed only if it could raise SCI.
 *
 * Invariant: SCI = SCI_EN and any enabled status bit.
 */
#include "base/bits.h"
#include "base/clock.h"
#include "dev/chips.h"
#include "dev/machine_hooks.h"
#include "dev/pci.h"

#define PM_TIMER_HZ 3579545u
#define GPE0_BASE   0xafe0

enum {
    CONFIG_PMBA = 0x40,
    CONFIG_DEVACTB = 0x58,
    CONFIG_PMREGMISC = 0x80,
    CONFIG_SMBBA = 0x90,
    CONFIG_SMBHSTCFG = 0xd2
};
enum { REG_STATUS = 0, REG_ENABLE = 2, REG_CONTROL = 4, REG_TIMER = 8, PM_BYTES = 64 };
enum {
    PM1_TIMER = 1,
    PM1_GLOBAL = 0x20,
    PM1_POWER_BUTTON = 0x100,
    PM1_RTC = 0x400,
    PM1_WAKE = 0x8000,
    PM1_SOURCES = PM1_TIMER | PM1_GLOBAL | PM1_POWER_BUTTON | PM1_RTC
};
enum { CONTROL_SCI_EN = 1, CONTROL_KEPT = 0x1c03, CONTROL_SLP_EN = 0x2000 };
enum { SMI_ACPI_ON = 0xf1, SMI_ACPI_OFF = 0xf0 };
enum {
    SMB_STATUS = 0,
    SMB_CONTROL = 2,
    SMB_DEVICE_ERROR = 4,
    SMB_START = 0x40,
    SMB_BYTES = 16
};

struct acpi_pm {
    struct pci_function function;
    uint16_t status, enable, control;
    uint8_t apm[2];  /* B2h, B3h */
    uint8_t gpe0[4]; /* status (2), enable (2): no event ever */
    uint8_t smb[SMB_BYTES];
    uint8_t sci_level;
    uint64_t seen_half; /* half periods of the 24-bit timer already in TMR_STS */
    struct weir_timer timer;
    weir_dev *dev;
    weir_region *pm_region, *smb_region;
    struct weir_line sci;
};

/* ---- timer and SCI ---- */

static uint64_t pm_ticks(const struct acpi_pm *s)
{
    return muldiv64(weir_clock_ns(s->dev), PM_TIMER_HZ, 1000000000);
}

static void sync(struct acpi_pm *s)
{
    uint64_t half = pm_ticks(s) >> 23; /* TMR_STS: bit 23 changed */
    if (half != s->seen_half)
        s->status |= PM1_TIMER;
    s->seen_half = half;
    uint8_t level = (s->control & CONTROL_SCI_EN) && (s->status & s->enable & PM1_SOURCES);
    if (level != s->sci_level) {
        s->sci_level = level;
        weir_line_set(&s->sci, level);
    }
    if ((s->enable & PM1_TIMER) && !(s->status & PM1_TIMER))
        weir_timer_set(&s->timer, muldiv64((half + 1) << 23, 1000000000, PM_TIMER_HZ) + 1);
    else
        weir_timer_cancel(&s->timer);
}

static void timer_fire(void *state)
{
    sync(state);
}

void acpi_power_button(weir_dev *dev)
{
    struct acpi_pm *s = weir_dev_state(dev);
    s->status |= PM1_POWER_BUTTON;
    sync(s);
}

/* ---- PM I/O ---- */

static uint64_t pm_read(void *state, uint64_t offset, unsigned size)
{
    struct acpi_pm *s = state;
    uint32_t word = 0;
    machine_timers_due(s->dev);
    sync(s);
    switch (offset & ~3ull) {
    case REG_STATUS:
        word = s->status | (uint32_t)s->enable << 16;
        break;
    case REG_CONTROL:
        word = s->control;
        break;
    case REG_TIMER:
        word = (uint32_t)pm_ticks(s) & 0xffffff;
        break;
    default:
        break;
    }
    return word >> 8 * (offset & 3);
}

static void sleep_now(struct acpi_pm *s)
{
    /* SLP_TYP 0 is S5 (the DSDT's \_S5); the other states are not offered. */
    if ((s->control >> 10 & 7) == 0)
        machine_shutdown_request(weir_dev_vm(s->dev));
}

static void put_byte(uint16_t *word, unsigned byte, uint8_t value)
{
    *word = (uint16_t)(byte ? (*word & 0xff) | value << 8 : (*word & 0xff00) | value);
}

static void pm_write_byte(struct acpi_pm *s, unsigned offset, uint8_t value)
{
    unsigned byte = offset & 1;
    switch (offset & ~1u) {
    case REG_STATUS:
        s->status &= (uint16_t) ~(value << 8 * byte);
        break;
    case REG_ENABLE:
        put_byte(&s->enable, byte, value);
        s->enable &= PM1_SOURCES;
        break;
    case REG_CONTROL:
        put_byte(&s->control, byte, value);
        if (s->control & CONTROL_SLP_EN)
            sleep_now(s);
        s->control &= CONTROL_KEPT;
        break;
    default:
        break;
    }
}

static void pm_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct acpi_pm *s = state;
    sync(s);
    for (unsigned i = 0; i < size; i++)
        pm_write_byte(s, (unsigned)offset + i, (uint8_t)(value >> 8 * i));
    sync(s);
}

/* ---- SMI command port, GPE0, SMBus ---- */

static uint64_t apm_read(void *state, uint64_t offset, unsigned size)
{
    return ((struct acpi_pm *)state)->apm[offset & 1];
}

static void apm_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct acpi_pm *s = state;
    s->apm[offset & 1] = (uint8_t)value;
    if (offset == 0 && value == SMI_ACPI_ON)
        s->control |= CONTROL_SCI_EN;
    if (offset == 0 && value == SMI_ACPI_OFF)
        s->control &= (uint16_t)~CONTROL_SCI_EN;
    sync(s);
}

static uint64_t gpe_read(void *state, uint64_t offset, unsigned size)
{
    return ((struct acpi_pm *)state)->gpe0[offset & 3];
}

static void gpe_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset & 2)
        ((struct acpi_pm *)state)->gpe0[offset & 3] = (uint8_t)value;
}

static uint64_t smb_read(void *state, uint64_t offset, unsigned size)
{
    return ((struct acpi_pm *)state)->smb[offset & 15];
}

static void smb_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct acpi_pm *s = state;
    if (offset == SMB_STATUS) {
        s->smb[SMB_STATUS] &= (uint8_t)~value;
        return;
    }
    s->smb[offset & 15] = (uint8_t)value;
    if (offset == SMB_CONTROL && (value & SMB_START)) {
        s->smb[SMB_CONTROL] &= (uint8_t)~SMB_START;
        s->smb[SMB_STATUS] |= SMB_DEVICE_ERROR; /* nobody answers */
    }
}

static const struct weir_io_ops pm_ops = {pm_read, pm_write, 1, 4, false};
static const struct weir_io_ops apm_ops = {apm_read, apm_write, 1, 1, false};
static const struct weir_io_ops gpe_ops = {gpe_read, gpe_write, 1, 1, false};
static const struct weir_io_ops smb_ops = {smb_read, smb_write, 1, 1, false};

/* ---- PCI ---- */

static void map(struct acpi_pm *s)
{
    uint8_t *c = s->function.config;
    weir_region_move(s->pm_region, load_le(c + CONFIG_PMBA, 2) & 0xffc0);
    weir_region_enable(s->pm_region, c[CONFIG_PMREGMISC] & 1);
    weir_region_move(s->smb_region, load_le(c + CONFIG_SMBBA, 2) & 0xfff0);
    weir_region_enable(s->smb_region, c[CONFIG_SMBHSTCFG] & 1);
}

static void config_written(void *state, unsigned offset, unsigned size)
{
    if (offset + size > CONFIG_PMBA)
        map(state);
}

static int map_regions(struct acpi_pm *s)
{
    s->pm_region = weir_map_ports(s->dev, 0x600, PM_BYTES, &pm_ops, 0, "piix4-pm");
    s->smb_region = weir_map_ports(s->dev, 0x700, SMB_BYTES, &smb_ops, 0, "piix4-smbus");
    if (!s->pm_region || !s->smb_region ||
        !weir_map_ports(s->dev, 0xb2, 2, &apm_ops, 0, "apm") ||
        !weir_map_ports(s->dev, GPE0_BASE, 4, &gpe_ops, 0, "acpi-gpe0"))
        return weir_dev_fail(s->dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static int acpi_pm_init(weir_dev *dev, void *state)
{
    struct acpi_pm *s = state;
    static const struct pci_ids ids = {.vendor = 0x8086,
                                       .device = 0x7113,
                                       .subsystem_vendor = 0x1af4,
                                       .subsystem = 0x1100,
                                       .class_code = 0x068000,
                                       .revision = 3,
                                       .interrupt_pin = 1};
    static const struct {
        uint8_t offset, bits;
    } writable[] = {
        {CONFIG_PMBA, 0xc0},        {CONFIG_PMBA + 1, 0xff},    {CONFIG_DEVACTB, 0xff},
        {CONFIG_DEVACTB + 1, 0xff}, {CONFIG_DEVACTB + 2, 0xff}, {CONFIG_DEVACTB + 3, 0xfd},
        {CONFIG_PMREGMISC, 0x01},   {CONFIG_SMBBA, 0xf0},       {CONFIG_SMBBA + 1, 0xff},
        {CONFIG_SMBHSTCFG, 0x0f},
    };
    s->dev = dev;
    s->sci = weir_dev_gsi(dev, 9);
    weir_timer_init(dev, &s->timer, timer_fire);
    s->function.config_written = config_written;
    for (unsigned i = 0; i < ARRAY_SIZE(writable); i++)
        s->function.writable[writable[i].offset] = writable[i].bits;
    int rc = pci_register(dev, s, &s->function, &ids, 1 * 8 + 3);
    return rc < 0 ? rc : map_regions(s);
}

static void acpi_pm_fini(void *state)
{
    pci_unregister(&((struct acpi_pm *)state)->function);
}

static void acpi_pm_reset(void *state)
{
    struct acpi_pm *s = state;
    uint8_t *c = s->function.config;
    pci_reset(&s->function);
    store_le(c + CONFIG_PMBA, 1, 4);
    store_le(c + CONFIG_DEVACTB, 0x02000000, 4); /* APMC_EN: the SMI handler is in place */
    c[CONFIG_PMREGMISC] = 0;
    store_le(c + CONFIG_SMBBA, 1, 4);
    c[CONFIG_SMBHSTCFG] = 0;
    map(s);
    s->status = s->enable = s->control = 0;
    memset(s->apm, 0, sizeof(s->apm));
    memset(s->gpe0, 0, sizeof(s->gpe0));
    memset(s->smb, 0, sizeof(s->smb));
    s->seen_half = pm_ticks(s) >> 23;
    weir_timer_cancel(&s->timer);
    s->sci_level = 0;
    weir_line_set(&s->sci, 0);
}

static int acpi_pm_loaded(void *state)
{
    struct acpi_pm *s = state;
    pci_loaded(&s->function);
    map(s);
    weir_line_set(&s->sci, s->sci_level);
    return 0;
}

static void acpi_pm_info(void *state, struct weir_text *out)
{
    struct acpi_pm *s = state;
    weir_textf(out, "status=%04x enable=%04x control=%04x timer=%06x sci=%u\n", s->status,
               s->enable, s->control, (unsigned)pm_ticks(s) & 0xffffff, s->sci_level);
}

static const struct weir_field acpi_pm_fields[] = {
    WEIR_FIELD_STRUCT1(struct acpi_pm, function, pci_function_fields),
    WEIR_FIELD(struct acpi_pm, status),
    WEIR_FIELD(struct acpi_pm, enable),
    WEIR_FIELD(struct acpi_pm, control),
    WEIR_FIELD_BYTES(struct acpi_pm, apm),
    WEIR_FIELD_BYTES(struct acpi_pm, gpe0),
    WEIR_FIELD_BYTES(struct acpi_pm, smb),
    WEIR_FIELD(struct acpi_pm, sci_level),
    WEIR_FIELD(struct acpi_pm, seen_half),
    WEIR_FIELD_TIMER(struct acpi_pm, timer),
    WEIR_FIELD_END,
};

const struct weir_dev_class acpi_pm_class = {
    .name = "PIIX4_PM",
    .help = "ACPI power management",
    .bus = "pci",
    .state_bytes = sizeof(struct acpi_pm),
    .version = 1,
    .init = acpi_pm_init,
    .reset = acpi_pm_reset,
    .fini = acpi_pm_fini,
    .loaded = acpi_pm_loaded,
    .info = acpi_pm_info,
    .fields = acpi_pm_fields,
};
