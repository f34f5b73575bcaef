/* SPDX-License-Identifier: MIT */
/*
 * gdb_test.c - the gdb stub's protocol without a gdb: frames, registers, memory, descriptions, and
 * what a hostile peer may send. The peer is this file; no socket is involved.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "debug/gdb_session.h"
#include <weir/machine.h>

struct peer {
    weir *vm;
    struct gdb_session session;
    struct weir_gdb_config config;
    struct gdb_buffer got; /* everything the stub sent since the last clear() */
    unsigned hang_ups, kills, commands;
};

static void take(void *ctx, const void *data, size_t length)
{
    gdb_put(&((struct peer *)ctx)->got, data, length);
}
static void hang_up(void *ctx)
{
    ((struct peer *)ctx)->hang_ups++;
}
static void kill_it(void *ctx)
{
    ((struct peer *)ctx)->kills++;
}
static void command(void *ctx, const char *line, struct weir_text *out)
{
    ((struct peer *)ctx)->commands++;
    weir_textf(out, "you said %s\n", line);
}

static void connect_peer(struct peer *p)
{
    struct gdb_host host = {.write = take, .hang_up = hang_up, .ctx = p, .config = &p->config};
    p->config = (struct weir_gdb_config){
        .size = sizeof(p->config), .monitor = command, .kill = kill_it, .ctx = p};
    gdb_session_start(&p->session, p->vm, &host);
}

static void set_up(struct peer *p, unsigned bits)
{
    struct weir_config config;
    memset(p, 0, sizeof(*p));
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.accel = "interp";
    config.ram_bytes = 4 << 20;
    assert_int_equal(weir_create(&config, &p->vm), 0);
    assert_int_equal(weir_start(p->vm), 0);
    assert_int_equal(
        weir_boot_flat(p->vm, bits, bits == 16 ? 0x51234 : 0x101234, 0x8000, 0x200000), 0);
    weir_pause(p->vm);
    connect_peer(p);
}

static void tear_down(struct peer *p)
{
    gdb_session_end(&p->session);
    gdb_buffer_free(&p->got);
    weir_destroy(p->vm);
}

static void clear(struct peer *p)
{
    p->got.length = 0;
    gdb_put(&p->got, "", 0);
}

static void send_raw(struct peer *p, const void *data, size_t length)
{
    gdb_session_input(&p->session, data, length);
}

static void send_packet(struct peer *p, const void *data, size_t length)
{
    uint8_t sum = 0;
    char end[4];
    for (size_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)data)[i]);
    snprintf(end, sizeof(end), "#%02x", sum);
    send_raw(p, "$", 1);
    send_raw(p, data, length);
    send_raw(p, end, 3);
}

/* The answer to a packet, without frame; valid until the next call. */
static const char *ask(struct peer *p, const char *packet)
{
    clear(p);
    send_packet(p, packet, strlen(packet));
    char *start = strchr(p->got.data, '$');
    if (!start)
        return "(nothing)";
    char *end = strrchr(start, '#');
    assert_non_null(end);
    *end = 0;
    return start + 1;
}

/* How it begins. */
static const char *started(struct peer *p, size_t length)
{
    if (p->got.length > length)
        p->got.data[length] = 0;
    return p->got.data;
}

#define ANSWERS(p, packet, answer) assert_string_equal(ask(p, packet), answer)

/* ---- frames ---- */

static void frames(void **state)
{
    struct peer p;
    set_up(&p, 32);
    clear(&p);
    send_raw(&p, "$qC#b4", 6);
    assert_string_equal(p.got.data, "+$QC1#c5");
    clear(&p);
    send_raw(&p, "-", 1); /* once more, please */
    assert_string_equal(p.got.data, "$QC1#c5");
    clear(&p);
    send_raw(&p, "noise+$qC#b3", 12); /* a wrong sum */
    assert_string_equal(p.got.data, "-");
    clear(&p);
    send_raw(&p, "$g$qC#b4", 8); /* a lost end */
    assert_string_equal(p.got.data, "+$QC1#c5");
    clear(&p);
    for (const char *c = "$qC#b4"; *c; c++)
        send_raw(&p, c, 1);
    assert_string_equal(p.got.data, "+$QC1#c5");
    clear(&p);
    send_raw(&p, "\3", 1); /* Ctrl-C while it stands: nothing */
    assert_string_equal(p.got.data, "");
    ANSWERS(&p, "QStartNoAckMode", "OK");
    clear(&p);
    send_raw(&p, "$qC#zz-", 7); /* sums do not count any more, nor do answers */
    assert_string_equal(p.got.data, "$QC1#c5");
    tear_down(&p);
}

