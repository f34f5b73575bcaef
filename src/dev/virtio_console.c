/* SPDX-License-Identifier: MIT */
/*
 * virtio_console.c - "virtio-serial-pci": a virtio console with one port (virtio 1.1
 * section 5.3), hvc0 in Linux. The character device is named by its chardev property, or by a
 * "virtconsole" device added after it, as QEMU's command lines do.
 *
 * Input waits in a small buffer until the driver offers room; output is written as it comes.
 */
#include "backend/char.h"
#include "dev/pci_board.h"
#include "dev/virtio.h"
#include "base/bits.h"

enum { QUEUE_RECEIVE, QUEUE_TRANSMIT };
enum { F_EMERGENCY_WRITE = 1 << 2 };
#define CONFIG_EMERGENCY 8u
#define INPUT_BYTES      4096u
#define CHAIN_BYTES_MAX  (1u << 20) /* of one transmit buffer; the rest is dropped */

struct virtio_console {
    struct virtio v;
    uint8_t input[INPUT_BYTES];
    uint32_t input_bytes;
    /* wiring */
    struct weir_char *chr;
    char *address;
    struct virtio_chain chain;
};

/* ---- host to guest ---- */

static void deliver(struct virtio_console *s)
{
    bool any = false;
    while (s->input_bytes && virtio_pop(&s->v, QUEUE_RECEIVE, &s->chain)) {
        uint32_t taken =
            (uint32_t)virtio_copy_in(&s->v, &s->chain, 0, s->input, s->input_bytes);
        s->input_bytes -= taken;
        memmove(s->input, s->input + taken, s->input_bytes);
        virtio_push(&s->v, QUEUE_RECEIVE, &s->chain, taken);
        any = true;
    }
    if (any)
        virtio_signal(&s->v, QUEUE_RECEIVE);
}

static unsigned can_receive(void *ctx)
{
    const struct virtio_console *s = ctx;
    return s->v.status & VIRTIO_DRIVER_OK ? INPUT_BYTES - s->input_bytes : 0;
}

static void receive(void *ctx, const uint8_t *data, unsigned length)
{
    struct virtio_console *s = ctx;
    unsigned room = INPUT_BYTES - s->input_bytes;
    if (length > room)
        length = room;
    memcpy(s->input + s->input_bytes, data, length);
    s->input_bytes += length;
    deliver(s);
}

/* ---- guest to host ---- */

static void transmit_chain(struct virtio_console *s)
{
    uint8_t data[1024];
    uint64_t bytes = s->chain.out_bytes;
    if (bytes > CHAIN_BYTES_MAX)
        bytes = CHAIN_BYTES_MAX;
    for (uint64_t done = 0; done < bytes;) {
        size_t part = bytes - done < sizeof(data) ? bytes - done : sizeof(data);
        size_t got = virtio_copy_out(&s->v, &s->chain, done, data, part);
        char_write(s->chr, data, (unsigned)got);
        if (got != part)
            return;
        done += got;
    }
}

/* While the host is slow the driver's buffers stay in the queue. */
static void transmit(void *state)
{
    struct virtio_console *s = state;
    for (unsigned n = 0; n < VIRTIO_QUEUE_SIZE && char_can_write(s->chr) &&
                         virtio_pop(&s->v, QUEUE_TRANSMIT, &s->chain);
         n++) {
        transmit_chain(s);
        virtio_push(&s->v, QUEUE_TRANSMIT, &s->chain, 0);
    }
    virtio_signal(&s->v, QUEUE_TRANSMIT);
}

static void notify(void *state, unsigned queue)
{
    struct virtio_console *s = state;
    if (queue == QUEUE_RECEIVE) {
        deliver(s);
        if (s->chr)
            char_accept_input(s->chr);
        return;
    }
    transmit(s);
}

static void config_read(void *state, uint8_t *config)
{
    store_le(config + 4, 1, 4); /* max_nr_ports */
}

static void config_write(void *state, unsigned offset, uint32_t value, unsigned size)
{
    struct virtio_console *s = state;
    uint8_t byte = (uint8_t)value;
    if (offset == CONFIG_EMERGENCY)
        char_write(s->chr, &byte, 1);
}

static void device_reset(void *state)
{
    ((struct virtio_console *)state)->input_bytes = 0;
}

