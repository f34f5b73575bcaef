/* SPDX-License-Identifier: MIT */
/*
 * fw_cfg.c - see fw_cfg.h. QEMU's firmware configuration interface, as its specification
 * (docs/specs/fw_cfg) describes it: selector and data ports, and the DMA interface whose
 * descriptor is { be32 control, be32 length, be64 address }.
 *
 * Items are read-only for the guest: writes to the data port are ignored and a DMA write sets
 * the error bit. Only selector, offset and DMA address are guest state; the items belong to the
 * board.
 */
#include "dev/fw_cfg.h"
#include "base/bits.h"

#include <stdlib.h>

#define FILE_NAME_BYTES   56u
#define MAX_FILES         64u
#define FW_CFG_PORT       0x510
#define FW_CFG_DMA_PORT   0x514
#define FW_CFG_WRITE      0x4000 /* key bit 14: obsolete write access */
#define FW_CFG_ARCH_LOCAL 0x8000 /* key bit 15: a second set of numbered items */
#define FW_CFG_ID_BITS    3u     /* traditional interface, DMA interface */
#define DMA_SIGNATURE     0x51454d5520434647ull

enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };

struct item {
    uint8_t *data;
    uint32_t length;
};

struct file {
    char name[FILE_NAME_BYTES];
    struct item item;
};

struct fw_cfg {
    uint16_t selected;
    uint32_t offset;
    uint64_t dma_address; /* as assembled so far: high half written, low half starts the DMA */
    /* board */
    struct item keys[FW_CFG_FIRST_FILE], arch_keys[FW_CFG_FIRST_FILE];
    struct file files[MAX_FILES]; /* sorted by name; file n is key FW_CFG_FIRST_FILE + n */
    unsigned file_count;
    weir_dev *dev;
};

// clang-format off
static const struct weir_field fw_cfg_fields[] = {
    WEIR_FIELD(struct fw_cfg, selected),
    WEIR_FIELD(struct fw_cfg, offset),
    WEIR_FIELD(struct fw_cfg, dma_address),
    WEIR_FIELD_END,
};
// clang-format on

/* ---- items ---- */

static struct item *numbered_item(struct fw_cfg *f, unsigned key)
{
    struct item *items = key & FW_CFG_ARCH_LOCAL ? f->arch_keys : f->keys;
    key &= ~FW_CFG_ARCH_LOCAL;
    return key < FW_CFG_FIRST_FILE ? &items[key] : NULL;
}

static const struct item *selected_item(struct fw_cfg *f)
{
    static const struct item none;
    unsigned key = f->selected & ~FW_CFG_WRITE;
    const struct item *item = numbered_item(f, key);
    if (item)
        return item;
    key -= FW_CFG_FIRST_FILE;
    return key < f->file_count ? &f->files[key].item : &none;
}

static int item_set(struct item *item, const void *data, uint32_t length)
{
    uint8_t *copy = malloc(length ? length : 1);
    if (!copy)
        return -WEIR_ENOMEM;
    if (length)
        memcpy(copy, data, length);
    free(item->data);
    *item = (struct item){copy, length};
    return 0;
}

