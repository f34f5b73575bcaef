/* SPDX-License-Identifier: MIT */
/* windows.c - see windows.h. */
#include "jit/windows.h"

#include <stdlib.h>

/* What things cost and bring, roughly, to tell whether a window is worth it. */
#define FILL_NS        8000 /* SIGSEGV, mmap, page table */
#define UNMAP_NS       2000
#define LOOK_NS        60
#define GAIN_NS        300000 /* of a sample */
#define BALANCE_NS     20000000
#define BALANCE_MAX_NS 60000000
#define SAMPLES_NEEDED 8u
#define NEEDED_MAX     4096u
#define AROUND_PAGES   16u /* filled together if they lie side by side in RAM, too */
#define LARGE_LOG2     21u
#define HUGE_LOG2      30u
#define LARGE_START    (1ull << 20) /* below it is more than RAM */
#define PAGE_BYTES     4096ull
#define LOST_MIN       32u /* pages lost at once, and half of all: it is another program */

static void set_base(struct jit *jit, uint64_t base)
{
    jit->window_base = base;
    if (jit->windows->running)
        faults_set_gs(jit->window_base);
}

static size_t newest_bytes(size_t code_bytes)
{
    return code_bytes / FAULT_GRANULE * sizeof(uint32_t);
}

static uint64_t hole_distance(const struct windows *ws, unsigned number)
{
    return ws->hole - ((uint64_t)number << PIECE_LOG2);
}

/* What code knows of the distances of the current window. Without one everything leads to the
 * hole, should code that uses windows ever see it. */
static void refresh_slots(struct jit *jit)
{
    const struct windows *ws = jit->windows;
    const struct window *w = ws->in_use;
    for (unsigned k = 0; k < DISTANCES; k++) {
        struct distance_slot *s = &jit->distances[k];
        s->distance = w && w->wide ? w->distance[s->number] : hole_distance(ws, s->number);
    }
}

/* GS is for the code in the jump slots of the current address space, and for no other: that of one
 * kind would take the other's memory for its table. */
static void put_in_use(struct jit *jit, struct window *w)
{
    struct windows *ws = jit->windows;
    ws->in_use = w;
    set_base(jit, !w ? ws->hole : w->wide ? (uint64_t)(uintptr_t)w->distance : w->pieces[0].at);
    refresh_slots(jit);
}

/* ---- pieces ---- */

/* Of the only piece of a 32-bit window. */
static bool take_4g(struct window *w)
{
    w->low = region_reserve_low(&w->low_start);
    w->pieces[0].at = w->low ? 0 : region_reserve(LOW_BYTES);
    w->piece_count = 1;
    return w->low || w->pieces[0].at;
}

static void release_pieces(const struct window *w)
{
    for (unsigned k = 0; k < w->piece_count; k++)
        if (w->low)
            region_release_low(w->low_start);
        else
            region_release(w->pieces[k].at, w->wide ? 1ull << PIECE_LOG2 : LOW_BYTES);
}

/* Where the page would be on the host, NULL: no room for its piece. */
static void *place(struct jit *jit, struct window *w, uint64_t linear)
{
    unsigned number = (unsigned)(linear >> PIECE_LOG2);
    uint64_t inside = linear & ((1ull << PIECE_LOG2) - 1);
    for (unsigned k = 0; k < w->piece_count; k++)
        if (w->pieces[k].number == number)
            return (void *)(uintptr_t)(w->pieces[k].at + inside);
    if (w->piece_count == WINDOW_PIECES || number >= PIECES)
        return NULL;
    uint64_t at = region_reserve(1ull << PIECE_LOG2);
    if (!at)
        return NULL;
    w->pieces[w->piece_count].number = (uint8_t)number;
    w->pieces[w->piece_count++].at = at;
    w->distance[number] = at - ((uint64_t)number << PIECE_LOG2);
    refresh_slots(jit);
    return (void *)(uintptr_t)(at + inside);
}

/* Whether the host lets anything be there at all. */
static bool has_place(const struct window *w, uint64_t linear)
{
    return !w->low || linear >= LOW_FIRST;
}

