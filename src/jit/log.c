/* SPDX-License-Identifier: MIT */
/*
 * log.c - the sections PROLOGUE, IN, OP and OUT of the log, in QEMU's layout.
 *
 * IN is printed when a block is decoded. While OP or OUT_ASM are logged, a block is translated
 * right after that; should it come later (it was decoded for a single step, or before the log
 * was turned on), its IN is printed once more, so that OP and OUT always follow their IN.
 */
#include "jit/view.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- text ---- */

static void piece_put(struct weir_text *text, const char *chars, size_t length)
{
    struct piece *p = container_of(text, struct piece, text);
    if (p->length + length > p->size) {
        size_t size = (p->length + length) * 2;
        char *bigger = realloc(p->chars, size);
        if (!bigger)
            return;
        p->chars = bigger;
        p->size = size;
    }
    memcpy(p->chars + p->length, chars, length);
    p->length += length;
}

void piece_init(struct piece *p)
{
    *p = (struct piece){.text = {piece_put}};
}
void piece_free(struct piece *p)
{
    free(p->chars);
}

static void piece_write(struct piece *p, struct log *log, enum weir_log_item item)
{
    if (p->length)
        log_write(log, item, p->chars, p->length);
    piece_free(p);
}

/* ---- host code ---- */

static void put_bytes(struct weir_text *out, const uint8_t *bytes, size_t count)
{
    weir_textf(out, "\t0x");
    for (size_t k = 0; k < count; k++)
        weir_textf(out, "%02x", bytes[k]);
}

void asm_text(const struct jit_view *v, uint64_t code, size_t bytes, bool with_bytes,
              struct weir_text *out)
{
    const uint8_t *p = (const uint8_t *)(uintptr_t)code;
    char text[192];
    for (size_t at = 0; at < bytes;) {
        int n = v->disassemble ? v->disassemble(p + at, bytes - at, 64, code + at, false, text,
                                                sizeof(text))
                               : 0;
        if (n <= 0) {
            n = 1;
            snprintf(text, sizeof(text), ".byte  0x%02x", p[at]);
        }
        weir_textf(out, "0x%08llx:  %s", (unsigned long long)(code + at), text);
        if (with_bytes)
            put_bytes(out, p + at, (size_t)n);
        weir_textf(out, "\n");
        at += (size_t)n;
    }
}

/* Host code of a block, or of the stubs; slow paths of a block are elsewhere. */
struct code {
    uint64_t start, cold;
    size_t bytes, cold_bytes;
};

static void out_section(const struct jit_view *v, struct vcpu *c, const char *head,
                        const struct code *code)
{
    bool with_bytes = log_on(c->log, WEIR_LOG_OUT_BYTES);
    struct piece p;
    piece_init(&p);
    weir_textf(&p.text, "%s: [size=%zu]\n", head, code->bytes + code->cold_bytes);
    asm_text(v, code->start, code->bytes, with_bytes, &p.text);
    if (code->cold_bytes)
        weir_textf(&p.text, "  -- slow paths\n");
    asm_text(v, code->cold, code->cold_bytes, with_bytes, &p.text);
    weir_textf(&p.text, "\n");
    piece_write(&p, c->log, WEIR_LOG_OUT_ASM);
}

void jit_log_prologue(struct vcpu *c)
{
    struct jit *jit = c->jit;
    if (!jit || !jit->view || !log_on(c->log, WEIR_LOG_OUT_ASM) ||
        __atomic_exchange_n(&jit->view->prologue_shown, 1, __ATOMIC_RELAXED))
        return;
    struct code stubs = {.start = (uint64_t)(uintptr_t)jit->code_rx, .bytes = jit->stub_bytes};
    out_section(jit->view, c, "PROLOGUE", &stubs);
}

/* ---- a block ---- */

static uint64_t block_start(const struct jit_block *b)
{
    return b->entry_live < b->entry_saved ? b->entry_live : b->entry_saved;
}

