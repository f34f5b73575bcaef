/* SPDX-License-Identifier: MIT */
/*
 * gdb_session.c - which packet does what; registers and memory. The protocol is described in gdb's
 * manual, appendix "Remote Serial Protocol".
 */
#include "debug/gdb_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 4096 };

weir_vcpu *gdb_vcpu(struct gdb_session *s, unsigned index)
{
    return weir_get_vcpu(s->vm, index);
}

bool gdb_thread_vcpu(struct gdb_session *s, int64_t thread, unsigned *vcpu)
{
    *vcpu = thread > 0 ? (unsigned)thread - 1 : 0;
    return thread >= -1 && *vcpu < GDB_VCPUS_MAX && gdb_vcpu(s, *vcpu);
}

void gdb_send(struct gdb_session *s)
{
    if (s->reply.failed) {
        gdb_buffer_free(&s->reply);
        gdb_wire_send(&s->wire, "E0c", 3);
        return;
    }
    gdb_wire_send(&s->wire, s->reply.data ? s->reply.data : "", s->reply.length);
}

/* ---- registers ---- */

static void read_registers(struct gdb_session *s)
{
    uint8_t bytes[64];
    weir_vcpu *cpu = gdb_vcpu(s, s->g_vcpu);
    for (unsigned i = 0; i < s->layout.count; i++) {
        const struct gdb_reg *r = &s->layout.regs[i];
        if (gdb_reg_read(cpu, r, bytes))
            gdb_put_hex(&s->reply, bytes, r->bytes);
        else
            for (unsigned k = 0; k < r->bytes; k++)
                gdb_puts(&s->reply, "xx");
    }
}

static void write_registers(struct gdb_session *s, const char *p)
{
    uint8_t bytes[64];
    bool good = true;
    for (unsigned i = 0; i < s->layout.count && *p; i++) {
        const struct gdb_reg *r = &s->layout.regs[i];
        if (!gdb_get_bytes(&p, bytes, r->bytes)) {
            gdb_error(s, EINVAL);
            return;
        }
        good &= gdb_reg_write(gdb_vcpu(s, s->g_vcpu), r, bytes);
    }
    if (good)
        gdb_ok(s);
    else
        gdb_error(s, EIO);
}

static const struct gdb_reg *get_register(struct gdb_session *s, const char **p)
{
    uint64_t number;
    return gdb_get_hex(p, &number) && number < s->layout.count ? &s->layout.regs[number] : NULL;
}

static void read_register(struct gdb_session *s, const char *p)
{
    uint8_t bytes[64];
    const struct gdb_reg *r = get_register(s, &p);
    if (r && !*p && gdb_reg_read(gdb_vcpu(s, s->g_vcpu), r, bytes))
        gdb_put_hex(&s->reply, bytes, r->bytes);
    else
        gdb_error(s, EINVAL);
}

static void write_register(struct gdb_session *s, const char *p)
{
    uint8_t bytes[64];
    const struct gdb_reg *r = get_register(s, &p);
    if (!r || !gdb_get_word(&p, "=") || !gdb_get_bytes(&p, bytes, r->bytes) || *p)
        gdb_error(s, EINVAL);
    else if (!gdb_reg_write(gdb_vcpu(s, s->g_vcpu), r, bytes))
        gdb_error(s, EIO);
    else
        gdb_ok(s);
}

/* ---- memory ---- */

static int access_page(struct gdb_session *s, uint64_t address, void *data, size_t length,
                       bool write)
{
    weir_vcpu *cpu = gdb_vcpu(s, s->g_vcpu);
    if (s->physical)
        return write ? weir_mem_write(s->vm, address, data, length)
                     : weir_mem_read(s->vm, address, data, length);
    return write ? weir_virt_write(cpu, address, data, length)
                 : weir_virt_read(cpu, address, data, length);
}

/* Page by page, so that what lies before a missing page is there. */
size_t gdb_access_memory(struct gdb_session *s, uint64_t address, uint8_t *data, size_t length,
                         bool write)
{
    size_t done = 0;
    while (done < length) {
        size_t chunk = PAGE - (address + done) % PAGE;
        if (chunk > length - done)
            chunk = length - done;
        if (access_page(s, address + done, data + done, chunk, write) < 0)
            break;
        done += chunk;
    }
    return done;
}

static bool get_range(const char **p, uint64_t *address, uint64_t *length)
{
    return gdb_get_hex(p, address) && gdb_get_word(p, ",") && gdb_get_hex(p, length);
}

static void read_memory(struct gdb_session *s, const char *p, bool binary)
{
    uint8_t data[GDB_PACKET_MAX / 2];
    uint64_t address, length;
    if (!get_range(&p, &address, &length) || *p) {
        gdb_error(s, EINVAL);
        return;
    }
    size_t limit = binary ? sizeof(data) : sizeof(data) - 8;
    size_t wanted = length < limit ? (size_t)length : limit;
    size_t done = gdb_access_memory(s, address, data, wanted, false);
    if (!done && wanted) {
        gdb_error(s, EFAULT);
    } else if (binary) {
        gdb_puts(&s->reply, "b");
        gdb_put_binary(&s->reply, data, done);
    } else {
        gdb_put_hex(&s->reply, data, done);
    }
}

/* M with hexadecimal digits, X with bytes. */
static void write_memory(struct gdb_session *s, const char *p, const char *end, bool binary)
{
    uint8_t data[GDB_PACKET_MAX];
    uint64_t address, length;
    if (!get_range(&p, &address, &length) || !gdb_get_word(&p, ":") || length > sizeof(data)) {
        gdb_error(s, EINVAL);
        return;
    }
    bool good = binary ? (uint64_t)(end - p) == length
                       : gdb_get_bytes(&p, data, (size_t)length) && p == end;
    if (!good) {
        gdb_error(s, EINVAL);
        return;
    }
    if (binary)
        memcpy(data, p, (size_t)length);
    if (gdb_access_memory(s, address, data, (size_t)length, true) == length)
        gdb_ok(s);
    else
        gdb_error(s, EFAULT);
}

