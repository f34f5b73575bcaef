/* SPDX-License-Identifier: MIT */
/* misc_test.c - services other than files: console, log, control, time, arguments, random numbers,
 * clipboard, scatter-gather, requests to a process that has guest RAM. */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <weir/context.h>
#include <weir/export.h>
#include <weir/machine.h>

static void start(struct rig *r, const char *options)
{
    rig_open(r, "jit", 32, false, options);
}

static unsigned bytes_call(struct rig *r, uint16_t service, const char *text, uint64_t offset,
                           struct weir_hc_bytes *a)
{
    uint32_t length = (uint32_t)strlen(text);
    memcpy(rig_ram(r, RIG_DATA), text, length + 1);
    *a = (struct weir_hc_bytes){
        .region_count = 1, .offset = offset, .regions = {rig_region(RIG_DATA, length)}};
    return rig_call(r, a, service, sizeof(*a));
}

static void collect(void *ctx, const char *bytes, size_t length)
{
    strncat(ctx, bytes, length);
}

static void console_and_log(void **state)
{
    struct rig r;
    struct weir_hc_bytes a;
    char got[64] = "";
    start(&r, "console=on,log=on");
    weir_on_hostcall_output(r.vm, collect, got);
    assert_int_equal(bytes_call(&r, WEIR_HC_CONSOLE_WRITE, "hello\n", 0, &a), 0);
    assert_int_equal(a.done, 6);
    assert_string_equal(got, "hello\n");
    assert_int_equal(bytes_call(&r, WEIR_HC_LOG, "a\033[31m message\r\n", 0, &a), 0);
    assert_string_equal(r.log, "guest: a [31m message\n");
    rig_close(&r);
}

static void clipboard(void **state)
{
    struct rig r;
    struct weir_hc_bytes a;
    char text[32] = "";
    start(&r, "clip=on");
    assert_int_equal(bytes_call(&r, WEIR_HC_CLIP_PUT, "one ", 0, &a), 0);
    assert_int_equal(bytes_call(&r, WEIR_HC_CLIP_PUT, "two", 4, &a), 0);
    assert_int_equal(a.size, 7);
    assert_int_equal(bytes_call(&r, WEIR_HC_CLIP_PUT, "x", 3, &a), WEIR_HC_EINVAL);
    assert_int_equal(weir_clipboard_get(r.vm, text, sizeof(text)), 7);
    assert_string_equal(text, "one two");
    assert_int_equal(weir_clipboard_put(r.vm, "from the host", 13), 0);
    a = (struct weir_hc_bytes){
        .region_count = 1, .offset = 5, .regions = {rig_region(RIG_DATA, 6)}};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_CLIP_GET, sizeof(a)), 0);
    assert_int_equal(a.size, 13);
    assert_int_equal(a.done, 6);
    assert_memory_equal(rig_ram(&r, RIG_DATA), "the ho", 6);
    a.offset = UINT64_MAX;
    assert_int_equal(rig_call(&r, &a, WEIR_HC_CLIP_GET, sizeof(a)), 0);
    assert_int_equal(a.done, 0);
    assert_int_equal(bytes_call(&r, WEIR_HC_CLIP_PUT, "x", UINT64_MAX, &a), WEIR_HC_EINVAL);
    rig_close(&r);
}

static void arguments(void **state)
{
    struct rig r;
    start(&r, "arg=first,arg=a,,b,env=PATH=/bin");
    for (unsigned k = 0; k < 3; k++) {
        struct weir_hc_arg a = {.index = k, .text = {RIG_DATA, 100, WEIR_HC_LINEAR, 0}};
        assert_int_equal(rig_call(&r, &a, WEIR_HC_ARG, sizeof(a)), k < 2 ? 0 : WEIR_HC_ENODATA);
        assert_int_equal(a.count, 2);
        if (k < 2)
            assert_memory_equal(rig_ram(&r, RIG_DATA), k ? "a,b" : "first", a.done);
    }
    struct weir_hc_arg a = {.text = {RIG_DATA, 100, WEIR_HC_LINEAR, 0}};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_ENV, sizeof(a)), 0);
    assert_memory_equal(rig_ram(&r, RIG_DATA), "PATH=/bin", 9);
    a.text.length = 8;
    assert_int_equal(rig_call(&r, &a, WEIR_HC_ENV, sizeof(a)), WEIR_HC_ERANGE);
    assert_int_equal(a.done, 9);
    rig_close(&r);
}

