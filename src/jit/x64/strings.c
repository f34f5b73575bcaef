/* SPDX-License-Identifier: MIT */
/*
 * strings.c - stubs for REP MOVS and REP STOS over more than a page, forwards, in flat segments:
 * as much as lies in one page of each side by the host's own instruction, until all is done or a
 * page is none that the TLB lets through, or somebody wants the vCPU. RCX, RSI and RDI are always
 * those of the guest between pages, so that C can go on from there.
 */
#include "jit/internal.h"

#define OUTS 5u

struct stub {
    struct as *a;
    struct jit *jit;
    unsigned log2; /* of the element's size */
    unsigned w;    /* OP_W, or 0: addresses have 32 bits */
    uint8_t *out[OUTS];
    unsigned outs;
};

static void leave_if(struct stub *s, unsigned cc)
{
    s->out[s->outs++] = as_jcc(s->a, cc);
}

/* entry = that of the page in the TLB, offset = that in the page; leaves if it has no tag. */
static void look_up(struct stub *s, unsigned address, unsigned entry, unsigned offset,
                    bool write)
{
    struct as *a = s->a;
    as_store(a, rm_reg(entry), address);
    as_op_imm(a, OPC(0, 0xc1) | OP_W, 5, rm_reg(entry), 12 - 5, 1);
    _Static_assert(sizeof(struct tlb_entry) == 32, "index by shift");
    as_op_imm(a, OPC(0, 0x81), 4, rm_reg(entry), (TLB_ENTRIES - 1) * 32, 4);
    as_op(a, OPC(0, 0x03) | OP_W, entry, rm_near(&s->jit->c->tlb), 0);
    as_store(a, rm_reg(offset), address);
    as_op(a, OPC(0, 0x2b) | OP_W, offset, rm_mem(entry, tlb_tag(write)), 0);
    as_op_imm(a, OPC(0, 0x81) | OP_W, 7, rm_reg(offset), 4095, 4);
    leave_if(s, CC_A);
}

/* count = elements from `offset` to the end of the page, at most RCX; leaves if there is none.
 * RCX is less that many, and in save[1]; it becomes the count. */
static void take(struct stub *s, unsigned count, unsigned offset)
{
    struct as *a = s->a;
    as_op_imm(a, OPC(0, 0xf7), 3, rm_reg(offset), 0, 0); /* neg */
    as_lea32(a, count, rm_mem(offset, 4096));
    as_op_imm(a, OPC(0, 0xf7), 3, rm_reg(offset), 0, 0);
    as_op_imm(a, OPC(0, 0xc1), 5, rm_reg(count), s->log2, 1);
    as_op(a, OPC(0, 0x85), count, rm_reg(count), 0);
    leave_if(s, CC_E);
    as_op(a, OPC(0, 0x3b) | OP_W, count, rm_reg(H_RCX), 0);
    as_op(a, OPC(1, 0x47) | OP_W, count, rm_reg(H_RCX), 0); /* cmova */
    as_op(a, OPC(0, 0x2b) | OP_W, H_RCX, rm_reg(count), 0);
    as_store(a, rm_near(&s->jit->save[1]), H_RCX);
    as_store(a, rm_reg(H_RCX), count);
}

static void repeat(struct stub *s, unsigned opcode)
{
    as8(s->a, 0xf3);
    if (s->log2 == 1)
        as8(s->a, 0x66);
    if (s->log2 == 3)
        as8(s->a, 0x48);
    as8(s->a, opcode | (s->log2 > 0));
}

static void copy_page(struct stub *s)
{
    struct as *a = s->a;
    look_up(s, H_RSI, H_RAX, H_RDX, false);
    as_store(a, rm_reg(T1), H_RDX);
    as_op(a, OPC(0, 0x03) | OP_W, H_RDX, rm_mem(H_RAX, offsetof(struct tlb_entry, host)), 0);
    look_up(s, H_RDI, H_RAX, T2, true);
    as_op(a, OPC(0, 0x3b), T1, rm_reg(T2), 0);
    as_op(a, OPC(1, 0x42), T1, rm_reg(T2), 0); /* cmovb: the larger offset */
    as_op(a, OPC(0, 0x03) | OP_W, T2, rm_mem(H_RAX, offsetof(struct tlb_entry, host)), 0);
    take(s, H_RAX, T1);
    as_store(a, rm_reg(T1), H_RSI);
    as_op(a, OPC(0, 0x2b) | OP_W, T1, rm_reg(H_RDX), 0);
    as_store(a, rm_reg(H_RSI), H_RDX);
    as_store(a, rm_reg(H_RDX), H_RDI);
    as_op(a, OPC(0, 0x2b) | OP_W, H_RDX, rm_reg(T2), 0);
    as_store(a, rm_reg(H_RDI), T2);
    repeat(s, 0xa4);
    as_op(a, OPC(0, 0x03) | s->w, H_RSI, rm_reg(T1), 0);
    as_op(a, OPC(0, 0x03) | s->w, H_RDI, rm_reg(H_RDX), 0);
}

