/* SPDX-License-Identifier: MIT */
/*
 * virtio_blk.c - "virtio-blk-pci" (virtio 1.1 section 5.2): one request queue, served at once.
 *
 * A request is a stream of bytes in each direction, however the driver cut it into descriptors:
 * out = header of 16 bytes and data to write; in = data read and one status byte at the end.
 */
#include "backend/block.h"
#include "dev/pci_board.h"
#include "dev/virtio.h"
#include "base/bits.h"

#include <stdio.h>
#include <stdlib.h>

#define SECTOR_BYTES      512u
#define HEADER_BYTES      16u
#define ID_BYTES          20u
#define CHUNK_BYTES       65536u
#define REQUEST_BYTES_MAX (64u << 20) /* bounds the time that the device lock is held */
#define REQUESTS_MAX      65536u      /* per notification */

enum { F_SEG_MAX = 1 << 2, F_GEOMETRY = 1 << 4, F_RO = 1 << 5, F_BLK_SIZE = 1 << 6 };
enum { F_FLUSH = 1 << 9 };
enum { T_IN, T_OUT, T_FLUSH = 4, T_GET_ID = 8 };
enum { S_OK, S_IOERR, S_UNSUPP };

struct virtio_blk {
    struct virtio v;
    /* wiring */
    struct weir_block *drive;
    char *serial, *address;
    uint8_t *buffer; /* CHUNK_BYTES */
    struct virtio_chain chain;
};

static uint8_t io_status(struct virtio_blk *s, int rc)
{
    if (rc == -WEIR_EIO)
        weir_dev_log(s->v.dev, WEIR_LOG_MESSAGE, "%s", s->drive->error.text);
    return rc < 0 ? S_IOERR : S_OK;
}

/* Byte range on the medium, or false. */
static bool range(const struct virtio_blk *s, uint64_t sector, uint64_t bytes, uint64_t *offset)
{
    if (bytes % SECTOR_BYTES || bytes > REQUEST_BYTES_MAX ||
        sector > s->drive->bytes / SECTOR_BYTES)
        return false;
    *offset = sector * SECTOR_BYTES;
    return bytes <= s->drive->bytes - *offset;
}

static uint8_t read_data(struct virtio_blk *s, uint64_t sector, uint32_t *written)
{
    uint64_t bytes = s->chain.in_bytes - 1, offset;
    if (!range(s, sector, bytes, &offset))
        return S_IOERR;
    for (uint64_t done = 0; done < bytes;) {
        size_t part = bytes - done < CHUNK_BYTES ? bytes - done : CHUNK_BYTES;
        int rc = block_read(s->drive, offset + done, s->buffer, part);
        if (rc < 0)
            return io_status(s, rc);
        if (virtio_copy_in(&s->v, &s->chain, done, s->buffer, part) != part)
            return S_IOERR;
        done += part;
        *written = (uint32_t)done;
    }
    return S_OK;
}

static uint8_t write_data(struct virtio_blk *s, uint64_t sector)
{
    uint64_t bytes = s->chain.out_bytes - HEADER_BYTES, offset;
    if (!range(s, sector, bytes, &offset))
        return S_IOERR;
    for (uint64_t done = 0; done < bytes;) {
        size_t part = bytes - done < CHUNK_BYTES ? bytes - done : CHUNK_BYTES;
        if (virtio_copy_out(&s->v, &s->chain, HEADER_BYTES + done, s->buffer, part) != part)
            return S_IOERR;
        int rc = block_write(s->drive, offset + done, s->buffer, part);
        if (rc < 0)
            return io_status(s, rc);
        done += part;
    }
    return S_OK;
}

static uint8_t get_id(struct virtio_blk *s, uint32_t *written)
{
    char id[ID_BYTES + 1] = {0};
    const char *serial = s->serial ? s->serial : s->drive->serial;
    if (s->chain.in_bytes - 1 < ID_BYTES)
        return S_IOERR;
    snprintf(id, sizeof(id), "%.20s", serial ? serial : "");
    *written = (uint32_t)virtio_copy_in(&s->v, &s->chain, 0, id, ID_BYTES);
    return *written == ID_BYTES ? S_OK : S_IOERR;
}

/* Serves s->chain; returns the bytes written to it. Chains without room for header or status
 * are the driver's mistake. */
