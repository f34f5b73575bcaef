/* SPDX-License-Identifier: MIT */
/*
 * trace_write.c - the sink of weir_trace_start. An instruction is known when it has retired, its
 * accesses while it executes: those wait, so that the file has them behind it.
 */
#include "introspect/introspect.h"
#include "introspect/trace_format.h"
#include <weir/trace.h>

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#define BUFFER_BYTES  65536u
#define WAITING_BYTES 16384u

struct trace_sink {
    struct weir *vm;
    FILE *file;
    ZSTD_CCtx *zstd;
    uint8_t *in, *out;
    size_t in_bytes, out_size;
    uint8_t waiting[WAITING_BYTES];
    size_t waiting_bytes;
    uint64_t cr3, expected, last_gva;
    uint8_t cpl, bits;
    bool failed;
    uint64_t handle[16];
    unsigned handles;
};

/* ---- bytes ---- */

static void compress(struct trace_sink *s, ZSTD_EndDirective how)
{
    ZSTD_inBuffer in = {s->in, s->in_bytes, 0};
    size_t left = 1;
    while (!s->failed && (in.pos < in.size || (how == ZSTD_e_end && left))) {
        ZSTD_outBuffer out = {s->out, s->out_size, 0};
        left = ZSTD_compressStream2(s->zstd, &out, &in, how);
        s->failed |= ZSTD_isError(left) || fwrite(s->out, 1, out.pos, s->file) != out.pos;
    }
    s->in_bytes = 0;
}

static void put(struct trace_sink *s, const uint8_t *data, size_t bytes)
{
    if (s->in_bytes + bytes > BUFFER_BYTES)
        compress(s, ZSTD_e_continue);
    memcpy(s->in + s->in_bytes, data, bytes);
    s->in_bytes += bytes;
}

