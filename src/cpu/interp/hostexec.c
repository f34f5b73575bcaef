/* SPDX-License-Identifier: MIT */
/*
 * hostexec.c - op_host: executes a SIMD or x87 instruction by running it on the host (thunk.c),
 * with the guest's registers, rounding modes and memory operand, and the architectural checks
 * around it.
 *
 * No guest exception ever becomes a host signal. SIMD exceptions run masked, and the flags say
 * what would have been raised; then nothing is written back. x87 exceptions stay pending in the
 * saved image (only a later x87 instruction would trap, and none runs on the host then).
 * Faults of memory operands are found before the instruction runs.
 *
 * Code is never writable and executable through the same mapping. Thunks live until the arena
 * is full; then all go at once and `generation` makes the references in insn.engine stale.
 */
#include "cpu/interp/hostexec.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "cpu/access.h"
#include "cpu/cpu.h"
#include "cpu/interp/ops.h"

/* ---- the arena ---- */

static int arena_map(struct host_exec *h)
{
    int fd = memfd_create("weir-thunks", MFD_CLOEXEC);
    if (fd >= 0 && ftruncate(fd, ARENA_BYTES) == 0) {
        h->arena_rw = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        h->arena_rx = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
        if (h->arena_rw != MAP_FAILED && h->arena_rx != MAP_FAILED) {
            close(fd);
            return 0;
        }
        if (h->arena_rw != MAP_FAILED)
            munmap(h->arena_rw, ARENA_BYTES);
        if (h->arena_rx != MAP_FAILED)
            munmap(h->arena_rx, ARENA_BYTES);
    }
    if (fd >= 0)
        close(fd);
    /* memfds may be forbidden to be executable: one mapping that changes sides. */
    h->arena_rw =
        mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    h->arena_rx = h->arena_rw;
    h->arena_toggles = true;
    return h->arena_rw == MAP_FAILED ? -1 : 0;
}

static bool arena_access(struct host_exec *h, bool write)
{
    int prot = write ? PROT_READ | PROT_WRITE : PROT_READ | PROT_EXEC;
    return !h->arena_toggles || mprotect(h->arena_rw, ARENA_BYTES, prot) == 0;
}

int hostexec_init(struct vcpu *c, struct err *err)
{
    struct host_exec *h = aligned_alloc(64, (sizeof *h + 63) & ~(size_t)63);
    if (!h)
        return err_set(err, WEIR_ENOMEM, "instruction thunks: out of memory");
    memset(h, 0, sizeof *h);
    cpuid_host_read(&h->cpu);
    h->has_avx512 = host_has(&h->cpu, ISA_AVX512F);
    h->has_avx512bw = h->has_avx512 && host_has(&h->cpu, ISA_AVX512BW);
    h->generation = 1;
    h->thunks = calloc(THUNK_MAX, sizeof *h->thunks);
    h->hash = calloc(2 * THUNK_MAX, sizeof *h->hash);
    if (!h->thunks || !h->hash || arena_map(h) < 0) {
        int r = err_errno(err, "memory for instruction thunks");
        free(h->thunks);
        free(h->hash);
        free(h);
        return r;
    }
    c->host = h;
    return 0;
}

void hostexec_fini(struct vcpu *c)
{
    struct host_exec *h = c->host;
    if (!h)
        return;
    munmap(h->arena_rw, ARENA_BYTES);
    if (h->arena_rx != h->arena_rw)
        munmap(h->arena_rx, ARENA_BYTES);
    free(h->thunks);
    free(h->hash);
    free(h);
    c->host = NULL;
}

/* ---- finding the thunk ---- */

static uint32_t spec_hash(const struct thunk_spec *spec)
{
    const uint8_t *p = (const uint8_t *)spec;
    uint32_t hash = 2166136261u;
    for (unsigned n = 0; n < sizeof *spec; n++)
        hash = (hash ^ p[n]) * 16777619u;
    return hash ^ hash >> 15;
}

static void thunks_drop(struct host_exec *h)
{
    h->generation++;
    h->thunk_count = 0;
    h->arena_used = 0;
    memset(h->hash, 0, 2 * THUNK_MAX * sizeof *h->hash);
}