/* ---- pages ---- */

static unsigned hash_of(uint64_t linear)
{
    uint64_t page = linear >> 12;
    return (unsigned)(page ^ page >> 14 ^ page >> 27) % WINDOW_HASH;
}

static struct window_page *find(const struct window *w, uint64_t linear, unsigned log2)
{
    uint64_t start = linear & ~((1ull << log2) - 1);
    uint32_t n = w->hash[hash_of(start)];
    while (n != NO_ENTRY && (w->pages[n].linear != start || w->pages[n].log2 != log2))
        n = w->pages[n].next;
    return n == NO_ENTRY ? NULL : &w->pages[n];
}

static struct window_page *find_any(const struct window *w, uint64_t linear)
{
    struct window_page *p = find(w, linear, 12);
    return p || !w->large_count ? p : find(w, linear, LARGE_LOG2);
}

static void unlink_page(struct window *w, uint32_t n)
{
    uint32_t *at = &w->hash[hash_of(w->pages[n].linear)];
    while (*at != n)
        at = &w->pages[*at].next;
    *at = w->pages[n].next;
}

static void link_page(struct window *w, uint32_t n)
{
    uint32_t *head = &w->hash[hash_of(w->pages[n].linear)];
    w->pages[n].next = *head;
    *head = n;
}

/* What the guest invalidates with one address goes all at once, however it is mapped here. */
static void count_slice(struct window *w, const struct window_page *p, int by)
{
    if (p->of_log2 <= p->log2)
        return;
    if (p->of_log2 > LARGE_LOG2)
        w->huge_slices += (unsigned)by;
    else
        w->slices[(p->linear >> LARGE_LOG2) % SLICE_HASH] += (uint16_t)by;
}

static unsigned log2_of_slices(const struct window *w, uint64_t linear)
{
    if (w->huge_slices)
        return HUGE_LOG2;
    return w->slices[(linear >> LARGE_LOG2) % SLICE_HASH] ? LARGE_LOG2 : 12;
}

static void add_page(struct windows *ws, struct window *w, struct window_page page)
{
    uint32_t n = w->page_count++;
    ws->page_count++;
    w->large_count += page.log2 > 12;
    w->pages[n] = page;
    link_page(w, n);
    count_slice(w, &page, 1);
}

/* Forgets it; the last one comes to its place. */
static void remove_page(struct windows *ws, struct window *w, struct window_page *p)
{
    uint32_t n = (uint32_t)(p - w->pages), last = w->page_count - 1;
    w->large_count -= p->log2 > 12;
    count_slice(w, p, -1);
    unlink_page(w, n);
    if (n != last) {
        unlink_page(w, last);
        w->pages[n] = w->pages[last];
        link_page(w, n);
    }
    w->page_count--;
    ws->page_count--;
}

static bool map_pages(struct jit *jit, struct window *w, const struct window_page *first,
                      unsigned count)
{
    void *at = place(jit, w, first->linear);
    size_t bytes = (size_t)count << first->log2;
    int prot = PROT_READ | (first->writable ? PROT_WRITE : 0);
    int populate = first->log2 == 12 ? MAP_POPULATE : 0;
    return at && mmap(at, bytes, prot, MAP_SHARED | MAP_FIXED | MAP_NORESERVE | populate,
                      jit->windows->ram->fd, (off_t)first->offset) == at;
}

static void unmap_page(struct jit *jit, struct window *w, struct window_page *p)
{
    void *at = place(jit, w, p->linear);
    void *got = mmap(at, (size_t)1 << p->log2, PROT_NONE, REGION_FLAGS | MAP_FIXED, -1, 0);
    w->stuck |= got == MAP_FAILED;
    w->balance_ns -= UNMAP_NS;
    remove_page(jit->windows, w, p);
}

/* ---- opening and closing ---- */

static void tell_code(struct jit *jit, unsigned space)
{
    struct set_tables *t = &jit->spaces[space][SET_USER];
    if (t->used && t->filled_count)
        jumps_clear(t);
    jit->returns_stale = true;
}

