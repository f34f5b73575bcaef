/* SPDX-License-Identifier: MIT */
/*
 * stage.c - what the translator makes of any bytes, for `weir disas --stage=plan|asm`. Blocks
 * are cut as the interpreter cuts them (cpu/interp/blocks.c), but nothing is mapped or run.
 */
#include <stdlib.h>
#include "jit/view.h"

struct stage {
    struct vcpu *c;
    const uint8_t *bytes;
    size_t length;
    uint64_t address; /* linear, of bytes[0] */
    bool code;        /* host code, not the plan */
    struct weir_text *out;
    struct block *block;
};

static unsigned smaller(size_t a, size_t b)
{
    return (unsigned)(a < b ? a : b);
}

/* Cuts a block. False: not one valid instruction is there. */
static bool cut(struct stage *s)
{
    struct block *b = s->block;
    unsigned offset = s->address & 0xfff, at = 0;
    unsigned room = smaller(smaller(s->length, BLOCK_BYTES), 4096 - offset);
    unsigned bits = 16u << (s->c->mode & MODE_CODE_MASK);
    *b = (struct block){.gpa = offset,
                        .gpa2 = NO_PAGE,
                        .host = (uint8_t *)s->bytes,
                        .mode = s->c->mode,
                        .offset = (uint16_t)offset};
    while (b->count < BLOCK_INSNS && at < room) {
        struct insn *i = &b->insns[b->count];
        if (decode_insn(i, s->bytes + at, room - at, bits) != DECODE_OK)
            break;
        i->bytes = s->bytes + at;
        at += i->length;
        b->count++;
        if (block_ends_at(i))
            break;
    }
    if (!b->count) { /* into the next page? */
        struct insn *i = &b->insns[0];
        room = smaller(s->length, INSN_MAX_BYTES);
        if (decode_insn(i, s->bytes, room, bits) != DECODE_OK)
            return false;
        i->bytes = s->bytes;
        at = i->length;
        b->count = 1;
        b->gpa2 = 0;
    }
    b->bytes = (uint16_t)at;
    return true;
}

static void put_interpreted(const struct stage *s)
{
    const struct block *b = s->block;
    uint64_t address = s->address;
    weir_textf(s->out, s->code ? "OUT: [size=0]\n" : "OP:\n");
    for (unsigned n = 0; n < b->count; n++) {
        plan_interpreted(&b->insns[n], address & s->c->linear_mask, s->out);
        address += b->insns[n].length;
    }
    weir_textf(s->out, "\n");
}

static void put_bad(const struct stage *s)
{
    weir_textf(s->out, "%s\n ---- %016llx %016llx\n (bad)\n\n",
               s->code ? "OUT: [size=0]\n" : "OP:\n",
               (unsigned long long)(s->address & s->c->linear_mask), 0ull);
}

static void put_block(const struct stage *s)
{
    struct jit *jit = s->c->jit;
    s->c->rip = s->address - s->c->segc[SEG_CS].base;
    if (!jit_translatable(s->block)) {
        put_interpreted(s);
        return;
    }
    struct jit_view *v = jit->view;
    *(s->code ? &v->asm_out : &v->plan_out) = s->out;
    jit_flush(jit); /* nothing refers to what there was */
    if (!jit_translate(jit, s->block))
        put_interpreted(s);
    v->asm_out = v->plan_out = NULL;
}

int jit_stage_text(struct vcpu *c, const uint8_t *bytes, size_t length, uint64_t address,
                   bool code, struct weir_text *out)
{
    size_t size = sizeof(struct block) + (BLOCK_INSNS + 1) * sizeof(struct insn);
    struct stage s = {c, bytes, length, address, code, out, NULL};
    s.block = aligned_alloc(64, (size + 63) & ~(size_t)63);
    if (!s.block)
        return -WEIR_ENOMEM;
    while (s.length) {
        size_t taken = 1;
        if (cut(&s)) {
            put_block(&s);
            taken = s.block->bytes;
        } else {
            put_bad(&s);
        }
        s.bytes += taken;
        s.address += taken;
        s.length -= taken;
    }
    free(s.block);
    return 0;
}