/* NULL if the host refuses executable memory. */
static const struct thunk *thunk_find(struct host_exec *h, const struct thunk_spec *spec)
{
    uint32_t slot = spec_hash(spec) % (2 * THUNK_MAX);
    for (; h->hash[slot]; slot = (slot + 1) % (2 * THUNK_MAX)) {
        struct thunk *t = &h->thunks[h->hash[slot] - 1];
        if (memcmp(&t->spec, spec, sizeof *spec) == 0)
            return t;
    }
    if (h->thunk_count == THUNK_MAX || h->arena_used + 2 * THUNK_MAX_BYTES > ARENA_BYTES) {
        thunks_drop(h);
        slot = spec_hash(spec) % (2 * THUNK_MAX);
    }
    if (!arena_access(h, true))
        return NULL;
    struct thunk *t = &h->thunks[h->thunk_count++];
    memcpy(&t->spec, spec, sizeof *spec);
    t->code = (thunk_fn *)(h->arena_rx + h->arena_used);
    h->arena_used += thunk_emit(h, spec, h->arena_rw + h->arena_used);
    h->arena_used = (h->arena_used + 15) & ~15u;
    t->window = NULL;
    if (spec->window.usable) {
        t->window = (thunk_fn *)(h->arena_rx + h->arena_used);
        h->arena_used += x87_window_emit(spec, h->arena_rw + h->arena_used);
        h->arena_used = (h->arena_used + 15) & ~15u;
    }
    h->hash[slot] = (uint16_t)h->thunk_count;
    return arena_access(h, false) ? t : NULL;
}

static const struct thunk *thunk_get(struct vcpu *c, const struct insn *i)
{
    struct host_exec *h = c->host;
    uintptr_t reference = (uintptr_t)i->engine;
    if (LIKELY(reference >> 16 == h->generation))
        return &h->thunks[reference & 0xffff];
    struct thunk_spec spec;
    if (!thunk_describe(h, i, &spec))
        return NULL;
    const struct thunk *t = thunk_find(h, &spec);
    if (t) /* insns live in writable storage; the cache belongs to us */
        ((struct insn *)i)->engine =
            (void *)((uintptr_t)h->generation << 16 | (uintptr_t)(t - h->thunks));
    return t;
}

/* ---- the memory operand ---- */

static uint64_t low_bits(unsigned count)
{
    return count >= 64 ? ~0ull : BIT64(count) - 1;
}

/* Bit n set: element n of the memory operand is touched. */
static uint64_t touched_elements(const struct vcpu *c, const struct thunk_spec *s)
{
    uint64_t mask = c->fpu.k[s->mask], folded = 0;
    switch (s->masking) {
    case MASKING_FOLDED:
        mask &= low_bits(s->vector_elements);
        for (unsigned n = 0; n < s->vector_elements; n += s->elements)
            folded |= mask >> n;
        return folded & low_bits(s->elements);
    case MASKING_PACKED:
        return low_bits((unsigned)__builtin_popcountll(mask & low_bits(s->elements)));
    default:
        return mask & low_bits(s->elements);
    }
}

/* Whether faults are those of the whole operand. */
static bool is_whole(const struct thunk_spec *s)
{
    return s->masking == MASKING_NONE || s->masking == MASKING_STORE;
}

static bool masked_read(struct vcpu *c, const struct insn *i, const struct thunk_spec *s,
                        uint64_t offset, uint8_t *buffer)
{
    uint64_t touched = touched_elements(c, s);
    memset(buffer, 0, s->mem_bytes);
    for (unsigned n = 0; n < s->elements; n++)
        if (touched >> n & 1 && !mem_read_bytes(c, i->seg, offset + n * s->element,
                                                buffer + n * s->element, s->element))
            return false;
    return true;
}

static bool masked_probe(struct vcpu *c, const struct insn *i, const struct thunk_spec *s,
                         uint64_t offset)
{
    uint64_t touched = touched_elements(c, s);
    for (unsigned n = 0; n < s->elements; n++)
        if (touched >> n & 1 &&
            !mem_probe(c, i->seg, offset + n * s->element, s->element, ACCESS_WRITE))
            return false;
    return true;
}

