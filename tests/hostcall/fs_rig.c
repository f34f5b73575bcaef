/* SPDX-License-Identifier: MIT */
/* fs_rig.c - see fs_rig.h. */
#include "fs_rig.h"

#include "base/bits.h"
#include "dev/pci_board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/hostservice.h>
#include <weir/machine.h>

#define MODERN 0xe0000000u
#define MSIX   0xe1000000u
#define QUEUES 0x10000u /* 64 KiB for each */
#define DESC   0x0000u
#define AVAIL  0x2000u
#define USED   0x4000u
enum { NEXT = 1, WRITE = 2 };

void *fs_ram(struct fs_rig *r, uint64_t gpa)
{
    return r->vm->ram.base + gpa;
}

static void out(struct fs_rig *r, unsigned offset, uint64_t value, unsigned size)
{
    bus_write(&r->vm->mem, MODERN + offset, value, size);
}

static uint8_t *ring(struct fs_rig *r, unsigned queue, unsigned at)
{
    return fs_ram(r, QUEUES + 0x10000u * queue + at);
}

static void place_queue(struct fs_rig *r, unsigned queue)
{
    uint64_t base = QUEUES + 0x10000u * queue;
    memset(ring(r, queue, 0), 0, 0x10000);
    out(r, 0x16, queue, 2);
    out(r, 0x18, FS_QUEUE_SIZE, 2);
    out(r, 0x20, base + DESC, 8);
    out(r, 0x28, base + AVAIL, 8);
    out(r, 0x30, base + USED, 8);
    out(r, 0x1c, 1, 2);
}

void fs_start(struct fs_rig *r)
{
    out(r, 0x14, 0, 1);
    out(r, 0x14, 3, 1);
    out(r, 0x08, 1, 4);
    out(r, 0x0c, 1, 4); /* VERSION_1 */
    out(r, 0x14, 11, 1);
    place_queue(r, 0);
    place_queue(r, 1);
    out(r, 0x14, 15, 1);
}

static void map_bars(struct fs_rig *r)
{
    weir_dev *host = r->vm->pci;
    for (unsigned n = 0; n < 256; n++)
        if (pci_find(host, n) && pci_config_read(host, n, 0, 4) == 0x105a1af4)
            r->devfn = n;
    pci_config_write(host, r->devfn, 0x14, MSIX, 4);
    pci_config_write(host, r->devfn, 0x18, (uint32_t)FS_WINDOW, 4);
    pci_config_write(host, r->devfn, 0x1c, FS_WINDOW >> 32, 4);
    pci_config_write(host, r->devfn, 0x20, MODERN, 4);
    pci_config_write(host, r->devfn, 0x24, 0, 4);
    pci_config_write(host, r->devfn, 4, 6, 2);
}

static bool bring_up(struct fs_rig *r, const char *options)
{
    struct weir_config config;
    char text[256];
    weir_config_init(&config, sizeof(config));
    config.ram_bytes = FS_RAM;
    if (weir_create(&config, &r->vm) < 0)
        return false;
    snprintf(text, sizeof(text), "share=s,path=%s,%s", r->dir, options);
    if (weir_hostcall_enable(r->vm, text) < 0) {
        printf("%s\n", weir_last_error(r->vm));
        return false;
    }
    map_bars(r);
    fs_start(r);
    return true;
}

bool fs_open_below(struct fs_rig *r, const char *options)
{
    char command[300];
    memset(r, 0, sizeof(*r));
    snprintf(r->base, sizeof(r->base), "/tmp/weir-fs-XXXXXX");
    if (!mkdtemp(r->base))
        return false;
    snprintf(r->dir, sizeof(r->dir), "%.50s/share", r->base);
    snprintf(command, sizeof(command),
             "cd %s && mkdir share outside && echo secret >outside/secret", r->base);
    return system(command) == 0 && bring_up(r, options);
}

bool fs_open(struct fs_rig *r, const char *options)
{
    memset(r, 0, sizeof(*r));
    snprintf(r->dir, sizeof(r->dir), "/tmp/weir-fs-XXXXXX");
    if (!mkdtemp(r->dir))
        return false;
    memcpy(r->base, r->dir, sizeof(r->base));
    return bring_up(r, options);
}

void fs_close(struct fs_rig *r)
{
    char command[200];
    weir_destroy(r->vm);
    snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -rf %s", r->base, r->base);
    if (system(command) != 0)
        printf("%s is left\n", r->dir);
}

