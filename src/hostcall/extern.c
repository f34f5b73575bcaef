/* SPDX-License-Identifier: MIT */
/*
 * extern.c - guest RAM for an external process, and requests to it. See include/weir/export.h.
 *
 * The ring is shared with that process, so nothing that is read from it is believed: which slots
 * are in use, and what memory belongs to them, is kept here. Accepting connections and their end
 * happen in the I/O thread, requests in the vCPU thread; export.lock is between them.
 */
#include "hostcall/export.h"
#include "hostcall/services.h"

#include <weir/export.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define WAIT_MS_MAX 100u

struct request {
    uint32_t number; /* 0 = free */
    bool writable;
    bool lost;   /* the process has gone */
    bool orphan; /* the guest has forgotten it (reset); free when it is answered or lost */
    struct memory memory;
};
struct export
{
    struct hostcall *h;
    pthread_mutex_t lock;
    char *path;
    int listener, client, ring_fd, requests_fd, answers_fd;
    struct io_watch listen_watch, client_watch;
    struct weir_export_slot *ring;
    struct request request[WEIR_EXPORT_SLOTS];
    uint32_t generation;
    uint64_t submitted, answered;
};
#define RING_BYTES (WEIR_EXPORT_SLOTS * sizeof(struct weir_export_slot))

/* ---- connections ---- */

static bool send_hello(struct export *x, int client)
{
    const struct ram *ram = &x->h->vm->ram;
    struct weir_export_hello hello = {
        .magic = WEIR_EXPORT_MAGIC,
        .version = WEIR_EXPORT_VERSION,
        .slots = WEIR_EXPORT_SLOTS,
        .slot_bytes = sizeof(struct weir_export_slot),
        .ram_bytes = ram->bytes,
        .areas = ram->bytes > ram->below_4g ? 2 : 1,
        .area = {{0, 0, ram->below_4g},
                 {1ull << 32, ram->below_4g, ram->bytes - ram->below_4g}},
    };
    int fds[WEIR_EXPORT_FDS] = {ram->fd, x->ring_fd, x->requests_fd, x->answers_fd};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fds))] = {0};
    struct iovec iov = {&hello, sizeof(hello)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(fds));
    memcpy(CMSG_DATA(c), fds, sizeof(fds));
    return sendmsg(client, &m, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(hello);
}

/* Its requests will never be answered. */
static void client_gone(void *ctx, unsigned events)
{
    struct export *x = ctx;
    char byte;
    if (!(events & IO_HANGUP) && recv(x->client, &byte, 1, MSG_DONTWAIT) > 0)
        return; /* it has nothing to say */
    io_watch_remove(&x->h->vm->loop, &x->client_watch);
    pthread_mutex_lock(&x->lock);
    close(x->client);
    x->client = -1;
    for (unsigned k = 0; k < WEIR_EXPORT_SLOTS; k++)
        x->request[k].lost = x->request[k].number != 0;
    pthread_mutex_unlock(&x->lock);
}