static bool masked_write(struct vcpu *c, const struct insn *i, const struct thunk_spec *s,
                         uint64_t offset, const uint8_t *buffer)
{
    uint64_t touched = touched_elements(c, s);
    for (unsigned n = 0; n < s->elements; n++)
        if (touched >> n & 1 && !mem_write_bytes(c, i->seg, offset + n * s->element,
                                                 buffer + n * s->element, s->element))
            return false;
    return true;
}

/* Masked moves that touch nothing do not complain (as AMD processors). */
static bool misaligned(const struct vcpu *c, const struct insn *i, const struct thunk_spec *s,
                       uint64_t offset)
{
    if (!((c->segc[i->seg].base + offset) & c->linear_mask & (s->alignment - 1)))
        return false;
    return is_whole(s) || touched_elements(c, s);
}

struct memory_operand {
    uint64_t offset;
    void *host;  /* where the thunk finds it */
    bool direct; /* that is guest RAM */
};

/* Fills *m; false = c->fault. Afterwards reads are done and writes cannot fault. */
static bool memory_begin(struct vcpu *c, const struct insn *i, const struct thunk_spec *s,
                         struct memory_operand *m)
{
    enum access access = s->memory == MEMORY_WRITE ? ACCESS_WRITE : ACCESS_READ;
    uint64_t linear;
    m->offset = insn_offset(c, i);
    m->host = c->host->frame.mem;
    m->direct = false;
    if (is_whole(s) && !seg_linear(c, i->seg, m->offset, s->mem_bytes, access, &linear))
        return false;
    if (s->alignment && misaligned(c, i, s, m->offset)) {
        raise_gp0(c);
        return false;
    }
    if (!is_whole(s)) {
        if (s->memory == MEMORY_WRITE)
            return masked_probe(c, i, s, m->offset);
        return masked_read(c, i, s, m->offset, m->host);
    }
    if (s->memory == MEMORY_READ) {
        void *p = tlb_read_hit(c, linear, s->mem_bytes);
        if (LIKELY(p && !(c->mode & MODE_AC))) {
            m->host = p;
            return true;
        }
        return mem_read_bytes(c, i->seg, m->offset, m->host, s->mem_bytes);
    }
    void *p = tlb_write_hit(c, linear, s->mem_bytes);
    if (LIKELY(p && !(c->mode & MODE_AC) && s->masking == MASKING_NONE)) {
        m->direct = true;
        m->host = p;
        if (s->evex && s->mask)
            memcpy(c->host->frame.mem, p, s->mem_bytes); /* elements that stay */
        return true;
    }
    if (!mem_probe(c, i->seg, m->offset, s->mem_bytes, ACCESS_WRITE))
        return false;
    return !(s->evex && s->mask) || mem_read_bytes(c, i->seg, m->offset, m->host, s->mem_bytes);
}

/* The result in frame.mem goes to guest memory. */
static bool memory_commit(struct vcpu *c, const struct insn *i, const struct thunk_spec *s,
                          const struct memory_operand *m)
{
    const uint8_t *buffer = c->host->frame.mem;
    if (m->direct) {
        memcpy(m->host, buffer, s->mem_bytes);
        return true;
    }
    if (s->masking != MASKING_NONE)
        return masked_write(c, i, s, m->offset, buffer);
    return mem_write_bytes(c, i->seg, m->offset, buffer, s->mem_bytes);
}

/* ---- execution ---- */

static void call(struct vcpu *c, const struct thunk *t, void *mem)
{
    t->code(&c->host->frame, mem, 0, 0, &c->fpu, c->gpr);
}

static void flags_merge(struct vcpu *c, const struct thunk_spec *s)
{
    uint32_t out = c->host->frame.flags_out;
    uint32_t flags = (out >> 8 & 0xd5) | (out & 1) << 11;
    c->flags = (c->flags & ~s->flags_out) | (flags & s->flags_out & FLAGS_ARITH);
}

/* Instructions with no exceptions of their own: stores go straight to RAM. */
static enum weir_stop run_plain(struct vcpu *c, const struct insn *i, const struct thunk *t,
                                struct memory_operand *m)
{
    const struct thunk_spec *s = &t->spec;
    call(c, t, m->host);
    if (s->memory == MEMORY_WRITE && !m->direct && !memory_commit(c, i, s, m))
        return STOP_FAULT;
    return STOP_NEXT;
}

