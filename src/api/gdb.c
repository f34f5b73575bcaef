/* SPDX-License-Identifier: MIT */
/*
 * gdb.c - weir_gdb_*: the address gdb comes to, and the stub's thread. The thread waits for
 * a connection, for bytes of the one it has, and for a wake-up: the machine stopped, or the stub
 * is to end.
 */
#include "api/error.h"
#include "debug/gdb_session.h"
#include <weir/machine.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct weir_gdb {
    weir *vm;
    struct weir_gdb_config config;
    char where[160];
    char *unlink_path;
    int listen_fd, in_fd, out_fd; /* -1: none */
    bool is_socket;
    int wake_fd;
    bool connected, closing, hung_up; /* connected, closing: atomic */
    int status;                       /* of weir_gdb_close */
    pthread_t thread;
    struct gdb_session session;
    char error[200];
};

/* ---- addresses ---- */

static int fail(struct weir_gdb *g, const char *what, const char *why)
{
    snprintf(g->error, sizeof(g->error), "gdb: %.100s: %s", what, why);
    return -1;
}

static int listen_on(struct weir_gdb *g, int fd, const struct sockaddr *a, socklen_t length,
                     const char *what)
{
    int one = 1;
    if (fd >= 0 && a->sa_family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd >= 0 && bind(fd, a, length) == 0 && listen(fd, 4) == 0)
        return g->listen_fd = fd;
    int rc = fail(g, what, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

static int open_tcp(struct weir_gdb *g, const char *address)
{
    char host[100];
    const char *colon = strrchr(address, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
    struct sockaddr_storage bound;
    socklen_t length = sizeof(bound);
    if (!colon || !colon[1] || (size_t)(colon - address) >= sizeof(host))
        return fail(g, address, "a TCP address is HOST:PORT");
    snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
    size_t n = strlen(host);
    char *name = host;
    if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = 0;
        name++;
    }
    int gai = getaddrinfo(*name ? name : "127.0.0.1", colon + 1, &hints, &list);
    if (gai)
        return fail(g, address, gai_strerror(gai));
    int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fd = listen_on(g, fd, list->ai_addr, list->ai_addrlen, address);
    freeaddrinfo(list);
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&bound, &length) < 0)
        return -1;
    unsigned port = bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                : ((struct sockaddr_in *)&bound)->sin_port;
    snprintf(g->where, sizeof(g->where), "tcp:%s:%u", *name ? name : "127.0.0.1",
             ntohs((uint16_t)port));
    return 0;
}

static int open_unix(struct weir_gdb *g, const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    if (!*path || strlen(path) >= sizeof(a.sun_path))
        return fail(g, path, "not a path for a socket");
    memcpy(a.sun_path, path, strlen(path));
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path); /* an earlier run left it */
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listen_on(g, fd, (struct sockaddr *)&a, sizeof(a), path) < 0)
        return -1;
    g->unlink_path = strdup(path);
    snprintf(g->where, sizeof(g->where), "unix:%s", path);
    return 0;
}

/* Words that QEMU's users write behind an address and that change nothing here. */
static bool harmless(const char *words)
{
    static const char *const known[] = {",server=on", ",server",  ",wait=off",
                                        ",nowait",    ",nodelay", ",nodelay=on"};
    while (*words) {
        size_t n = 1 + strcspn(words + 1, ",");
        bool found = false;
        for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            found |= strlen(known[i]) == n && !strncmp(words, known[i], n);
        if (!found)
            return false;
        words += n;
    }
    return true;
}

static int open_address(struct weir_gdb *g, const char *address)
{
    char text[160];
    size_t n = strcspn(address, ",");
    if (n >= sizeof(text) || !harmless(address + n))
        return fail(g, address, "use tcp:HOST:PORT, unix:PATH, stdio or fd:N");
    snprintf(text, sizeof(text), "%.*s", (int)n, address);
    if (!strncmp(text, "tcp:", 4))
        return open_tcp(g, text + 4);
    if (!strncmp(text, "unix:", 5))
        return open_unix(g, text + 5);
    snprintf(g->where, sizeof(g->where), "%.150s", text);
    if (!strcmp(text, "stdio")) {
        g->in_fd = 0;
        g->out_fd = 1;
        return 0;
    }
    char *end = text;
    long fd = strncmp(text, "fd:", 3) ? -1 : strtol(text + 3, &end, 10);
    if (fd < 0 || *end || end == text + 3 || fcntl((int)fd, F_GETFD) < 0)
        return fail(g, address, "use tcp:HOST:PORT, unix:PATH, stdio or fd:N");
    g->in_fd = g->out_fd = (int)fd;
    return 0;
}

/* ---- the thread ---- */

static bool is_closing(struct weir_gdb *g)
{
    return __atomic_load_n(&g->closing, __ATOMIC_ACQUIRE);
}

static void wake(struct weir_gdb *g)
{
    uint64_t one = 1;
    ssize_t n = write(g->wake_fd, &one, sizeof(one));
    (void)n;
}

static void on_machine_event(void *ctx, enum weir_machine_event event, bool from_guest)
{
    if (event == WEIR_EVENT_STOP)
        wake(ctx);
}

/* A peer that takes nothing is waited for, but not beyond the stub's end. */
static void put_bytes(void *ctx, const void *data, size_t length)
{
    struct weir_gdb *g = ctx;
    const char *bytes = data;
    unsigned patience = 10;
    while (length && !g->hung_up) {
        struct pollfd p = {.fd = g->out_fd, .events = POLLOUT};
        if (poll(&p, 1, 100) == 0) {
            g->hung_up = is_closing(g) && !patience--;
            continue;
        }
        ssize_t n = g->is_socket ? send(g->out_fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT)
                                 : write(g->out_fd, bytes, length < 512 ? length : 512);
        if (n > 0) {
            bytes += n;
            length -= (size_t)n;
        } else if (n < 0 && errno != EINTR && errno != EAGAIN) {
            g->hung_up = true;
        }
    }
}