static const struct virtio_ops console_ops = {.pci_device = 0x1003,
                                              .type = 3,
                                              .class_code = 0x078000,
                                              .queues = 2,
                                              .config_bytes = 12,
                                              .notify = notify,
                                              .reset = device_reset,
                                              .config_read = config_read,
                                              .config_write = config_write};

/* ---- life ---- */

static void attach(struct virtio_console *s, struct weir_char *chr)
{
    const struct char_device device = {
        .can_receive = can_receive, .receive = receive, .ctx = s};
    s->chr = chr;
    char_attach(chr, &device);
    if (chr)
        char_set_writable(chr, transmit);
}

static int serial_init(weir_dev *dev, void *state)
{
    struct virtio_console *s = state;
    int rc = virtio_init(dev, s, &s->v, &console_ops, F_EMERGENCY_WRITE, s->address);
    if (rc == 0 && s->chr)
        attach(s, s->chr);
    return rc;
}

static void serial_reset(void *state)
{
    virtio_reset(&((struct virtio_console *)state)->v);
}

static void serial_fini(void *state)
{
    virtio_fini(&((struct virtio_console *)state)->v);
}

static int serial_loaded(void *state)
{
    struct virtio_console *s = state;
    return s->input_bytes > INPUT_BYTES ? -WEIR_EFORMAT : virtio_loaded(&s->v);
}

static void serial_info(void *state, struct weir_text *out)
{
    const struct virtio_console *s = state;
    weir_textf(out, "port 0: %s, %u bytes of input wait\n",
               s->chr ? char_id(s->chr) : "not connected", s->input_bytes);
    virtio_info(&s->v, out);
}

static const struct weir_prop serial_props[] = {
    {"chardev", WEIR_PROP_CHAR, offsetof(struct virtio_console, chr), NULL,
     "character device of the console"},
    {"addr", WEIR_PROP_STRING, offsetof(struct virtio_console, address), NULL,
     "PCI slot[.function], hexadecimal"},
    {NULL, WEIR_PROP_U32, 0, NULL, NULL},
};
static const struct weir_field serial_fields[] = {
    WEIR_FIELD_STRUCT1(struct virtio_console, v, virtio_fields),
    WEIR_FIELD_BYTES(struct virtio_console, input),
    WEIR_FIELD(struct virtio_console, input_bytes),
    WEIR_FIELD_END,
};

const struct weir_dev_class virtio_serial_class = {
    .name = "virtio-serial-pci",
    .help = "virtio console controller with one console port",
    .bus = "pci",
    .state_bytes = sizeof(struct virtio_console),
    .version = 1,
    .init = serial_init,
    .reset = serial_reset,
    .fini = serial_fini,
    .loaded = serial_loaded,
    .info = serial_info,
    .props = serial_props,
    .fields = serial_fields,
    .user_creatable = true,
};

/* ---- virtconsole: names the controller's character device ---- */

struct virtconsole {
    struct weir_char *chr;
};

static int virtconsole_init(weir_dev *dev, void *state)
{
    struct virtconsole *s = state;
    weir_dev *controller = weir_dev_find(weir_dev_vm(dev), "virtio-serial-pci", NULL);
    if (!controller)
        return weir_dev_fail(dev, WEIR_ENOENT, "needs a virtio-serial-pci device before it");
    struct virtio_console *port = weir_dev_state(controller);
    if (port->chr)
        return weir_dev_fail(dev, WEIR_EBUSY, "%s has only one console port",
                             weir_dev_id(controller));
    if (!s->chr)
        return weir_dev_fail(dev, WEIR_EINVAL, "needs a character device (chardev=ID)");
    attach(port, s->chr);
    return 0;
}

static const struct weir_prop virtconsole_props[] = {
    {"chardev", WEIR_PROP_CHAR, offsetof(struct virtconsole, chr), NULL,
     "character device of the console"},
    {NULL, WEIR_PROP_U32, 0, NULL, NULL},
};
static const struct weir_field virtconsole_fields[] = {WEIR_FIELD_END};

const struct weir_dev_class virtconsole_class = {
    .name = "virtconsole",
    .help = "console port of a virtio-serial-pci device",
    .bus = "virtio-serial-bus",
    .state_bytes = sizeof(struct virtconsole),
    .version = 1,
    .init = virtconsole_init,
    .props = virtconsole_props,
    .fields = virtconsole_fields,
    .user_creatable = true,
};
