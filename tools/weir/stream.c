/* SPDX-License-Identifier: MIT */
/* stream.c - see stream.h. */
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* ---- telnet (RFC 854): commands are taken out of the input ---- */

enum { DATA, AFTER_CR, COMMAND, OPTION, SUBNEGOTIATION, SUB_COMMAND };
enum { SE = 240, SB = 250, WILL = 251, DONT = 254, IAC = 255 };

static bool telnet_byte(uint8_t *state, uint8_t byte)
{
    bool padding = *state == AFTER_CR && byte == 0; /* Enter comes as CR NUL */
    switch (*state) {
    case DATA:
    case AFTER_CR:
        *state = byte == IAC ? COMMAND : byte == '\r' ? AFTER_CR : DATA;
        return byte != IAC && !padding;
    case COMMAND:
        *state = byte == SB ? SUBNEGOTIATION : byte >= WILL && byte <= DONT ? OPTION : DATA;
        return byte == IAC;
    case OPTION:
        *state = DATA;
        return false;
    case SUBNEGOTIATION:
        *state = byte == IAC ? SUB_COMMAND : SUBNEGOTIATION;
        return false;
    default:
        *state = byte == SE ? DATA : SUBNEGOTIATION;
        return false;
    }
}

static size_t telnet_filter(struct stream *s, uint8_t *data, size_t length)
{
    size_t kept = 0;
    for (size_t k = 0; s->telnet && k < length; k++) {
        uint8_t byte = data[k];
        if (telnet_byte(&s->telnet_state, byte))
            data[kept++] = byte;
    }
    return s->telnet ? kept : length;
}

/* ---- input ---- */

static void update(struct stream *s)
{
    bool shared = s->in_fd == s->out_fd;
    short out = s->out.length > s->out_sent && !s->dead ? POLLOUT : 0;
    bool open = !s->input_ended && !s->dead;
    short in = !open ? 0 : s->paused && !s->draining ? POLLRDHUP : POLLIN;
    s->in_watch.events = (short)(in | (shared ? out : 0));
    s->out_watch.events = shared ? 0 : out;
}

static void end_input(struct stream *s, bool dead)
{
    bool told = s->input_ended;
    s->input_ended = true;
    s->dead |= dead;
    update(s);
    if (!told && s->closed)
        s->closed(s->ctx); /* may free s */
}

static bool write_out(struct stream *s);

static void in_ready(void *ctx, short events)
{
    struct stream *s = ctx;
    uint8_t data[4096];
    if (events & POLLOUT && !write_out(s)) {
        end_input(s, true);
        return;
    }
    /* What a peer that has left can still have sent is bounded by the kernel's buffer. */
    s->draining |= (events & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
    if (s->input_ended || (s->paused && !s->draining) || !(events & ~POLLOUT))
        return;
    ssize_t n = read(s->in_fd, data, sizeof(data));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        end_input(s, s->is_socket || n < 0);
        return;
    }
    s->input(s->ctx, data, telnet_filter(s, data, (size_t)n)); /* may free s */
}

/* ---- output ---- */

static ssize_t send_some(const struct stream *s, const char *data, size_t length)
{
    if (s->is_socket)
        return send(s->out_fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    /* Shared with other processes, so left blocking: no more than poll has promised. */
    struct pollfd p = {.fd = s->out_fd, .events = POLLOUT};
    if (poll(&p, 1, 0) <= 0) {
        errno = EAGAIN;
        return -1;
    }
    size_t promised = s->is_tty ? 256 : 4096;
    return write(s->out_fd, data, length < promised ? length : promised);
}

static bool write_out(struct stream *s)
{
    bool was_full = stream_is_full(s);
    while (s->out_sent < s->out.length) {
        ssize_t n = send_some(s, s->out.data + s->out_sent, s->out.length - s->out_sent);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            s->out_sent = s->out.length = 0;
            return false;
        }
        s->out_sent += (size_t)n;
    }
    if (s->out_sent == s->out.length)
        s->out_sent = s->out.length = 0;
    update(s);
    if (was_full && !stream_is_full(s) && s->drained)
        s->drained(s->ctx);
    return true;
}