static void log_block(struct translation *t, uint64_t linear, const struct code *code)
{
    struct jit_view *v = t->jit->view;
    struct log *log = t->c->log;
    if (log_on(log, WEIR_LOG_IN_ASM) && v->trace_block && v->shown != t->block->insns)
        v->trace_block(t->c, linear, t->insns, t->count);
    v->shown = NULL;
    if (log_on(log, WEIR_LOG_OP)) {
        struct piece p;
        piece_init(&p);
        weir_textf(&p.text, "OP:\n");
        plan_text(t, linear, &p.text);
        weir_textf(&p.text, "\n");
        piece_write(&p, log, WEIR_LOG_OP);
    }
    if (log_on(log, WEIR_LOG_OUT_ASM))
        out_section(v, t->c, "OUT", code);
}

/* Host code under the guest instruction it was made for. */
static void stage_asm(struct translation *t, uint64_t linear, const struct code *code)
{
    struct jit_view *v = t->jit->view;
    size_t at = 0;
    weir_textf(v->asm_out, "OUT: [size=%zu]\n", code->bytes + code->cold_bytes);
    for (unsigned n = 0; n < t->plan->count; n++) {
        const struct action *k = &t->plan->actions[n];
        if (k->kind != PLAN_INSN && k->kind != PLAN_COLD)
            continue;
        asm_text(v, code->start + at, k->code - at, false, v->asm_out);
        at = k->code;
        const struct insn *i = &t->insns[k->at];
        uint64_t address = plan_address(t, linear, k->at);
        char text[160] = "";
        if (k->kind == PLAN_INSN && v->disassemble)
            v->disassemble(i->bytes, i->length, i->code_bits, address, false, text,
                           sizeof(text));
        if (k->kind == PLAN_INSN)
            weir_textf(v->asm_out, "\n ---- %016llx  %s\n", (unsigned long long)address, text);
        else if (code->cold_bytes)
            weir_textf(v->asm_out, "\n ---- slow paths\n");
    }
    asm_text(v, code->cold, code->cold_bytes, false, v->asm_out);
    weir_textf(v->asm_out, "\n");
}

void view_block(struct translation *t)
{
    struct jit_view *v = t->jit->view;
    struct vcpu *c = t->c;
    uint64_t linear = (c->segc[SEG_CS].base + c->rip) & c->linear_mask;
    struct code code = {block_start(t->out), (uint64_t)t->cold_begin + (uint64_t)t->as.rx, 0,
                        (size_t)(t->cold_end - t->cold_begin)};
    code.bytes = (uint64_t)t->end + (uint64_t)t->as.rx - code.start;
    if (perf_on(&v->perf)) {
        char name[64];
        int n =
            snprintf(name, sizeof(name), "guest 0x%llx %u cpl%u", (unsigned long long)linear,
                     16u << (t->block->mode & MODE_CODE_MASK), c->cpl);
        perf_code(&v->perf, code.start, code.bytes, name);
        snprintf(name + n, sizeof(name) - (size_t)n, " slow");
        if (code.cold_bytes)
            perf_code(&v->perf, code.cold, code.cold_bytes, name);
    }
    if (!t->plan)
        return;
    if (v->plan_out) {
        weir_textf(v->plan_out, "OP:\n");
        plan_text(t, linear, v->plan_out);
        weir_textf(v->plan_out, "\n");
    }
    if (v->asm_out)
        stage_asm(t, linear, &code);
    if (log_wants(c->log, linear))
        log_block(t, linear, &code);
}

/* ---- life ---- */

static void trace_in(struct vcpu *c, uint64_t linear, const struct insn *insns, unsigned count)
{
    struct jit_view *v = c->jit->view;
    v->shown = insns;
    if (v->trace_block)
        v->trace_block(c, linear, insns, count);
}

int jit_view_init(struct vcpu *c, jit_disassemble_fn *disassemble)
{
    struct jit_view *v = calloc(1, sizeof(*v));
    if (!v)
        return -WEIR_ENOMEM;
    v->disassemble = disassemble;
    v->trace_block = c->trace_block;
    c->trace_block = trace_in;
    perf_init(&v->perf);
    c->jit->view = v;
    return 0;
}

void view_free(struct jit *jit)
{
    struct jit_view *v = jit->view;
    if (!v)
        return;
    jit->view = NULL;
    jit->c->trace_block = v->trace_block;
    perf_fini(&v->perf);
    free(v);
}