static void long_packets(void **state)
{
    static char text[GDB_PACKET_MAX * 3];
    struct peer p;
    set_up(&p, 32);
    memset(text, 'q', sizeof(text));
    clear(&p);
    send_packet(&p, text, sizeof(text));
    assert_string_equal(p.got.data, "+$E22#a9");
    clear(&p);
    send_packet(&p, text, GDB_PACKET_MAX); /* just fits */
    assert_string_equal(p.got.data, "+$#00");
    ANSWERS(&p, "qC", "QC1");
    tear_down(&p);
}

/* ---- registers and memory ---- */

static unsigned layout_bytes(const struct peer *p)
{
    unsigned bytes = 0;
    for (unsigned i = 0; i < p->session.layout.count; i++)
        bytes += p->session.layout.regs[i].bytes;
    return bytes;
}

static unsigned number_of(const struct peer *p, const char *name)
{
    unsigned i = 0;
    while (i < p->session.layout.count && strcmp(p->session.layout.regs[i].name, name))
        i++;
    assert_true(i < p->session.layout.count);
    return i;
}

static const char *ask_register(struct peer *p, const char *name)
{
    char packet[16];
    snprintf(packet, sizeof(packet), "p%x", number_of(p, name));
    return ask(p, packet);
}

static const char *set_register(struct peer *p, const char *name, const char *hex)
{
    char packet[128];
    snprintf(packet, sizeof(packet), "P%x=%s", number_of(p, name), hex);
    return ask(p, packet);
}

static void registers(void **state)
{
    static const unsigned modes[] = {16, 32, 64};
    for (unsigned m = 0; m < 3; m++) {
        struct peer p;
        bool wide = modes[m] == 64;
        set_up(&p, modes[m]);
        assert_int_equal(strlen(ask(&p, "g")), layout_bytes(&p) * 2);
        char *all = strdup(ask(&p, "g")), *packet = malloc(strlen(all) + 2);
        sprintf(packet, "G%s", all);
        ANSWERS(&p, packet, "OK");
        ANSWERS(&p, "g", all);
        free(all);
        free(packet);
        assert_string_equal(
            set_register(&p, wide ? "rbx" : "ebx", wide ? "8877665544332211" : "44332211"),
            "OK");
        assert_int_equal(weir_reg_get_u64(weir_get_vcpu(p.vm, 0), WEIR_RBX),
                         wide ? 0x1122334455667788 : 0x11223344);
        assert_string_equal(set_register(&p, "xmm3", "000102030405060708090a0b0c0d0e0f"), "OK");
        assert_string_equal(ask_register(&p, "xmm3"), "000102030405060708090a0b0c0d0e0f");
        assert_string_equal(ask_register(&p, "fctrl"), "7f030000");
        ANSWERS(&p, "pffff", "E16");
        ANSWERS(&p, "p", "E16");
        ANSWERS(&p, "P0=12", "E16");
        ANSWERS(&p, "Gzz", "E16");
        tear_down(&p);
    }
}

/* The program counter is CS base + offset, and cannot leave the segment. */
static void real_mode_pc(void **state)
{
    struct peer p;
    set_up(&p, 16);
    assert_string_equal(p.session.layout.architecture, "i8086");
    assert_string_equal(ask_register(&p, "eip"), "34120500");
    ANSWERS(&p, "?", "T05thread:1;");
    ask(&p, "qXfer:features:read:target.xml:0,100");
    assert_non_null(strstr(ask(&p, "?"), "T05thread:1;4:00800000;"));
    assert_non_null(strstr(ask(&p, "?"), ";8:34120500;"));
    assert_string_equal(set_register(&p, "eip", "00800500"), "OK");
    assert_int_equal(weir_reg_get_u64(weir_get_vcpu(p.vm, 0), WEIR_RIP), 0x8000);
    assert_string_equal(set_register(&p, "eip", "00000700"), "E05");
    assert_string_equal(set_register(&p, "cs", "00600000"), "OK"); /* the base follows */
    assert_string_equal(ask_register(&p, "cs_base"), "0000060000000000");
    assert_string_equal(ask_register(&p, "eip"), "00800600");
    ANSWERS(&p, "c12", "E16"); /* not in CS */
    tear_down(&p);
}