static void random_and_time(void **state)
{
    struct rig r;
    static const uint8_t zeros[5000];
    start(&r, "random=on,time=on");
    struct weir_hc_bytes a = {.region_count = 1, .regions = {rig_region(RIG_DATA, 5000)}};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_RANDOM, sizeof(a)), 0);
    assert_int_equal(a.done, 5000);
    assert_memory_not_equal(rig_ram(&r, RIG_DATA), zeros, 5000);
    assert_memory_not_equal(rig_ram(&r, RIG_DATA + 4990), zeros, 10);
    assert_memory_equal(rig_ram(&r, RIG_DATA + 5000), zeros, 100);
    struct weir_hc_time t;
    assert_int_equal(rig_call(&r, &t, WEIR_HC_TIME, sizeof(t)), 0);
    struct timespec now; /* time() may be a tick behind */
    clock_gettime(CLOCK_REALTIME, &now);
    assert_in_range(t.seconds, now.tv_sec - 2, now.tv_sec);
    assert_in_range(t.nanoseconds, 0, 999999999);
    assert_in_range(t.weekday, 0, 6);
    struct tm tm;
    time_t then = t.seconds;
    localtime_r(&then, &tm);
    assert_int_equal(t.weekday, tm.tm_wday);
    assert_int_equal(t.dos_date >> 9, tm.tm_year - 80);
    assert_int_equal(t.dos_time >> 11, tm.tm_hour);
    rig_close(&r);
}

static void control(void **state)
{
    struct rig r;
    struct weir_exit e;
    start(&r, "control=on");
    struct weir_hc_control a = {
        .header = {WEIR_HC_MAGIC, 1, WEIR_HC_CONTROL_EXIT, 99, 99, sizeof(a)}, .value = 0x123};
    memcpy(rig_ram(&r, RIG_BLOCK), &a, sizeof(a));
    r.c->rip = RIG_CODE;
    assert_int_equal(weir_run((weir_vcpu *)r.c, 0, &e), 0);
    assert_int_equal(e.reason, WEIR_EXIT_DEBUG_EXIT);
    assert_int_equal(e.status, 0x23);
    assert_int_equal(r.c->rip, RIG_CODE + 7); /* behind the call, before the next */
    assert_int_equal(rig_call(&r, &a, WEIR_HC_CONTROL_SNAPSHOT, sizeof(a)), WEIR_HC_EOPNOTSUPP);
    a.seconds = 1;
    assert_int_equal(rig_call(&r, &a, WEIR_HC_CONTROL_CLOCK, sizeof(a)),
                     WEIR_HC_EOPNOTSUPP); /* this machine has none */
    struct weir_hc_screenshot s = {0};
    assert_int_equal(rig_call(&r, &s, WEIR_HC_CONTROL_SCREENSHOT, sizeof(s)),
                     WEIR_HC_EOPNOTSUPP);
    s.handle = 5;
    assert_int_equal(rig_call(&r, &s, WEIR_HC_CONTROL_SCREENSHOT, sizeof(s)), WEIR_HC_EBADF);
    rig_close(&r);
}

struct wish {
    weir *vm;
    uint32_t value;
};
static unsigned pause_for_snapshot(void *ctx, uint32_t value)
{
    struct wish *w = ctx;
    w->value = value;
    if (value == 5)
        return WEIR_HC_ENOSPC;
    weir_pause(w->vm);
    return 0;
}

/* The guest asks, the embedder keeps what it is; the guest goes on from there again and again. */
static void snapshot(void **state)
{
    for (unsigned n = 0; n < 2; n++) {
        struct rig r;
        struct weir_exit e;
        rig_open(&r, n ? "jit" : "interp", 32, false, "control=on");
        weir_vcpu *cpu = (weir_vcpu *)r.c;
        struct wish wish = {.vm = r.vm};
        weir_on_snapshot_request(r.vm, pause_for_snapshot, &wish);
        const uint8_t behind[] = {0x40, 0xff, 0x05, 0,
                                  0,    0x40, 0,    0xf4}; /* INC EAX, [400000] */
        weir_mem_write(r.vm, RIG_CODE + 7, behind, sizeof(behind));
        struct weir_hc_control a = {
            .header = {WEIR_HC_MAGIC, 1, WEIR_HC_CONTROL_SNAPSHOT, 99, 99, sizeof(a)},
            .value = 7};
        memcpy(rig_ram(&r, RIG_BLOCK), &a, sizeof(a));
        assert_int_equal(weir_run(cpu, 0, &e), 0);
        assert_int_equal(e.reason, WEIR_EXIT_PAUSED);
        assert_int_equal(wish.value, 7);
        struct weir_context kept = {.size = sizeof(kept)};
        assert_int_equal(weir_context_get(cpu, WEIR_CONTEXT_ALL, &kept), 0);
        assert_int_equal(kept.rip, RIG_CODE + 7);
        void *ram = malloc(RIG_RAM);
        assert_int_equal(weir_mem_read(r.vm, 0, ram, RIG_RAM), 0);
        memcpy(&a, (char *)ram + RIG_BLOCK, sizeof(a));
        assert_int_equal(a.header.error, 0);
        weir_resume(r.vm);
        for (unsigned k = 0; k < 3; k++) {
            assert_int_equal(weir_run(cpu, 0, &e), 0);
            assert_int_equal(e.reason, WEIR_EXIT_HALT);
            assert_int_equal((uint32_t)r.c->gpr[0], (uint32_t)kept.gpr[0] + 1);
            assert_int_equal(*(uint32_t *)rig_ram(&r, RIG_DATA), 1);
            assert_int_equal(weir_mem_write(r.vm, 0, ram, RIG_RAM), 0);
            assert_int_equal(weir_context_set(cpu, WEIR_CONTEXT_ALL, &kept), 0);
        }
        free(ram);
        a.value = 5; /* what the embedder answers is the guest's */
        assert_int_equal(rig_call(&r, &a, WEIR_HC_CONTROL_SNAPSHOT, sizeof(a)), WEIR_HC_ENOSPC);
        rig_close(&r);
    }
}

