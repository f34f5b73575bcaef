/* SPDX-License-Identifier: MIT */
/*
 * view.c - views of physical memory. A page that has a copy of its own in a view is a physical
 * page of its own for the vCPU, at an address where no machine has memory (an alias): so
 * translated code, TLBs and code tracking need not know of views. Aliases have bit 20 clear, as
 * A20 demands.
 *
 * Everything here runs in the vCPU thread or while the VM is stopped.
 */
#include "introspect/introspect.h"
#include "cpu/tlb.h"

#include <stdlib.h>

#define ALIAS      BIT64(56)
#define PAGE_BYTES 4096u
#define PAGE_MASK  (~0xfffull)

struct view_page {
    uint64_t gpa, alias;
    enum weir_view_page_kind kind;
    uint8_t access; /* ACCESS_* that are permitted */
    uint8_t tag;    /* RAM_CODE */
    uint8_t *copy;  /* NULL: that of view 0 */
};

struct view {
    struct view_page **page; /* ascending by gpa */
    unsigned count, size;
};

/* ---- finding ---- */

static unsigned place(const struct view *v, uint64_t gpa)
{
    unsigned low = 0, high = v->count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (v->page[middle]->gpa < gpa)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct view_page *find(const struct view *v, uint64_t gpa)
{
    unsigned n = v ? place(v, gpa & PAGE_MASK) : 0;
    return v && n < v->count && v->page[n]->gpa == (gpa & PAGE_MASK) ? v->page[n] : NULL;
}

/* By an alias, of any view. */
static struct view_page *find_alias(const struct introspect *ix, uint64_t gpa)
{
    for (unsigned k = 1; k < WEIR_VIEWS_MAX; k++)
        for (unsigned n = 0; ix->views[k] && n < ix->views[k]->count; n++)
            if (ix->views[k]->page[n]->alias == (gpa & PAGE_MASK))
                return ix->views[k]->page[n];
    return NULL;
}

static struct view_page *current_page(const struct introspect *ix, uint64_t gpa)
{
    return gpa & ALIAS ? find_alias(ix, gpa) : find(ix->views[ix->view], gpa);
}

/* ---- for the CPU ---- */

uint64_t view_gpa(struct vcpu *c, uint64_t gpa)
{
    const struct introspect *ix = introspect_of(c);
    const struct view_page *p =
        ix->view && !(gpa & ALIAS) ? find(ix->views[ix->view], gpa) : NULL;
    return p && p->copy ? p->alias | (gpa & 0xfff) : gpa;
}

uint64_t view_real_gpa(const struct introspect *ix, uint64_t gpa)
{
    const struct view_page *p = gpa & ALIAS ? find_alias(ix, gpa) : NULL;
    return p ? p->gpa | (gpa & 0xfff) : gpa;
}

void view_page_fill(struct vcpu *c, struct phys_page *p)
{
    struct view_page *page = current_page(introspect_of(c), p->page);
    if (!page)
        return;
    if (p->page & ALIAS) {
        p->host = page->copy;
        p->tag = &page->tag;
        p->read_only = false;
    }
    p->watch |= ~page->access & (ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE);
    if (page->kind == WEIR_VIEW_ON_WRITE && !page->copy)
        p->watch |= ACCESS_WRITE;
}

unsigned view_denied(const struct introspect *ix, uint64_t gpa)
{
    const struct view_page *p = ix->view ? current_page(ix, gpa) : NULL;
    return p ? ~p->access & (ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE) : 0;
}

static int make_copy(struct weir *vm, struct view_page *p)
{
    if (!p->copy && !(p->copy = aligned_alloc(PAGE_BYTES, PAGE_BYTES)))
        return -WEIR_ENOMEM;
    return weir_mem_read(vm, p->gpa, p->copy, PAGE_BYTES);
}

uint64_t view_before_write(struct vcpu *c, uint64_t gpa)
{
    struct introspect *ix = introspect_of(c);
    struct view_page *p = ix->view ? current_page(ix, gpa) : NULL;
    if (!p || p->kind != WEIR_VIEW_ON_WRITE || p->copy || make_copy(c->vm, p) < 0)
        return gpa;
    tlb_flush_all(c);
    return p->alias | (gpa & 0xfff);
}

void view_select(struct vcpu *c, unsigned view)
{
    struct introspect *ix = introspect_of(c);
    if (view == ix->view || (view && !ix->views[view]))
        return;
    ix->view = view;
    c->ev.watching = ix->physical.count || ix->linear.count || view;
    c->ev.active = c->ev.armed || c->ev.watching || c->ev.stepping;
    tlb_flush_all(c);
}

void view_alone_ends(struct vcpu *c)
{
    struct introspect *ix = introspect_of(c);
    if (!ix->view_once)
        return;
    ix->view_once = false;
    view_select(c, ix->view_back);
}

/* ---- making them ---- */

int weir_view_create(weir *vm, unsigned *view)
{
    struct introspect *ix = vm->introspect;
    for (unsigned k = 1; k < WEIR_VIEWS_MAX; k++) {
        if (ix->views[k])
            continue;
        ix->views[k] = calloc(1, sizeof(struct view));
        *view = k;
        return ix->views[k] ? 0 : err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    }
    return err_set(&vm->err, WEIR_ERANGE, "there are %u views already", WEIR_VIEWS_MAX);
}

static void forget_code(struct weir *vm, const struct view_page *p)
{
    tlb_flush_all(&vm->cpu);
    blocks_invalidate(&vm->cpu, p->alias, PAGE_BYTES);
}

static void page_free(struct view_page *p)
{
    if (p)
        free(p->copy);
    free(p);
}

static void view_free(struct view *v)
{
    for (unsigned n = 0; v && n < v->count; n++)
        page_free(v->page[n]);
    if (v)
        free(v->page);
    free(v);
}

void views_free(struct introspect *ix)
{
    for (unsigned k = 1; k < WEIR_VIEWS_MAX; k++)
        view_free(ix->views[k]);
}

static struct view *view_of(weir *vm, unsigned view)
{
    struct view *v = view < WEIR_VIEWS_MAX ? vm->introspect->views[view] : NULL;
    if (!v)
        err_set(&vm->err, WEIR_ENOENT, "view %u: there is none", view);
    return v;
}

int weir_view_destroy(weir *vm, unsigned view)
{
    struct introspect *ix = vm->introspect;
    struct view *v = view_of(vm, view);
    if (!v)
        return -WEIR_ENOENT;
    if (ix->view == view || (ix->view_once && ix->view_back == view))
        return err_set(&vm->err, WEIR_EBUSY, "view %u is the current one", view);
    for (unsigned n = 0; n < v->count; n++)
        forget_code(vm, v->page[n]);
    ix->views[view] = NULL;
    view_free(v);
    return 0;
}

static struct view_page *page_new(struct introspect *ix, struct view *v, uint64_t gpa)
{
    if (v->count == v->size) {
        unsigned size = v->size ? v->size * 2 : 16;
        void *bigger = realloc(v->page, size * sizeof(*v->page));
        if (!bigger)
            return NULL;
        v->page = bigger;
        v->size = size;
    }
    struct view_page *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    unsigned n = ix->next_view_page++, at = place(v, gpa);
    p->gpa = gpa;
    p->alias = ALIAS | (uint64_t)(n >> 8) << 21 | (uint64_t)(n & 0xff) << 12;
    memmove(&v->page[at + 1], &v->page[at], (v->count - at) * sizeof(*v->page));
    v->page[at] = p;
    v->count++;
    return p;
}

int weir_view_page(weir *vm, unsigned view, weir_gpa gpa, enum weir_view_page_kind kind,
                   unsigned access)
{
    struct view *v = view_of(vm, view);
    if (!v)
        return -WEIR_ENOENT;
    gpa &= PAGE_MASK;
    if (gpa >> 52 || access & ~(unsigned)WEIR_RWX)
        return err_set(&vm->err, WEIR_EINVAL, "view %u: no such page or access", view);
    struct view_page *p = find(v, gpa);
    if (!p && !(p = page_new(vm->introspect, v, gpa)))
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    forget_code(vm, p);
    p->kind = kind;
    p->access = (uint8_t)access;
    if (kind == WEIR_VIEW_COPY)
        return make_copy(vm, p) < 0 ? err_set(&vm->err, WEIR_ENOMEM, "out of memory") : 0;
    free(p->copy);
    p->copy = NULL;
    return 0;
}

static uint8_t *bytes_of(weir *vm, unsigned view, uint64_t gpa, size_t length, bool own)
{
    struct view *v = view_of(vm, view);
    struct view_page *p = v ? find(v, gpa) : NULL;
    if (!v)
        return NULL;
    if (length > PAGE_BYTES - (gpa & 0xfff) || (own && (!p || !p->copy))) {
        err_set(&vm->err, WEIR_EINVAL,
                "view %u: the page at %#llx has no copy, or ends earlier", view,
                (unsigned long long)gpa);
        return NULL;
    }
    return p && p->copy ? p->copy + (gpa & 0xfff) : NULL;
}

int weir_view_read(weir *vm, unsigned view, weir_gpa gpa, void *buffer, size_t length)
{
    if (view && !view_of(vm, view))
        return -WEIR_ENOENT;
    const uint8_t *from = view ? bytes_of(vm, view, gpa, length, false) : NULL;
    if (!from)
        return weir_mem_read(vm, gpa, buffer, length);
    memcpy(buffer, from, length);
    return 0;
}

int weir_view_write(weir *vm, unsigned view, weir_gpa gpa, const void *buffer, size_t length)
{
    uint8_t *to = bytes_of(vm, view, gpa, length, true);
    if (!to)
        return -WEIR_EINVAL;
    memcpy(to, buffer, length);
    forget_code(vm, find(vm->introspect->views[view], gpa));
    return 0;
}

int weir_view_switch(weir_vcpu *cpu, unsigned view)
{
    struct vcpu *c = (struct vcpu *)cpu;
    if (view && !view_of(c->vm, view))
        return -WEIR_ENOENT;
    view_select(c, view);
    return 0;
}

unsigned weir_view_current(weir_vcpu *cpu)
{
    return introspect_of((struct vcpu *)cpu)->view;
}