static void memory(void **state)
{
    struct peer p;
    uint8_t bytes[4];
    set_up(&p, 64);
    ANSWERS(&p, "M1000,4:deadbeef", "OK");
    ANSWERS(&p, "m1000,4", "deadbeef");
    clear(&p);
    send_packet(&p, "X1000,4:\0}\3}\4}]", 15); /* 00 '#' '$' '}' */
    assert_string_equal(p.got.data, "+$OK#9a");
    assert_int_equal(weir_mem_read(p.vm, 0x1000, bytes, 4), 0);
    assert_memory_equal(bytes, "\0#$}", 4);
    ANSWERS(&p, "m1000,4", "0023247d");
    ANSWERS(&p, "m1000,4x", "E16");
    ANSWERS(&p, "m1000", "E16");
    ANSWERS(&p, "M1000,4:dead", "E16");
    ANSWERS(&p, "M1000,2:deadbe", "E16");
    ANSWERS(&p, "X1000,5:abcd", "E16");
    ANSWERS(&p, "Mfffffffffffffff0,ffffffffffffffff:00", "E16");
    ANSWERS(&p, "X1000,0:", "OK");
    /* 64-bit paging maps 4 GiB; what is before the hole can be read. */
    ANSWERS(&p, "m100000000,4", "E0e");
    assert_int_equal(strlen(ask(&p, "mfffffffe,4")), 4);
    ANSWERS(&p, "m8000000000000000,1", "E0e");
    ANSWERS(&p, "Qqemu.PhyMemMode:1", "OK");
    ANSWERS(&p, "qqemu.PhyMemMode", "1");
    ANSWERS(&p, "m1000,4", "0023247d");
    assert_true(strlen(ask(&p, "m0,ffffffffffffffff")) > 1000);
    ANSWERS(&p, "M1000,9:313233343536373839", "OK");
    ANSWERS(&p, "qCRC:1000,9", "C0376e6e7"); /* CRC-32/MPEG-2 of "123456789" */
    tear_down(&p);
}

/* ---- questions ---- */

static void descriptions(void **state)
{
    static const struct {
        unsigned bits;
        const char *architecture, *first;
    } modes[] = {{16, "i8086", "eax"}, {32, "i386", "eax"}, {64, "i386:x86-64", "rax"}};
    char text[80], packet[80];
    for (unsigned m = 0; m < 3; m++) {
        struct peer p;
        struct gdb_buffer xml = {0};
        const char *part;
        set_up(&p, modes[m].bits);
        do {
            snprintf(packet, sizeof(packet), "qXfer:features:read:target.xml:%zx,ff0",
                     xml.length);
            part = ask(&p, packet);
            assert_true(*part == 'm' || *part == 'l');
            gdb_puts(&xml, part + 1);
        } while (*part == 'm');
        snprintf(text, sizeof(text), "<architecture>%s</architecture>", modes[m].architecture);
        assert_non_null(strstr(xml.data, text));
        snprintf(text, sizeof(text), "<reg name=\"%s\"", modes[m].first);
        assert_non_null(strstr(xml.data, text));
        assert_non_null(strstr(xml.data, "</target>"));
        assert_int_equal(xml.data[xml.length - 1], '>');
        gdb_buffer_free(&xml);
        ANSWERS(&p, "qXfer:features:read:other.xml:0,100", "E00");
        ANSWERS(&p, "qXfer:features:read:target.xml:fffff,100", "E16");
        ANSWERS(&p, "qXfer:nothing:read::0,100", "");
        assert_non_null(
            strstr(ask(&p, "qXfer:memory-map:read::0,fff"), "<memory type=\"ram\""));
        assert_non_null(strstr(ask(&p, "qXfer:threads:read::0,fff"), "id=\"1\""));
        tear_down(&p);
    }
}