static uint8_t *number(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

/* ---- records ---- */

static void put_space(struct trace_sink *s, const struct weir_event *e, weir_vcpu *cpu)
{
    uint8_t record[TRACE_RECORD_MAX], *p = record;
    uint8_t bits = (uint8_t)weir_code_bits(cpu);
    if (e->cr3 == s->cr3 && e->cpl == s->cpl && bits == s->bits)
        return;
    s->cr3 = e->cr3;
    s->cpl = e->cpl;
    s->bits = bits;
    *p++ = TAG_SPACE;
    p = number(p, s->cr3);
    *p++ = s->cpl;
    *p++ = s->bits;
    put(s, record, (size_t)(p - record));
}

/* The instruction at `pc`, undecoded: up to the one behind it if that is near, else all there
 * is. */
static unsigned fetch(weir_vcpu *cpu, uint64_t pc, uint8_t bytes[INSN_MAX_BYTES])
{
    struct vcpu *c = (struct vcpu *)cpu;
    struct insn i;
    unsigned count = INSN_MAX_BYTES;
    while (count && weir_virt_read(cpu, pc, bytes, count) < 0)
        count = count > 4096 - (pc & 0xfff) ? 4096 - (unsigned)(pc & 0xfff) : 0;
    enum decode_status status =
        decode_insn(&i, bytes, count, 16u << (c->mode & MODE_CODE_MASK));
    return status == DECODE_OK ? i.length : 0;
}

static unsigned stepped(void *ctx, weir_vcpu *cpu, struct weir_step_event *e)
{
    struct trace_sink *s = ctx;
    uint8_t record[TRACE_RECORD_MAX], bytes[INSN_MAX_BYTES], *p = record;
    unsigned length = fetch(cpu, e->from, bytes);
    put_space(s, &e->head, cpu);
    *p++ = e->faulted ? TAG_FAULTED : TAG_INSN;
    p = number(p, zigzag((int64_t)(e->from - s->expected)));
    *p++ = (uint8_t)length;
    memcpy(p, bytes, length);
    put(s, record, (size_t)(p + length - record));
    s->expected = e->from + length;
    put(s, s->waiting, s->waiting_bytes);
    s->waiting_bytes = 0;
    return s->failed ? WEIR_REMOVE : WEIR_CONTINUE;
}

static unsigned accessed(void *ctx, weir_vcpu *cpu, struct weir_memory_event *e)
{
    struct trace_sink *s = ctx;
    uint8_t *p = s->waiting + s->waiting_bytes;
    uint64_t value = 0;
    if (s->waiting_bytes + TRACE_RECORD_MAX > WAITING_BYTES)
        return WEIR_CONTINUE;
    *p++ = TAG_MEMORY;
    p = number(p, (uint64_t)e->size << 1 | e->write);
    p = number(p, zigzag((int64_t)(e->gva - s->last_gva)));
    p = number(p, e->gpa);
    s->last_gva = e->gva;
    if (e->write) {
        memcpy(&value, e->data, e->size < 8 ? e->size : 8);
        p = number(p, value);
    }
    s->waiting_bytes = (size_t)(p - s->waiting);
    return WEIR_EMULATE;
}

static void put_event(struct trace_sink *s, const struct weir_event *e, uint64_t n,
                      const uint64_t argument[6])
{
    uint8_t record[TRACE_RECORD_MAX], *p = record;
    *p++ = TAG_EVENT;
    *p++ = (uint8_t)e->kind;
    p = number(p, zigzag((int64_t)(e->pc - s->expected)));
    p = number(p, n);
    for (unsigned k = 0; k < 6; k++)
        p = number(p, argument[k]);
    put(s, record, (size_t)(p - record));
}

#define EVENT(name, n, ...)                                                                    \
    static unsigned on_##name(void *ctx, weir_vcpu *cpu, struct weir_##name##_event *e)        \
    {                                                                                          \
        put_event(ctx, &e->head, n, (const uint64_t[6]){__VA_ARGS__});                         \
        return WEIR_CONTINUE;                                                                  \
    }
EVENT(interrupt, e->vector, e->type, e->error, e->address)
EVENT(io, e->port, e->write, e->size, e->value)
EVENT(msr, e->number, e->write, e->value)
EVENT(cpuid, e->leaf, e->subleaf, e->value[0], e->value[1], e->value[2], e->value[3])
EVENT(cr3, 3, e->old, e->value)
EVENT(syscall, e->number, e->argument[0], e->argument[1], e->argument[2], e->argument[3],
      e->argument[4], e->argument[5])
EVENT(sysret, e->number, e->result)

/* ---- beginning and end ---- */

static int listen(struct trace_sink *s, const struct weir_trace_config *config)
{
    struct weir_filter f = config->filter, memory = f;
    struct weir *vm = s->vm;
    uint64_t *h = s->handle;
    memory.first = memory.last = 0;
    memory.access = WEIR_READ | WEIR_WRITE;
    memory.physical = true;
    int rc = weir_on_step(vm, &f, stepped, s, &h[s->handles++]);
    if (rc == 0 && config->memory)
        rc = weir_on_memory(vm, &memory, accessed, s, &h[s->handles++]);
    if (rc < 0 || !config->events)
        return rc;
#define ON(name) rc = rc < 0 ? rc : weir_on_##name(vm, &f, on_##name, s, &h[s->handles++])
    ON(interrupt);
    ON(io);
    ON(msr);
    ON(cpuid);
    ON(cr3);
    ON(syscall);
    ON(sysret);
#undef ON
    return rc;
}

static void sink_free(struct trace_sink *s)
{
    if (s->file)
        fclose(s->file);
    ZSTD_freeCCtx(s->zstd);
    free(s->in);
    free(s->out);
    free(s);
}

int weir_trace_start(weir *vm, const struct weir_trace_config *config)
{
    if (vm->introspect->trace)
        return err_set(&vm->err, WEIR_EBUSY, "a trace is being written already");
    struct trace_sink *s = calloc(1, sizeof(*s));
    if (!s)
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    s->vm = vm;
    s->out_size = ZSTD_CStreamOutSize();
    s->in = malloc(BUFFER_BYTES);
    s->out = malloc(s->out_size);
    s->zstd = ZSTD_createCCtx();
    s->file = fopen(config->path, "wb");
    int rc = 0;
    if (!s->file)
        rc = err_errno(&vm->err, "%s", config->path);
    else if (!s->in || !s->out || !s->zstd)
        rc = err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    if (rc == 0) {
        ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel,
                               config->level ? config->level : 3);
        put(s, (const uint8_t *)TRACE_MAGIC, 8);
        vm->introspect->trace = s;
        rc = listen(s, config);
        if (rc < 0)
            weir_trace_stop(vm);
        return rc;
    }
    sink_free(s);
    return rc;
}

int trace_end(struct introspect *ix)
{
    struct trace_sink *s = ix->trace;
    if (!s)
        return 0;
    compress(s, ZSTD_e_end);
    bool failed = s->failed | (fclose(s->file) != 0);
    s->file = NULL;
    sink_free(s);
    ix->trace = NULL;
    return failed ? err_set(&ix->vm->err, WEIR_EIO, "the trace could not be written whole") : 0;
}

int weir_trace_stop(weir *vm)
{
    struct trace_sink *s = vm->introspect->trace;
    if (!s)
        return err_set(&vm->err, WEIR_ESTATE, "no trace is being written");
    for (unsigned k = 0; k < s->handles; k++)
        if (s->handle[k])
            weir_event_remove(vm, s->handle[k]);
    return trace_end(vm->introspect);
}
