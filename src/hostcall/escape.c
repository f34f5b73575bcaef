/* SPDX-License-Identifier: MIT */
/*
 * escape.c - one host call from the instruction to its end.
 *
 *   magic -> the whole block is writable RAM -> regions and names are there -> the service runs ->
 *   status and fields go back
 *
 * A guest fault can come only before the service runs. After a magic was found every other
 * mistake of the guest is a status, not a fault.
 */
#include "hostcall/hostcall.h"

#include "cpu/cpu.h"
#include "cpu/icount.h"
#include "introspect/introspect.h"

#include <stdlib.h>

/* ---- finding the block ---- */

/* The four bytes at `linear`. False: c->fault. */
static bool read_magic(struct vcpu *c, uint64_t linear, uint32_t *magic)
{
    const void *hit = tlb_read_hit(c, linear, 4);
    if (LIKELY(hit != NULL)) {
        *magic = (uint32_t)load_le(hit, 4);
        return true;
    }
    uint8_t bytes[4] = {0};
    for (unsigned done = 0; done < 4;) {
        struct mem_piece p;
        if (!mem_piece_linear(c, linear + done, ACCESS_READ, &p))
            return false;
        unsigned take = p.length < 4 - done ? p.length : 4 - done;
        if (p.host)
            memcpy(bytes + done, p.host, take);
        done += take;
    }
    *magic = (uint32_t)load_le(bytes, 4);
    return true;
}

/* Where a block is: at one host address, or (NULL) in h->block_memory. */
struct place {
    uint8_t *host;
    uint32_t length;
};

/* 0, a status that cannot be told (no RAM there), or GUEST_FAULT. */
static int find_block(struct hostcall *h, struct vcpu *c, uint64_t linear, uint32_t length,
                      struct place *place)
{
    place->length = length;
    place->host = tlb_write_hit(c, linear, length);
    if (LIKELY(place->host != NULL) && (linear & 0xfff) + length <= 4096)
        return 0;
    place->host = NULL;
    memory_clear(&h->block_memory);
    return memory_add(c, &h->block_memory, linear, length, WEIR_HC_LINEAR, ACCESS_WRITE);
}

static void block_in(struct hostcall *h, const struct place *place)
{
    if (place->host)
        memcpy(h->block, place->host, place->length);
    else
        memory_read(&h->block_memory, 0, h->block, place->length);
}

static void block_out(struct hostcall *h, struct vcpu *c, const struct place *place,
                      uint32_t length)
{
    if (place->host)
        memcpy(place->host, h->block, length);
    else
        memory_write(c, &h->block_memory, 0, h->block, length);
}

static void set_status(struct hostcall *h, unsigned error, unsigned dos)
{
    struct weir_hc_header *header = (struct weir_hc_header *)h->block;
    header->error = (uint16_t)error;
    header->dos = (uint16_t)(dos && error ? dos : status_dos(error));
    h->failures += error != 0;
}

/* ---- arguments ---- */

static int add_regions(struct hostcall *h, struct vcpu *c, const struct service *s)
{
    const struct weir_hc_header *header = (const struct weir_hc_header *)h->block;
    uint64_t count = load_le(h->block + s->count_at, 4);
    bool write = s->direction == HC_TO_GUEST;
    if (s->direction == HC_BY_FIELD)
        write = load_le(h->block + s->writable_at, 4) & 1;
    if (count > WEIR_HC_MAX_REGIONS ||
        count * sizeof(struct weir_hc_region) > header->length - s->bytes)
        return WEIR_HC_EINVAL;
    for (uint64_t k = 0; k < count; k++) {
        struct weir_hc_region r;
        memcpy(&r, h->block + s->bytes + k * sizeof(r), sizeof(r));
        int rc = memory_add(c, &h->call.regions, r.address, r.length, r.kind,
                            write ? ACCESS_WRITE : ACCESS_READ);
        if (rc)
            return rc;
    }
    return 0;
}

