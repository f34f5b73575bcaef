/* SPDX-License-Identifier: MIT */
/* host.c - drives, terminals and kernels: what the embedder plugs into the machine. */
#include "api/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- drives ---- */

static int drive_limit(const char *interface_name)
{
    if (!strcmp(interface_name, "ide"))
        return 4;
    if (!strcmp(interface_name, "floppy"))
        return 2;
    return !strcmp(interface_name, "virtio") || !strcmp(interface_name, "none") ? 32 : -1;
}

static bool taken(struct weir *vm, const char *interface_name, int index)
{
    for (struct weir_block *b = vm->blocks; b; b = b->next)
        if (b->index == index && !strcmp(b->interface_name, interface_name))
            return true;
    return false;
}

/* The names of QEMU: ide0-hd0, ide1-cd0, floppy0, virtio0, none0. */
static void default_id(struct weir_block *b)
{
    if (!strcmp(b->interface_name, "ide"))
        snprintf(b->id, sizeof(b->id), "ide%d-%s%d", b->index / 2, b->is_cdrom ? "cd" : "hd",
                 b->index % 2);
    else
        snprintf(b->id, sizeof(b->id), "%s%d", b->interface_name, b->index);
}

static int place(struct weir *vm, struct weir_block *b, const struct weir_drive *d)
{
    const char *bus = d->interface_ ? d->interface_ : "ide";
    int limit = drive_limit(bus);
    if (limit < 0)
        return err_set(&vm->err, WEIR_EINVAL,
                       "drive interface '%s': use ide, floppy, virtio or none", bus);
    snprintf(b->interface_name, sizeof(b->interface_name), "%s", bus);
    b->index = d->index;
    if (d->index < 0)
        for (b->index = 0; b->index < limit && taken(vm, bus, b->index);)
            b->index++;
    if (b->index >= limit)
        return err_set(&vm->err, WEIR_ERANGE, "there is no room for %s drive %d", bus,
                       b->index);
    if (taken(vm, bus, b->index))
        return err_set(&vm->err, WEIR_EEXIST, "%s drive %d is there twice", bus, b->index);
    return 0;
}

static int describe(struct weir *vm, struct weir_block *b, const struct weir_drive *d)
{
    if (d->format && strcmp(d->format, "raw"))
        return err_set(&vm->err, WEIR_EUNSUPPORTED, "%s: image format '%s': only raw is known",
                       d->file ? d->file : "drive", d->format);
    b->is_cdrom = d->is_cdrom;
    b->read_only = d->read_only || d->is_cdrom;
    b->snapshot = d->snapshot && !b->read_only;
    int rc = place(vm, b, d);
    if (rc < 0)
        return rc;
    if (d->id)
        snprintf(b->id, sizeof(b->id), "%s", d->id);
    else
        default_id(b);
    for (struct weir_block *other = vm->blocks; other; other = other->next)
        if (!strcmp(other->id, b->id))
            return err_set(&vm->err, WEIR_EEXIST, "drive id '%s' is there twice", b->id);
    if (d->serial && !(b->serial = strdup(d->serial)))
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    if (d->file && *d->file)
        return block_open(b, d->file, &vm->err);
    if (!b->is_cdrom && strcmp(b->interface_name, "floppy"))
        return err_set(&vm->err, WEIR_EINVAL, "drive %s needs a file", b->id);
    return 0;
}

int weir_drive_add(weir *vm, const struct weir_drive *drive)
{
    struct weir_drive d = {.index = -1};
    memcpy(&d, drive, drive->size < sizeof(d) ? drive->size : sizeof(d));
    if (vm->started)
        return err_set(&vm->err, WEIR_ESTATE, "drives cannot be added to a running machine");
    struct weir_block *b = calloc(1, sizeof(*b));
    if (!b)
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    b->fd = b->overlay_fd = -1;
    int rc = describe(vm, b, &d);
    if (rc < 0) {
        block_close(b);
        free(b->serial);
        free(b);
        return rc;
    }
    struct weir_block **end = &vm->blocks;
    while (*end)
        end = &(*end)->next;
    *end = b;
    return 0;
}

static struct weir_block *drive_by_id(weir *vm, const char *id)
{
    for (struct weir_block *b = vm->blocks; b; b = b->next)
        if (!strcmp(b->id, id))
            return b;
    err_set(&vm->err, WEIR_ENOENT, "no drive with id '%s'; see info block", id);
    return NULL;
}

static int media_change(weir *vm, struct weir_block *b, const char *file, bool force)
{
    if (!b->is_cdrom && strcmp(b->interface_name, "floppy"))
        return err_set(&vm->err, WEIR_EINVAL, "%s: its medium cannot be changed", b->id);
    if (b->locked && !force)
        return err_set(&vm->err, WEIR_EBUSY, "%s: the guest has locked the tray", b->id);
    int rc = file ? block_open(b, file, &vm->err) : 0;
    if (rc < 0)
        return rc; /* the old medium stays */
    if (!file)
        block_close(b);
    b->locked = false;
    if (b->changed)
        b->changed(b->changed_ctx);
    return 0;
}