static void window_close(struct jit *jit, struct window *w)
{
    struct windows *ws = jit->windows;
    release_pieces(w);
    ws->page_count -= w->page_count;
    munmap(w->pages, WINDOW_PAGES * sizeof(*w->pages));
    free(w->hash);
    w->open = false;
    jit->stats.windows_closed++;
    if (ws->current == w)
        ws->current = NULL;
    if (ws->in_use == w)
        put_in_use(jit, NULL);
    if (ws->used[w->space] == w)
        ws->used[w->space] = NULL;
    tell_code(jit, w->space);
}

static void close_all(struct jit *jit)
{
    for (unsigned k = 0; k < WINDOWS_MAX; k++)
        if (jit->windows->list[k].open)
            window_close(jit, &jit->windows->list[k]);
}

/* The host, out of mappings, could not take a page away. All at once it can. */
static bool close_if_stuck(struct jit *jit, struct window *w)
{
    if (LIKELY(!w->stuck))
        return false;
    window_close(jit, w);
    return true;
}

/* It is not worth it here, or cannot be had. */
static void discourage(struct windows *ws, unsigned space)
{
    struct window_candidate *k = &ws->candidates[space];
    k->samples = 0;
    k->needed = k->needed < SAMPLES_NEEDED ? SAMPLES_NEEDED : k->needed;
    k->needed = k->needed * 4 > NEEDED_MAX ? NEEDED_MAX : k->needed * 4;
}

static uint64_t cr3_of(const struct vcpu *c)
{
    return c->cr3 & ~0xfffull;
}

static struct window *slot_for_new(struct jit *jit)
{
    struct windows *ws = jit->windows;
    struct window *oldest = NULL;
    for (unsigned k = 0; k < WINDOWS_MAX; k++) {
        struct window *w = &ws->list[k];
        if (!w->open)
            return w;
        if (!oldest || w->used_at < oldest->used_at)
            oldest = w;
    }
    window_close(jit, oldest);
    return oldest;
}

static bool window_open(struct jit *jit)
{
    struct windows *ws = jit->windows;
    struct vcpu *c = jit->c;
    struct window *w = slot_for_new(jit);
    *w = (struct window){.wide = cpu_is_64bit(c),
                         .space = jit->space,
                         .cr3 = cr3_of(c),
                         .balance_ns = BALANCE_NS};
    w->hash = malloc(WINDOW_HASH * sizeof(*w->hash));
    w->pages = mmap(NULL, WINDOW_PAGES * sizeof(*w->pages), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!w->hash || w->pages == MAP_FAILED || (!w->wide && !take_4g(w))) {
        free(w->hash);
        if (w->pages != MAP_FAILED)
            munmap(w->pages, WINDOW_PAGES * sizeof(*w->pages));
        return false;
    }
    memset(w->hash, 0xff, WINDOW_HASH * sizeof(*w->hash));
    for (unsigned k = 0; k < PIECES && w->wide; k++)
        w->distance[k] = hole_distance(ws, k);
    w->open = true;
    faults_install();
    jit->stats.windows_opened++;
    ws->low_count += w->low;
    tell_code(jit, w->space);
    return true;
}

/* ---- which one is in use ---- */

static void select_current(struct jit *jit)
{
    struct windows *ws = jit->windows;
    const struct vcpu *c = jit->c;
    struct window *found = NULL;
    for (unsigned k = 0; k < WINDOWS_MAX && !found; k++) {
        struct window *w = &ws->list[k];
        if (w->open && w->space == jit->space && w->cr3 == cr3_of(c))
            found = w;
    }
    if (found)
        found->used_at = ++ws->uses;
    ws->current = found;
}

/* Code for this window, or for none, is what runs in the current address space from now on. */
static void use(struct jit *jit, struct window *w)
{
    struct windows *ws = jit->windows;
    if (ws->used[jit->space] != w) {
        ws->used[jit->space] = w;
        tell_code(jit, jit->space);
    }
    if (ws->in_use != w)
        put_in_use(jit, w);
}