/* A name is read as far as its end, so that nothing behind its 0 needs to be mapped. */
static int read_name(struct vcpu *c, const struct weir_hc_text *t, struct text *out)
{
    bool ends = t->names & WEIR_HC_NUL;
    uint32_t limit = t->length > WEIR_HC_MAX_PATH ? WEIR_HC_MAX_PATH : t->length;
    if (!ends && t->length > WEIR_HC_MAX_PATH)
        return WEIR_HC_ENAMETOOLONG;
    out->length = 0;
    bool found = false;
    while (out->length < limit && !found) {
        memory_clear(&out->memory);
        uint32_t at = out->length, step = limit - at;
        uint64_t from = t->address + at;
        if (t->kind == WEIR_HC_REAL)
            from = (t->address & 0xffff0000u) | (uint16_t)from;
        if (ends && step > 64 - (from & 63))
            step = 64 - (uint32_t)(from & 63);
        int rc = memory_add(c, &out->memory, from, step, t->kind, ACCESS_READ);
        if (rc)
            return rc;
        memory_read(&out->memory, 0, out->bytes + at, step);
        size_t used = strnlen(out->bytes + at, step);
        if (used < step && !ends)
            return WEIR_HC_EINVAL; /* a 0 in the middle */
        found = used < step;
        out->length += (uint32_t)used;
    }
    if (ends && !found && t->length > WEIR_HC_MAX_PATH)
        return WEIR_HC_ENAMETOOLONG;
    out->bytes[out->length] = 0;
    memory_clear(&out->memory);
    return 0;
}

static int add_texts(struct hostcall *h, struct vcpu *c, const struct service *s)
{
    for (unsigned k = 0; k < ARRAY_SIZE(s->text); k++) {
        struct text *text = &h->call.text[k];
        text->length = 0;
        text->bytes[0] = 0;
        memory_clear(&text->memory);
        if (!s->text[k].at)
            continue;
        struct weir_hc_text t;
        memcpy(&t, h->block + s->text[k].at, sizeof(t));
        text->names = t.names & 0xff;
        int rc = s->text[k].direction == HC_FROM_GUEST
                     ? read_name(c, &t, text)
                     : memory_add(c, &text->memory, t.address, t.length, t.kind, ACCESS_WRITE);
        if (rc)
            return rc;
    }
    return 0;
}

/* ---- running ---- */

static int by_number(const void *key, const void *row)
{
    return (int)*(const uint16_t *)key - (int)((const struct service *)row)->number;
}

static const struct service *find_service(const struct hostcall *h, uint16_t number)
{
    if (number >= WEIR_HC_USER) {
        for (unsigned k = 0; k < h->user_count; k++)
            if (h->user[k].number == number)
                return &h->user[k];
        return NULL;
    }
    unsigned group = number >> 8;
    if (group >= 32 || !(h->groups >> group & 1))
        return NULL;
    return bsearch(&number, service_table, service_count, sizeof(service_table[0]), by_number);
}

/* Runs the call in h->block. Returns how many bytes go back, or GUEST_FAULT. */
static int run_block(struct hostcall *h, struct vcpu *c)
{
    const struct weir_hc_header *header = (const struct weir_hc_header *)h->block;
    if (UNLIKELY(header->length < sizeof(*header) || header->length > WEIR_HC_MAX_BLOCK)) {
        set_status(h, WEIR_HC_EINVAL, 0);
        return sizeof(*header);
    }
    const struct service *s =
        header->version == WEIR_HC_VERSION ? find_service(h, header->service) : NULL;
    if (UNLIKELY(!s || header->length < s->bytes)) {
        if (!introspect_hostcall(c, h->event_block, header->service))
            return GUEST_FAULT;
        set_status(h, s ? WEIR_HC_EINVAL : WEIR_HC_ENOSYS, 0);
        return sizeof(*header);
    }
    struct weir_call *call = &h->call;
    call->c = c;
    call->service = s;
    call->dos = 0;
    int rc = 0;
    memory_clear(&call->regions);
    if (s->direction)
        rc = add_regions(h, c, s);
    if (rc == 0 && s->text[0].at)
        rc = add_texts(h, c, s);
    /* The last moment at which nothing has happened; whoever watches may refuse the call. */
    if (rc == GUEST_FAULT || !introspect_hostcall(c, h->event_block, s->number))
        return GUEST_FAULT;
    if (rc == 0)
        rc = (int)(s->user ? s->user(call, h->block, s->user_ctx) : s->fn(call));
    set_status(h, (unsigned)rc, call->dos);
    return s->bytes;
}