static uint32_t serve(struct virtio_blk *s)
{
    uint8_t header[HEADER_BYTES], status;
    uint32_t written = 0;
    if (s->chain.in_bytes < 1 ||
        virtio_copy_out(&s->v, &s->chain, 0, header, HEADER_BYTES) != HEADER_BYTES) {
        virtio_break(&s->v, "request without header or status");
        return 0;
    }
    uint64_t sector = load_le(header + 8, 8);
    switch (load_le(header, 4)) {
    case T_IN:
        status = read_data(s, sector, &written);
        break;
    case T_OUT:
        status = write_data(s, sector);
        break;
    case T_FLUSH:
        status = io_status(s, block_flush(s->drive));
        break;
    case T_GET_ID:
        status = get_id(s, &written);
        break;
    default:
        status = S_UNSUPP;
    }
    virtio_copy_in(&s->v, &s->chain, s->chain.in_bytes - 1, &status, 1);
    return written + 1;
}

static void notify(void *state, unsigned queue)
{
    struct virtio_blk *s = state;
    for (unsigned n = 0; n < REQUESTS_MAX && virtio_pop(&s->v, 0, &s->chain); n++) {
        uint32_t written = serve(s);
        if (s->v.status & VIRTIO_NEEDS_RESET)
            return;
        virtio_push(&s->v, 0, &s->chain, written);
    }
    virtio_signal(&s->v, 0);
}

static void config_read(void *state, uint8_t *c)
{
    const struct virtio_blk *s = state;
    uint64_t sectors = s->drive->bytes / SECTOR_BYTES, cylinders = sectors / (16 * 63);
    store_le(c, sectors, 8);
    store_le(c + 12, VIRTIO_QUEUE_SIZE - 2, 4); /* seg_max: without header and status */
    store_le(c + 16, cylinders > 16383 ? 16383 : cylinders, 2);
    c[18] = 16;
    c[19] = 63;
    store_le(c + 20, SECTOR_BYTES, 4);
}

static const struct virtio_ops blk_ops = {.pci_device = 0x1001,
                                          .type = 2,
                                          .class_code = 0x010000,
                                          .queues = 1,
                                          .config_bytes = 36,
                                          .notify = notify,
                                          .config_read = config_read};

static int blk_init(weir_dev *dev, void *state)
{
    struct virtio_blk *s = state;
    if (!block_present(s->drive))
        return weir_dev_fail(dev, WEIR_EINVAL, "needs a drive with an image (drive=ID)");
    s->buffer = malloc(CHUNK_BYTES);
    if (!s->buffer)
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    uint64_t features = F_SEG_MAX | F_GEOMETRY | F_BLK_SIZE | F_FLUSH;
    if (!block_writable(s->drive))
        features |= F_RO;
    return virtio_init(dev, s, &s->v, &blk_ops, features, s->address);
}

static void blk_reset(void *state)
{
    virtio_reset(&((struct virtio_blk *)state)->v);
}

static void blk_fini(void *state)
{
    struct virtio_blk *s = state;
    virtio_fini(&s->v);
    free(s->buffer);
}

static int blk_loaded(void *state)
{
    return virtio_loaded(&((struct virtio_blk *)state)->v);
}

static void blk_info(void *state, struct weir_text *out)
{
    const struct virtio_blk *s = state;
    weir_textf(out, "drive %s, %llu sectors%s\n", s->drive->id,
               (unsigned long long)(s->drive->bytes / SECTOR_BYTES),
               block_writable(s->drive) ? "" : ", read-only");
    virtio_info(&s->v, out);
}

static const struct weir_prop blk_props[] = {
    {"drive", WEIR_PROP_DRIVE, offsetof(struct virtio_blk, drive), NULL, "id of the drive"},
    {"serial", WEIR_PROP_STRING, offsetof(struct virtio_blk, serial), NULL,
     "serial number, 20 characters"},
    {"addr", WEIR_PROP_STRING, offsetof(struct virtio_blk, address), NULL,
     "PCI slot[.function], hexadecimal"},
    {NULL, WEIR_PROP_U32, 0, NULL, NULL},
};
static const struct weir_field blk_fields[] = {
    WEIR_FIELD_STRUCT1(struct virtio_blk, v, virtio_fields),
    WEIR_FIELD_END,
};

const struct weir_dev_class virtio_blk_class = {
    .name = "virtio-blk-pci",
    .help = "virtio block device",
    .bus = "pci",
    .state_bytes = sizeof(struct virtio_blk),
    .version = 1,
    .init = blk_init,
    .reset = blk_reset,
    .fini = blk_fini,
    .loaded = blk_loaded,
    .info = blk_info,
    .props = blk_props,
    .fields = blk_fields,
    .user_creatable = true,
};