/* Where the page is in RAM, with what rights: as the TLB would have it. */
static bool look(const struct windows *ws, struct vcpu *c, uint64_t linear,
                 struct window_page *page)
{
    struct tlb_peek p;
    if (!tlb_peek(c, linear, &p))
        return false;
    uint64_t offset = (uint64_t)(p.host - ws->ram->base);
    if (!p.host || p.host < ws->ram->base || offset >= ws->ram->bytes)
        return false;
    *page = (struct window_page){.linear = linear & ~(PAGE_BYTES - 1),
                                 .offset = offset,
                                 .log2 = p.page_log2,
                                 .of_log2 = p.page_log2,
                                 .writable = p.access & ACCESS_WRITE};
    return true;
}

/* Whether all of it is RAM: nothing lies over it, and no part of it is hidden. */
static bool all_ram(const struct windows *ws, struct vcpu *c, uint64_t offset, uint64_t bytes)
{
    bool high = offset >= ws->ram->below_4g;
    uint64_t gpa = high ? offset - ws->ram->below_4g + (1ull << 32) : offset;
    pthread_mutex_lock(c->device_lock);
    struct bus_span span = bus_lookup(c->mem, gpa);
    pthread_mutex_unlock(c->device_lock);
    const struct weir_region *r = span.region;
    return r && r->host && !r->read_only && span.last - gpa >= bytes - 1 &&
           r->host + (gpa - r->start) == ws->ram->base + offset;
}

static bool still_true(const struct windows *ws, struct vcpu *c, const struct window_page *p)
{
    struct window_page now;
    return look(ws, c, p->linear, &now) && now.offset == p->offset &&
           now.of_log2 == p->of_log2 && (now.writable || !p->writable) &&
           (p->log2 == 12 || all_ram(ws, c, p->offset, 1ull << p->log2));
}

/* False: it was closed. */
static bool synchronize(struct jit *jit, struct window *w)
{
    struct windows *ws = jit->windows;
    uint64_t lost[WINDOW_PAGES / 64] = {0};
    unsigned count = 0;
    w->stale = false;
    w->balance_ns -= (int64_t)w->page_count * LOOK_NS;
    for (uint32_t n = 0; n < w->page_count; n++)
        if (!still_true(ws, jit->c, &w->pages[n])) {
            lost[n / 64] |= BIT64(n % 64);
            count++;
        }
    if (count == w->page_count || (count > LOST_MIN && count * 2 > w->page_count)) {
        ws->candidates[w->space].samples = 0;
        window_close(jit, w);
        return false;
    }
    for (uint32_t n = w->page_count; n-- > 0 && count;)
        if (lost[n / 64] >> (n % 64) & 1) /* who takes its place stays */
            unmap_page(jit, w, &w->pages[n]);
    return !close_if_stuck(jit, w);
}

/* A program, with segments that say nothing and a stack as wide as its code. */
static bool can_use(const struct vcpu *c)
{
    uint32_t stack = cpu_is_64bit(c) ? MODE_STACK64 : MODE_STACK32;
    return c->cpl == 3 && !mode_pinned(c->mode) && (c->mode & MODE_STACK_MASK) == stack;
}

bool windows_wanted(struct jit *jit)
{
    struct windows *ws = jit->windows;
    const struct vcpu *c = jit->c;
    if (!ws || !can_use(c))
        return false;
    if (UNLIKELY(c->ev.watching)) {
        close_all(jit);
        return false;
    }
    struct window *w = ws->current;
    if (!w || w->stale || w->cr3 != cr3_of(c)) {
        select_current(jit);
        w = ws->current;
        if (!w && ws->always && window_open(jit)) {
            select_current(jit);
            w = ws->current;
        }
        if (w && w->stale && !synchronize(jit, w))
            w = NULL;
    }
    bool fits = w && w->wide == cpu_is_64bit(c);
    use(jit, fits ? w : NULL);
    return fits;
}