static void fill_page(struct stub *s)
{
    struct as *a = s->a;
    look_up(s, H_RDI, H_RDX, T2, true);
    take(s, T1, T2);
    as_op(a, OPC(0, 0x03) | OP_W, T2, rm_mem(H_RDX, offsetof(struct tlb_entry, host)), 0);
    as_store(a, rm_reg(H_RDX), H_RDI);
    as_op(a, OPC(0, 0x2b) | OP_W, H_RDX, rm_reg(T2), 0);
    as_store(a, rm_reg(H_RDI), T2);
    repeat(s, 0xaa);
    as_op(a, OPC(0, 0x03) | s->w, H_RDI, rm_reg(H_RDX), 0);
}

static void load_and_go(struct stub *s)
{
    as_load(s->a, H_RAX, rm_near(&s->jit->save[0]));
    as_load(s->a, H_RDX, rm_near(&s->jit->save[2]));
    as_load(s->a, T2, rm_near(&s->jit->save[3]));
}

/* T2 = site. Flags are in flags_ax if somebody needs them. */
static void emit(struct stub *s, bool copies)
{
    struct as *a = s->a;
    struct jit *jit = s->jit;
    while (as_here(a) & 15)
        as8(a, 0x90);
    jit->strings[copies][s->log2][s->w != 0] = as_here(a);
    as_store(a, rm_near(&jit->save[0]), H_RAX);
    as_store(a, rm_near(&jit->save[2]), H_RDX);
    as_store(a, rm_near(&jit->save[3]), T2);
    if (!s->w) { /* no more than that is used of them */
        as_op(a, OPC(0, 0x8b), H_RCX, rm_reg(H_RCX), 0);
        as_op(a, OPC(0, 0x8b), H_RDI, rm_reg(H_RDI), 0);
    }
    if (!s->w && copies)
        as_op(a, OPC(0, 0x8b), H_RSI, rm_reg(H_RSI), 0);
    uint64_t loop = as_here(a);
    as_op_imm(a, OPC(0, 0x83), 7, rm_near(&jit->c->poll), 0, 1);
    leave_if(s, CC_NE);
    (copies ? copy_page : fill_page)(s);
    as_load(a, H_RCX, rm_near(&jit->save[1]));
    as_op(a, OPC(0, 0x85) | OP_W, H_RCX, rm_reg(H_RCX), 0);
    as_patch(a, as_jcc(a, CC_NE), loop);
    load_and_go(s);
    as_restore_flags(a, &jit->flags_ax, T1);
    as_op(a, OPC(0, 0xff), 4, rm_mem(T2, offsetof(struct jit_site, resume)), 0);
    for (unsigned k = 0; k < s->outs; k++)
        as_patch(a, s->out[k], as_here(a));
    load_and_go(s);
    as_jmp_to(a, jit->site_call);
}

void string_stubs_emit(struct as *a, struct jit *jit)
{
    for (unsigned log2 = 0; log2 < 4; log2++)
        for (unsigned wide = 0; wide < 2; wide++)
            for (unsigned copies = 0; copies < 2; copies++) {
                struct stub s = {.a = a, .jit = jit, .log2 = log2, .w = wide ? OP_W : 0};
                emit(&s, copies);
            }
}

static bool flat_segment(const struct translation *t, const struct insn *i)
{
    bool thread = i->seg == SEG_FS || i->seg == SEG_GS;
    return i->op == OP_STOS || !(thread || (i->code_bits != 64 && i->seg == SEG_CS));
}

uint64_t string_stub(const struct translation *t, const struct insn *i)
{
    bool wide = i->code_bits == 64;
    unsigned log2 = (unsigned)__builtin_ctz(i->opsize);
    if (t->pinned || !flat_segment(t, i) || i->addrsize != (wide ? 8 : 4))
        return 0;
    return t->jit->strings[i->op == OP_MOVS][log2][wide];
}
