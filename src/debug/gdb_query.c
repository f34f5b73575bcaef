/* SPDX-License-Identifier: MIT */
/* gdb_query.c - q and Q packets: what the stub can do, threads, descriptions, QEMU's own. */
#include "debug/gdb_session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- features ---- */

static void supported(struct gdb_session *s, const char *theirs)
{
    s->swbreak = strstr(theirs, "swbreak+") != NULL;
    s->hwbreak = strstr(theirs, "hwbreak+") != NULL;
    gdb_printf(&s->reply,
               "PacketSize=%x;qXfer:features:read+;qXfer:memory-map:read+;"
               "qXfer:threads:read+;QStartNoAckMode+;QNonStop+;vContSupported+;swbreak+;"
               "hwbreak+;binary-upload+",
               GDB_PACKET_MAX);
}

/* ---- documents ---- */

static void put_threads(struct gdb_session *s)
{
    weir_vcpu *cpu;
    gdb_puts(&s->xml, "<?xml version=\"1.0\"?><threads>");
    for (unsigned i = 0; i < GDB_VCPUS_MAX && (cpu = gdb_vcpu(s, i)); i++)
        gdb_printf(&s->xml, "<thread id=\"%x\" core=\"%u\" name=\"CPU#%u\"></thread>", i + 1, i,
                   i);
    gdb_puts(&s->xml, "</threads>");
}

/* gdb refuses addresses outside the map and asks with linear ones: the map covers them all. */
static const char memory_map[] =
    "<?xml version=\"1.0\"?><!DOCTYPE memory-map PUBLIC \"+//IDN gnu.org//DTD GDB Memory Map "
    "V1.0//EN\" \"http://sourceware.org/gdb/gdb-memory-map.dtd\"><memory-map>"
    "<memory type=\"ram\" start=\"0x0\" length=\"0x8000000000000000\"/>"
    "<memory type=\"ram\" start=\"0x8000000000000000\" length=\"0x8000000000000000\"/>"
    "</memory-map>";

static bool make_document(struct gdb_session *s, const char **p)
{
    s->xml.length = 0;
    if (gdb_get_word(p, "features:read:target.xml:")) {
        /* From here on gdb's registers are those of the mode that the guest is in now. */
        if (!strncmp(*p, "0,", 2))
            gdb_layout_make(&s->layout, gdb_vcpu(s, s->g_vcpu));
        gdb_layout_xml(&s->layout, &s->xml);
        s->told = true;
    } else if (gdb_get_word(p, "memory-map:read::")) {
        gdb_puts(&s->xml, memory_map);
    } else if (gdb_get_word(p, "threads:read::")) {
        put_threads(s);
    } else {
        return false;
    }
    return true;
}

static void transfer(struct gdb_session *s, const char *p)
{
    uint64_t offset, length;
    if (!make_document(s, &p)) {
        gdb_puts(&s->reply, strncmp(p, "features:", 9) ? "" : "E00");
        return;
    }
    if (!gdb_get_hex(&p, &offset) || !gdb_get_word(&p, ",") || !gdb_get_hex(&p, &length) ||
        *p || s->xml.failed || offset > s->xml.length) {
        gdb_error(s, EINVAL);
        return;
    }
    uint64_t left = s->xml.length - offset, limit = GDB_PACKET_MAX / 2 - 8;
    if (length > limit)
        length = limit;
    gdb_puts(&s->reply, left > length ? "m" : "l");
    gdb_put_binary(&s->reply, s->xml.data + offset, (size_t)(left > length ? length : left));
}

/* ---- threads ---- */

static void list_threads(struct gdb_session *s)
{
    for (unsigned i = 0; i < GDB_VCPUS_MAX && gdb_vcpu(s, i); i++)
        gdb_printf(&s->reply, "%c%x", i ? ',' : 'm', i + 1);
}

static void describe_thread(struct gdb_session *s, const char *p)
{
    unsigned vcpu;
    char text[64];
    union weir_value activity;
    int64_t thread = gdb_get_thread(&p);
    if (*p || thread <= 0 || !gdb_thread_vcpu(s, thread, &vcpu)) {
        gdb_error(s, ESRCH);
        return;
    }
    bool halted = weir_reg_get(gdb_vcpu(s, vcpu), WEIR_ACTIVITY, &activity) >= 0 &&
                  activity.u64 != WEIR_ACTIVE;
    snprintf(text, sizeof(text), "CPU#%u [%s] %d-bit code", vcpu, halted ? "halted" : "running",
             weir_code_bits(gdb_vcpu(s, vcpu)));
    gdb_put_hex(&s->reply, text, strlen(text));
}

/* ---- monitor ---- */

struct console_text {
    struct weir_text text;
    struct gdb_session *session;
};