void windows_sample(struct jit *jit)
{
    struct windows *ws = jit->windows;
    const struct vcpu *c = jit->c;
    if (!ws || !can_use(c) || c->ev.watching)
        return;
    if (windows_wanted(jit)) {
        struct window *w = ws->current;
        w->balance_ns += GAIN_NS;
        if (w->balance_ns > BALANCE_MAX_NS)
            w->balance_ns = BALANCE_MAX_NS;
        return;
    }
    struct window_candidate *k = &ws->candidates[jit->space];
    if (k->cr3 != cr3_of(c))
        *k = (struct window_candidate){.cr3 = cr3_of(c), .needed = SAMPLES_NEEDED};
    if (++k->samples < k->needed)
        return;
    if (ws->current) /* code of the other kind runs here now */
        window_close(jit, ws->current);
    if (!window_open(jit))
        discourage(ws, jit->space);
    select_current(jit);
}

/* ---- filling ---- */

/* The host has no room for more mappings. */
static bool give_up(struct jit *jit, struct window *w)
{
    discourage(jit->windows, w->space);
    window_close(jit, w);
    return false;
}

static bool take_written(struct windows *ws, uint64_t offset, unsigned log2)
{
    uint64_t first = offset >> 12, count = 1ull << (log2 - 12);
    for (uint64_t n = first; n < first + count; n++) {
        ws->written[n] = 1;
        if (__atomic_fetch_or(&ws->ram->tags[n], RAM_WRITTEN, __ATOMIC_SEQ_CST) & RAM_CODE)
            return false;
    }
    return true;
}

/* All of a large page that is writable and has no code. */
static bool fill_large(struct jit *jit, struct window *w, const struct window_page *one)
{
    struct windows *ws = jit->windows;
    uint64_t inside = (1ull << LARGE_LOG2) - 1, skew = one->linear & inside;
    struct window_page all = *one;
    all.linear -= skew;
    all.offset -= skew;
    all.log2 = LARGE_LOG2;
    if (one->log2 < LARGE_LOG2 || one->offset < skew || all.offset < LARGE_START ||
        all.offset + inside >= ws->ram->bytes || !one->writable)
        return false;
    if (!has_place(w, all.linear) || !all_ram(ws, jit->c, all.offset, inside + 1))
        return false;
    if (!take_written(ws, all.offset, LARGE_LOG2))
        return false;
    for (uint64_t k = 0; k <= inside; k += PAGE_BYTES) {
        struct window_page *p = w->page_count ? find(w, all.linear + k, 12) : NULL;
        if (p)
            remove_page(ws, w, p);
    }
    if (!map_pages(jit, w, &all, 1))
        return give_up(jit, w);
    add_page(ws, w, all);
    return true;
}

static bool continues(const struct windows *ws, struct vcpu *c, const struct window *w,
                      const struct window_page *of, int64_t by, struct window_page *next)
{
    uint64_t linear = of->linear + (uint64_t)by;
    return !find_any(w, linear) && look(ws, c, linear, next) &&
           next->offset == of->offset + (uint64_t)by && next->writable == of->writable;
}

/* One page, and those around it that lie in RAM as they do here. */
static bool fill_small(struct jit *jit, struct window *w, struct window_page one)
{
    struct windows *ws = jit->windows;
    struct window_page run[2 * AROUND_PAGES], next;
    unsigned first = AROUND_PAGES, behind = AROUND_PAGES + 1;
    uint64_t block = AROUND_PAGES * PAGE_BYTES - 1;
    one.log2 = 12;
    run[first] = one;
    while ((run[first].linear & block) && first > 0 &&
           continues(ws, jit->c, w, &run[first], -(int64_t)PAGE_BYTES, &next)) {
        next.log2 = 12;
        run[--first] = next;
    }
    while (((run[behind - 1].linear + PAGE_BYTES) & block) && behind < 2 * AROUND_PAGES &&
           continues(ws, jit->c, w, &run[behind - 1], (int64_t)PAGE_BYTES, &next)) {
        next.log2 = 12;
        run[behind++] = next;
    }
    for (unsigned n = first; n < behind; n++)
        if (one.writable && !take_written(ws, run[n].offset, 12))
            return false; /* it has become code just now */
    if (!map_pages(jit, w, &run[first], behind - first))
        return give_up(jit, w);
    for (unsigned n = first; n < behind; n++)
        add_page(ws, w, run[n]);
    return true;
}