static void questions(void **state)
{
    struct peer p;
    set_up(&p, 32);
    assert_non_null(strstr(ask(&p, "qSupported:swbreak+"), "PacketSize=4000;"));
    assert_null(strstr(ask(&p, "qSupported"), "ReverseStep"));
    ANSWERS(&p, "qfThreadInfo", "m1");
    ANSWERS(&p, "qsThreadInfo", "l");
    ANSWERS(&p, "qAttached", "1");
    ANSWERS(&p, "T1", "OK");
    ANSWERS(&p, "T2", "E03");
    ANSWERS(&p, "Hg1", "OK");
    ANSWERS(&p, "Hgp1.1", "OK");
    ANSWERS(&p, "Hc-1", "OK");
    ANSWERS(&p, "Hg7", "E16");
    ANSWERS(&p, "vCont?", "vCont;c;C;s;S;t;r");
    ANSWERS(&p, "vCont;x", "E16");
    ANSWERS(&p, "vCont", "E16");
    ANSWERS(&p, "vMustReplyEmpty", "");
    ANSWERS(&p, "bs", "E.reverse execution is not supported");
    ANSWERS(&p, "qqemu.sstep", "0x7");
    ANSWERS(&p, "Qqemu.sstep=1", "OK");
    ANSWERS(&p, "qqemu.sstep", "0x1");
    ANSWERS(&p, "Qqemu.sstep=8", "E16");
    ANSWERS(&p, "qRcmd,6869", "O796f7520736169642068690a#a3$OK");
    assert_int_equal(p.commands, 1);
    ANSWERS(&p, "qRcmd,6", "E16");
    ANSWERS(&p, "k", "(nothing)");
    assert_int_equal(p.kills, 1);
    assert_int_equal(p.hang_ups, 1);
    tear_down(&p);
}

/* Runs on as the peer says; nobody executes it here. */
static void running(void **state)
{
    struct peer p;
    set_up(&p, 32);
    ANSWERS(&p, "vCont;c", "(nothing)");
    assert_false(weir_is_paused(p.vm));
    clear(&p);
    send_raw(&p, "\3", 1);
    assert_string_equal(started(&p, 13), "$T02thread:1;");
    assert_true(weir_is_paused(p.vm));
    ANSWERS(&p, "c", "(nothing)");
    weir_pause(p.vm); /* somebody else */
    clear(&p);
    gdb_session_check(&p.session);
    assert_string_equal(started(&p, 13), "$T02thread:1;");
    gdb_session_check(&p.session);
    ANSWERS(&p, "QNonStop:1", "OK");
    ANSWERS(&p, "vCont;c", "OK");
    assert_false(weir_is_paused(p.vm));
    ANSWERS(&p, "m1000,1", "00");
    assert_false(weir_is_paused(p.vm));
    ANSWERS(&p, "vCont;t:1", "OK");
    clear(&p);
    gdb_session_check(&p.session);
    assert_string_equal(started(&p, 18), "%Stop:T00thread:1;");
    ANSWERS(&p, "vStopped", "OK");
    ANSWERS(&p, "D", "OK");
    assert_false(weir_is_paused(p.vm));
    tear_down(&p);
}

static void addresses(void **state)
{
    static const char *const bad[] = {"",
                                      "tcp:",
                                      "tcp:5",
                                      "tcp:127.0.0.1:",
                                      "unix:",
                                      "fd:",
                                      "fd:x",
                                      "fd:99999",
                                      "other",
                                      "tcp::0,foo",
                                      "tcp:no.such.host.:1",
                                      "unix:/nonexistent/socket"};
    struct peer p;
    weir_gdb *gdb, *second;
    set_up(&p, 32);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        p.config.address = bad[i];
        if (weir_gdb_listen(p.vm, &p.config, &gdb) >= 0)
            fail_msg("'%s' is no error", bad[i]);
        assert_null(gdb);
        assert_non_null(strstr(weir_last_error(p.vm), "gdb"));
    }
    p.config.address = "tcp::0,server=on,wait=off";
    assert_int_equal(weir_gdb_listen(p.vm, &p.config, &gdb), 0);
    assert_int_equal(strncmp(weir_gdb_where(gdb), "tcp:127.0.0.1:", 14), 0);
    assert_false(weir_gdb_is_connected(gdb));
    p.config.address = weir_gdb_where(gdb); /* in use */
    assert_int_equal(weir_gdb_listen(p.vm, &p.config, &second), -WEIR_EIO);
    weir_gdb_close(gdb, 0);
    weir_gdb_close(NULL, 0);
    tear_down(&p);
}

