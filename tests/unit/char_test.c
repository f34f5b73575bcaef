/* SPDX-License-Identifier: MIT */
/*
 * char_test.c - the I/O thread and the character devices: timers that wake the thread, input
 * held back by a device without room, output of a slow host, connections that come and go.
 */
#include "backend/char.h"
#include "backend/io_loop.h"
#include "base/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

struct fixture {
    pthread_mutex_t lock;
    struct clock clock;
    struct io_loop loop;
    struct err err;
    /* the device: takes `room` bytes */
    unsigned room, opened, closed, breaks, writables;
    char got[65536];
    unsigned length;
    struct weir_char *chr;
};

static unsigned can_receive(void *ctx)
{
    return ((struct fixture *)ctx)->room;
}
static void receive(void *ctx, const uint8_t *data, unsigned length)
{
    struct fixture *f = ctx;
    assert_true(length <= f->room);
    assert_true(f->length + length <= sizeof(f->got));
    memcpy(f->got + f->length, data, length);
    f->length += length;
    f->room -= length;
}
static void event(void *ctx, int event)
{
    struct fixture *f = ctx;
    f->opened += event == CHAR_OPENED;
    f->closed += event == CHAR_CLOSED;
    f->breaks += event == CHAR_BREAK;
}

static void writable(void *ctx)
{
    ((struct fixture *)ctx)->writables++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    pthread_mutex_init(&f->lock, NULL);
    clock_init(&f->clock, CLOCK_HOST);
    assert_int_equal(io_loop_start(&f->loop, &f->clock, &f->lock, &f->err), 0);
    f->room = 1000;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    io_loop_stop(&f->loop);
    char_close(f->chr);
    clock_fini(&f->clock);
    free(f);
    return 0;
}

static void sleep_ms(unsigned ms)
{
    struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000l};
    nanosleep(&ts, NULL);
}

/* Waits up to two seconds for a condition, looked at under the lock. */
#define WAIT_FOR(f, condition)                                                                 \
    do {                                                                                       \
        bool holds = false;                                                                    \
        for (unsigned k = 0; k < 2000 && !holds; k++) {                                        \
            pthread_mutex_lock(&(f)->lock);                                                    \
            holds = (condition);                                                               \
            pthread_mutex_unlock(&(f)->lock);                                                  \
            if (!holds)                                                                        \
                sleep_ms(1);                                                                   \
        }                                                                                      \
        assert_true(holds);                                                                    \
    } while (0)

static int open_char(struct fixture *f, const char *spec)
{
    struct char_device device = {can_receive, receive, event, f};
    pthread_mutex_lock(&f->lock);
    int rc = char_open(&f->loop, "c0", spec, &f->chr, &f->err);
    if (rc == 0)
        char_attach(f->chr, &device);
    pthread_mutex_unlock(&f->lock);
    return rc;
}

static void guest_writes(struct fixture *f, const char *text)
{
    pthread_mutex_lock(&f->lock);
    char_write(f->chr, (const uint8_t *)text, (unsigned)strlen(text));
    pthread_mutex_unlock(&f->lock);
}

/* Reads exactly `length` bytes within two seconds. */
static void expect_bytes(int fd, const char *text, size_t length)
{
    char buffer[256];
    size_t have = 0;
    while (have < length) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 2000), 1);
        ssize_t n = read(fd, buffer + have, length - have);
        assert_true(n > 0);
        have += (size_t)n;
    }
    assert_memory_equal(buffer, text, length);
}

/* ---- the thread ---- */

static void fired(void *ctx)
{
    __atomic_fetch_add((unsigned *)ctx, 1, __ATOMIC_SEQ_CST);
}

