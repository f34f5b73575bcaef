/* SPDX-License-Identifier: MIT */
/*
 * fuzz_dev.c - drives one device class by a stream of bytes: port and memory accesses in its
 * regions, guest memory for its DMA, PCI configuration, time, resets, changes of medium, input
 * from the host and corrupted state. What must hold: no crash, no sanitizer report, no hang.
 *
 *   fuzz_dev CLASS --random SEED COUNT   COUNT random inputs (in the test suite)
 *   fuzz_dev CLASS FILE...               replays inputs
 *   with -fsanitize=fuzzer (FUZZ_LIBFUZZER): the class is in the environment, WEIR_FUZZ_CLASS
 */
#include "../dev/rig.h"
#include "backend/char.h"
#include "dev/chips.h"
#include "dev/fw_cfg.h"
#include "dev/input.h"
#include "dev/vga.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_BYTES_MAX 4096u
#define STEPS_MAX       2000u
#define GUEST_DATA      0x10000u /* where the interesting guest memory begins */

enum { HAS_DRIVES = 1, HAS_CHAR = 2, CORRUPT = 4 };
struct target {
    const struct weir_dev_class *cls;
    const char *props;
    unsigned flags;
};
static const struct target targets[] = {
    {&i440fx_class, NULL, CORRUPT},
    {&piix3_class, NULL, CORRUPT},
    {&piix3_ide_class, NULL, HAS_DRIVES | CORRUPT},
    {&fdc_class, NULL, HAS_DRIVES | CORRUPT},
    {&virtio_blk_class, "drive=none0", HAS_DRIVES | CORRUPT},
    {&virtio_rng_class, NULL, CORRUPT},
    {&virtio_serial_class, "chardev=c0", HAS_CHAR | CORRUPT},
    {&pic_8259_class, NULL, 0},
    {&pit_8254_class, NULL, 0},
    {&rtc_146818_class, NULL, 0},
    {&dma_8237_class, NULL, 0},
    {&uart_16550_class, "chardev=c0", HAS_CHAR},
    {&port92_class, NULL, 0},
    {&debugcon_class, "chardev=c0", HAS_CHAR},
    {&i8042_class, NULL, 0},
    {&apic_class, NULL, 0},
    {&ioapic_class, NULL, 0},
    {&hpet_class, NULL, 0},
    {&acpi_pm_class, NULL, 0},
    {&vga_class, NULL, 0},
    {&fw_cfg_class, NULL, 0},
};

/* ---- input ---- */

struct input {
    const uint8_t *data;
    size_t left;
};

static uint32_t take(struct input *in, unsigned bytes)
{
    uint32_t value = 0;
    for (unsigned n = 0; n < bytes && in->left; n++, in->left--)
        value |= (uint32_t)*in->data++ << (8 * n);
    return value;
}

/* Small numbers, powers of two and their neighbours more often than others. */
static uint32_t take_value(struct input *in)
{
    uint32_t kind = take(in, 1);
    if (kind < 0x80)
        return kind & 0x3f;
    if (kind < 0xa0)
        return (1u << (kind & 31)) + take(in, 1) - 128;
    return take(in, kind < 0xc0 ? 1 : kind < 0xe0 ? 2 : 4);
}

/* ---- machine ---- */

static const struct image {
    const char *interface_name;
    int index;
    uint64_t bytes;
    bool cdrom;
} images[] = {{"ide", 0, 256 * 512, false},
              {"ide", 1, 32 * 2048, true},
              {"floppy", 0, 1440 * 1024, false},
              {"none", 0, 256 * 512, false}};
static char *image_paths[ARRAY_SIZE(images)];

static void plug_drives(struct rig *rig)
{
    for (unsigned n = 0; n < ARRAY_SIZE(images); n++) {
        struct weir_block *b = calloc(1, sizeof(*b));
        const struct image *i = &images[n];
        snprintf(b->id, sizeof(b->id), "%s%d", i->interface_name, i->index);
        snprintf(b->interface_name, sizeof(b->interface_name), "%s", i->interface_name);
        b->index = i->index;
        b->is_cdrom = b->read_only = i->cdrom;
        b->snapshot = !i->cdrom;
        b->next = rig->vm->blocks;
        rig->vm->blocks = b;
        if (!image_paths[n])
            image_paths[n] = rig_image(i->bytes);
        if (block_open(b, image_paths[n], &rig->vm->err) < 0)
            abort();
    }
}