/* ---- scatter-gather ---- */

static void sg(void **state)
{
    struct rig r;
    start(&r, "sg=on");
    struct {
        struct weir_hc_sg a;
        struct weir_hc_region more[2];
    } b = {.a = {.region_count = 3, .pairs = {RIG_NAMES, 48, WEIR_HC_LINEAR, 0}}};
    struct weir_hc_region *region = &b.a.regions[0];
    region[0] = (struct weir_hc_region){0x1234 << 16 | 0x10, 100, WEIR_HC_REAL};
    region[1] = rig_region(RIG_DATA + 50, 8192);
    region[2] = rig_region(RIG_DATA + 50 + 8192, 10); /* joins the one before */
    b.a.writable = 1;
    uint32_t handles[64];
    for (unsigned k = 0; k < 64; k++) {
        assert_int_equal(rig_call(&r, &b, WEIR_HC_SG_PIN, sizeof(b)), 0);
        handles[k] = b.a.handle;
        assert_int_not_equal(b.a.handle, 0);
    }
    assert_int_equal(b.a.count, 2);
    const struct weir_hc_region *pair = rig_ram(&r, RIG_NAMES);
    assert_int_equal(pair[0].address, 0x12350);
    assert_int_equal(pair[0].length, 100);
    assert_int_equal(pair[0].kind, WEIR_HC_PHYSICAL);
    assert_int_equal(pair[1].address, RIG_DATA + 50);
    assert_int_equal(pair[1].length, 8202);
    assert_int_equal(rig_call(&r, &b, WEIR_HC_SG_PIN, sizeof(b)), WEIR_HC_EMFILE);
    struct weir_hc_sg_release u = {.handle = handles[7]};
    assert_int_equal(rig_call(&r, &u, WEIR_HC_SG_RELEASE, sizeof(u)), 0);
    assert_int_equal(rig_call(&r, &u, WEIR_HC_SG_RELEASE, sizeof(u)), WEIR_HC_EBADF);
    u.handle = 0;
    assert_int_equal(rig_call(&r, &u, WEIR_HC_SG_RELEASE, sizeof(u)), WEIR_HC_EBADF);
    b.a.pairs.length = 31;
    assert_int_equal(rig_call(&r, &b, WEIR_HC_SG_PIN, sizeof(b)), WEIR_HC_ERANGE);
    assert_int_equal(b.a.count, 2);
    assert_int_equal(rig_call(&r, &b, WEIR_HC_SG_PIN, sizeof(b)), WEIR_HC_ERANGE);
    b.a.region_count = 0;
    assert_int_equal(rig_call(&r, &b, WEIR_HC_SG_PIN, sizeof(b)), WEIR_HC_EINVAL);
    rig_close(&r);
}

/* ---- another process; here it is the test itself ---- */

struct peer {
    int socket, fds[WEIR_EXPORT_FDS];
    struct weir_export_hello hello;
    struct weir_export_slot *ring;
};