static void put_console(struct weir_text *text, const char *chars, size_t length)
{
    struct gdb_session *s = ((struct console_text *)(void *)text)->session;
    while (length) {
        size_t n = length < GDB_PACKET_MAX / 4 ? length : GDB_PACKET_MAX / 4;
        struct gdb_buffer b = {0};
        gdb_puts(&b, "O");
        gdb_put_hex(&b, chars, n);
        if (!b.failed)
            gdb_wire_send(&s->wire, b.data, b.length);
        gdb_buffer_free(&b);
        chars += n;
        length -= n;
    }
}

static void command(struct gdb_session *s, const char *p)
{
    char line[1024];
    size_t length = strlen(p) / 2;
    const struct weir_gdb_config *config = s->host.config;
    struct console_text out = {.text.put = put_console, .session = s};
    if (length >= sizeof(line) || !gdb_get_bytes(&p, (uint8_t *)line, length) || *p) {
        gdb_error(s, EINVAL);
        return;
    }
    line[length] = 0;
    if (!config->monitor) /* an empty answer: there are none */
        return;
    weir_release(s->vm); /* a command may want the machine to do something */
    config->monitor(config->ctx, line, &out.text);
    weir_hold(s->vm);
    gdb_ok(s);
}

/* ---- memory ---- */

/* gdb's CRC-32: polynomial 04C11DB7h, highest bit first, starts with all ones. */
static uint32_t add_to_crc(uint32_t crc, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        crc ^= (uint32_t)bytes[i] << 24;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7u : 0);
    }
    return crc;
}

static void checksum(struct gdb_session *s, const char *p)
{
    uint64_t address, length;
    uint32_t crc = 0xffffffff;
    uint8_t bytes[4096];
    if (!gdb_get_hex(&p, &address) || !gdb_get_word(&p, ",") || !gdb_get_hex(&p, &length) ||
        *p || length > 64u << 20) {
        gdb_error(s, EINVAL);
        return;
    }
    while (length) {
        size_t n = length < sizeof(bytes) ? (size_t)length : sizeof(bytes);
        if (gdb_access_memory(s, address, bytes, n, false) != n) {
            gdb_error(s, EFAULT);
            return;
        }
        crc = add_to_crc(crc, bytes, n);
        address += n;
        length -= n;
    }
    gdb_printf(&s->reply, "C%08x", crc);
}

/* ---- packets ---- */

void gdb_query(struct gdb_session *s, const char *p)
{
    if (gdb_get_word(&p, "Supported"))
        supported(s, p);
    else if (gdb_get_word(&p, "Xfer:"))
        transfer(s, p);
    else if (!strcmp(p, "C"))
        gdb_printf(&s->reply, "QC%x", s->g_vcpu + 1);
    else if (!strcmp(p, "fThreadInfo"))
        list_threads(s);
    else if (!strcmp(p, "sThreadInfo"))
        gdb_puts(&s->reply, "l");
    else if (gdb_get_word(&p, "ThreadExtraInfo,"))
        describe_thread(s, p);
    else if (gdb_get_word(&p, "Attached"))
        gdb_puts(&s->reply, "1");
    else if (gdb_get_word(&p, "Rcmd,"))
        command(s, p);
    else if (gdb_get_word(&p, "CRC:"))
        checksum(s, p);
    else if (!strcmp(p, "qemu.sstepbits"))
        gdb_printf(&s->reply, "ENABLE=%x,NOIRQ=%x,NOTIMER=%x", GDB_SSTEP_ENABLE,
                   GDB_SSTEP_NOIRQ, GDB_SSTEP_NOTIMER);
    else if (!strcmp(p, "qemu.sstep"))
        gdb_printf(&s->reply, "0x%x", s->sstep);
    else if (!strcmp(p, "qemu.PhyMemMode"))
        gdb_printf(&s->reply, "%d", s->physical);
}

void gdb_query_set(struct gdb_session *s, const char *p)
{
    uint64_t value;
    if (!strcmp(p, "StartNoAckMode")) {
        s->no_ack_next = true;
        gdb_ok(s);
        return;
    }
    bool sstep = gdb_get_word(&p, "qemu.sstep="), phys = gdb_get_word(&p, "qemu.PhyMemMode:");
    bool non_stop = gdb_get_word(&p, "NonStop:");
    if (!sstep && !phys && !non_stop)
        return;
    if (!gdb_get_hex(&p, &value) || *p || value > (sstep ? (unsigned)GDB_SSTEP_ALL : 1u)) {
        gdb_error(s, EINVAL);
        return;
    }
    if (sstep)
        s->sstep = (uint32_t)value;
    else if (phys)
        s->physical = value;
    else
        s->non_stop = value;
    gdb_ok(s);
}