bool fs_chain(struct fs_rig *r, unsigned queue, const struct fs_piece *pieces, unsigned count)
{
    for (unsigned n = 0; n < count; n++) {
        uint8_t *d = ring(r, queue, DESC + 16 * n);
        store_le(d, pieces[n].gpa, 8);
        store_le(d + 8, pieces[n].bytes, 4);
        store_le(d + 12, (n + 1 < count ? NEXT : 0) | (pieces[n].in ? WRITE : 0), 2);
        store_le(d + 14, n + 1, 2);
    }
    uint16_t index = (uint16_t)load_le(ring(r, queue, AVAIL + 2), 2);
    uint16_t before = (uint16_t)load_le(ring(r, queue, USED + 2), 2);
    store_le(ring(r, queue, AVAIL + 4 + 2 * (index % FS_QUEUE_SIZE)), 0, 2);
    store_le(ring(r, queue, AVAIL + 2), (uint16_t)(index + 1), 2);
    pthread_mutex_lock(&r->vm->device_lock);
    out(r, 0x3000 + 4 * queue, queue, 2);
    pthread_mutex_unlock(&r->vm->device_lock);
    uint16_t after = (uint16_t)load_le(ring(r, queue, USED + 2), 2);
    r->used_bytes =
        (uint32_t)load_le(ring(r, queue, USED + 8 + 8 * (before % FS_QUEUE_SIZE)), 4);
    return (uint16_t)(after - before) == 1;
}

bool fs_broken(struct fs_rig *r)
{
    return bus_read(&r->vm->mem, MODERN + 0x14, 1) & 0x40;
}

const void *fs_answer(struct fs_rig *r)
{
    return (const uint8_t *)fs_ram(r, FS_IN) + sizeof(struct fuse_out_header);
}

int fs_call(struct fs_rig *r, uint32_t opcode, uint64_t node, const void *argument,
            size_t length, const void *more, size_t more_length, size_t *bytes)
{
    struct fuse_in_header in = {.len = (uint32_t)(sizeof(in) + length + more_length),
                                .opcode = opcode,
                                .unique = ++r->unique,
                                .nodeid = node};
    uint8_t *request = fs_ram(r, FS_OUT);
    memcpy(request, &in, sizeof(in));
    if (length)
        memcpy(request + sizeof(in), argument, length);
    if (more_length)
        memcpy(request + sizeof(in) + length, more, more_length);
    memset(fs_ram(r, FS_IN), 0xee, 4096);
    const struct fs_piece pieces[] = {{FS_OUT, in.len, false}, {FS_IN, (1 << 20) + 4096, true}};
    if (!fs_chain(r, 1, pieces, 2) || r->used_bytes < sizeof(struct fuse_out_header))
        return 1;
    struct fuse_out_header answer;
    memcpy(&answer, fs_ram(r, FS_IN), sizeof(answer));
    if (answer.unique != in.unique || answer.len != r->used_bytes)
        return 2;
    if (bytes)
        *bytes = answer.len - sizeof(answer);
    return answer.error;
}

int fs_begin(struct fs_rig *r)
{
    struct fuse_init_in in = {.major = 7,
                              .minor = 38,
                              .max_readahead = 1 << 20,
                              .flags = FUSE_MAP_ALIGNMENT | FUSE_MAX_PAGES | FUSE_INIT_EXT,
                              .flags2 = (uint32_t)(FUSE_HAS_INODE_DAX >> 32)};
    return fs_call(r, FUSE_INIT, 0, &in, sizeof(in), NULL, 0, NULL);
}

uint64_t fs_lookup(struct fs_rig *r, uint64_t parent, const char *name, int *error)
{
    struct fuse_entry_out entry;
    *error = fs_call(r, FUSE_LOOKUP, parent, name, strlen(name) + 1, NULL, 0, NULL);
    memcpy(&entry, fs_answer(r), sizeof(entry));
    return *error ? 0 : entry.nodeid;
}

uint64_t fs_open_file(struct fs_rig *r, uint64_t node, uint32_t flags, int *error)
{
    struct fuse_open_in in = {.flags = flags};
    struct fuse_open_out opened;
    *error = fs_call(r, FUSE_OPEN, node, &in, sizeof(in), NULL, 0, NULL);
    memcpy(&opened, fs_answer(r), sizeof(opened));
    return *error ? 0 : opened.fh;
}

int fs_map(struct fs_rig *r, uint64_t node, uint64_t file_offset, uint64_t bytes,
           uint64_t flags, uint64_t at)
{
    struct fuse_setupmapping_in in = {
        .foffset = file_offset, .len = bytes, .flags = flags, .moffset = at};
    return fs_call(r, FUSE_SETUPMAPPING, node, &in, sizeof(in), NULL, 0, NULL);
}