static void accept_client(void *ctx, unsigned events)
{
    struct export *x = ctx;
    int client = accept4(x->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
        return;
    if (x->client >= 0 || !send_hello(x, client)) {
        close(client);
        return;
    }
    pthread_mutex_lock(&x->lock);
    x->client = client;
    pthread_mutex_unlock(&x->lock);
    x->client_watch =
        (struct io_watch){.fd = client, .events = IO_READABLE, .ready = client_gone, .ctx = x};
    io_watch_add(&x->h->vm->loop, &x->client_watch);
}

/* ---- requests ---- */

static bool post(struct export *x, unsigned k, const struct weir_hc_extern *a)
{
    struct weir_export_slot *slot = &x->ring[k];
    const struct ram *ram = &x->h->vm->ram;
    const struct memory *m = &x->request[k].memory;
    for (unsigned n = 0; n < m->count; n++) {
        uint64_t offset = (uint64_t)(m->span[n].host - ram->base);
        if (offset >= ram->bytes || m->span[n].length > ram->bytes - offset)
            return false; /* ROM or video memory */
        slot->piece[n] = (struct weir_export_piece){offset, m->span[n].length};
    }
    slot->number = x->request[k].number;
    slot->writable = x->request[k].writable;
    slot->pieces = m->count;
    slot->bytes = m->bytes;
    memcpy(slot->words, a->words, sizeof(slot->words));
    slot->result = 0;
    __atomic_store_n(&slot->state, WEIR_EXPORT_POSTED, __ATOMIC_RELEASE);
    uint64_t one = 1;
    return write(x->requests_fd, &one, sizeof(one)) == sizeof(one);
}

static void forget(struct request *r)
{
    memory_free(&r->memory);
    *r = (struct request){0};
}

static bool is_done(const struct export *x, unsigned k)
{
    return __atomic_load_n(&x->ring[k].state, __ATOMIC_ACQUIRE) == WEIR_EXPORT_DONE;
}

static bool is_free(struct export *x, unsigned k)
{
    struct request *r = &x->request[k];
    if (r->orphan && (r->lost || is_done(x, k)))
        forget(r);
    return !r->number;
}

static unsigned submit(weir_call *call, struct export *x, struct weir_hc_extern *a)
{
    unsigned k = 0;
    while (k < WEIR_EXPORT_SLOTS && !is_free(x, k))
        k++;
    if (x->client < 0)
        return WEIR_HC_EOPNOTSUPP;
    if (k == WEIR_EXPORT_SLOTS)
        return WEIR_HC_EBUSY;
    if (call->regions.count > WEIR_EXPORT_PIECES)
        return WEIR_HC_EINVAL;
    x->generation = (x->generation + 1) & 0xffffff;
    struct request *r = &x->request[k];
    *r = (struct request){.number = (x->generation << 8 | k) + 1,
                          .writable = a->writable & 1,
                          .memory = call->regions};
    memset(&call->regions, 0, sizeof(call->regions));
    if (!post(x, k, a)) {
        forget(r);
        return WEIR_HC_EFAULT;
    }
    a->request = r->number;
    x->submitted++;
    return 0;
}

unsigned extern_submit(weir_call *call)
{
    struct export *x = call->h->export;
    struct weir_hc_extern *a = (struct weir_hc_extern *)call->block;
    a->request = 0;
    if (!x)
        return WEIR_HC_EOPNOTSUPP;
    pthread_mutex_lock(&x->lock);
    unsigned error = submit(call, x, a);
    pthread_mutex_unlock(&x->lock);
    return error;
}

static unsigned poll_answer(weir_call *call, struct export *x, struct weir_hc_extern *a)
{
    unsigned k = (a->request - 1) & 0xff;
    if (!a->request || k >= WEIR_EXPORT_SLOTS || x->request[k].number != a->request ||
        x->request[k].orphan)
        return WEIR_HC_EBADF;
    struct request *r = &x->request[k];
    struct weir_export_slot *slot = &x->ring[k];
    bool done = is_done(x, k);
    if (!done && !r->lost)
        return WEIR_HC_EAGAIN;
    if (done) {
        memcpy(a->words, slot->words, sizeof(a->words));
        a->result = slot->result;
    }
    if (r->writable)
        memory_written(call->c, &r->memory, r->memory.bytes);
    slot->state = WEIR_EXPORT_FREE;
    forget(r);
    x->answered += done;
    return done ? 0 : WEIR_HC_EIO;
}

unsigned extern_poll(weir_call *call)
{
    struct export *x = call->h->export;
    struct weir_hc_extern *a = (struct weir_hc_extern *)call->block;
    if (!x)
        return WEIR_HC_EOPNOTSUPP;
    uint32_t wait_ms = a->wait_ms < WAIT_MS_MAX ? a->wait_ms : WAIT_MS_MAX;
    uint64_t count, deadline = clock_host_ns() + wait_ms * 1000000ull;
    for (;;) {
        pthread_mutex_lock(&x->lock);
        unsigned error = poll_answer(call, x, a);
        pthread_mutex_unlock(&x->lock);
        uint64_t now = clock_host_ns();
        if (error != WEIR_HC_EAGAIN || now >= deadline)
            return error;
        struct pollfd p = {.fd = x->answers_fd, .events = POLLIN};
        if (poll(&p, 1, (int)((deadline - now + 999999) / 1000000)) > 0 &&
            read(x->answers_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
            return WEIR_HC_EIO;
    }
}

/* ---- life ---- */

/* A slot that the process is still serving stays taken until it has answered: the guest of after a
 * reset must not find its own request answered by an old one. */
void extern_reset(struct hostcall *h)
{
    struct export *x = h->export;
    if (!x)
        return;
    pthread_mutex_lock(&x->lock);
    for (unsigned k = 0; k < WEIR_EXPORT_SLOTS; k++)
        x->request[k].orphan = x->request[k].number != 0;
    pthread_mutex_unlock(&x->lock);
}

void extern_fini(struct hostcall *h)
{
    struct export *x = h->export;
    if (!x)
        return;
    if (x->client >= 0) {
        io_watch_remove(&h->vm->loop, &x->client_watch);
        close(x->client);
    }
    if (x->listener >= 0) {
        io_watch_remove(&h->vm->loop, &x->listen_watch);
        close(x->listener);
        unlink(x->path);
    }
    for (unsigned k = 0; k < WEIR_EXPORT_SLOTS; k++)
        forget(&x->request[k]);
    if (x->ring)
        munmap(x->ring, RING_BYTES);
    const int fds[] = {x->ring_fd, x->requests_fd, x->answers_fd};
    for (unsigned k = 0; k < ARRAY_SIZE(fds); k++)
        if (fds[k] >= 0)
            close(fds[k]);
    pthread_mutex_destroy(&x->lock);
    free(x->path);
    free(x);
    h->export = NULL;
}

void extern_info(const struct hostcall *h, struct weir_text *out)
{
    const struct export *x = h->export;
    if (x)
        weir_textf(out, "memory export: %s, %s, %llu requests, %llu answered\n", x->path,
                   x->client >= 0 ? "connected" : "nobody there",
                   (unsigned long long)x->submitted, (unsigned long long)x->answered);
}

/* Sealed, so that the other side cannot pull the pages out from under us. */
static bool make_ring(struct export *x)
{
    x->ring_fd = memfd_create("weir-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (x->ring_fd < 0 || ftruncate(x->ring_fd, (off_t)RING_BYTES) < 0 ||
        fcntl(x->ring_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return false;
    void *ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, x->ring_fd, 0);
    if (ring == MAP_FAILED)
        return false;
    x->ring = ring;
    x->requests_fd = eventfd(0, EFD_CLOEXEC);
    x->answers_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return x->requests_fd >= 0 && x->answers_fd >= 0;
}

static int make_listener(struct export *x)
{
    struct err *err = &x->h->vm->err;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(x->path) >= sizeof(address.sun_path))
        return err_set(err, WEIR_ERANGE, "-mem-export: %s: too long a path", x->path);
    memcpy(address.sun_path, x->path, strlen(x->path) + 1);
    x->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (x->listener < 0)
        return err_errno(err, "-mem-export: socket");
    struct stat st;
    if (lstat(x->path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(x->path); /* left by a machine that died */
    if (bind(x->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(x->path, 0600) < 0 || listen(x->listener, 1) < 0) {
        int rc = err_errno(err, "-mem-export: %s", x->path);
        close(x->listener);
        x->listener = -1;
        return rc;
    }
    return 0;
}

int extern_listen(struct hostcall *h, const char *path)
{
    struct err *err = &h->vm->err;
    if (h->export)
        return err_set(err, WEIR_EEXIST, "-mem-export: is there already");
    struct export *x = calloc(1, sizeof(*x));
    if (!x)
        return err_set(err, WEIR_ENOMEM, "out of memory");
    x->h = h;
    x->listener = x->client = x->ring_fd = x->requests_fd = x->answers_fd = -1;
    pthread_mutex_init(&x->lock, NULL);
    h->export = x;
    x->path = strdup(path);
    int rc = x->path && make_ring(x) ? make_listener(x) : err_errno(err, "-mem-export");
    if (rc < 0) {
        extern_fini(h);
        return rc;
    }
    x->listen_watch = (struct io_watch){
        .fd = x->listener, .events = IO_READABLE, .ready = accept_client, .ctx = x};
    pthread_mutex_lock(&h->vm->device_lock);
    io_watch_add(&h->vm->loop, &x->listen_watch);
    pthread_mutex_unlock(&h->vm->device_lock);
    return 0;
}
