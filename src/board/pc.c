/* SPDX-License-Identifier: MIT */
/*
 * pc.c - the PC's schematic: which chips there are, and which line goes where.
 *
 *   device IRQ --gsi[n]--+--> 8259 pair --INT--> LINT0 of the local APIC --INTR--> CPU
 *                        +--> I/O APIC (GSI 0 on pin 2) --message--> local APIC
 *   PCI INTA-D --PIIX3--> GSI 0-15                        MSI-X --message--> local APIC
 *
 * Chips that drives and terminals plug into are made in board_finish, when those are known.
 */
#include "board/board.h"
#include "board/device.h"
#include "board/firmware.h"
#include "cpu/cpuid.h"
#include "cpu/icount.h"
#include "dev/chips.h"
#include "dev/fw_cfg.h"
#include "dev/pci_board.h"
#include "dev/vga.h"

#include <stdio.h>
#include <string.h>

static bool is_pc(const struct weir *vm)
{
    return !strcmp(vm->config.machine, "pc");
}

/* ---- interrupt lines ---- */

static void gsi_set(void *ctx, int n, int level)
{
    struct weir *vm = ctx;
    if (n < 16)
        pic_input(vm->pic, (unsigned)n, level);
    if (n != 2) /* pin 2 has the timer; IRQ 2 is the 8259's cascade */
        ioapic_input(vm->ioapic, n == 0 ? 2 : (unsigned)n, level);
}

static void pic_int(void *ctx, int n, int level)
{
    (void)n;
    apic_lint0(((struct weir *)ctx)->apic, level);
}

static void cpu_intr(void *ctx, int level)
{
    struct vcpu *c = &((struct weir *)ctx)->cpu;
    if (level && c->rom)
        c->rom->activity(c, VCPU_WOKEN);
    if (level)
        cpu_attention(c, ATTENTION_INTR);
    else
        cpu_attention_clear(c, ATTENTION_INTR);
}
static void cpu_nmi(void *ctx)
{
    cpu_attention(&((struct weir *)ctx)->cpu, ATTENTION_NMI);
}
static void cpu_init(void *ctx)
{
    cpu_attention(&((struct weir *)ctx)->cpu, ATTENTION_INIT);
}
/* The boot processor never waits for a start-up message. */
static void cpu_sipi(void *ctx, unsigned vector)
{
    (void)ctx;
    (void)vector;
}
static int inta_pic(void *ctx)
{
    return pic_acknowledge(((struct weir *)ctx)->pic);
}
static void eoi_broadcast(void *ctx, unsigned vector)
{
    ioapic_eoi(((struct weir *)ctx)->ioapic, vector);
}
static uint64_t tsc_to_ns(void *ctx, uint64_t tsc)
{
    const struct vcpu *c = &((struct weir *)ctx)->cpu;
    __int128 ticks = (__int128)tsc - c->tsc_offset;
    if (ticks <= 0)
        return 0; /* before time began: long past */
    __int128 ns = ticks * 1000000000 / c->tsc_hz;
    return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}
static void vector_taken(void *ctx, unsigned vector)
{
    irq_paths_taken(&((struct weir *)ctx)->irq_paths, vector);
}
static void deliver(void *ctx, const struct apic_message *message)
{
    apic_deliver(((struct weir *)ctx)->apic, message);
}
static void msi(void *ctx, uint64_t address, uint32_t data)
{
    struct apic_message message = apic_msi(address, data);
    deliver(ctx, &message);
}
static void hpet_legacy(void *ctx, bool on)
{
    struct weir *vm = ctx;
    pit_irq_disable(weir_dev_find(vm, "i8254", NULL), on);
    rtc_irq_disable(weir_dev_find(vm, "mc146818", NULL), on);
}

/* ---- the CPU's side ---- */

static int wire_acknowledge(void *ctx)
{
    return apic_acknowledge(((struct weir *)ctx)->apic);
}
static uint64_t wire_get_tpr(void *ctx)
{
    return apic_tpr_get(((struct weir *)ctx)->apic);
}
static void wire_set_tpr(void *ctx, uint64_t tpr)
{
    apic_tpr_set(((struct weir *)ctx)->apic, tpr);
}
static int wire_msr_read(void *ctx, uint32_t msr, uint64_t *value)
{
    return apic_msr_read(((struct weir *)ctx)->apic, msr, value);
}
static int wire_msr_write(void *ctx, uint32_t msr, uint64_t value)
{
    return apic_msr_write(((struct weir *)ctx)->apic, msr, value);
}
static void wire_ferr(void *ctx, int level)
{
    gsi_set(ctx, 13, level);
}

