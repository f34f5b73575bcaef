/* SPDX-License-Identifier: MIT */
/*
 * fw_cfg.h - QEMU-compatible firmware configuration device ("fw_cfg_io"): selector at port
 * 510h, data at 511h, DMA address at 514h. Items are keys (16 bits) or named files of a
 * directory.
 */
#ifndef DEV_FW_CFG_H
#define DEV_FW_CFG_H

#include <weir/device.h>

enum {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_BYTES = 0x03,
    FW_CFG_NO_GRAPHIC = 0x04,
    FW_CFG_CPUS = 0x05,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_FILE_DIRECTORY = 0x19,
    FW_CFG_FIRST_FILE = 0x20,
    FW_CFG_IRQ0_OVERRIDE = 0x8002, /* bit 15: items of this architecture */
};

extern const struct weir_dev_class fw_cfg_class;

/* Adds a file, or replaces the one of that name; the data is copied. The guest sees the
 * directory sorted by name. 0, -WEIR_ENOMEM, -WEIR_EINVAL (name too long), -WEIR_ERANGE (too
 * many). */
int fw_cfg_add_file(weir_dev *dev, const char *name, const void *data, uint32_t length);
/* Sets a numbered item (below FW_CFG_FIRST_FILE, bit 15 apart); the data is copied. */
int fw_cfg_add_key(weir_dev *dev, uint16_t key, const void *data, uint32_t length);
/* The same for a little-endian number of 2, 4 or 8 bytes. */
int fw_cfg_add_number(weir_dev *dev, uint16_t key, uint64_t value, unsigned bytes);
/* Contents of a file for the board and tests; NULL if there is none. */
const uint8_t *fw_cfg_file(weir_dev *dev, const char *name, uint32_t *length);

#endif
