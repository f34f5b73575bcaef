/* SPDX-License-Identifier: MIT */
/*
 * fs_device.c - the virtio-fs device (virtio 1.2 section 5.11): queue 0 for FORGET and the like,
 * queue 1 for requests, both served at once. Made by -hostcall share=NAME,...,virtiofs=on; its tag
 * is the share's name.
 *
 * A request is copied before it is looked at; what is read from a file goes straight into the
 * chain's pages.
 */
#include "hostcall/fs.h"
#include "hostcall/handle.h"
#include "hostcall/services.h"

#include "base/bits.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TAG_BYTES = 36,
    CONFIG_BYTES = TAG_BYTES + 4,
    REQUEST_MAX = 8192, /* without data to write: two names, or a list of 256 mappings */
    SCRATCH_BYTES = 131072,
    REQUESTS_MAX = 65536, /* per notification */
    OUT_HEADER = sizeof(struct fuse_out_header),
    WRITE_HEADER = sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in),
};

struct fs {
    struct fs_device *device;
    struct hostcall *h;
    struct fs_host host;
    struct fuse_server server;
    struct fs_window window;
    struct virtio_chain chain;
    uint32_t written; /* bytes of the answer */
    uint64_t requests;
    _Alignas(8) unsigned char request[REQUEST_MAX + FUSE_REQUEST_PAD];
    _Alignas(8) unsigned char scratch[SCRATCH_BYTES];
};

struct fs_device {
    struct virtio v;
    /* wiring */
    char *share, *address;
    uint64_t window_bytes;
    struct fs *fs;
};

static struct fs *fs_of(struct fuse_server *server)
{
    return container_of(server, struct fs, server);
}

static struct bus *bus_of(const struct fs *fs)
{
    return &fs->h->vm->mem;
}

/* ---- answers and data ---- */

static void put_header(struct fs *fs, int error, size_t bytes)
{
    struct fuse_out_header out = {
        .len = (uint32_t)(OUT_HEADER + bytes), .error = error, .unique = fs->server.in.unique};
    struct virtio *v = &fs->device->v;
    bool whole = virtio_copy_in(v, &fs->chain, 0, &out, sizeof(out)) == sizeof(out);
    fs->written = whole ? out.len : 0;
}

static void port_reply(struct fuse_server *server, int error, const void *data, size_t bytes)
{
    struct fs *fs = fs_of(server);
    struct virtio *v = &fs->device->v;
    if (bytes && virtio_copy_in(v, &fs->chain, OUT_HEADER, data, bytes) != bytes) {
        error = -EIO; /* no room for it */
        bytes = 0;
    }
    put_header(fs, error, bytes);
}

/* A part of the chain's out or in bytes as the regions of a call; false: not all is memory. */
static bool add_regions(struct fs *fs, bool in, uint64_t offset, size_t bytes)
{
    const struct virtio_chain *c = &fs->chain;
    const struct virtio_segment *s = c->segment + (in ? c->out_count : 0);
    struct memory *m = &fs->h->call.regions;
    memory_clear(m);
    for (unsigned n = in ? c->in_count : c->out_count; n && bytes; n--, s++) {
        if (offset >= s->bytes) {
            offset -= s->bytes;
            continue;
        }
        size_t part = s->bytes - offset < bytes ? s->bytes - offset : bytes;
        void *host = bus_dma_pointer(bus_of(fs), s->gpa + offset, part, in);
        if (!host || memory_add_host(m, host, part))
            return false;
        bytes -= part;
        offset = 0;
    }
    return !bytes;
}

static long transfer(struct fs *fs, uint32_t handle, uint64_t offset,
                     unsigned (*service)(weir_call *call))
{
    struct weir_hc_io block = {.handle = handle, .offset = offset};
    fs->h->call.block = (uint8_t *)&block;
    if (offset == WEIR_HC_HERE)
        return -EINVAL;
    unsigned error = service(&fs->h->call);
    return error ? -(long)error : (long)block.done;
}