static void timers_fire(void **state)
{
    struct fixture *f = *state;
    unsigned late = 0, early = 0;
    struct weir_timer a, b;
    pthread_mutex_lock(&f->lock);
    timer_init(&a, &f->clock, fired, &late);
    timer_init(&b, &f->clock, fired, &early);
    weir_timer_set(&a, 3600ull * 1000000000u);
    weir_timer_set(&b, 5000000);
    pthread_mutex_unlock(&f->lock);
    sleep_ms(30);
    assert_int_equal(early, 0); /* the clock stands */
    uint64_t before = clock_now_ns(&f->clock);
    pthread_mutex_lock(&f->lock);
    clock_start(&f->clock);
    pthread_mutex_unlock(&f->lock);
    WAIT_FOR(f, early == 1);
    assert_true(clock_now_ns(&f->clock) - before >= 5000000);
    /* An earlier deadline wakes the sleeper. */
    pthread_mutex_lock(&f->lock);
    weir_timer_set(&b, clock_now_ns(&f->clock) + 1000000);
    pthread_mutex_unlock(&f->lock);
    WAIT_FOR(f, early == 2);
    assert_int_equal(late, 0);
    pthread_mutex_lock(&f->lock);
    weir_timer_cancel(&a);
    clock_stop(&f->clock);
    pthread_mutex_unlock(&f->lock);
}

struct self_removing {
    struct io_watch watch, *other;
    struct io_loop *loop;
    unsigned calls;
};

static void remove_both(void *ctx, unsigned events)
{
    struct self_removing *s = ctx;
    s->calls++;
    assert_true(events & IO_READABLE);
    io_watch_remove(s->loop, s->other);
    io_watch_remove(s->loop, &s->watch);
}

static void watch_removes_watches(void **state)
{
    struct fixture *f = *state;
    struct self_removing s[2];
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    pthread_mutex_lock(&f->lock);
    for (unsigned k = 0; k < 2; k++) {
        s[k] = (struct self_removing){
            .watch = {.fd = fds[0], .events = IO_READABLE, .ready = remove_both, .ctx = &s[k]},
            .other = &s[!k].watch,
            .loop = &f->loop};
        io_watch_add(&f->loop, &s[k].watch);
    }
    pthread_mutex_unlock(&f->lock);
    WAIT_FOR(f, s[0].calls + s[1].calls == 1);
    sleep_ms(20);
    assert_int_equal(s[0].calls + s[1].calls, 1);
    close(fds[0]);
    close(fds[1]);
}

/* ---- devices ---- */

static void input_waits_for_room(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    char spec[32], big[3000];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    snprintf(spec, sizeof(spec), "fd:%d", fds[1]);
    f->room = 0;
    assert_int_equal(open_char(f, spec), 0);
    for (unsigned k = 0; k < sizeof(big); k++)
        big[k] = (char)(k * 7);
    assert_int_equal(write(fds[0], big, sizeof(big)), sizeof(big));
    sleep_ms(30);
    assert_int_equal(f->length, 0);
    for (unsigned taken = 0; taken < sizeof(big); taken += 100) {
        pthread_mutex_lock(&f->lock);
        f->room = 100;
        char_accept_input(f->chr);
        pthread_mutex_unlock(&f->lock);
        WAIT_FOR(f, f->length == taken + 100);
        assert_int_equal(f->room, 0);
    }
    assert_memory_equal(f->got, big, sizeof(big));
    assert_int_equal(f->opened, 1);
    /* The end of the stream is noticed, and told, once the device takes input again. */
    close(fds[0]);
    pthread_mutex_lock(&f->lock);
    f->room = 1;
    char_accept_input(f->chr);
    pthread_mutex_unlock(&f->lock);
    WAIT_FOR(f, f->closed == 1);
    assert_false(char_connected(f->chr));
    guest_writes(f, "into the void");
    close(fds[1]);
}