static bool peer_connect(struct peer *p, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    p->socket = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    assert_int_equal(connect(p->socket, (struct sockaddr *)&address, sizeof(address)), 0);
    char control[CMSG_SPACE(sizeof(p->fds))];
    struct iovec iov = {&p->hello, sizeof(p->hello)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    if (recvmsg(p->socket, &m, 0) <= 0) {
        close(p->socket);
        return false;
    }
    memcpy(p->fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(p->fds));
    p->ring = mmap(NULL, WEIR_EXPORT_SLOTS * sizeof(*p->ring), PROT_READ | PROT_WRITE,
                   MAP_SHARED, p->fds[WEIR_EXPORT_RING], 0);
    assert_ptr_not_equal(p->ring, MAP_FAILED);
    return true;
}
static void peer_close(struct peer *p)
{
    munmap(p->ring, WEIR_EXPORT_SLOTS * sizeof(*p->ring));
    for (unsigned k = 0; k < WEIR_EXPORT_FDS; k++)
        close(p->fds[k]);
    close(p->socket);
}

static unsigned submit(struct rig *r, struct weir_hc_extern *a)
{
    *a = (struct weir_hc_extern){
        .region_count = 1, .writable = 1, .regions = {rig_region(RIG_DATA + 10, 5000)}};
    a->words[0] = 0x1122334455667788;
    return rig_call(r, a, WEIR_HC_EXTERN_SUBMIT, sizeof(*a));
}
static unsigned ask(struct rig *r, uint32_t request, struct weir_hc_extern *a)
{
    *a = (struct weir_hc_extern){.request = request};
    return rig_call(r, a, WEIR_HC_EXTERN_POLL, sizeof(*a));
}

static void export(void **state)
{
    struct rig r;
    struct peer p, second;
    struct weir_hc_extern a;
    char dir[] = "/tmp/weir-ram-XXXXXX", path[64];
    uint64_t count;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/ram", dir);
    start(&r, "extern=on");
    assert_int_equal(submit(&r, &a), WEIR_HC_EOPNOTSUPP);
    r.vm->started = false;
    assert_int_equal(weir_mem_export(r.vm, path), 0);
    assert_int_equal(weir_mem_export(r.vm, path), -WEIR_EEXIST);
    r.vm->started = true;
    assert_int_equal(submit(&r, &a), WEIR_HC_EOPNOTSUPP);
    assert_true(peer_connect(&p, path));
    assert_false(peer_connect(&second, path)); /* one at a time */
    assert_int_equal(p.hello.ram_bytes, RIG_RAM);
    assert_int_equal(p.hello.areas, 1);
    assert_int_not_equal(ftruncate(p.fds[WEIR_EXPORT_RAM], 0), 0); /* cannot take it away */
    assert_int_not_equal(ftruncate(p.fds[WEIR_EXPORT_RING], 0), 0);
    assert_int_equal(submit(&r, &a), 0);
    uint32_t request = a.request;
    assert_int_equal(read(p.fds[WEIR_EXPORT_REQUESTS], &count, 8), 8);
    struct weir_export_slot *slot = p.ring;
    while (slot->state != WEIR_EXPORT_POSTED)
        slot++;
    assert_int_equal(slot->words[0], 0x1122334455667788);
    assert_int_equal(slot->bytes, 5000);
    assert_int_equal(slot->piece[0].offset, RIG_DATA + 10);
    assert_int_equal(ask(&r, request, &a), WEIR_HC_EAGAIN);
    assert_int_equal(pwrite(p.fds[WEIR_EXPORT_RAM], "hello", 5, (off_t)slot->piece[0].offset),
                     5);
    slot->words[3] = 42;
    slot->result = -7;
    slot->pieces = 0xffffffff; /* nothing that is here is believed */
    slot->number = 5;
    __atomic_store_n(&slot->state, WEIR_EXPORT_DONE, __ATOMIC_RELEASE);
    assert_int_equal(ask(&r, request, &a), 0);
    assert_int_equal(a.result, -7);
    assert_int_equal(a.words[3], 42);
    assert_memory_equal(rig_ram(&r, RIG_DATA + 10), "hello", 5);
    assert_int_equal(ask(&r, request, &a), WEIR_HC_EBADF);
    assert_int_equal(ask(&r, 0, &a), WEIR_HC_EBADF);
    assert_int_equal(ask(&r, 0xffffffff, &a), WEIR_HC_EBADF);
    for (unsigned k = 0; k < WEIR_EXPORT_SLOTS; k++)
        assert_int_equal(submit(&r, &a), 0);
    request = a.request;
    assert_int_equal(submit(&r, &a), WEIR_HC_EBUSY);
    peer_close(&p); /* and its requests are lost */
    unsigned error = WEIR_HC_EAGAIN;
    for (unsigned k = 0; k < 2000 && error == WEIR_HC_EAGAIN; k++) {
        usleep(1000);
        error = ask(&r, request, &a);
    }
    assert_int_equal(error, WEIR_HC_EIO);
    hostcall_reset(r.vm->hostcall);
    assert_true(peer_connect(&p, path));
    usleep(20000);
    for (unsigned k = 0; k < WEIR_EXPORT_SLOTS; k++)
        assert_int_equal(submit(&r, &a), 0);
    rig_close(&r);
    assert_int_not_equal(access(path, F_OK), 0);
    peer_close(&p);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(console_and_log),
        cmocka_unit_test(clipboard),
        cmocka_unit_test(arguments),
        cmocka_unit_test(random_and_time),
        cmocka_unit_test(control),
        cmocka_unit_test(snapshot),
        cmocka_unit_test(sg),
        cmocka_unit_test(export),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
