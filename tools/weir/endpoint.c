/* SPDX-License-Identifier: MIT */
/* endpoint.c - see endpoint.h. */
#include "endpoint.h"
#include "props.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

struct socket_spec {
    bool is_unix, server, wait, telnet;
    char address[256];
};

/* ---- specs ---- */

static bool flag(const struct props *p, const char *name, bool initial)
{
    const char *value = props_get(p, name);
    bool on = initial;
    if (value)
        parse_on_off(value, &on);
    return on;
}

/* The options were checked when the command line was parsed. */
static void parse_spec(struct socket_spec *o, const char *spec)
{
    struct props p;
    const char *error;
    const char *address = strchr(spec, ':') + 1;
    size_t length = strcspn(address, ",");
    *o = (struct socket_spec){.is_unix = !strncmp(spec, "unix", 4)};
    snprintf(o->address, sizeof(o->address), "%.*s", (int)length, address);
    if (props_parse(&p, address[length] ? address + length + 1 : "", NULL, &error)) {
        o->server = flag(&p, "server", false);
        o->wait = flag(&p, "wait", !props_get(&p, "nowait"));
        o->telnet = flag(&p, "telnet", !strncmp(spec, "telnet", 6));
    }
    props_free(&p);
}

/* ---- connections ---- */

static void use_connection(struct endpoint *e, int fd)
{
    int one = 1;
    static const uint8_t greeting[] = {255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 0};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* not for unix; harmless */
    struct stream *s = stream_new(e->loop, fd, fd, true);
    if (!s) {
        close(fd);
        return;
    }
    s->crlf = true;
    s->telnet = e->telnet;
    if (e->telnet)
        stream_write(s, greeting, sizeof(greeting));
    if (e->single)
        e->listen_watch.events = 0;
    e->connected(e->ctx, s);
}

static void listen_ready(void *ctx, short events)
{
    struct endpoint *e = ctx;
    (void)events;
    int fd = accept4(e->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        use_connection(e, fd);
}

void endpoint_release(struct endpoint *e)
{
    if (e->listen_fd >= 0)
        e->listen_watch.events = POLLIN;
}

/* ---- sockets ---- */

static bool fail(char *error, size_t bytes, const char *what, const char *why)
{
    snprintf(error, bytes, "%.300s: %s", what, why);
    return false;
}

static int tcp_socket(const struct socket_spec *o, char *error, size_t bytes)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    char address[256], *host = address;
    int fd = -1, one = 1;
    snprintf(address, sizeof(address), "%s", o->address);
    char *colon = strrchr(address, ':');
    if (!colon || !colon[1]) {
        fail(error, bytes, o->address, "a TCP address is HOST:PORT");
        return -1;
    }
    *colon = 0;
    if (*host == '[' && colon > host && colon[-1] == ']') {
        colon[-1] = 0;
        host++;
    }
    hints.ai_flags = o->server ? AI_PASSIVE : 0;
    int gai = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &list);
    if (gai) {
        fail(error, bytes, o->address, gai_strerror(gai));
        return -1;
    }
    int saved = 0;
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (fd >= 0 && o->server)
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (fd >= 0 && (o->server ? bind : connect)(fd, a->ai_addr, a->ai_addrlen) < 0) {
            saved = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd < 0)
        fail(error, bytes, o->address, strerror(saved));
    return fd;
}

