/* SPDX-License-Identifier: MIT */
/*
 * mode.c - state derived from segment registers, CR0, CR4, EFER, CPL and RFLAGS.
 *
 * segc[].ok has a bit only where the fast check of seg_linear() is the complete check: not for
 * expand-down, null and unreadable segments, which seg_linear_slow() judges.
 */
#include "cpu/access.h"
#include "cpu/cpu.h"

static void seg_cache_fill(struct vcpu *c, unsigned seg)
{
    const struct segment *s = &c->seg[seg];
    struct segment_cache *cache = &c->segc[seg];
    if (cpu_is_64bit(c)) {
        cache->base = seg == SEG_FS || seg == SEG_GS ? s->base : 0;
        cache->limit = ~0ull;
        cache->ok = ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE;
        return;
    }
    bool code = s->attr & SEG_ATTR_CODE;
    cache->base = s->base;
    cache->limit = s->limit;
    cache->ok = 0;
    if (!code && (s->attr & SEG_ATTR_DC))
        return;
    if (!(c->mode & MODE_PE) || (c->mode & MODE_VM)) {
        cache->ok = ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE;
    } else if (s->attr & SEG_ATTR_P) {
        if (!code || (s->attr & SEG_ATTR_RW))
            cache->ok |= ACCESS_READ;
        if (!code && (s->attr & SEG_ATTR_RW))
            cache->ok |= ACCESS_WRITE;
        if (code)
            cache->ok |= ACCESS_EXECUTE;
    }
}

static void seg_cache_renew(struct vcpu *c, unsigned seg)
{
    struct segment_cache *cache = &c->segc[seg];
    seg_cache_fill(c, seg);
    cache->last[0] = cache->ok & ACCESS_READ ? (int64_t)cache->limit : -1;
    cache->last[1] = cache->ok & ACCESS_WRITE ? (int64_t)cache->limit : -1;
}

static bool is_flat(const struct vcpu *c, unsigned seg, unsigned access)
{
    const struct segment_cache *s = &c->segc[seg];
    return s->base == 0 && s->limit >= 0xffffffff && (s->ok & access) == access;
}

/* Bits that depend on the segment caches. */
static uint32_t flat_mode(const struct vcpu *c)
{
    unsigned data = ACCESS_READ | ACCESS_WRITE;
    bool flat =
        cpu_is_64bit(c) || (is_flat(c, SEG_CS, ACCESS_EXECUTE) && is_flat(c, SEG_SS, data) &&
                            is_flat(c, SEG_DS, data) && is_flat(c, SEG_ES, data));
    return flat ? MODE_FLAT : 0;
}

void seg_cache_update(struct vcpu *c, unsigned seg)
{
    seg_cache_renew(c, seg);
    c->mode = (c->mode & ~(uint32_t)MODE_FLAT) | flat_mode(c);
}

void cpu_mode_update(struct vcpu *c)
{
    uint32_t mode = 0;
    const struct segment *cs = &c->seg[SEG_CS], *ss = &c->seg[SEG_SS];
    if (!(c->cr0 & CR0_PE))
        c->cpl = 0;
    else if (c->rflags_rest & FLAG_VM)
        c->cpl = 3;
    if (c->efer & EFER_LMA && cs->attr & SEG_ATTR_L)
        mode |= MODE_CODE64 | MODE_STACK64;
    else
        mode |= (cs->attr & SEG_ATTR_DB ? MODE_CODE32 : MODE_CODE16) |
                (ss->attr & SEG_ATTR_DB ? MODE_STACK32 : MODE_STACK16);
    mode |= (uint32_t)c->cpl << MODE_CPL_SHIFT;
    if (c->cr0 & CR0_PE)
        mode |= MODE_PE;
    if (c->rflags_rest & FLAG_VM)
        mode |= MODE_VM;
    if (c->efer & EFER_LMA)
        mode |= MODE_LMA;
    if (c->cr0 & CR0_PG)
        mode |= MODE_PG;
    if (c->rflags_rest & FLAG_TF)
        mode |= MODE_TF;
    if (c->dr[7] & 0xff) /* data breakpoints too: their trap comes behind the instruction */
        mode |= MODE_DEBUG;
    if ((c->cr0 & CR0_AM) && (c->rflags_rest & FLAG_AC) && c->cpl == 3)
        mode |= MODE_AC;
    if ((c->cr4 & CR4_SMAP) && (c->rflags_rest & FLAG_AC) && c->cpl != 3)
        mode |= MODE_SMAP_AC;
    if (UNLIKELY(c->ev.stepping) && c->ev.step_cpls >> c->cpl & 1 &&
        (!c->ev.step_by_cr3 || !((c->ev.step_cr3 ^ c->cr3) >> 12)))
        mode |= MODE_EVENTS;
    bool was_64bit = cpu_is_64bit(c);
    c->mode = mode;
    c->linear_mask = cpu_is_64bit(c) ? ~0ull : 0xffffffffull;
    for (unsigned seg = was_64bit && cpu_is_64bit(c) ? SEG_FS : SEG_ES; seg <= SEG_GS; seg++)
        seg_cache_renew(c, seg); /* 64-bit code ignores the others */
    c->mode |= flat_mode(c);
    tlb_select(c);
}