static void out_ready(void *ctx, short events)
{
    struct stream *s = ctx;
    (void)events;
    if (!write_out(s))
        end_input(s, true);
}

bool stream_is_full(const struct stream *s)
{
    return s->out.length - s->out_sent >= STREAM_FULL;
}

void stream_write(struct stream *s, const void *data, size_t length)
{
    if (s->dead || !length)
        return;
    if (s->out_sent > STREAM_FULL) {
        memmove(s->out.data, s->out.data + s->out_sent, s->out.length - s->out_sent);
        s->out.length -= s->out_sent;
        s->out_sent = 0;
    }
    if (s->out.length + length > STREAM_LIMIT) {
        s->dead = true; /* its owner learns it by POLLHUP below */
        if (s->is_socket)
            shutdown(s->out_fd, SHUT_RDWR);
        return;
    }
    strbuf_add(&s->out, data, length);
    update(s);
}

void stream_text(struct stream *s, const char *text, size_t length)
{
    while (length) {
        const char *newline = s->crlf ? memchr(text, '\n', length) : NULL;
        size_t n = newline ? (size_t)(newline - text) : length;
        stream_write(s, text, n);
        if (newline) {
            stream_write(s, "\r\n", 2);
            n++;
        }
        text += n;
        length -= n;
    }
}

void stream_pause(struct stream *s, bool paused)
{
    s->paused = paused;
    update(s);
}

void stream_flush(struct stream *s, int timeout_ms)
{
    int64_t end = host_time_ms() + timeout_ms;
    while (!s->dead && s->out_sent < s->out.length) {
        if (!write_out(s)) {
            s->dead = true;
            return;
        }
        int64_t left = end - host_time_ms();
        struct pollfd p = {.fd = s->out_fd, .events = POLLOUT};
        if (left <= 0)
            return;
        if (s->out_sent < s->out.length)
            poll(&p, 1, (int)left);
    }
}

/* ---- life ---- */

static bool is_socket(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

struct stream *stream_new(struct loop *loop, int in_fd, int out_fd, bool owned)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->loop = loop;
    s->in_fd = in_fd;
    s->out_fd = out_fd;
    s->owned = owned;
    s->is_tty = isatty(out_fd) == 1;
    s->is_socket = is_socket(out_fd);
    strbuf_init(&s->out);
    s->in_watch = (struct watch){.fd = in_fd, .ready = in_ready, .ctx = s};
    s->out_watch = (struct watch){.fd = out_fd, .ready = out_ready, .ctx = s};
    loop_add(loop, &s->in_watch);
    if (in_fd != out_fd)
        loop_add(loop, &s->out_watch);
    update(s);
    return s;
}

void stream_free(struct stream *s)
{
    if (!s)
        return;
    loop_remove(s->loop, &s->in_watch);
    loop_remove(s->loop, &s->out_watch);
    if (s->owned) {
        close(s->in_fd);
        if (s->out_fd != s->in_fd)
            close(s->out_fd);
    }
    strbuf_free(&s->out);
    free(s);
}

/* ---- the terminal ---- */

/* One per process, and what undoes it must be found at exit: the tool's only written global. */
static struct terminal {
    struct termios saved, raw;
    bool is_raw;
} terminal;

void terminal_restore(void)
{
    if (terminal.is_raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.saved);
}

void terminal_again(void)
{
    if (terminal.is_raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal.raw);
}

void terminal_start(bool signals)
{
    if (isatty(STDIN_FILENO) != 1 || tcgetattr(STDIN_FILENO, &terminal.saved) < 0)
        return;
    struct termios t = terminal.saved;
    t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals)
        t.c_lflag &= ~(tcflag_t)ISIG;
    t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    terminal.raw = t;
    terminal.is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0;
    atexit(terminal_restore);
}

struct stream *stream_stdio(struct loop *loop)
{
    return stream_new(loop, STDIN_FILENO, STDOUT_FILENO, false);
}