/*
 * Some guest masks are clear: run on a copy, so that nothing changes if there is an exception.
 * Exceptions found before computing (IE, DE, ZE) hide those found after it. A tiny result with
 * UE unmasked is an underflow even if it is exact, which shows only with FTZ set.
 */
static enum weir_stop run_unmasked(struct vcpu *c, const struct insn *i, const struct thunk *t,
                                   struct memory_operand *m)
{
    struct host_exec *h = c->host;
    struct host_frame *f = &h->frame;
    const struct thunk_spec *s = &t->spec;
    struct fpu_state saved = c->fpu;
    uint64_t gpr[16];
    void *mem = s->memory == MEMORY_WRITE ? f->mem : m->host;
    uint32_t unmasked = ~c->fpu.mxcsr >> 7 & MXCSR_FLAGS, control = f->mxcsr_guest, flags;
    bool tiny = false;
    memcpy(gpr, c->gpr, sizeof gpr);
    if (unmasked & 0x10) { /* UE */
        f->mxcsr_guest = control | MXCSR_FTZ;
        call(c, t, mem);
        tiny = f->mxcsr_out & 0x10;
        c->fpu = saved;
        memcpy(c->gpr, gpr, sizeof gpr);
        f->mxcsr_guest = control & ~MXCSR_FTZ;
    }
    call(c, t, mem);
    flags = (f->mxcsr_out & MXCSR_FLAGS) | (tiny ? 0x10 : 0);
    if (flags & unmasked) {
        c->fpu = saved;
        memcpy(c->gpr, gpr, sizeof gpr);
        if (flags & unmasked & 7)
            flags &= 7;
        c->fpu.mxcsr |= flags;
        return c->cr4 & CR4_OSXMMEXCPT ? raise(c, VEC_XM) : raise_ud(c);
    }
    c->fpu.mxcsr |= flags;
    if (s->memory == MEMORY_WRITE && !memory_commit(c, i, s, m))
        return STOP_FAULT;
    return STOP_NEXT;
}

/* Instructions that look at MXCSR. */
static enum weir_stop run_simd_float(struct vcpu *c, const struct insn *i,
                                     const struct thunk *t, struct memory_operand *m)
{
    struct host_frame *f = &c->host->frame;
    const struct thunk_spec *s = &t->spec;
    f->mxcsr_guest = (c->fpu.mxcsr | 0x1f80) & ~MXCSR_FLAGS;
    enum weir_stop stop;
    if (LIKELY((c->fpu.mxcsr & 0x1f80) == 0x1f80 || s->quiet)) {
        stop = run_plain(c, i, t, m);
        if (stop == STOP_NEXT)
            c->fpu.mxcsr |= f->mxcsr_out & MXCSR_FLAGS;
    } else {
        stop = run_unmasked(c, i, t, m);
    }
    return stop;
}

/* A store does not happen if an exception other than PE is unmasked and came up. */
static bool x87_stored(const struct fpu_state *fpu)
{
    return !(fpu->fx.fsw & ~fpu->fx.fcw & FSW_EXCEPTIONS & ~0x20u);
}

/* Tags by ST number instead of physical register. */
static unsigned stack_tags(const struct fpu_state *f)
{
    unsigned top = f->fx.fsw >> FSW_TOP_SHIFT & 7;
    return (f->fx.ftw >> top | f->fx.ftw << (8 - top)) & 0xff;
}

static bool window_fits(const struct fpu_state *f, const struct thunk *t)
{
    const struct x87_window *w = &t->spec.window;
    unsigned valid = BIT(w->depth) - 1, tags;
    if (!t->window || (f->fx.fcw & FSW_EXCEPTIONS) != FSW_EXCEPTIONS)
        return false;
    tags = stack_tags(f);
    return (tags & valid) == valid && !(w->delta > 0 && tags & 0x80);
}