/* ---- a hostile peer ---- */

static uint64_t random_state;
static uint32_t random_number(uint32_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % limit;
}

static const char *const seeds[] = {"?",
                                    "g",
                                    "p1",
                                    "P3=11223344",
                                    "G0011",
                                    "m1000,40",
                                    "M1000,2:abcd",
                                    "X1000,2:ab",
                                    "x1000,40",
                                    "Hg1",
                                    "Hc-1",
                                    "T1",
                                    "Z0,1000,1",
                                    "Z1,1000,1",
                                    "Z2,1000,4",
                                    "Z4,ffffffffffffffff,8",
                                    "z0,1000,1",
                                    "z2,1000,4",
                                    "qSupported:swbreak+;hwbreak+",
                                    "qXfer:features:read:target.xml:0,100",
                                    "qXfer:memory-map:read::0,100",
                                    "qXfer:threads:read::0,100",
                                    "qRcmd,6869",
                                    "qCRC:1000,100",
                                    "qThreadExtraInfo,1",
                                    "qqemu.sstep",
                                    "Qqemu.sstep=7",
                                    "Qqemu.PhyMemMode:1",
                                    "vCont;c",
                                    "vCont;s:1;c",
                                    "vCont;r1000,2000:1",
                                    "vCont;t",
                                    "vCtrlC",
                                    "vStopped",
                                    "QNonStop:1",
                                    "QNonStop:0",
                                    "c1000",
                                    "s",
                                    "C05;1000",
                                    "S05",
                                    "R00",
                                    "bs",
                                    "D",
                                    "vKill;1",
                                    "k",
                                    "QStartNoAckMode"};

/* One packet: a seed with bytes changed, doubled or cut off, often with big numbers. */
static size_t make_packet(char *packet, size_t room)
{
    static const char characters[] = "0123456789abcdefpgGmMXZzHTqQvcsCSD,;:=-.#$}*%+\3\0\377";
    static const char *const numbers[] = {
        "ffffffffffffffff",  "8000000000000000", "-1",      "0",
        "fffffffffffffffff", "100000000",        "7fffffff"};
    size_t n = (size_t)snprintf(packet, room, "%s",
                                seeds[random_number(sizeof(seeds) / sizeof(seeds[0]))]);
    for (unsigned changes = random_number(5); changes; changes--) {
        size_t at = random_number((uint32_t)n + 1);
        const char *number = numbers[random_number(sizeof(numbers) / sizeof(numbers[0]))];
        switch (random_number(4)) {
        case 0:
            if (at < n)
                packet[at] = characters[random_number(sizeof(characters))];
            break;
        case 1:
            n = at;
            break;
        case 2:
            if (n + 40 < room)
                n = at + (size_t)snprintf(packet + at, room - at, "%s", number);
            break;
        default:
            if (n * 2 < room) {
                memcpy(packet + n, packet, n);
                n *= 2;
            }
            break;
        }
    }
    return n;
}

static void hostile_peer(void **state)
{
    static const unsigned modes[] = {16, 32, 64};
    char packet[512];
    for (unsigned round = 0; round < 3; round++) {
        struct peer p;
        random_state = 1 + round;
        set_up(&p, modes[round]);
        for (unsigned i = 0; i < 200000; i++) {
            size_t n = make_packet(packet, sizeof(packet));
            if (random_number(8))
                send_packet(&p, packet, n);
            else
                send_raw(&p, packet, n);
            if (!random_number(16))
                send_raw(&p, "\3", 1);
            gdb_session_check(&p.session);
            assert_false(p.got.failed);
            clear(&p);
            if (p.session.ended || !random_number(300)) {
                gdb_session_end(&p.session);
                weir_pause(p.vm);
                connect_peer(&p);
            }
        }
        tear_down(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames),    cmocka_unit_test(long_packets),
        cmocka_unit_test(registers), cmocka_unit_test(real_mode_pc),
        cmocka_unit_test(memory),    cmocka_unit_test(descriptions),
        cmocka_unit_test(questions), cmocka_unit_test(running),
        cmocka_unit_test(addresses), cmocka_unit_test(hostile_peer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
