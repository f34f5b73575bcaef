/* SPDX-License-Identifier: MIT */
/* virtio_rng.c - "virtio-rng-pci" (virtio 1.1 section 5.4): fills buffers with the host's
 * entropy, at most 64 KiB each and as many per notification as a queue can hold. */
#include "dev/pci_board.h"
#include "dev/virtio.h"

#include <sys/random.h>

#define CHUNK_BYTES      256u /* what getrandom gives in one piece */
#define BUFFER_BYTES_MAX 65536u

struct virtio_rng {
    struct virtio v;
    char *address;
    struct virtio_chain chain;
};

static uint32_t fill(struct virtio_rng *s)
{
    uint8_t bytes[CHUNK_BYTES];
    uint64_t wanted = s->chain.in_bytes, done = 0;
    if (wanted > BUFFER_BYTES_MAX)
        wanted = BUFFER_BYTES_MAX;
    while (done < wanted) {
        size_t part = wanted - done < CHUNK_BYTES ? wanted - done : CHUNK_BYTES;
        if (getrandom(bytes, part, GRND_NONBLOCK) != (ssize_t)part)
            break;
        size_t copied = virtio_copy_in(&s->v, &s->chain, done, bytes, part);
        done += copied;
        if (copied != part)
            break;
    }
    return (uint32_t)done;
}

static void notify(void *state, unsigned queue)
{
    struct virtio_rng *s = state;
    for (unsigned n = 0; n < VIRTIO_QUEUE_SIZE && virtio_pop(&s->v, 0, &s->chain); n++)
        virtio_push(&s->v, 0, &s->chain, fill(s));
    virtio_signal(&s->v, 0);
}

static const struct virtio_ops rng_ops = {
    .pci_device = 0x1005, .type = 4, .class_code = 0x00ff00, .queues = 1, .notify = notify};

static int rng_init(weir_dev *dev, void *state)
{
    struct virtio_rng *s = state;
    return virtio_init(dev, s, &s->v, &rng_ops, 0, s->address);
}

static void rng_reset(void *state)
{
    virtio_reset(&((struct virtio_rng *)state)->v);
}

static void rng_fini(void *state)
{
    virtio_fini(&((struct virtio_rng *)state)->v);
}

static int rng_loaded(void *state)
{
    return virtio_loaded(&((struct virtio_rng *)state)->v);
}

static void rng_info(void *state, struct weir_text *out)
{
    virtio_info(&((struct virtio_rng *)state)->v, out);
}

static const struct weir_prop rng_props[] = {
    {"addr", WEIR_PROP_STRING, offsetof(struct virtio_rng, address), NULL,
     "PCI slot[.function], hexadecimal"},
    {NULL, WEIR_PROP_U32, 0, NULL, NULL},
};
static const struct weir_field rng_fields[] = {
    WEIR_FIELD_STRUCT1(struct virtio_rng, v, virtio_fields),
    WEIR_FIELD_END,
};

const struct weir_dev_class virtio_rng_class = {
    .name = "virtio-rng-pci",
    .help = "virtio random number generator",
    .bus = "pci",
    .state_bytes = sizeof(struct virtio_rng),
    .version = 1,
    .init = rng_init,
    .reset = rng_reset,
    .fini = rng_fini,
    .loaded = rng_loaded,
    .info = rng_info,
    .props = rng_props,
    .fields = rng_fields,
    .user_creatable = true,
};