static void output_waits_for_a_slow_host(void **state)
{
    struct fixture *f = *state;
    int fds[2];
    char spec[32], line[1001];
    assert_int_equal(pipe(fds), 0);
    snprintf(spec, sizeof(spec), "fd:%d", fds[1]);
    assert_int_equal(open_char(f, spec), 0);
    char_set_writable(f->chr, writable);
    memset(line, 'a', 1000);
    line[1000] = 0;
    unsigned written = 0;
    bool ready = true;
    while (ready && written < 1000) {
        guest_writes(f, line);
        written++;
        pthread_mutex_lock(&f->lock);
        ready = char_can_write(f->chr);
        pthread_mutex_unlock(&f->lock);
    }
    assert_true(written > 64 && written < 1000); /* it said no, after its buffer */
    assert_int_equal(f->writables, 0);
    size_t total = 0, wanted = (size_t)written * 1000;
    while (total < wanted) {
        char buffer[4096];
        struct pollfd p = {.fd = fds[0], .events = POLLIN};
        assert_int_equal(poll(&p, 1, 2000), 1);
        ssize_t n = read(fds[0], buffer, sizeof(buffer));
        assert_true(n > 0 && buffer[0] == 'a');
        total += (size_t)n;
    }
    assert_int_equal(total, wanted);
    WAIT_FOR(f, f->writables == 1);
    assert_true(char_can_write(f->chr));
    close(fds[0]); /* no SIGPIPE */
    guest_writes(f, "x");
    WAIT_FOR(f, !char_connected(f->chr));
    close(fds[1]);
}

static void closing_flushes(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/weir_char_XXXXXX", spec[64], buffer[32] = "";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    snprintf(spec, sizeof(spec), "file:%s", path);
    assert_int_equal(open_char(f, spec), 0);
    pthread_mutex_lock(&f->lock);
    char_write(f->chr, (const uint8_t *)"last words", 10);
    char_close(f->chr);
    f->chr = NULL;
    pthread_mutex_unlock(&f->lock);
    assert_int_equal(read(fd, buffer, sizeof(buffer)), 10);
    assert_string_equal(buffer, "last words");
    close(fd);
    unlink(path);
}

static void pty_both_ways(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(open_char(f, "pty"), 0);
    guest_writes(f, "early\r\n"); /* before anybody looks */
    int fd = open(char_where(f->chr), O_RDWR | O_NOCTTY);
    assert_true(fd >= 0);
    expect_bytes(fd, "early\r\n", 7);
    assert_int_equal(write(fd, "hi\r", 3), 3);
    WAIT_FOR(f, f->length == 3);
    assert_memory_equal(f->got, "hi\r", 3); /* no echo, no translation */
    close(fd);
    for (unsigned k = 0; k < 300; k++) /* nobody reads: never blocks, keeps the newest */
        guest_writes(f,
                     "0123456789012345678901234567890123456789012345678901234567890123456789"
                     "0123456789012345678901234567890123456789012345678901234567890123456789"
                     "0123456789012345678901234567890123456789012345678901234567890123456789"
                     "0123456789012345678901234567890123456789012345678901234567890123456789");
    assert_true(char_can_write(f->chr));
}