/* Translated code there must go. */
static void tell_written(struct fs *fs, uint64_t bytes)
{
    const struct virtio_segment *s = fs->chain.segment + fs->chain.out_count;
    for (unsigned n = fs->chain.in_count; n && bytes; n--, s++) {
        uint64_t part = s->bytes < bytes ? s->bytes : bytes;
        bus_dma_written(bus_of(fs), s->gpa, part);
        bytes -= part;
    }
}

static void port_read(struct fuse_server *server, uint32_t handle, uint64_t offset,
                      size_t bytes)
{
    struct fs *fs = fs_of(server);
    uint64_t room = fs->chain.in_bytes > OUT_HEADER ? fs->chain.in_bytes - OUT_HEADER : 0;
    long done = -EFAULT;
    if (add_regions(fs, true, OUT_HEADER, bytes < room ? bytes : room))
        done = transfer(fs, handle, offset, file_read);
    if (done > 0)
        tell_written(fs, OUT_HEADER + (uint64_t)done);
    put_header(fs, done < 0 ? (int)done : 0, done < 0 ? 0 : (size_t)done);
}

static long port_write(struct fuse_server *server, uint32_t handle, uint64_t offset,
                       size_t bytes)
{
    struct fs *fs = fs_of(server);
    uint64_t there =
        fs->chain.out_bytes > WRITE_HEADER ? fs->chain.out_bytes - WRITE_HEADER : 0;
    if (!add_regions(fs, false, WRITE_HEADER, bytes < there ? bytes : there))
        return -EFAULT;
    return transfer(fs, handle, offset, file_write);
}

/* ---- the window ---- */

static int descriptor(struct fs *fs, uint32_t handle)
{
    const struct handle *f = handle_get(&fs->h->call, handle);
    return f && f->kind == HANDLE_FILE ? f->fd : -EBADF;
}

static int port_map(struct fuse_server *server, struct node *node, uint32_t handle,
                    const struct fuse_setupmapping_in *in)
{
    struct fs *fs = fs_of(server);
    int fd = descriptor(fs, handle);
    if (fd < 0)
        return fd;
    if (in->flags & FUSE_SETUPMAPPING_FLAG_WRITE && fs->h->shares->read_only)
        return -EROFS;
    int error = fs_window_map(&fs->window, node->id, fd, in);
    if (error == -ENODEV)
        server->options.map_least = 0; /* this file system has no mappings: offer it no more */
    return error;
}

static int port_unmap(struct fuse_server *server, uint64_t offset, uint64_t bytes)
{
    return fs_window_unmap(&fs_of(server)->window, offset, bytes);
}

static void port_opened(struct fuse_server *server, struct node *node, uint32_t handle,
                        bool changed)
{
    struct fs *fs = fs_of(server);
    int fd = descriptor(fs, handle);
    if (fd >= 0)
        fs_window_heal(&fs->window, node->id, fd);
    if (changed)
        fs_window_changed(&fs->window, node->id);
}

/* Pages that were lost since last time: their files may have grown again. */
static void heal(struct fs *fs)
{
    struct fs_window *w = &fs->window;
    if (!w->guard || w->hits == fs_guard_hits(w->guard))
        return;
    w->hits = fs_guard_hits(w->guard);
    for (uint64_t k = 0; k < w->bytes >> FS_SLOT_LOG2; k++) {
        struct node *node = w->lost[k] ? table_node(&fs->server.table, w->slot[k].node) : NULL;
        int fd = node && node->files ? descriptor(fs, node->files->handle) : -1;
        if (fd >= 0)
            fs_window_heal(w, node->id, fd);
    }
}

static const struct fuse_port port = {
    .reply = port_reply, .read = port_read, .write = port_write};
static const struct fuse_port port_with_window = {.reply = port_reply,
                                                  .read = port_read,
                                                  .write = port_write,
                                                  .map = port_map,
                                                  .unmap = port_unmap,
                                                  .opened = port_opened};