/* ---- packets ---- */

static void select_thread(struct gdb_session *s, const char *p)
{
    unsigned vcpu;
    char what = *p ? *p++ : 0;
    int64_t thread = gdb_get_thread(&p);
    if ((what != 'g' && what != 'c') || *p || !gdb_thread_vcpu(s, thread, &vcpu)) {
        gdb_error(s, EINVAL);
        return;
    }
    if (what == 'g')
        s->g_vcpu = vcpu;
    else
        s->c_thread = thread;
    gdb_ok(s);
}

static void thread_alive(struct gdb_session *s, const char *p)
{
    unsigned vcpu;
    int64_t thread = gdb_get_thread(&p);
    if (thread > 0 && !*p && gdb_thread_vcpu(s, thread, &vcpu))
        gdb_ok(s);
    else
        gdb_error(s, ESRCH);
}

static void tell_stop(struct gdb_session *s)
{
    if (s->non_stop && s->running)
        gdb_ok(s); /* nothing has stopped */
    else
        gdb_put_stop(s);
}

static void kill_machine(struct gdb_session *s)
{
    const struct weir_gdb_config *config = s->host.config;
    s->ended = true;
    if (config->kill)
        config->kill(config->ctx);
    else
        weir_quit(s->vm);
    s->host.hang_up(s->host.ctx);
}

static void detach(struct gdb_session *s)
{
    gdb_points_clear(s);
    s->detached = true;
    s->told = false;
    s->running = false;
    gdb_ok(s);
    weir_resume(s->vm);
}

/* True: the answer is in s->reply and to be sent. */
static bool packet_letter(struct gdb_session *s, const char *p, const char *end)
{
    char letter = *p;
    p += letter != 0;
    switch (letter) {
    case '?':
        tell_stop(s);
        break;
    case '!':
        gdb_ok(s);
        break;
    case 'g':
        read_registers(s);
        break;
    case 'G':
        write_registers(s, p);
        break;
    case 'p':
        read_register(s, p);
        break;
    case 'P':
        write_register(s, p);
        break;
    case 'm':
    case 'x':
        read_memory(s, p, letter == 'x');
        break;
    case 'M':
    case 'X':
        write_memory(s, p, end, letter == 'X');
        break;
    case 'H':
        select_thread(s, p);
        break;
    case 'T':
        thread_alive(s, p);
        break;
    case 'Z':
    case 'z':
        gdb_point_packet(s, p, letter == 'Z');
        break;
    case 'q':
        gdb_query(s, p);
        break;
    case 'Q':
        gdb_query_set(s, p);
        break;
    case 'b':
        gdb_puts(&s->reply, "E.reverse execution is not supported");
        break;
    case 'R':
        weir_reset(s->vm);
        return false;
    case 'D':
        detach(s);
        break;
    case 'k':
        kill_machine(s);
        return false;
    case 'c':
    case 's':
    case 'C':
    case 'S':
        gdb_run_one(s, p, letter == 's' || letter == 'S', letter == 'C' || letter == 'S');
        return s->reply.length > 0;
    case 'v':
        gdb_run_v(s, p);
        return !s->ended && (s->non_stop || !s->running);
    default:
        break; /* an empty answer: not known */
    }
    return true;
}

/* The machine stands still while a packet is served: in all-stop mode for good, whoever let it
 * run; else for as long as that takes. */
static void packet(void *ctx, char *data, size_t length)
{
    struct gdb_session *s = ctx;
    if (s->ended)
        return;
    if (!s->non_stop && !s->detached && !weir_is_paused(s->vm)) {
        weir_pause(s->vm);
        s->running = false;
    }
    weir_hold(s->vm);
    s->reply.length = 0;
    if (s->reply.data)
        s->reply.data[0] = 0;
    bool answer = packet_letter(s, data, data + length);
    weir_release(s->vm);
    if (answer)
        gdb_send(s);
    if (s->no_ack_next)
        s->wire.acknowledge = s->no_ack_next = false;
}

/* ---- life ---- */

static void write_bytes(void *ctx, const void *data, size_t length)
{
    struct gdb_session *s = ctx;
    s->host.write(s->host.ctx, data, length);
}

void gdb_session_start(struct gdb_session *s, weir *vm, const struct gdb_host *host)
{
    memset(s, 0, sizeof(*s));
    s->vm = vm;
    s->host = *host;
    s->sstep = GDB_SSTEP_ALL;
    s->c_thread = -1;
    s->stop = (struct gdb_stop){.noted = true, .kind = GDB_STOP_STEP};
    s->wire.write = write_bytes;
    s->wire.packet = packet;
    s->wire.interrupt = gdb_interrupt;
    s->wire.ctx = s;
    gdb_wire_start(&s->wire);
    gdb_layout_make(&s->layout, gdb_vcpu(s, 0));
}

void gdb_session_end(struct gdb_session *s)
{
    gdb_points_clear(s);
    gdb_wire_free(&s->wire);
    gdb_buffer_free(&s->reply);
    gdb_buffer_free(&s->xml);
}

void gdb_session_input(struct gdb_session *s, const uint8_t *data, size_t length)
{
    gdb_wire_input(&s->wire, data, length);
}

void gdb_session_exit(struct gdb_session *s, int status)
{
    if (s->ended || status < 0)
        return;
    s->ended = true;
    s->reply.length = 0;
    gdb_printf(&s->reply, "W%02x", (unsigned)status & 0xff);
    if (s->running)
        gdb_send(s);
}
