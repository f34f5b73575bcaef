/* SPDX-License-Identifier: MIT */
/*
 * char_fd.c - character devices on plain descriptors: standard input and output, files, named
 * pipes, pseudo-terminals, descriptors that the embedder hands over.
 */
#include "backend/char_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void set_where(struct weir_char *chr, const char *kind, const char *rest)
{
    snprintf(chr->where, sizeof(chr->where), "%s%s", kind, rest);
}

/* The guest does the echo and wants single keys; signals and output processing stay. */
static void make_raw(struct termios *t)
{
    t->c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    t->c_oflag |= OPOST;
    t->c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    t->c_cflag = (t->c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    t->c_cc[VMIN] = 1;
    t->c_cc[VTIME] = 0;
}

int char_open_stdio(struct weir_char *chr, const char *args, struct err *err)
{
    if (*args)
        return err_set(err, WEIR_EINVAL, "stdio takes no argument: '%s'", args);
    chr->in_fd = STDIN_FILENO;
    chr->out_fd = STDOUT_FILENO;
    chr->is_tty = isatty(STDOUT_FILENO) == 1;
    if (isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &chr->saved_termios) == 0) {
        struct termios raw = chr->saved_termios;
        make_raw(&raw);
        chr->termios_saved = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    set_where(chr, "stdio", "");
    char_set_connected(chr);
    return 0;
}

int char_open_file(struct weir_char *chr, const char *args, struct err *err)
{
    if (!*args)
        return err_set(err, WEIR_EINVAL, "file: needs a path, as in file:serial.log");
    chr->owns_fds = true;
    chr->out_fd =
        open(args, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
    if (chr->out_fd < 0)
        return err_errno(err, "%s", args);
    set_where(chr, "file:", args);
    char_set_connected(chr);
    return 0;
}

/* PATH.in and PATH.out as QEMU does, or PATH for both directions. */
int char_open_pipe(struct weir_char *chr, const char *args, struct err *err)
{
    char in[4096], out[4096];
    int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    if (!*args || strlen(args) > sizeof(in) - 8)
        return err_set(err, WEIR_EINVAL, "pipe: needs a path, as in pipe:/tmp/guest");
    snprintf(in, sizeof(in), "%s.in", args);
    snprintf(out, sizeof(out), "%s.out", args);
    chr->owns_fds = true;
    /* Read-write, so that opening does not wait for the other end. */
    chr->in_fd = open(in, flags);
    chr->out_fd = open(out, flags);
    if (chr->in_fd < 0 || chr->out_fd < 0) {
        if (chr->in_fd >= 0)
            close(chr->in_fd);
        if (chr->out_fd >= 0)
            close(chr->out_fd);
        chr->in_fd = chr->out_fd = open(args, flags);
        if (chr->in_fd < 0)
            return err_errno(err, "%s", args);
    }
    set_where(chr, "pipe:", args);
    char_set_connected(chr);
    return 0;
}

static bool is_socket(int fd)
{
    int type;
    socklen_t length = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0;
}

int char_open_fd(struct weir_char *chr, const char *args, struct err *err)
{
    char *end;
    errno = 0;
    long fd = strtol(args, &end, 10);
    if (end == args || *end || fd < 0 || fd > 1 << 20)
        return err_set(err, WEIR_EINVAL, "fd: needs a number, not '%s'", args);
    int flags = fcntl((int)fd, F_GETFL);
    if (flags < 0)
        return err_errno(err, "descriptor %ld", fd);
    int mode = flags & O_ACCMODE;
    chr->in_fd = mode == O_WRONLY ? -1 : (int)fd;
    chr->out_fd = mode == O_RDONLY ? -1 : (int)fd;
    chr->is_socket = is_socket((int)fd);
    chr->is_tty = isatty((int)fd) == 1;
    set_where(chr, "fd:", args);
    char_set_connected(chr);
    return 0;
}

int char_open_pty(struct weir_char *chr, const char *args, struct err *err)
{
    char name[64];
    struct termios raw;
    if (*args)
        return err_set(err, WEIR_EINVAL, "pty takes no argument: '%s'", args);
    chr->owns_fds = true;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "pty");
    chr->in_fd = chr->out_fd = fd;
    if (grantpt(fd) < 0 || unlockpt(fd) < 0 || ptsname_r(fd, name, sizeof(name)) != 0)
        return err_errno(err, "pty");
    /* Held open by us: without any opener the master would report a hang-up all the time.
     * What the guest writes before somebody looks is kept, the newest 64 KiB of it. */
    chr->listen_fd = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (chr->listen_fd < 0 || tcgetattr(chr->listen_fd, &raw) < 0)
        return err_errno(err, "%s", name);
    cfmakeraw(&raw);
    if (tcsetattr(chr->listen_fd, TCSANOW, &raw) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return err_errno(err, "%s", name);
    chr->lossy = true;
    set_where(chr, name, "");
    char_set_connected(chr);
    return 0;
}
