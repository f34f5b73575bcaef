/* SPDX-License-Identifier: MIT */
/*
 * memory.c - guest memory named by a call, as a list of host memory. Building the list makes every
 * check that the access would make, so that what follows cannot fault. Pages that lie side by side
 * in the guest and on the host become one span.
 */
#include "hostcall/hostcall.h"

#include <stdlib.h>

void memory_clear(struct memory *m)
{
    m->count = 0;
    m->bytes = 0;
}

void memory_free(struct memory *m)
{
    free(m->span);
    memset(m, 0, sizeof(*m));
}

static bool extend(struct memory *m, const struct mem_piece *p, uint32_t length)
{
    if (!m->count)
        return false;
    struct span *s = &m->span[m->count - 1];
    bool tags_agree = s->tag ? p->tag == s->tag + ((p->gpa >> 12) - (s->gpa >> 12)) : !p->tag;
    if (s->gpa + s->length != p->gpa || s->host + s->length != p->host || !tags_agree)
        return false;
    s->length += length;
    return true;
}

static int append(struct memory *m, const struct mem_piece *p, uint32_t length)
{
    if (extend(m, p, length))
        return 0;
    if (m->count == m->room) {
        unsigned room = m->room ? 2 * m->room : 32;
        struct span *more = realloc(m->span, room * sizeof(*more));
        if (!more)
            return WEIR_HC_ENOMEM;
        m->span = more;
        m->room = room;
    }
    m->span[m->count++] =
        (struct span){.gpa = p->gpa, .length = length, .host = p->host, .tag = p->tag};
    return 0;
}

int memory_add_host(struct memory *m, void *host, uint64_t length)
{
    struct mem_piece p = {.host = host};
    if (length > WEIR_HC_MAX_BYTES - m->bytes)
        return WEIR_HC_EINVAL;
    int rc = length ? append(m, &p, (uint32_t)length) : 0;
    m->bytes += rc ? 0 : length;
    return rc;
}

/* The piece at `done` bytes behind the start. False: c->fault. */
static bool piece_at(struct vcpu *c, uint64_t address, uint64_t done, unsigned kind,
                     enum access access, struct mem_piece *p)
{
    uint32_t offset = (uint16_t)(address + done), segment = (uint32_t)address >> 16;
    switch (kind) {
    case WEIR_HC_PHYSICAL:
        mem_piece_physical(c, address + done, p);
        return true;
    case WEIR_HC_REAL:
        if (!mem_piece_linear(c, (segment << 4) + offset, access, p))
            return false;
        if (p->length > 0x10000 - offset)
            p->length = 0x10000 - offset; /* wraps to the segment's start */
        return true;
    default:
        return mem_piece_linear(c, address + done, access, p);
    }
}

int memory_add(struct vcpu *c, struct memory *m, uint64_t address, uint64_t length,
               unsigned kind, enum access access)
{
    if (kind > WEIR_HC_REAL)
        return WEIR_HC_EINVAL;
    if (kind == WEIR_HC_PHYSICAL && c->cpl)
        return WEIR_HC_EPERM;
    if (length > WEIR_HC_MAX_BYTES - m->bytes)
        return WEIR_HC_EINVAL;
    if (kind == WEIR_HC_PHYSICAL && (address | (address + length)) >> 52)
        return WEIR_HC_EFAULT;
    for (uint64_t done = 0; done < length;) {
        struct mem_piece p;
        if (!piece_at(c, address, done, kind, access, &p))
            return GUEST_FAULT;
        if (!p.host || (access == ACCESS_WRITE && p.read_only))
            return WEIR_HC_EFAULT;
        uint32_t take = length - done < p.length ? (uint32_t)(length - done) : p.length;
        int rc = append(m, &p, take);
        if (rc)
            return rc;
        done += take;
        m->bytes += take;
    }
    return 0;
}

/* A part of one span: of the bytes from *offset on, the next that lie together, at most `most`.
 * *offset counts from span *k; both go on. NULL: there are no more. */
static const struct span *next_part(const struct memory *m, unsigned *k, uint64_t *offset,
                                    uint64_t most, uint64_t *at, uint64_t *bytes)
{
    for (; *k < m->count && most; ++*k) {
        const struct span *s = &m->span[*k];
        if (*offset >= s->length) {
            *offset -= s->length;
            continue;
        }
        *at = *offset;
        *bytes = s->length - *offset < most ? s->length - *offset : most;
        *offset += *bytes;
        return s;
    }
    return NULL;
}

uint64_t memory_read(const struct memory *m, uint64_t offset, void *buffer, uint64_t length)
{
    uint64_t done = 0, at, bytes;
    unsigned k = 0;
    for (const struct span *s; (s = next_part(m, &k, &offset, length - done, &at, &bytes));
         done += bytes)
        memcpy((char *)buffer + done, s->host + at, bytes);
    return done;
}

/* Code there is dropped, page by page. */
static void span_written(struct vcpu *c, const struct span *s, uint64_t offset, uint64_t length)
{
    if (!s->tag)
        return;
    uint64_t at = s->gpa + offset, end = at + length;
    while (at < end) {
        uint64_t next = (at | 0xfff) + 1;
        struct mem_piece p = {.tag = s->tag + ((at >> 12) - (s->gpa >> 12))};
        mem_piece_written(c, &p, at, (next < end ? next : end) - at);
        at = next;
    }
}

uint64_t memory_write(struct vcpu *c, const struct memory *m, uint64_t offset,
                      const void *buffer, uint64_t length)
{
    uint64_t done = 0, at, bytes;
    unsigned k = 0;
    for (const struct span *s; (s = next_part(m, &k, &offset, length - done, &at, &bytes));
         done += bytes) {
        memcpy(s->host + at, (const char *)buffer + done, bytes);
        span_written(c, s, at, bytes);
    }
    return done;
}

void memory_written(struct vcpu *c, const struct memory *m, uint64_t length)
{
    uint64_t offset = 0, at, bytes;
    unsigned k = 0;
    for (const struct span *s; (s = next_part(m, &k, &offset, length, &at, &bytes));
         length -= bytes)
        span_written(c, s, at, bytes);
}

int memory_iovec(const struct memory *m, uint64_t offset, struct iovec *iov, int room)
{
    uint64_t at, bytes;
    unsigned k = 0;
    int n = 0;
    for (const struct span *s;
         n < room && (s = next_part(m, &k, &offset, UINT64_MAX, &at, &bytes)); n++)
        iov[n] = (struct iovec){s->host + at, bytes};
    return n;
}