static void remove_images(void)
{
    for (unsigned n = 0; n < ARRAY_SIZE(images); n++) {
        if (image_paths[n])
            unlink(image_paths[n]);
        free(image_paths[n]);
    }
}

static void swallow(void *ctx, const uint8_t *data, size_t length) {}

static void plug_char(struct rig *rig)
{
    struct char_node *node = calloc(1, sizeof(*node));
    node->chr = char_new_callback("c0", swallow, NULL);
    rig->vm->chars = node;
}

static struct rig *build(const struct target *t, weir_dev **dev)
{
    struct rig *rig = rig_new();
    rig_add(rig, &i440fx_class, NULL);
    rig->vm->pci = weir_dev_find(rig->vm, "i440FX", NULL);
    if (t->cls != &piix3_class && t->cls != &i440fx_class)
        rig_add(rig, &piix3_class, NULL);
    if (t->flags & HAS_DRIVES)
        plug_drives(rig);
    if (t->flags & HAS_CHAR)
        plug_char(rig);
    if (t->cls == &fdc_class)
        rig_add(rig, &dma_8237_class, NULL);
    *dev = t->cls == &i440fx_class ? rig->vm->pci : rig_add(rig, t->cls, t->props);
    /* Every BAR somewhere, decoding and bus mastering on. */
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        struct pci_function *f = pci_find(rig->vm->pci, devfn);
        for (unsigned n = 0; f && n < 6; n++)
            if (f->bar[n].bytes)
                pci_config_write(rig->vm->pci, devfn, 0x10 + 4 * n,
                                 f->bar[n].is_io ? 0xc000 + 0x100 * n : 0xe0000000 + (n << 24),
                                 4);
        pci_config_write(rig->vm->pci, devfn, 4, 7, 2);
    }
    return rig;
}

/* ---- steps ---- */

/* The n-th region with callbacks. */
static struct weir_region *pick_region(struct bus *bus, unsigned n)
{
    unsigned count = 0;
    for (struct weir_region *r = bus->regions; r; r = r->next)
        count += r->ops != NULL;
    if (!count)
        return NULL;
    n %= count;
    for (struct weir_region *r = bus->regions; r; r = r->next)
        if (r->ops && n-- == 0)
            return r;
    return NULL;
}

static void access_region(struct bus *bus, struct input *in, unsigned size_max, bool write)
{
    struct weir_region *r = pick_region(bus, take(in, 1));
    if (!r || !r->enabled)
        return;
    uint64_t address = r->start + take_value(in) % r->length;
    unsigned size = 1u << take(in, 1) % 4;
    if (size > size_max)
        size = size_max;
    if (write)
        bus_write(bus, address, take_value(in) | (uint64_t)take_value(in) << 32, size);
    else
        bus_read(bus, address, size);
}

static void write_memory(struct rig *rig, struct input *in)
{
    uint64_t gpa = GUEST_DATA + take_value(in) % 0x20000;
    unsigned count = take(in, 1) % 32;
    for (unsigned n = 0; n < count; n++)
        store_le(rig_ram(rig, gpa + 4 * n), take_value(in), 4);
    if (count % 8 == 0) /* a pointer to guest memory, as descriptors hold them */
        store_le(rig_ram(rig, gpa), GUEST_DATA + take_value(in) % 0x10000, 8);
}

static void change_medium(struct rig *rig, struct input *in)
{
    unsigned n = take(in, 1) % ARRAY_SIZE(images), k = 0;
    struct weir_block *b = rig->vm->blocks;
    while (b && k++ != n)
        b = b->next;
    if (!b || (!b->is_cdrom && strcmp(b->interface_name, "floppy")))
        return;
    unsigned image = b->is_cdrom ? 1 : 2;
    if (take(in, 1) & 1)
        block_close(b);
    else
        block_open(b, image_paths[image], &rig->vm->err);
    if (b->changed)
        b->changed(b->changed_ctx);
}

/* A number of the state becomes another one. */
static void corrupt(uint8_t *state, const struct weir_field *f, struct input *in)
{
    unsigned count = 0;
    while (f && f[count].name)
        count++;
    if (!count)
        return;
    f += take(in, 1) % count;
    uint32_t element = f->count > 1 ? take(in, 1) % f->count : 0;
    uint8_t *at = state + f->offset + (size_t)element * f->size;
    if (f->kind == WEIR_FIELD_STRUCT)
        corrupt(at, f->sub, in);
    else if (f->kind == WEIR_FIELD_UINT)
        store_le(at, take_value(in), f->size < 4 ? f->size : 4);
}

