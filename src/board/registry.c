/* SPDX-License-Identifier: MIT */
/* registry.c - the device classes built in: an array, so that it is greppable, ordered and cannot
 * be lost by a static library. -device may name those that say so. */
#include "board/device.h"
#include "dev/chips.h"
#include "dev/fw_cfg.h"
#include "dev/pci_board.h"
#include "dev/vga.h"

// clang-format off
static const struct weir_dev_class *const classes[] = {
    &i440fx_class,
    &piix3_class,
    &piix3_ide_class,
    &acpi_pm_class,
    &pic_8259_class,
    &ioapic_class,
    &apic_class,
    &pit_8254_class,
    &hpet_class,
    &rtc_146818_class,
    &dma_8237_class,
    &i8042_class,
    &port92_class,
    &fdc_class,
    &uart_16550_class,
    &debugcon_class,
    &debug_exit_class,
    &fw_cfg_class,
    &vga_class,
    &virtio_blk_class,
    &virtio_rng_class,
    &virtio_serial_class,
    &virtconsole_class,
    NULL,
};
// clang-format on

const struct weir_dev_class *registry_class(unsigned i)
{
    return classes[i];
}