static void store_be(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

static uint64_t load_be(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

/* be32 count, then per file be32 size, be16 key, be16 reserved, name. */
static int rebuild_directory(struct fw_cfg *f)
{
    uint8_t directory[4 + MAX_FILES * 64] = {0};
    store_be(directory, f->file_count, 4);
    for (unsigned i = 0; i < f->file_count; i++) {
        uint8_t *entry = directory + 4 + i * 64;
        store_be(entry, f->files[i].item.length, 4);
        store_be(entry + 4, FW_CFG_FIRST_FILE + i, 2);
        memcpy(entry + 8, f->files[i].name, FILE_NAME_BYTES);
    }
    return item_set(&f->keys[FW_CFG_FILE_DIRECTORY], directory, 4 + f->file_count * 64);
}

static unsigned file_place(const struct fw_cfg *f, const char *name, bool *found)
{
    unsigned at = 0;
    int order = -1;
    while (at < f->file_count && (order = strcmp(f->files[at].name, name)) < 0)
        at++;
    *found = at < f->file_count && order == 0;
    return at;
}

int fw_cfg_add_file(weir_dev *dev, const char *name, const void *data, uint32_t length)
{
    struct fw_cfg *f = weir_dev_state(dev);
    bool found;
    unsigned at = file_place(f, name, &found);
    if (strlen(name) >= FILE_NAME_BYTES)
        return weir_dev_fail(dev, WEIR_EINVAL, "file name '%s' is too long", name);
    if (!found && f->file_count == MAX_FILES)
        return weir_dev_fail(dev, WEIR_ERANGE, "too many files");
    struct item item = {0};
    if (item_set(&item, data, length) < 0)
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    if (found) {
        free(f->files[at].item.data);
    } else {
        memmove(&f->files[at + 1], &f->files[at], (f->file_count - at) * sizeof(f->files[0]));
        f->files[at] = (struct file){0};
        memcpy(f->files[at].name, name, strlen(name));
        f->file_count++;
    }
    f->files[at].item = item;
    return rebuild_directory(f);
}

int fw_cfg_add_key(weir_dev *dev, uint16_t key, const void *data, uint32_t length)
{
    struct fw_cfg *f = weir_dev_state(dev);
    struct item *item = numbered_item(f, key);
    if (!item)
        return weir_dev_fail(dev, WEIR_EINVAL, "key %xh is not a numbered item", key);
    if (item_set(item, data, length) < 0)
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

int fw_cfg_add_number(weir_dev *dev, uint16_t key, uint64_t value, unsigned bytes)
{
    return fw_cfg_add_key(dev, key, &value, bytes);
}

const uint8_t *fw_cfg_file(weir_dev *dev, const char *name, uint32_t *length)
{
    const struct fw_cfg *f = weir_dev_state(dev);
    bool found;
    unsigned at = file_place(f, name, &found);
    if (!found)
        return NULL;
    *length = f->files[at].item.length;
    return f->files[at].item.data;
}

/* ---- ports ---- */

static void select_item(struct fw_cfg *f, uint16_t key)
{
    f->selected = key;
    f->offset = 0;
}

static uint64_t port_read(void *state, uint64_t offset, unsigned size)
{
    struct fw_cfg *f = state;
    if (size != 1) /* the selector is write-only; 511h is a byte port */
        return 0;
    const struct item *item = selected_item(f);
    return f->offset < item->length ? item->data[f->offset++] : 0;
}

static void port_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    if (offset == 0 && size == 2)
        select_item(state, (uint16_t)value);
}

/* ---- DMA ---- */

/* Copies or, behind the end of the item, zeroes; false on memory that is not RAM. */
static bool dma_transfer(struct fw_cfg *f, uint64_t address, uint32_t length, bool copy)
{
    static const uint8_t zeros[4096];
    const struct item *item = selected_item(f);
    uint32_t here = f->offset < item->length ? item->length - f->offset : 0;
    if (here > length)
        here = length;
    if (copy && here && weir_dma_write(f->dev, address, item->data + f->offset, here) < 0)
        return false;
    f->offset += here;
    for (uint32_t done = here; copy && done < length;) {
        uint32_t part = length - done < sizeof(zeros) ? length - done : sizeof(zeros);
        if (weir_dma_write(f->dev, address + done, zeros, part) < 0)
            return false;
        done += part;
    }
    return true;
}

static void dma_run(struct fw_cfg *f)
{
    uint8_t request[16];
    uint64_t at = f->dma_address;
    f->dma_address = 0;
    if (weir_dma_read(f->dev, at, request, sizeof(request)) < 0) {
        weir_dev_log(f->dev, WEIR_LOG_GUEST_ERRORS, "DMA descriptor at %llx is not in RAM",
                     (unsigned long long)at);
        return;
    }
    uint32_t control = (uint32_t)load_be(request, 4);
    uint32_t length = (uint32_t)load_be(request + 4, 4);
    uint64_t address = load_be(request + 8, 8);
    bool ok = true;
    if (control & DMA_SELECT)
        select_item(f, (uint16_t)(control >> 16));
    if (control & DMA_READ)
        ok = dma_transfer(f, address, length, true);
    else if (control & DMA_WRITE)
        ok = false;
    else if (control & DMA_SKIP)
        ok = dma_transfer(f, address, length, false);
    uint8_t status[4];
    store_be(status, ok ? 0 : DMA_ERROR, 4);
    weir_dma_write(f->dev, at, status, sizeof(status));
}

static uint64_t dma_read(void *state, uint64_t offset, unsigned size)
{
    uint8_t signature[8];
    store_be(signature, DMA_SIGNATURE, 8);
    return load_le(signature + offset, size);
}

/* Both halves are big-endian: the value as the bus has it is byte-swapped. */
static void dma_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct fw_cfg *f = state;
    uint32_t half = __builtin_bswap32((uint32_t)value);
    if (offset == 0) {
        f->dma_address = (uint64_t)half << 32;
        return;
    }
    f->dma_address |= half;
    dma_run(f);
}

static const struct weir_io_ops port_ops = {port_read, port_write, 1, 2, true};
static const struct weir_io_ops dma_ops = {dma_read, dma_write, 4, 4, false};

/* ---- class ---- */

static int fw_cfg_init(weir_dev *dev, void *state)
{
    struct fw_cfg *f = state;
    f->dev = dev;
    if (fw_cfg_add_key(dev, FW_CFG_SIGNATURE, "QEMU", 4) < 0 ||
        fw_cfg_add_number(dev, FW_CFG_ID, FW_CFG_ID_BITS, 4) < 0 || rebuild_directory(f) < 0)
        return -WEIR_ENOMEM;
    if (!weir_map_ports(dev, FW_CFG_PORT, 2, &port_ops, 0, "fwcfg") ||
        !weir_map_ports(dev, FW_CFG_DMA_PORT, 8, &dma_ops, 0, "fwcfg.dma"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static void fw_cfg_reset(void *state)
{
    struct fw_cfg *f = state;
    select_item(f, FW_CFG_SIGNATURE);
    f->dma_address = 0;
}

static void fw_cfg_fini(void *state)
{
    struct fw_cfg *f = state;
    for (unsigned i = 0; i < FW_CFG_FIRST_FILE; i++) {
        free(f->keys[i].data);
        free(f->arch_keys[i].data);
    }
    for (unsigned i = 0; i < f->file_count; i++)
        free(f->files[i].item.data);
}

static void fw_cfg_info(void *state, struct weir_text *out)
{
    struct fw_cfg *f = state;
    weir_textf(out, "selected %04x, offset %u\n", f->selected, f->offset);
    for (unsigned i = 0; i < f->file_count; i++)
        weir_textf(out, "%04x %8u %s\n", FW_CFG_FIRST_FILE + i, f->files[i].item.length,
                   f->files[i].name);
}

const struct weir_dev_class fw_cfg_class = {
    .name = "fw_cfg_io",
    .help = "firmware configuration (ports 510h, 511h, 514h)",
    .bus = "system",
    .state_bytes = sizeof(struct fw_cfg),
    .version = 1,
    .init = fw_cfg_init,
    .reset = fw_cfg_reset,
    .fini = fw_cfg_fini,
    .info = fw_cfg_info,
    .fields = fw_cfg_fields,
};