static void hang_up(void *ctx)
{
    ((struct weir_gdb *)ctx)->hung_up = true;
}

static void begin_session(struct weir_gdb *g)
{
    struct gdb_host host = {
        .write = put_bytes, .hang_up = hang_up, .ctx = g, .config = &g->config};
    struct stat st;
    int one = 1;
    g->is_socket = fstat(g->in_fd, &st) == 0 && S_ISSOCK(st.st_mode);
    setsockopt(g->in_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* where it is TCP */
    g->hung_up = false;
    weir_pause(g->vm);
    weir_hold(g->vm);
    gdb_session_start(&g->session, g->vm, &host);
    weir_release(g->vm);
    __atomic_store_n(&g->connected, true, __ATOMIC_RELEASE);
}

/* Nobody can come again: the machine would be left without anybody. */
static void last_has_left(struct weir_gdb *g)
{
    if (g->config.kill)
        g->config.kill(g->config.ctx);
    else
        weir_quit(g->vm);
}

static void end_session(struct weir_gdb *g)
{
    bool abandoned = g->listen_fd < 0 && !g->session.ended && !g->session.detached;
    gdb_session_end(&g->session);
    if (abandoned && !is_closing(g))
        last_has_left(g);
    __atomic_store_n(&g->connected, false, __ATOMIC_RELEASE);
    if (g->in_fd > 2)
        close(g->in_fd);
    g->in_fd = g->out_fd = -1;
}

static void take_bytes(struct weir_gdb *g)
{
    uint8_t data[4096];
    ssize_t n = read(g->in_fd, data, sizeof(data));
    if (n > 0)
        gdb_session_input(&g->session, data, (size_t)n);
    else if (n == 0 || (errno != EINTR && errno != EAGAIN))
        g->hung_up = true;
}

static void accept_one(struct weir_gdb *g)
{
    int fd = accept4(g->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    g->in_fd = g->out_fd = fd;
    begin_session(g);
}

static void round_trip(struct weir_gdb *g)
{
    uint64_t count;
    struct pollfd fds[2] = {{.fd = g->wake_fd, .events = POLLIN},
                            {.fd = g->connected ? g->in_fd : g->listen_fd, .events = POLLIN}};
    if (poll(fds, 2, -1) < 0)
        return;
    if (fds[0].revents && read(g->wake_fd, &count, sizeof(count)) > 0 && g->connected)
        gdb_session_check(&g->session);
    if (fds[1].revents && g->connected)
        take_bytes(g);
    else if (fds[1].revents)
        accept_one(g);
}

static void *run(void *ctx)
{
    struct weir_gdb *g = ctx;
    if (g->in_fd >= 0)
        begin_session(g);
    while (!is_closing(g)) {
        round_trip(g);
        if (g->connected && g->hung_up)
            end_session(g);
    }
    if (g->connected) {
        gdb_session_exit(&g->session, g->status);
        end_session(g);
    }
    return NULL;
}

/* ---- public ---- */

static void free_stub(struct weir_gdb *g)
{
    if (g->listen_fd >= 0)
        close(g->listen_fd);
    if (g->wake_fd >= 0)
        close(g->wake_fd);
    if (g->unlink_path)
        unlink(g->unlink_path);
    free(g->unlink_path);
    free(g);
}

/* The thread takes no signals: they are the embedder's. */
static int start_thread(struct weir_gdb *g)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&g->thread, NULL, run, g);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int weir_gdb_listen(weir *vm, const struct weir_gdb_config *config, weir_gdb **out)
{
    *out = NULL;
    int rc = weir_start(vm);
    struct weir_gdb *g = rc < 0 ? NULL : calloc(1, sizeof(*g));
    if (!g)
        return rc < 0 ? rc : -WEIR_ENOMEM;
    g->vm = vm;
    memcpy(&g->config, config,
           config->size < sizeof(g->config) ? config->size : sizeof(g->config));
    g->listen_fd = g->in_fd = g->out_fd = -1;
    g->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rc = open_address(g, config->address);
    g->config.address = g->where;
    if (rc == 0) {
        rc = weir_machine_listener_add(vm, on_machine_event, g);
        if (rc < 0 || g->wake_fd < 0 || start_thread(g) != 0)
            rc = fail(g, "cannot start", rc < 0 ? weir_last_error(vm) : strerror(errno));
    }
    if (rc == 0) {
        *out = g;
        return 0;
    }
    weir_machine_listener_remove(vm, on_machine_event, g);
    rc = api_error(vm, WEIR_EIO, g->error);
    free_stub(g);
    return rc;
}

const char *weir_gdb_where(const weir_gdb *gdb)
{
    return gdb->where;
}

bool weir_gdb_is_connected(const weir_gdb *gdb)
{
    return __atomic_load_n(&gdb->connected, __ATOMIC_ACQUIRE);
}

void weir_gdb_close(weir_gdb *g, int status)
{
    if (!g)
        return;
    g->status = status;
    __atomic_store_n(&g->closing, true, __ATOMIC_RELEASE);
    wake(g);
    pthread_join(g->thread, NULL);
    weir_machine_listener_remove(g->vm, on_machine_event, g);
    free_stub(g);
}