static void connect(struct weir *vm)
{
    vm->cpu.wires = (struct cpu_wires){
        .acknowledge = wire_acknowledge,
        .get_tpr = wire_get_tpr,
        .set_tpr = wire_set_tpr,
        .apic_msr_read = wire_msr_read,
        .apic_msr_write = wire_msr_write,
        .ferr = wire_ferr,
        .ctx = vm,
    };
    const struct apic_wires wires = {
        .ctx = vm,
        .intr = cpu_intr,
        .nmi = cpu_nmi,
        .init = cpu_init,
        .sipi = cpu_sipi,
        .pic_acknowledge = inta_pic,
        .eoi = eoi_broadcast,
        .tsc_to_ns = tsc_to_ns,
        .taken = vector_taken,
    };
    apic_connect(vm->apic, &wires);
    pic_connect(vm->pic, (struct weir_line){pic_int, vm, 0});
    ioapic_connect(vm->ioapic, deliver, vm);
    hpet_connect(weir_dev_find(vm, "hpet", NULL), hpet_legacy, vm);
    pci_set_msi_handler(vm->pci, msi, vm);
    vm->irq_paths = (struct irq_paths){.pic = vm->pic,
                                       .ioapic = vm->ioapic,
                                       .apic = vm->apic,
                                       .pit = weir_dev_find(vm, "i8254", NULL),
                                       .rtc = weir_dev_find(vm, "mc146818", NULL),
                                       .hpet = weir_dev_find(vm, "hpet", NULL)};
    irq_paths_connect(&vm->irq_paths);
}

/* ---- chips ---- */

struct part {
    const struct weir_dev_class *cls;
    size_t member; /* of struct weir: where the board keeps it; 0 = nowhere */
};

/* Interrupt controllers first: the others' reset already drives their lines. */
static const struct part parts[] = {
    {&pic_8259_class, offsetof(struct weir, pic)},
    {&ioapic_class, offsetof(struct weir, ioapic)},
    {&apic_class, offsetof(struct weir, apic)},
    {&i440fx_class, offsetof(struct weir, pci)},
    {&piix3_class, 0},
    {&acpi_pm_class, offsetof(struct weir, acpi)},
    {&pit_8254_class, 0},
    {&dma_8237_class, 0},
    {&hpet_class, 0},
    {&i8042_class, offsetof(struct weir, kbd)},
    {&port92_class, 0},
    {&fw_cfg_class, offsetof(struct weir, fw_cfg)},
};

static int make(struct weir *vm, const struct weir_dev_class *cls, const char *props,
                size_t member)
{
    weir_dev *dev;
    int rc = device_create(vm, cls, NULL, props, &dev);
    if (rc == 0 && member)
        *(weir_dev **)((char *)vm + member) = dev;
    return rc;
}

int board_build(struct weir *vm)
{
    if (!is_pc(vm))
        return 0;
    for (unsigned i = 0; i < ARRAY_SIZE(vm->gsi); i++)
        vm->gsi[i] = (struct weir_line){gsi_set, vm, (int)i};
    int rc = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(parts) && rc == 0; i++)
        rc = make(vm, parts[i].cls, NULL, parts[i].member);
    char time[96];
    int64_t base = vm->config.rtc_base_s;
    if (!base && vm->config.icount_shift >= 0)
        base = ICOUNT_RTC_BASE_S;
    snprintf(time, sizeof(time), "base=%llu,base-offset=%llu", (unsigned long long)base,
             (unsigned long long)vm->config.rtc_offset_s);
    if (rc == 0)
        rc = make(vm, &rtc_146818_class, time, 0);
    if (rc == 0 && strcmp(vm->config.vga, "none"))
        rc = make(vm, &vga_class, NULL, offsetof(struct weir, vga));
    if (rc == 0)
        connect(vm);
    return rc;
}

/* ---- what drives and terminals plug into ---- */

static int make_serial(struct weir *vm)
{
    int rc = 0;
    for (unsigned n = 0; n < ARRAY_SIZE(vm->serial) && rc == 0; n++) {
        char props[96];
        struct weir_char *chr = vm->serial[n];
        if (!chr && (n > 0 || vm->config.no_devices))
            continue;
        snprintf(props, sizeof(props), "index=%u%s%s", n, chr ? ",chardev=" : "",
                 chr ? char_id(chr) : "");
        rc = make(vm, &uart_16550_class, props, 0);
    }
    if (rc == 0 && vm->debugcon) {
        char props[96];
        snprintf(props, sizeof(props), "chardev=%s", char_id(vm->debugcon));
        rc = make(vm, &debugcon_class, props, 0);
    }
    return rc;
}

static int make_virtio_disks(struct weir *vm)
{
    int rc = 0;
    for (struct weir_block *b = vm->blocks; b && rc == 0; b = b->next) {
        if (strcmp(b->interface_name, "virtio"))
            continue;
        char props[96];
        snprintf(props, sizeof(props), "drive=%s", b->id);
        rc = make(vm, &virtio_blk_class, props, 0);
    }
    return rc;
}

int board_finish(struct weir *vm)
{
    if (!is_pc(vm))
        return 0;
    int rc = make(vm, &piix3_ide_class, NULL, 0);
    if (rc == 0)
        rc = make(vm, &fdc_class, NULL, 0);
    if (rc == 0)
        rc = make_serial(vm);
    if (rc == 0)
        rc = make_virtio_disks(vm);
    if (rc < 0 || (rc = firmware_load(vm)) < 0 || (rc = firmware_tables(vm)) < 0)
        return rc;
    i440fx_connect(vm->pci, pam_set, vm);
    return boot_kernel(vm);
}

int board_boot(struct weir *vm)
{
    if (!is_pc(vm))
        return 0;
    if (!cpu_has(&vm->cpu, ISA_APIC)) {
        uint64_t base = 0xfee00000; /* without the enable bit: LINT0 is the INTR pin */
        apic_msr_write(vm->apic, 0x1b, base);
    }
    return boot_reset(vm);
}

void board_free(struct weir *vm)
{
    if (is_pc(vm))
        firmware_free(vm);
}