/* The block that an INDIRECT one names. It is found before anything runs, and it cannot be one
 * itself. Afterwards h->block is the outer one again, with the inner one's status. */
static int run_indirect(struct hostcall *h, struct vcpu *c)
{
    struct weir_hc_indirect outer;
    struct weir_hc_header inner = {0};
    struct place place;
    memcpy(&outer, h->block, sizeof(outer));
    int rc = find_block(h, c, outer.block, sizeof(inner), &place);
    if (rc == 0) {
        block_in(h, &place);
        memcpy(&inner, h->block, sizeof(inner));
        bool bad = inner.magic != WEIR_HC_MAGIC || inner.service == WEIR_HC_INDIRECT ||
                   inner.length < sizeof(inner) || inner.length > WEIR_HC_MAX_BLOCK;
        rc = bad ? WEIR_HC_EINVAL : find_block(h, c, outer.block, inner.length, &place);
    }
    if (rc == 0) {
        block_in(h, &place);
        /* Somebody else may write there meanwhile: what was checked is what counts. */
        memcpy(h->block, &inner, sizeof(inner));
        h->event_block = outer.block;
        rc = run_block(h, c);
        if (rc >= 0) {
            block_out(h, c, &place, (uint32_t)rc);
            memcpy(&inner, h->block, sizeof(inner));
            outer.header.error = inner.error;
            outer.header.dos = inner.dos;
        }
        memcpy(h->block, &outer, sizeof(outer));
        return rc < 0 ? rc : (int)sizeof(outer);
    }
    memcpy(h->block, &outer, sizeof(outer));
    if (rc == GUEST_FAULT)
        return rc;
    set_status(h, (unsigned)rc, 0);
    return sizeof(outer);
}

static bool is_indirect(const struct hostcall *h)
{
    const struct weir_hc_header *header = (const struct weir_hc_header *)h->block;
    return header->service == WEIR_HC_INDIRECT && header->version == WEIR_HC_VERSION &&
           header->length >= sizeof(struct weir_hc_indirect);
}

enum weir_stop hostcall_escape(struct vcpu *c, const struct insn *i, uint64_t offset)
{
    struct hostcall *h = c->host_call.ctx;
    struct weir_hc_header header;
    struct place place;
    uint64_t linear;
    uint32_t magic;
    if (!seg_linear(c, i->seg, offset, sizeof(header), ACCESS_READ, &linear) ||
        !read_magic(c, linear, &magic))
        return STOP_FAULT;
    if (magic != WEIR_HC_MAGIC)
        return raise_ud(c);
    if (!seg_linear(c, i->seg, offset, sizeof(header), ACCESS_WRITE, &linear))
        return STOP_FAULT;
    int rc = find_block(h, c, linear, sizeof(header), &place);
    if (rc)
        return rc == GUEST_FAULT ? STOP_FAULT : raise_ud(c); /* not RAM: no block */
    block_in(h, &place);
    memcpy(&header, h->block, sizeof(header));
    uint32_t length = header.length;
    if (length < sizeof(header) || length > WEIR_HC_MAX_BLOCK)
        length = sizeof(header);
    if (length > sizeof(header)) {
        if (!seg_linear(c, i->seg, offset, length, ACCESS_WRITE, &linear))
            return STOP_FAULT;
        rc = find_block(h, c, linear, length, &place);
        if (rc)
            return rc == GUEST_FAULT ? STOP_FAULT : raise_ud(c);
        block_in(h, &place);
        memcpy(h->block, &header, sizeof(header));
    }
    cpu_outside(c);
    c->host_call.address = h->event_block = linear;
    bool indirect = is_indirect(h);
    struct memory own = {0};
    if (UNLIKELY(indirect && !place.host)) {
        own = h->block_memory; /* the inner block needs one too */
        memset(&h->block_memory, 0, sizeof(h->block_memory));
    }
    rc = indirect ? run_indirect(h, c) : run_block(h, c);
    if (own.span) {
        memory_free(&h->block_memory);
        h->block_memory = own;
    }
    if (rc == GUEST_FAULT) {
        h->faults++;
        return STOP_FAULT;
    }
    h->calls++;
    block_out(h, c, &place, (uint32_t)rc);
    return attention_due(c) ? STOP_BOUNDARY : STOP_NEXT;
}
