/* SPDX-License-Identifier: MIT */
/*
 * view.h - who looks at the translator's work: the log (log.c), perf (perf.c), `weir disas`
 * (stage.c). Nothing here runs unless a block is translated, and then only a few tests.
 */
#ifndef JIT_VIEW_H
#define JIT_VIEW_H

#include "jit/internal.h"

typedef void trace_block_fn(struct vcpu *c, uint64_t linear, const struct insn *insns,
                            unsigned count);

struct perf_files {
    int map, dump; /* descriptors; -1: not open */
    void *mark;    /* the page by which perf finds the dump */
    uint64_t blocks;
};

struct jit_view {
    jit_disassemble_fn *disassemble;      /* NULL: none was built in */
    trace_block_fn *trace_block;          /* prints IN */
    const struct insn *shown;             /* of the block whose IN is the newest */
    uint32_t prologue_shown;              /* atomic */
    struct weir_text *plan_out, *asm_out; /* of stage.c; NULL otherwise */
    struct plan plan;
    struct perf_files perf;
};

/* Text that grows on the heap. */
struct piece {
    struct weir_text text;
    char *chars;
    size_t length, size;
};
void piece_init(struct piece *p);
void piece_free(struct piece *p);

/* Where a plan is to be recorded; NULL: nobody wants one. */
static inline struct plan *view_plan(struct jit *jit)
{
    struct jit_view *v = jit->view;
    if (LIKELY(!v || !(log_on(jit->c->log, WEIR_LOG_OP | WEIR_LOG_OUT_ASM) || v->plan_out ||
                       v->asm_out)))
        return NULL;
    v->plan.count = 0;
    return &v->plan;
}
/* While OP or OUT are logged, blocks are translated when they are first run, so that the log
 * has IN, OP and OUT of each together. */
static inline bool view_wants_all(const struct jit *jit)
{
    return log_on(jit->c->log, WEIR_LOG_OP | WEIR_LOG_OUT_ASM);
}
/* A block has been translated; rip is at its start. */
void view_block(struct translation *t);
void view_free(struct jit *jit);

/* log.c: host code [code, code + bytes), a line per instruction. */
void asm_text(const struct jit_view *v, uint64_t code, size_t bytes, bool with_bytes,
              struct weir_text *out);

/* perf.c */
void perf_init(struct perf_files *p);
void perf_fini(struct perf_files *p);
void perf_code(struct perf_files *p, uint64_t code, size_t bytes, const char *name);
static inline bool perf_on(const struct perf_files *p)
{
    return p->map >= 0 || p->dump >= 0;
}

#endif
