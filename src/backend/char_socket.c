/* SPDX-License-Identifier: MIT */
/*
 * char_socket.c - character devices on TCP and unix sockets, as client or as server of one
 * connection at a time (others wait in the kernel's queue). Options as QEMU's:
 * server=on|off, wait=on|off (server: whether opening waits for the first client),
 * telnet=on|off, nodelay=on|off; the old forms "server", "nowait", "nodelay" too.
 *
 * Telnet (RFC 854): commands are taken out of the input, BREAK becomes CHAR_BREAK, options are
 * not negotiated beyond the greeting (the server echoes, suppresses go-ahead, binary).
 */
#include "backend/char_internal.h"
#include "base/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct socket_options {
    char address[256]; /* HOST:PORT or a path */
    bool server, wait, telnet, nodelay;
};

/* ---- options ---- */

static int set_option(struct socket_options *o, const char *name, const char *value,
                      struct err *err)
{
    // clang-format off
    const struct { const char *name; bool *flag; bool inverted; } flags[] = {
        {"server", &o->server, false}, {"wait", &o->wait, false}, {"nowait", &o->wait, true},
        {"telnet", &o->telnet, false}, {"nodelay", &o->nodelay, false},
        {"delay", &o->nodelay, true},
    };
    // clang-format on
    for (unsigned k = 0; k < ARRAY_SIZE(flags); k++) {
        if (strcmp(flags[k].name, name))
            continue;
        bool on = !value || !strcmp(value, "on");
        if (!on && strcmp(value, "off"))
            return err_set(err, WEIR_EINVAL, "'%s=%s': use on or off", name, value);
        *flags[k].flag = on != flags[k].inverted;
        return 0;
    }
    return err_set(err, WEIR_EINVAL,
                   "'%s': unknown socket option; known are server, wait, telnet, nodelay",
                   name);
}

static int parse_options(struct socket_options *o, const char *args, struct err *err)
{
    o->wait = true;
    size_t length = strcspn(args, ",");
    if (!length || length >= sizeof(o->address))
        return err_set(err, WEIR_EINVAL, "'%s': no usable socket address", args);
    memcpy(o->address, args, length);
    o->address[length] = 0;
    while (args[length] == ',') {
        char item[64], *value;
        args += length + 1;
        length = strcspn(args, ",");
        if (length >= sizeof(item))
            return err_set(err, WEIR_EINVAL, "'%s': unknown socket option", args);
        memcpy(item, args, length);
        item[length] = 0;
        value = strchr(item, '=');
        if (value)
            *value++ = 0;
        int error = set_option(o, item, value, err);
        if (error < 0)
            return error;
    }
    return 0;
}

/* ---- connections ---- */

static void greet_telnet(struct weir_char *chr)
{
    static const uint8_t greeting[] = {255, 251, 1, 255, 251, 3, 255, 251, 0, 255, 253, 0};
    chr->telnet.state = 0;
    if (chr->telnet.enabled)
        char_write(chr, greeting, sizeof(greeting));
}