/* True: the page is mapped, and was not so before. */
static bool fill_page(struct jit *jit, struct window *w, uint64_t linear, enum access access)
{
    struct windows *ws = jit->windows;
    struct window_page one;
    struct window_page *known = find_any(w, linear);
    if (!has_place(w, linear))
        return false;
    if (!look(ws, jit->c, linear, &one) || (access == ACCESS_WRITE && !one.writable))
        return false;
    if (known && known->writable >= one.writable && still_true(ws, jit->c, known))
        return false;
    if (known)
        unmap_page(jit, w, known);
    if (close_if_stuck(jit, w))
        return false;
    if (w->page_count + 2 * AROUND_PAGES > WINDOW_PAGES ||
        ws->page_count + 2 * AROUND_PAGES > WINDOW_PAGES) {
        close_all(jit);
        return false;
    }
    return fill_large(jit, w, &one) || (w->open && fill_small(jit, w, one));
}

uint64_t window_linear(const struct jit *jit, const struct jit_site *s)
{
    const struct vcpu *c = jit->c;
    uint64_t a = (uint64_t)(int64_t)s->operand.disp;
    if (s->operand.base < 16)
        a += c->gpr[s->operand.base];
    else if (s->operand.base == REG_RIP)
        a += jit->code_base + s->next;
    if (s->operand.index < 16)
        a += c->gpr[s->operand.index] << s->operand.scale;
    if (s->operand.addrsize < 8)
        a &= s->operand.addrsize == 4 ? 0xffffffff : 0xffff;
    if (s->operand.seg == SEG_FS || s->operand.seg == SEG_GS)
        a += c->segc[s->operand.seg].base;
    return a & c->linear_mask;
}

bool window_fill(struct jit *jit, struct jit_site *site, uint64_t linear, bool *faults)
{
    struct windows *ws = jit->windows;
    struct vcpu *c = jit->c;
    struct window *w = ws->in_use;
    uint64_t last = linear + site->last_byte, gpa;
    enum access access = site->write ? ACCESS_WRITE : ACCESS_READ;
    bool crosses = (linear ^ last) >> 12, filled = false;
    jit->stats.window_faults++;
    if (!w || (w->wide ? last >> 47 || linear >> 47 : last >> 32))
        return false;
    for (unsigned k = 0; k <= crosses; k++) {
        uint64_t at = k ? last & ~(PAGE_BYTES - 1) : linear;
        if (!paging_translate(c, at, access, c->cpl, &gpa)) {
            *faults = !crosses;
            return false;
        }
        if (w->open)
            filled |= fill_page(jit, w, at, access);
    }
    jit->stats.window_fills += filled;
    w->balance_ns -= FILL_NS;
    if (w->open && w->balance_ns < 0 && !ws->always)
        give_up(jit, w);
    return filled && w->open;
}

/* ---- the TLB's news ---- */

void windows_space_flushed(struct jit *jit, unsigned space)
{
    struct windows *ws = jit->windows;
    for (unsigned k = 0; ws && k < WINDOWS_MAX; k++)
        if (ws->list[k].space == space || space == ALL_SPACES)
            ws->list[k].stale = true;
}

void windows_space_selected(struct jit *jit)
{
    struct windows *ws = jit->windows;
    if (!ws)
        return;
    select_current(jit);
    if (ws->in_use != ws->used[jit->space])
        put_in_use(jit, ws->used[jit->space]);
}

static void drop_range(struct jit *jit, struct window *w, uint64_t linear, unsigned log2)
{
    struct windows *ws = jit->windows;
    struct window_page *p;
    unsigned slices = log2_of_slices(w, linear);
    log2 = log2 < slices ? slices : log2;
    if (log2 == 12) {
        p = find_any(w, linear);
        if (p && !(w == ws->current && still_true(ws, jit->c, p)))
            unmap_page(jit, w, p);
    }
    for (uint32_t n = log2 == 12 ? 0 : w->page_count; n-- > 0;)
        if ((w->pages[n].linear ^ linear) >> log2 == 0)
            unmap_page(jit, w, &w->pages[n]);
    close_if_stuck(jit, w);
}