int weir_media_change(weir *vm, const char *id, const char *file, bool force)
{
    pthread_mutex_lock(&vm->device_lock);
    struct weir_block *b = drive_by_id(vm, id);
    int rc = b ? media_change(vm, b, file, force) : -WEIR_ENOENT;
    pthread_mutex_unlock(&vm->device_lock);
    return rc;
}

int weir_drives_flush(weir *vm)
{
    int rc = 0;
    pthread_mutex_lock(&vm->device_lock);
    for (struct weir_block *b = vm->blocks; b; b = b->next)
        if (block_present(b) && !b->read_only && block_flush(b) < 0)
            rc = err_errno(&vm->err, "%s: %s", b->id, b->file);
    pthread_mutex_unlock(&vm->device_lock);
    return rc;
}

/* ---- character devices ---- */

static int keep_char(weir *vm, struct weir_char *chr, weir_char **out)
{
    struct char_node *n = calloc(1, sizeof(*n));
    if (!n) {
        char_close(chr);
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    }
    n->chr = chr;
    n->next = vm->chars;
    vm->chars = n;
    if (out)
        *out = chr;
    return 0;
}

static int check_char_id(weir *vm, const char *id)
{
    if (!id || !*id || strlen(id) > 31 || strpbrk(id, ",= "))
        return err_set(&vm->err, WEIR_EINVAL, "character device: bad id '%s'", id ? id : "");
    for (struct char_node *n = vm->chars; n; n = n->next)
        if (!strcmp(char_id(n->chr), id))
            return err_set(&vm->err, WEIR_EEXIST, "character device '%s' is there twice", id);
    return 0;
}

int weir_char_open(weir *vm, const char *id, const char *spec, weir_char **out)
{
    struct weir_char *chr;
    pthread_mutex_lock(&vm->device_lock);
    int rc = check_char_id(vm, id);
    if (rc == 0)
        rc = char_open(&vm->loop, id, spec, &chr, &vm->err);
    if (rc == 0)
        rc = keep_char(vm, chr, out);
    pthread_mutex_unlock(&vm->device_lock);
    return rc;
}

int weir_char_new(weir *vm, const char *id,
                  void (*write)(void *ctx, const uint8_t *data, size_t length), void *ctx,
                  weir_char **out)
{
    pthread_mutex_lock(&vm->device_lock);
    int rc = check_char_id(vm, id);
    struct weir_char *chr = rc == 0 ? char_new_callback(id, write, ctx) : NULL;
    if (rc == 0)
        rc = chr ? keep_char(vm, chr, out) : err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    pthread_mutex_unlock(&vm->device_lock);
    return rc;
}

size_t weir_char_feed(weir *vm, weir_char *chr, const uint8_t *data, size_t length)
{
    pthread_mutex_lock(&vm->device_lock);
    size_t taken_bytes = char_feed(chr, data, length);
    pthread_mutex_unlock(&vm->device_lock);
    return taken_bytes;
}

void weir_char_break(weir *vm, weir_char *chr)
{
    pthread_mutex_lock(&vm->device_lock);
    char_break(chr);
    pthread_mutex_unlock(&vm->device_lock);
}

const char *weir_char_where(const weir_char *chr)
{
    return char_where(chr);
}

int weir_serial_set(weir *vm, unsigned n, weir_char *chr)
{
    if (n >= ARRAY_SIZE(vm->serial) || vm->started)
        return err_set(&vm->err, n >= ARRAY_SIZE(vm->serial) ? WEIR_ERANGE : WEIR_ESTATE,
                       "serial port %u: there are four, set before the machine starts", n);
    vm->serial[n] = chr;
    return 0;
}

int weir_debugcon_set(weir *vm, weir_char *chr)
{
    if (vm->started)
        return err_set(&vm->err, WEIR_ESTATE, "debugcon: set before the machine starts");
    vm->debugcon = chr;
    return 0;
}

/* ---- kernel ---- */

static bool replace(char **at, const char *text)
{
    free(*at);
    *at = text ? strdup(text) : NULL;
    return !text || *at;
}

int weir_kernel_set(weir *vm, const char *kernel, const char *initrd, const char *cmdline)
{
    if (vm->started)
        return err_set(&vm->err, WEIR_ESTATE, "the machine has started already");
    if (!kernel && (initrd || cmdline))
        return err_set(&vm->err, WEIR_EINVAL, "-initrd and -append need -kernel");
    if (!replace(&vm->boot.kernel, kernel) || !replace(&vm->boot.initrd, initrd) ||
        !replace(&vm->boot.cmdline, cmdline))
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    return 0;
}