static void use_connection(struct weir_char *chr, int fd)
{
    int one = 1;
    /* Fails for unix sockets; single key strokes should not wait for more. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    chr->in_fd = chr->out_fd = fd;
    char_set_connected(chr);
    greet_telnet(chr);
}

static void listen_ready(void *ctx, unsigned events)
{
    struct weir_char *chr = ctx;
    (void)events;
    if (chr->connected)
        return;
    int fd = accept4(chr->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    io_watch_set(chr->loop, &chr->listen_watch, 0);
    use_connection(chr, fd);
}

/* Owns listen_fd from here. */
static int serve(struct weir_char *chr, const struct socket_options *o, struct err *err)
{
    if (listen(chr->listen_fd, 1) < 0)
        return err_errno(err, "%s", o->address);
    bool blocking = o->wait;
    if (blocking) {
        int fd;
        do
            fd = accept4(chr->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        while (fd < 0 && errno == EINTR);
        if (fd < 0)
            return err_errno(err, "%s", o->address);
        use_connection(chr, fd);
    }
    fcntl(chr->listen_fd, F_SETFL, O_NONBLOCK);
    chr->listen_watch = (struct io_watch){.fd = chr->listen_fd,
                                          .events = chr->connected ? 0 : IO_READABLE,
                                          .ready = listen_ready,
                                          .ctx = chr};
    if (chr->loop) {
        io_watch_add(chr->loop, &chr->listen_watch);
        chr->listen_watched = true;
    }
    return 0;
}

/* ---- TCP ---- */

/* "HOST:PORT" or "[V6]:PORT"; an empty host means the loopback of a client, all of a server. */
static int split_address(char *address, char **host, char **port, struct err *err)
{
    char *colon = strrchr(address, ':');
    if (!colon || !colon[1])
        return err_set(err, WEIR_EINVAL, "'%s': a TCP address is HOST:PORT", address);
    *colon = 0;
    *host = address;
    *port = colon + 1;
    if (address[0] == '[' && colon > address && colon[-1] == ']') {
        colon[-1] = 0;
        *host = address + 1;
    }
    return 0;
}

static int try_address(const struct addrinfo *a, bool server)
{
    int one = 1;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
    if (fd < 0)
        return -1;
    if (server)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if ((server ? bind : connect)(fd, a->ai_addr, a->ai_addrlen) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int tcp_socket(const struct socket_options *o, struct err *err)
{
    char address[256], *host = NULL, *port = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    memcpy(address, o->address, sizeof(address));
    int error = split_address(address, &host, &port, err);
    if (error < 0)
        return error;
    if (o->server)
        hints.ai_flags = AI_PASSIVE;
    int gai = getaddrinfo(*host ? host : NULL, port, &hints, &list);
    if (gai)
        return err_set(err, WEIR_ENOENT, "%s: %s", o->address, gai_strerror(gai));
    int fd = -1;
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
        fd = try_address(a, o->server);
    int saved = errno;
    freeaddrinfo(list);
    errno = saved;
    return fd < 0 ? err_errno(err, "%s", o->address) : fd;
}

/* With the port that the kernel chose when the user gave 0. */
static void describe_tcp(struct weir_char *chr, const struct socket_options *o, int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {0};
    socklen_t length = sizeof(a);
    getsockname(fd, &a.any, &length);
    unsigned port = ntohs(a.any.sa_family == AF_INET6 ? a.v6.sin6_port : a.v4.sin_port);
    const char *colon = strrchr(o->address, ':');
    if (o->server)
        snprintf(chr->where, sizeof(chr->where), "tcp:%.*s:%u,server=on",
                 (int)(colon - o->address) > 100 ? 100 : (int)(colon - o->address), o->address,
                 port);
    else
        snprintf(chr->where, sizeof(chr->where), "tcp:%.140s", o->address);
}

static int open_tcp(struct weir_char *chr, const char *args, bool telnet, struct err *err)
{
    struct socket_options o = {.telnet = telnet};
    int error = parse_options(&o, args, err);
    if (error < 0)
        return error;
    int fd = tcp_socket(&o, err);
    if (fd < 0)
        return fd;
    chr->owns_fds = chr->is_socket = true;
    chr->telnet.enabled = o.telnet;
    describe_tcp(chr, &o, fd);
    if (o.server) {
        chr->listen_fd = fd;
        return serve(chr, &o, err);
    }
    use_connection(chr, fd);
    return 0;
}

int char_open_tcp(struct weir_char *chr, const char *args, struct err *err)
{
    return open_tcp(chr, args, false, err);
}

int char_open_telnet(struct weir_char *chr, const char *args, struct err *err)
{
    return open_tcp(chr, args, true, err);
}

/* ---- unix ---- */

static int unix_bind(struct weir_char *chr, const char *path, const struct sockaddr_un *a,
                     struct err *err)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path); /* a socket that an earlier run left */
    if (bind(chr->listen_fd, (const struct sockaddr *)a, sizeof(*a)) < 0)
        return err_errno(err, "%s", path);
    chr->unlink_path = strdup(path);
    return 0;
}

int char_open_unix(struct weir_char *chr, const char *args, struct err *err)
{
    struct socket_options o = {0};
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int error = parse_options(&o, args, err);
    if (error < 0)
        return error;
    if (strlen(o.address) >= sizeof(a.sun_path))
        return err_set(err, WEIR_EINVAL, "%s: path is too long for a socket", o.address);
    memcpy(a.sun_path, o.address, strlen(o.address));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, "%s", o.address);
    chr->owns_fds = chr->is_socket = true;
    chr->telnet.enabled = o.telnet;
    snprintf(chr->where, sizeof(chr->where), "unix:%.120s%s", o.address,
             o.server ? ",server=on" : "");
    if (o.server) {
        chr->listen_fd = fd;
        error = unix_bind(chr, o.address, &a, err);
        return error < 0 ? error : serve(chr, &o, err);
    }
    chr->in_fd = chr->out_fd = fd; /* char_close closes it if connecting fails */
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        return err_errno(err, "%s", o.address);
    use_connection(chr, fd);
    return 0;
}

/* ---- telnet ---- */

enum { DATA, AFTER_CR, COMMAND, OPTION, SUBNEGOTIATION, SUB_COMMAND };
enum { SE = 240, BRK = 243, SB = 250, WILL = 251, DONT = 254, IAC = 255 };

static bool telnet_byte(struct weir_char *chr, uint8_t byte)
{
    struct char_telnet *t = &chr->telnet;
    switch (t->state) {
    case DATA:
    case AFTER_CR: {
        bool padding = t->state == AFTER_CR && byte == 0; /* Enter comes as CR NUL */
        t->state = byte == IAC ? COMMAND : byte == '\r' ? AFTER_CR : DATA;
        return byte != IAC && !padding;
    }
    case COMMAND:
        t->state = byte == SB ? SUBNEGOTIATION : byte >= WILL && byte <= DONT ? OPTION : DATA;
        if (byte == BRK)
            char_event(chr, CHAR_BREAK);
        return byte == IAC;
    case OPTION:
        t->state = DATA;
        return false;
    case SUBNEGOTIATION:
        t->state = byte == IAC ? SUB_COMMAND : SUBNEGOTIATION;
        return false;
    default:
        t->state = byte == SE ? DATA : SUBNEGOTIATION;
        return false;
    }
}

size_t char_telnet_filter(struct weir_char *chr, uint8_t *data, size_t length)
{
    size_t kept = 0;
    if (!chr->telnet.enabled)
        return length;
    for (size_t k = 0; k < length; k++) {
        uint8_t byte = data[k];
        if (telnet_byte(chr, byte))
            data[kept++] = byte;
    }
    return kept;
}