static int unix_socket(struct endpoint *e, const struct socket_spec *o, char *error,
                       size_t bytes)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(o->address) >= sizeof(a.sun_path)) {
        fail(error, bytes, o->address, "path is too long for a socket");
        return -1;
    }
    memcpy(a.sun_path, o->address, strlen(o->address));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (o->server && lstat(o->address, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(o->address); /* an earlier run left it */
    if (fd < 0 || (o->server ? bind : connect)(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        fail(error, bytes, o->address, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    if (o->server)
        e->unlink_path = strdup(o->address);
    return fd;
}

static void describe(struct endpoint *e, const struct socket_spec *o, int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {0};
    socklen_t length = sizeof(a);
    const char *colon = strrchr(o->address, ':');
    if (o->is_unix || !o->server || getsockname(fd, &a.any, &length) < 0) {
        snprintf(e->where, sizeof(e->where), "%s:%.180s", o->is_unix ? "unix" : "tcp",
                 o->address);
        return;
    }
    unsigned port = ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
    snprintf(e->where, sizeof(e->where), "tcp:%.*s:%u", (int)(colon - o->address), o->address,
             port);
}

/* Signals end the wait: they are not yet blocked, or ppoll lets them through. */
static void wait_for_client(struct endpoint *e)
{
    struct pollfd p = {.fd = e->listen_fd, .events = POLLIN};
    sigset_t none;
    sigemptyset(&none);
    fprintf(stderr, "weir: waiting for a connection on %s\n", e->where);
    while (ppoll(&p, 1, NULL, &none) < 0 && errno == EINTR)
        ;
    listen_ready(e, POLLIN);
}

static bool open_socket(struct endpoint *e, const char *spec, char *error, size_t bytes)
{
    struct socket_spec o;
    parse_spec(&o, spec);
    e->telnet = o.telnet;
    int fd = o.is_unix ? unix_socket(e, &o, error, bytes) : tcp_socket(&o, error, bytes);
    if (fd < 0)
        return false;
    describe(e, &o, fd);
    if (!o.server) {
        use_connection(e, fd);
        return true;
    }
    e->listen_fd = fd;
    if (listen(fd, 8) < 0)
        return fail(error, bytes, e->where, strerror(errno));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    e->listen_watch =
        (struct watch){.fd = fd, .events = POLLIN, .ready = listen_ready, .ctx = e};
    loop_add(e->loop, &e->listen_watch);
    if (o.wait)
        wait_for_client(e);
    return true;
}

/* ---- pty, stdio ---- */

static bool open_pty(struct endpoint *e, char *error, size_t bytes)
{
    struct termios raw;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    char name[64];
    if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 || ptsname_r(fd, name, sizeof(name)) != 0)
        return fail(error, bytes, "pty", strerror(errno));
    e->pty_fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (e->pty_fd < 0 || tcgetattr(e->pty_fd, &raw) < 0)
        return fail(error, bytes, name, strerror(errno));
    cfmakeraw(&raw);
    tcsetattr(e->pty_fd, TCSANOW, &raw);
    snprintf(e->where, sizeof(e->where), "%s", name);
    struct stream *s = stream_new(e->loop, fd, fd, true);
    if (!s)
        return fail(error, bytes, name, "out of memory");
    s->crlf = true;
    e->connected(e->ctx, s);
    return true;
}

static bool open_stdio(struct endpoint *e, char *error, size_t bytes)
{
    struct stream *s = stream_stdio(e->loop);
    if (!s)
        return fail(error, bytes, "stdio", "out of memory");
    snprintf(e->where, sizeof(e->where), "stdio");
    e->connected(e->ctx, s);
    return true;
}

struct endpoint *endpoint_open(struct loop *loop, const char *spec, bool single,
                               void (*connected)(void *, struct stream *), void *ctx,
                               char *error, size_t bytes)
{
    struct endpoint *e = calloc(1, sizeof(*e));
    if (!e) {
        fail(error, bytes, spec, "out of memory");
        return NULL;
    }
    e->loop = loop;
    e->listen_fd = e->pty_fd = -1;
    e->single = single;
    e->connected = connected;
    e->ctx = ctx;
    bool good = !strcmp(spec, "stdio") ? open_stdio(e, error, bytes)
                : !strcmp(spec, "pty") ? open_pty(e, error, bytes)
                                       : open_socket(e, spec, error, bytes);
    if (good)
        return e;
    endpoint_free(e);
    return NULL;
}

void endpoint_free(struct endpoint *e)
{
    if (!e)
        return;
    if (e->listen_fd >= 0) {
        loop_remove(e->loop, &e->listen_watch);
        close(e->listen_fd);
    }
    if (e->pty_fd >= 0)
        close(e->pty_fd);
    if (e->unlink_path)
        unlink(e->unlink_path);
    free(e->unlink_path);
    free(e);
}