/* ---- requests ---- */

static void serve(struct fs *fs)
{
    struct virtio *v = &fs->device->v;
    struct fuse_in_header in;
    fs->written = 0;
    fs->requests++;
    if (virtio_copy_out(v, &fs->chain, 0, &in, sizeof(in)) != sizeof(in)) {
        virtio_break(v, "request without header");
        return;
    }
    size_t most = in.opcode == FUSE_WRITE ? WRITE_HEADER : REQUEST_MAX;
    size_t bytes = virtio_copy_out(v, &fs->chain, 0, fs->request, most);
    heal(fs);
    fuse_server_serve(&fs->server, fs->request, bytes);
    if (fs->server.in.opcode == FUSE_DESTROY)
        fs_window_clear(&fs->window);
}

static void notify(void *state, unsigned queue)
{
    struct fs_device *s = state;
    struct fs *fs = s->fs;
    for (unsigned n = 0; n < REQUESTS_MAX && virtio_pop(&s->v, queue, &fs->chain); n++) {
        serve(fs);
        if (s->v.status & VIRTIO_NEEDS_RESET)
            return;
        virtio_push(&s->v, queue, &fs->chain, fs->written);
    }
    virtio_signal(&s->v, queue);
}

static void config_read(void *state, uint8_t *config)
{
    const struct fs_device *s = state;
    memcpy(config, s->share, strlen(s->share)); /* shorter than TAG_BYTES */
    store_le(config + TAG_BYTES, 1, 4);         /* num_request_queues */
}

/* The driver's reset, too: nothing of the guest's file system is left. */
static void driver_reset(void *state)
{
    struct fs *fs = ((struct fs_device *)state)->fs;
    fuse_server_fini(&fs->server);
    fuse_server_init(&fs->server);
    fs_window_clear(&fs->window);
}

static const struct virtio_ops fs_ops = {.pci_device = 0x1040 + 26,
                                         .type = 26,
                                         .class_code = 0x018000,
                                         .queues = 2,
                                         .config_bytes = CONFIG_BYTES,
                                         .queue_size = VIRTIO_CHAIN_MAX, /* 1 MiB of pages */
                                         .modern = true,
                                         .notify = notify,
                                         .reset = driver_reset,
                                         .config_read = config_read};

/* ---- life ---- */

static const struct share *find_share(const struct hostcall *h, const char *name)
{
    for (unsigned k = 0; h && name && k < h->share_count; k++)
        if (!strcmp(h->shares[k].name, name))
            return &h->shares[k];
    return NULL;
}

static void set_up_server(struct fs_device *s, struct fs *fs)
{
    bool window = fs->window.base;
    fs->server.options = (struct fuse_options){
        .timeout_s = fs->h->shares->always ? 86400 : 1,
        .owner_uid = (uint32_t)geteuid(),
        .owner_gid = (uint32_t)getegid(),
        .transfer_max = FUSE_TRANSFER_MAX,
        .map_alignment_log2 = window ? FS_SLOT_LOG2 : 0,
        .map_least = window ? FS_MAP_LEAST : 0,
    };
    fs->server.port = window ? &port_with_window : &port;
    fs->server.host = &fs->host.host;
    fs->server.scratch = fs->scratch;
    fs->server.scratch_bytes = SCRATCH_BYTES;
    s->v.shared.host = fs->window.base;
    s->v.shared.tags = fs->window.tags;
    s->v.shared.bytes = fs->window.bytes;
}