/* What the instruction did to the stack: ST0 is always first in the image. */
static void window_finish(struct fpu_state *f, const struct host_frame *frame,
                          const struct x87_window *w)
{
    unsigned fsw = f->fx.fsw, top = fsw >> FSW_TOP_SHIFT & 7;
    fsw = (fsw & ~(unsigned)w->conditions) | (frame->fsw_out & w->conditions);
    fsw |= frame->fsw_out & FSW_EXCEPTIONS;
    if (w->delta > 0) {
        memmove(f->fx.st[1], f->fx.st[0], sizeof f->fx.st - 16);
        memcpy(f->fx.st[0], frame->pushed, 10);
        top = (top - 1) & 7;
        f->fx.ftw |= (uint8_t)BIT(top);
    }
    for (int pops = -w->delta; pops > 0; pops--) {
        uint8_t popped[16];
        memcpy(popped, f->fx.st[0], 16);
        memmove(f->fx.st[0], f->fx.st[1], sizeof f->fx.st - 16);
        memcpy(f->fx.st[7], popped, 16);
        f->fx.ftw &= (uint8_t)~BIT(top);
        top = (top + 1) & 7;
    }
    f->fx.fsw = (uint16_t)((fsw & ~(7u << FSW_TOP_SHIFT)) | top << FSW_TOP_SHIFT);
}

static enum weir_stop run_x87_window(struct vcpu *c, const struct insn *i,
                                     const struct thunk *t, struct memory_operand *m)
{
    const struct thunk_spec *s = &t->spec;
    struct host_frame *frame = &c->host->frame;
    bool store = s->memory == MEMORY_WRITE;
    t->window(frame, store ? frame->mem : m->host, 0, 0, &c->fpu, c->gpr);
    fpu_pointers_set(c, i);
    window_finish(&c->fpu, frame, &s->window);
    return store && !memory_commit(c, i, s, m) ? STOP_FAULT : STOP_NEXT;
}

static enum weir_stop run_x87(struct vcpu *c, const struct insn *i, const struct thunk *t,
                              struct memory_operand *m)
{
    const struct thunk_spec *s = &t->spec;
    bool store = s->memory == MEMORY_WRITE;
    uint16_t fcw = c->fpu.fx.fcw;
    if (LIKELY(window_fits(&c->fpu, t)))
        return run_x87_window(c, i, t, m);
    bool ignored = c->fpu.fx.fsw & FSW_ES; /* CR0.NE = 0 and nobody served IRQ 13 */
    if (UNLIKELY(ignored)) {
        c->fpu.fx.fcw |= FSW_EXCEPTIONS;
        c->fpu.fx.fsw &= (uint16_t) ~(FSW_ES | FSW_B);
    }
    call(c, t, store ? c->host->frame.mem : m->host);
    fpu_pointers_set(c, i);
    if (store && x87_stored(&c->fpu) && !memory_commit(c, i, s, m))
        return STOP_FAULT;
    if (UNLIKELY(ignored)) {
        c->fpu.fx.fcw = fcw;
        fpu_status_update(c);
    }
    return STOP_NEXT;
}

static enum weir_stop run_mmx(struct vcpu *c, const struct insn *i, const struct thunk *t,
                              struct memory_operand *m)
{
    const struct thunk_spec *s = &t->spec;
    fpu_mmx_enter(c);
    enum weir_stop stop = s->mxcsr ? run_simd_float(c, i, t, m) : run_plain(c, i, t, m);
    if (stop != STOP_NEXT)
        return stop;
    for (unsigned r = 0; r < 8; r++)
        if (s->mmx_stores >> r & 1)
            memset(c->fpu.fx.st[r] + 8, 0xff, 2);
    return STOP_NEXT;
}

enum weir_stop op_host(struct vcpu *c, const struct insn *i)
{
    const struct thunk *t = thunk_get(c, i);
    if (UNLIKELY(!t))
        return raise_ud(c);
    const struct thunk_spec *s = &t->spec;
    enum weir_stop stop = fpu_check(c, s->needs);
    if (UNLIKELY(stop != STOP_NEXT))
        return stop;
    struct memory_operand m = {0, NULL, false};
    if (s->memory != MEMORY_NONE && UNLIKELY(!memory_begin(c, i, s, &m)))
        return STOP_FAULT;
    if (s->flags_in)
        c->host->frame.flags_in = (uint8_t)c->flags;
    if (s->x87) {
        stop = run_x87(c, i, t, &m);
    } else if (s->mmx) {
        stop = run_mmx(c, i, t, &m);
    } else if (s->mxcsr) {
        stop = run_simd_float(c, i, t, &m);
    } else {
        stop = run_plain(c, i, t, &m);
    }
    if (s->flags_out && stop == STOP_NEXT)
        flags_merge(c, s);
    return stop;
}