void windows_page_dropped(struct jit *jit, uint64_t linear, unsigned log2)
{
    struct windows *ws = jit->windows;
    for (unsigned k = 0; ws && k < WINDOWS_MAX; k++)
        if (ws->list[k].open && !ws->list[k].stale && ws->list[k].page_count)
            drop_range(jit, &ws->list[k], linear, log2);
}

void windows_page_protected(struct jit *jit, const uint8_t *host)
{
    struct windows *ws = jit->windows;
    if (!ws || host < ws->ram->base || (uint64_t)(host - ws->ram->base) >= ws->ram->bytes)
        return;
    uint64_t offset = (uint64_t)(host - ws->ram->base);
    if (!ws->written[offset >> 12])
        return;
    ws->written[offset >> 12] = 0;
    for (unsigned k = 0; k < WINDOWS_MAX; k++) {
        struct window *w = &ws->list[k];
        for (uint32_t n = w->open ? w->page_count : 0; n-- > 0;)
            if (w->pages[n].writable && (w->pages[n].offset ^ offset) >> w->pages[n].log2 == 0)
                unmap_page(jit, w, &w->pages[n]);
        if (w->open)
            close_if_stuck(jit, w);
    }
}

void windows_code_flushed(struct jit *jit)
{
    if (jit->windows)
        madvise(jit->windows->faults.newest, newest_bytes(jit->code_bytes), MADV_DONTNEED);
}

/* ---- life ---- */

/* jit.windows stays NULL where the host cannot, or guest RAM is not to be had twice. */
int jit_windows_init(struct vcpu *c, struct err *err)
{
    struct jit *jit = c->jit;
    if (!jit->has_bmi2 || !faults_have_gs() || !c->ram || !c->ram->base)
        return 0;
    struct windows *ws = calloc(1, sizeof(*ws));
    if (!ws)
        return err_set(err, WEIR_ENOMEM, "translator: out of memory");
    jit->windows = ws;
    ws->ram = c->ram;
    ws->hole = region_reserve(1ull << PIECE_LOG2);
    ws->written = calloc(c->ram->bytes / PAGE_BYTES, 1);
    ws->faults = (struct fault_map){.code = (uint64_t)(uintptr_t)jit->code_rx,
                                    .code_bytes = jit->code_bytes,
                                    .arena = jit->arena};
    ws->faults.newest = mmap(NULL, newest_bytes(jit->code_bytes), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ws->faults.newest == MAP_FAILED)
        ws->faults.newest = NULL;
    if (!ws->hole || !ws->written || !ws->faults.newest) {
        windows_fini(jit); /* address space is scarce: it goes without */
        return 0;
    }
    put_in_use(jit, NULL);
    return 0;
}

void windows_fini(struct jit *jit)
{
    struct windows *ws = jit->windows;
    if (!ws)
        return;
    close_all(jit);
    region_release(ws->hole, 1ull << PIECE_LOG2);
    if (ws->faults.newest)
        munmap(ws->faults.newest, newest_bytes(jit->code_bytes));
    free(ws->written);
    free(ws);
    jit->windows = NULL;
}

void windows_enter(struct jit *jit, struct faults_scope *scope)
{
    if (!jit->windows)
        return;
    jit->windows->running = true;
    faults_enter(&jit->windows->faults, jit->window_base, scope);
}

void windows_leave(struct jit *jit, const struct faults_scope *scope)
{
    if (!jit->windows)
        return;
    jit->windows->running = false;
    faults_leave(scope);
}

bool jit_windows_always(struct vcpu *c)
{
    struct windows *ws = c->jit ? c->jit->windows : NULL;
    if (ws)
        ws->always = true;
    return ws;
}

unsigned jit_windows_low(const struct vcpu *c)
{
    return c->jit && c->jit->windows ? c->jit->windows->low_count : 0;
}