static int connect_unix(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void unix_server_reconnects(void **state)
{
    struct fixture *f = *state;
    char path[64], spec[128];
    snprintf(path, sizeof(path), "/tmp/weir_char_%d.sock", (int)getpid());
    snprintf(spec, sizeof(spec), "unix:%s,server=on,wait=off", path);
    assert_int_equal(open_char(f, spec), 0);
    guest_writes(f, "nobody");
    for (unsigned round = 1; round <= 3; round++) {
        int fd = connect_unix(path);
        WAIT_FOR(f, f->opened == round);
        guest_writes(f, "hello");
        expect_bytes(fd, "hello", 5);
        assert_int_equal(write(fd, "abc", 3), 3);
        WAIT_FOR(f, f->length == 3 * round);
        close(fd);
        WAIT_FOR(f, f->closed == round);
    }
    pthread_mutex_lock(&f->lock);
    char_close(f->chr);
    f->chr = NULL;
    pthread_mutex_unlock(&f->lock);
    assert_int_equal(access(path, F_OK), -1);
    /* A file that is no socket is not swept away. */
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_true(open_char(f, spec) < 0);
    assert_non_null(strstr(f->err.text, path));
    assert_int_equal(unlink(path), 0);
}

static void telnet_commands(void **state)
{
    struct fixture *f = *state;
    char path[64], spec[128];
    static const uint8_t input[] = {'a', 255, 243, 'b', 255, 253, 3,    255, 255, 'c',
                                    255, 250, 31,  0,   255, 240, '\r', 0,   'd'};
    snprintf(path, sizeof(path), "/tmp/weir_char_%d.sock", (int)getpid());
    snprintf(spec, sizeof(spec), "unix:%s,server,nowait,telnet=on", path);
    assert_int_equal(open_char(f, spec), 0);
    int fd = connect_unix(path);
    expect_bytes(fd, "\377\373\1\377\373\3\377\373\0\377\375\0", 12);
    assert_int_equal(write(fd, input, sizeof(input)), sizeof(input));
    WAIT_FOR(f, f->length == 6);
    assert_memory_equal(f->got, "ab\377c\rd", 6);
    assert_int_equal(f->breaks, 1);
    close(fd);
}

static void tcp_tells_its_port(void **state)
{
    struct fixture *f = *state;
    char spec[64];
    assert_int_equal(open_char(f, "tcp:127.0.0.1:0,server=on,wait=off"), 0);
    unsigned port = 0;
    assert_int_equal(sscanf(char_where(f->chr), "tcp:127.0.0.1:%u,", &port), 1);
    assert_true(port > 0);
    /* Another device as its client. */
    struct weir_char *client;
    struct char_device none = {0};
    snprintf(spec, sizeof(spec), "tcp:127.0.0.1:%u", port);
    pthread_mutex_lock(&f->lock);
    assert_int_equal(char_open(&f->loop, "c1", spec, &client, &f->err), 0);
    char_attach(client, &none);
    char_write(client, (const uint8_t *)"ping", 4);
    pthread_mutex_unlock(&f->lock);
    WAIT_FOR(f, f->length == 4);
    pthread_mutex_lock(&f->lock);
    char_close(client);
    pthread_mutex_unlock(&f->lock);
    WAIT_FOR(f, f->closed == 1);
}

struct callback_log {
    char text[64];
    size_t length;
};
static void callback(void *ctx, const uint8_t *data, size_t length)
{
    struct callback_log *log = ctx;
    memcpy(log->text + log->length, data, length);
    log->length += length;
}

static void callback_device(void **state)
{
    struct fixture *f = *state;
    struct callback_log log = {0};
    struct char_device device = {can_receive, receive, event, f};
    f->chr = char_new_callback("cb", callback, &log);
    char_attach(f->chr, &device);
    char_write(f->chr, (const uint8_t *)"out", 3);
    assert_int_equal(log.length, 3);
    f->room = 4;
    assert_int_equal(char_feed(f->chr, (const uint8_t *)"123456", 6), 4);
    assert_int_equal(f->length, 4);
    char_break(f->chr);
    assert_int_equal(f->breaks, 1);
}

static void bad_specs(void **state)
{
    struct fixture *f = *state;
    static const char *const specs[] = {"",
                                        "nul",
                                        "stdio:x",
                                        "file:",
                                        "file",
                                        "pipe:",
                                        "fd:",
                                        "fd:x",
                                        "fd:999",
                                        "tcp:",
                                        "tcp:host",
                                        "unix:",
                                        "unix:/tmp/x,sever=on",
                                        "unix:/tmp/x,server=maybe",
                                        "tcp:127.0.0.1:1",
                                        "unix:/nonexistent/socket",
                                        "file:/nonexistent/file",
                                        "pty:x",
                                        "null:x"};
    for (unsigned k = 0; k < ARRAY_SIZE(specs); k++) {
        f->err.text[0] = 0;
        assert_true(open_char(f, specs[k]) < 0);
        assert_null(f->chr);
        assert_true(f->err.text[0] != 0);
        assert_null(strchr(f->err.text, '\n'));
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(timers_fire),
        T(watch_removes_watches),
        T(input_waits_for_room),
        T(closing_flushes),
        T(output_waits_for_a_slow_host),
        T(pty_both_ways),
        T(unix_server_reconnects),
        T(telnet_commands),
        T(tcp_tells_its_port),
        T(callback_device),
        T(bad_specs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