static void discard(struct weir_text *text, const char *chars, size_t length) {}

/* False when the machine cannot go on: corrupted state was refused. */
static bool step(struct rig *rig, weir_dev *dev, const struct target *t, struct input *in)
{
    struct weir_text text = {discard};
    unsigned devfn = take(in, 1) & 0x3f;
    switch (take(in, 1) % 20) {
    case 0:
        rig_run(rig, 1ull << take(in, 1) % 32);
        break;
    case 1:
        pci_config_write(rig->vm->pci, devfn, take(in, 1), take_value(in),
                         1u << take(in, 1) % 3);
        break;
    case 2:
        pci_config_read(rig->vm->pci, devfn, take(in, 1), 1u << take(in, 1) % 3);
        break;
    case 3:
        if (take(in, 1) % 8 == 0)
            devices_reset(rig->vm);
        break;
    case 4:
        if (t->flags & HAS_DRIVES)
            change_medium(rig, in);
        if (t->flags & HAS_CHAR)
            char_feed(rig->vm->chars->chr, in->data, in->left < 64 ? in->left : 64);
        break;
    case 5:
        if (t->cls->info)
            t->cls->info(dev->state, &text);
        pci_info(rig->vm->pci, &text);
        break;
    case 6:
        if ((t->flags & CORRUPT) && take(in, 1) % 4 == 0) {
            corrupt(dev->state, t->cls->fields, in);
            return !t->cls->loaded || t->cls->loaded(dev->state) == 0;
        }
        break;
    case 7:
    case 8:
        write_memory(rig, in);
        break;
    case 9:
    case 10:
        access_region(&rig->vm->mem, in, 8, false);
        break;
    case 11:
    case 12:
    case 13:
        access_region(&rig->vm->mem, in, 8, true);
        break;
    case 14:
    case 15:
        access_region(&rig->vm->io, in, 4, false);
        break;
    default:
        access_region(&rig->vm->io, in, 4, true);
    }
    return true;
}

static void run(const struct target *t, const uint8_t *data, size_t length)
{
    struct input in = {data, length < INPUT_BYTES_MAX ? length : INPUT_BYTES_MAX};
    weir_dev *dev;
    struct rig *rig = build(t, &dev);
    for (unsigned n = 0; n < STEPS_MAX && in.left; n++)
        if (!step(rig, dev, t, &in))
            break;
    rig_free(rig);
}

static const struct target *find_target(const char *name)
{
    for (unsigned n = 0; n < ARRAY_SIZE(targets); n++)
        if (name && !strcmp(targets[n].cls->name, name))
            return &targets[n];
    return NULL;
}

/* ---- drivers ---- */

#ifdef FUZZ_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    static const struct target *target;
    if (!target) {
        target = find_target(getenv("WEIR_FUZZ_CLASS"));
        atexit(remove_images);
    }
    if (!target)
        abort();
    run(target, data, length);
    return 0;
}
#else
static int replay(const struct target *t, const char *path)
{
    static uint8_t data[INPUT_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    run(t, data, fread(data, 1, sizeof(data), file));
    fclose(file);
    return 0;
}

static void run_random(const struct target *t, uint64_t seed, unsigned count)
{
    static uint8_t data[INPUT_BYTES_MAX];
    for (unsigned n = 0; n < count; n++) {
        for (unsigned k = 0; k < sizeof(data); k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            data[k] = (uint8_t)(seed >> 56);
        }
        run(t, data, sizeof(data));
    }
}

int main(int argc, char **argv)
{
    const struct target *t = argc > 2 ? find_target(argv[1]) : NULL;
    if (!t) {
        fprintf(stderr, "usage: %s CLASS --random SEED COUNT | CLASS FILE...\n", argv[0]);
        return 2;
    }
    int rc = 0;
    if (!strcmp(argv[2], "--random") && argc == 5)
        run_random(t, strtoull(argv[3], NULL, 0), (unsigned)atoi(argv[4]));
    else
        for (int n = 2; n < argc; n++)
            rc |= replay(t, argv[n]);
    remove_images();
    return rc;
}
#endif