static int fs_init(weir_dev *dev, void *state)
{
    struct fs_device *s = state;
    struct weir *vm = weir_dev_vm(dev);
    const struct share *share = find_share(hostcall_of(vm), s->share);
    uint64_t window = s->window_bytes;
    if (!share)
        return weir_dev_fail(dev, WEIR_ENOENT, "no share '%s'", s->share ? s->share : "");
    if (window && (!is_power_of_2(window) || window < FS_SLOT_BYTES || window > FS_WINDOW_MAX))
        return weir_dev_fail(dev, WEIR_EINVAL, "a window is 2M to 8G, a power of two");
    struct fs *fs = s->fs = calloc(1, sizeof(*fs));
    if (fs)
        fs->h = fs_hostcall_make(vm, share);
    if (!fs || !fs->h)
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    fs->device = s;
    fs->host = fs_host_of(fs->h);
    if (window && fs_window_init(&fs->window, &vm->mem, window) < 0)
        return weir_dev_fail(dev, WEIR_ENOMEM, "no room for a window, or too many of them");
    fs->window.region = &s->v.function.bar[2].region;
    set_up_server(s, fs);
    if (!fuse_server_init(&fs->server))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return virtio_init(dev, s, &s->v, &fs_ops, 0, s->address);
}

static void fs_reset(void *state)
{
    virtio_reset(&((struct fs_device *)state)->v);
}

static void fs_fini(void *state)
{
    struct fs_device *s = state;
    virtio_fini(&s->v);
    if (!s->fs)
        return;
    if (s->fs->server.port)
        fuse_server_fini(&s->fs->server);
    fs_window_fini(&s->fs->window);
    fs_hostcall_free(s->fs->h);
    free(s->fs);
}

/* What a guest has mounted is not in the fields. */
static int fs_loaded(void *state)
{
    struct fs_device *s = state;
    return s->v.status & VIRTIO_DRIVER_OK ? -WEIR_EUNSUPPORTED : virtio_loaded(&s->v);
}

static void fs_info(void *state, struct weir_text *out)
{
    const struct fs_device *s = state;
    const struct fs *fs = s->fs;
    const struct fs_window *w = &fs->window;
    weir_textf(out, "share %s = %s%s, %s\n", s->share, fs->h->shares->path,
               fs->h->shares->read_only ? ", read-only" : "",
               fs->server.ready ? "mounted" : "not mounted");
    weir_textf(out, "requests: %llu, files known: %u, handles: %u open of %u\n",
               (unsigned long long)fs->requests, fs->server.table.node_count,
               handles_open(fs->h), handles_limit(fs->h));
    uint64_t used = 0, slots = w->bytes >> FS_SLOT_LOG2;
    for (uint64_t k = 0; k < slots; k++)
        used += w->slot[k].node != 0;
    if (slots)
        weir_textf(out,
                   "window: %llu MiB at 0x%llx, %llu of %llu slots used, %llu mappings made "
                   "(%llu ahead), %llu refused, %u pages lost\n",
                   (unsigned long long)w->bytes >> 20, (unsigned long long)(*w->region)->start,
                   (unsigned long long)used, (unsigned long long)slots,
                   (unsigned long long)w->maps, (unsigned long long)w->taken,
                   (unsigned long long)w->refused, fs_guard_hits(w->guard));
    virtio_info(&s->v, out);
}

static const struct weir_prop fs_props[] = {
    {"share", WEIR_PROP_STRING, offsetof(struct fs_device, share), NULL, "name of the share"},
    {"dax", WEIR_PROP_U64, offsetof(struct fs_device, window_bytes), NULL,
     "bytes of the window onto files; 0: none"},
    {"addr", WEIR_PROP_STRING, offsetof(struct fs_device, address), NULL,
     "PCI slot[.function], hexadecimal"},
    {NULL, WEIR_PROP_U32, 0, NULL, NULL},
};
static const struct weir_field fs_fields[] = {
    WEIR_FIELD_STRUCT1(struct fs_device, v, virtio_fields),
    WEIR_FIELD_END,
};

const struct weir_dev_class fs_class = {
    .name = "virtio-fs-pci",
    .help = "virtio file system, of a share of -hostcall",
    .bus = "pci",
    .state_bytes = sizeof(struct fs_device),
    .version = 1,
    .init = fs_init,
    .reset = fs_reset,
    .fini = fs_fini,
    .loaded = fs_loaded,
    .info = fs_info,
    .props = fs_props,
    .fields = fs_fields,
};
