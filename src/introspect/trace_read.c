/* SPDX-License-Identifier: MIT */
/* trace_read.c - reading what trace_write.c wrote. The file may be anybody's: all of it is
 * checked. */
#include "introspect/introspect.h"
#include "introspect/trace_format.h"
#include <weir/trace.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <zstd.h>

struct weir_trace_reader {
    FILE *file;
    ZSTD_DCtx *zstd;
    uint8_t *in, *out;
    ZSTD_inBuffer source;
    size_t in_size, out_size, have, at; /* out[at..have) is to be read */
    uint64_t read_bytes, file_bytes;
    bool ended, bad;
    uint64_t cr3, expected, last_gva, count, pc;
    uint8_t cpl, bits;
};

void weir_trace_close(weir_trace_reader *r)
{
    if (!r)
        return;
    if (r->file)
        fclose(r->file);
    ZSTD_freeDCtx(r->zstd);
    free(r->in);
    free(r->out);
    free(r);
}

/* More bytes into `out`. False: the end, or damage. */
static bool refill(weir_trace_reader *r)
{
    r->have = r->at = 0;
    while (!r->have && !r->ended) {
        if (r->source.pos == r->source.size) {
            r->source = (ZSTD_inBuffer){r->in, fread(r->in, 1, r->in_size, r->file), 0};
            r->read_bytes += r->source.size;
            if (!r->source.size) {
                r->ended = true;
                break;
            }
        }
        ZSTD_outBuffer out = {r->out, r->out_size, 0};
        size_t rc = ZSTD_decompressStream(r->zstd, &out, &r->source);
        if (ZSTD_isError(rc)) {
            r->bad = r->ended = true;
            return false;
        }
        r->have = out.pos;
    }
    return r->have;
}

static uint8_t byte(weir_trace_reader *r)
{
    if (r->at == r->have && !refill(r)) {
        r->bad = true;
        return 0;
    }
    return r->out[r->at++];
}

static uint64_t number(weir_trace_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b = byte(r);
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return v;
    }
    r->bad = true;
    return 0;
}

int weir_trace_open(const char *path, weir_trace_reader **out, const char **error)
{
    struct stat st;
    weir_trace_reader *r = calloc(1, sizeof(*r));
    *out = NULL;
    *error = "out of memory";
    if (!r)
        return -WEIR_ENOMEM;
    r->in_size = ZSTD_DStreamInSize();
    r->out_size = ZSTD_DStreamOutSize();
    r->in = malloc(r->in_size);
    r->out = malloc(r->out_size);
    r->zstd = ZSTD_createDCtx();
    r->file = fopen(path, "rb");
    int rc = 0;
    if (!r->file || fstat(fileno(r->file), &st) < 0) {
        *error = "cannot be read";
        rc = -WEIR_EIO;
    } else if (!r->in || !r->out || !r->zstd) {
        rc = -WEIR_ENOMEM;
    } else {
        r->file_bytes = (uint64_t)st.st_size;
        for (unsigned k = 0; k < 8; k++)
            r->bad |= byte(r) != (uint8_t)TRACE_MAGIC[k];
        *error = "not a trace";
        rc = r->bad ? -WEIR_EFORMAT : 0;
    }
    if (rc < 0)
        weir_trace_close(r);
    else
        *out = r;
    return rc;
}

void weir_trace_position(const weir_trace_reader *r, uint64_t *at, uint64_t *size)
{
    *at = r->read_bytes;
    *size = r->file_bytes;
}

/* ---- records ---- */

static void read_insn(weir_trace_reader *r, struct weir_trace_record *t, bool faulted)
{
    t->kind = WEIR_TRACE_INSN;
    t->faulted = faulted;
    t->pc = r->expected + (uint64_t)unzigzag(number(r));
    t->length = byte(r);
    if (t->length > sizeof(t->bytes)) {
        r->bad = true;
        return;
    }
    for (unsigned k = 0; k < t->length; k++)
        t->bytes[k] = byte(r);
    r->expected = t->pc + t->length;
    r->pc = t->pc;
    r->count++;
}

static void read_memory(weir_trace_reader *r, struct weir_trace_record *t)
{
    uint64_t how = number(r);
    t->kind = WEIR_TRACE_MEMORY;
    t->size = (uint32_t)(how >> 1);
    t->write = how & 1;
    t->gva = r->last_gva + (uint64_t)unzigzag(number(r));
    r->last_gva = t->gva;
    t->gpa = number(r);
    if (t->write)
        t->value = number(r);
}

static void read_event(weir_trace_reader *r, struct weir_trace_record *t)
{
    uint8_t kind = byte(r);
    t->kind = WEIR_TRACE_EVENT;
    t->pc = r->expected + (uint64_t)unzigzag(number(r));
    t->number = number(r);
    for (unsigned k = 0; k < 6; k++)
        t->argument[k] = number(r);
    r->bad |= kind >= WEIR_EV_COUNT;
    t->event = (enum weir_event_kind)kind;
}

static bool at_end(weir_trace_reader *r)
{
    return r->at == r->have && !refill(r);
}

int weir_trace_next(weir_trace_reader *r, struct weir_trace_record *t)
{
    for (;;) {
        if (!r->bad && at_end(r) && !r->bad)
            return 0;
        *t = (struct weir_trace_record){.count = r->count, .pc = r->pc};
        uint8_t tag = r->bad ? 0 : byte(r);
        if (tag == TAG_SPACE) {
            r->cr3 = number(r);
            r->cpl = byte(r);
            r->bits = byte(r);
            continue;
        }
        if (tag == TAG_INSN || tag == TAG_FAULTED)
            read_insn(r, t, tag == TAG_FAULTED);
        else if (tag == TAG_MEMORY)
            read_memory(r, t);
        else if (tag == TAG_EVENT)
            read_event(r, t);
        else
            r->bad = true;
        t->cr3 = r->cr3;
        t->cpl = r->cpl;
        t->bits = r->bits;
        return r->bad ? -WEIR_EFORMAT : 1;
    }
}
