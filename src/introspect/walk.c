/* SPDX-License-Identifier: MIT */
/*
 * walk.c - weir/inspect.h: page walks explained, memory of other address spaces, search. The walker
 * is the CPU's own (cpu/paging.c), with another CR3 for the time of a call.
 */
#include "introspect/introspect.h"
#include "cpu/tlb.h"

#include <stdio.h>
#include <stdlib.h>

#define PTE_P       BIT64(0)
#define PTE_RW      BIT64(1)
#define PTE_US      BIT64(2)
#define PTE_A       BIT64(5)
#define PTE_D       BIT64(6)
#define PTE_PS      BIT64(7)
#define PTE_G       BIT64(8)
#define PTE_NX      BIT64(63)
#define CHUNK_BYTES 4096u

static bool is_pae(const struct vcpu *c)
{
    return c->cr0 & CR0_PG && c->cr4 & CR4_PAE && !(c->efer & EFER_LMA);
}

/* What a walk depends on. */
struct space {
    uint64_t cr3, pdpte[4];
    bool quiet;
};

static void enter(struct vcpu *c, uint64_t cr3, struct space *saved)
{
    saved->cr3 = c->cr3;
    memcpy(saved->pdpte, c->pdpte, sizeof(saved->pdpte));
    saved->quiet = c->ev.quiet;
    c->ev.quiet = true;
    if (cr3 == WEIR_THIS_SPACE || cr3 == c->cr3)
        return;
    c->cr3 = cr3;
    for (unsigned k = 0; is_pae(c) && k < 4; k++)
        c->pdpte[k] = phys_read(c, (cr3 & 0xffffffe0u) + 8 * k, 8);
}

static void leave(struct vcpu *c, const struct space *saved)
{
    c->cr3 = saved->cr3;
    memcpy(c->pdpte, saved->pdpte, sizeof(saved->pdpte));
    c->ev.quiet = saved->quiet;
}

static void add_level(struct weir_walk *w, const char *name, uint64_t gpa, uint64_t entry,
                      bool last)
{
    bool can_be_large = name[2] == 'P' || name[1] == 'D'; /* PDPTE, PDE */
    w->level[w->levels++] =
        (struct weir_walk_level){.name = name,
                                 .gpa = gpa,
                                 .entry = entry,
                                 .present = entry & PTE_P,
                                 .writable = entry & PTE_RW,
                                 .user = entry & PTE_US,
                                 .no_execute = entry & PTE_NX,
                                 .accessed = entry & PTE_A,
                                 .dirty = last && entry & PTE_D,
                                 .global = last && entry & PTE_G,
                                 .large = last && can_be_large && entry & PTE_PS};
}

static void explain(struct vcpu *c, const struct walk *found, uint64_t gva, struct weir_walk *w)
{
    static const char *const names[] = {"PML4E", "PDPTE", "PDE", "PTE"};
    unsigned first = c->efer & EFER_LMA ? 0 : 2;
    if (is_pae(c)) {
        unsigned k = (gva >> 30) & 3;
        add_level(w, "PDPTE", (c->cr3 & 0xffffffe0u) + 8 * k, c->pdpte[k], false);
        w->level[0].writable = w->level[0].user = true;
    }
    for (unsigned k = 0; k < found->levels; k++)
        add_level(w, names[first + k], found->entry_gpa[k], found->entry[k],
                  k + 1u == found->levels);
}

int weir_walk(weir_vcpu *cpu, uint64_t cr3, weir_gva gva, struct weir_walk *walk)
{
    struct vcpu *c = (struct vcpu *)cpu;
    struct walk found = {0};
    struct space saved;
    *walk = (struct weir_walk){0};
    enter(c, cr3, &saved);
    bool ok = paging_walk(c, gva, &found);
    explain(c, &found, gva, walk);
    bool last_present = walk->levels && walk->level[walk->levels - 1].present;
    leave(c, &saved);
    if (!ok) {
        walk->end = last_present   ? WEIR_WALK_RESERVED
                    : walk->levels ? WEIR_WALK_NOT_PRESENT
                                   : WEIR_WALK_NOT_CANONICAL;
        return 0;
    }
    walk->gpa = found.gpa;
    walk->page_bytes = found.page_bytes;
    walk->writable = found.writable;
    walk->user = found.user;
    walk->no_execute = found.no_execute;
    walk->global = found.global;
    walk->dirty = found.dirty;
    return 0;
}

int weir_walk_text(const struct weir_walk *w, char *text, size_t text_bytes)
{
    static const char *const ends[] = {"mapped", "not present", "reserved bit set",
                                       "not canonical"};
    int at = 0;
    for (unsigned k = 0; k < w->levels; k++) {
        const struct weir_walk_level *l = &w->level[k];
        size_t room = (size_t)at < text_bytes ? text_bytes - (size_t)at : 0;
        at += snprintf(room ? text + at : NULL, room,
                       "%-5s %016llx at %012llx %c%c%c%c%c%c%c%c\n", l->name,
                       (unsigned long long)l->entry, (unsigned long long)l->gpa,
                       l->no_execute ? 'X' : '-', l->global ? 'G' : '-', l->large ? 'P' : '-',
                       l->dirty ? 'D' : '-', l->accessed ? 'A' : '-', l->user ? 'U' : '-',
                       l->writable ? 'W' : '-', l->present ? 'p' : '-');
    }
    size_t room = (size_t)at < text_bytes ? text_bytes - (size_t)at : 0;
    if (w->end != WEIR_WALK_OK)
        return at + snprintf(room ? text + at : NULL, room, "%s\n", ends[w->end]);
    return at + snprintf(room ? text + at : NULL, room, "%012llx, page of %llu KiB, %s %s %s\n",
                         (unsigned long long)w->gpa, (unsigned long long)w->page_bytes / 1024,
                         w->user ? "user" : "supervisor",
                         w->writable ? "read/write" : "read-only",
                         w->no_execute ? "no execute" : "executable");
}

/* ---- memory ---- */

static bool translate(struct vcpu *c, uint64_t cr3, uint64_t gva, uint64_t *gpa)
{
    struct walk found = {0};
    struct space saved;
    enter(c, cr3, &saved);
    bool ok = paging_walk(c, gva, &found);
    leave(c, &saved);
    *gpa = found.gpa;
    return ok;
}

static uint64_t gva_mask(const struct vcpu *c)
{
    return c->efer & EFER_LMA ? ~0ull : 0xffffffffull;
}

/* All pages are looked up before the first byte is copied. */
static int copy(weir_vcpu *cpu, uint64_t cr3, weir_gva gva, uint8_t *buffer, size_t length,
                bool write)
{
    struct vcpu *c = (struct vcpu *)cpu;
    for (int pass = 0; pass < 2; pass++)
        for (size_t done = 0; done < length;) {
            uint64_t at = (gva + done) & gva_mask(c), gpa;
            size_t run = 4096 - at % 4096;
            if (run > length - done)
                run = length - done;
            if (!translate(c, cr3, at, &gpa))
                return err_set(&c->vm->err, WEIR_EFAULT, "linear address %#llx is not mapped",
                               (unsigned long long)at);
            int rc = pass == 0 ? 0
                     : write   ? weir_mem_write(c->vm, gpa, buffer + done, run)
                               : weir_mem_read(c->vm, gpa, buffer + done, run);
            if (rc < 0)
                return rc;
            done += run;
        }
    return 0;
}

int weir_space_read(weir_vcpu *cpu, uint64_t cr3, weir_gva gva, void *buffer,
                    size_t length_bytes)
{
    return copy(cpu, cr3, gva, buffer, length_bytes, false);
}

int weir_space_write(weir_vcpu *cpu, uint64_t cr3, weir_gva gva, const void *buffer,
                     size_t length_bytes)
{
    return copy(cpu, cr3, gva, (uint8_t *)buffer, length_bytes, true);
}

/* ---- search ---- */

/* Where bytes come from: false: the page at `at` is not there. */
typedef bool source_fn(void *ctx, uint64_t at, uint8_t *buffer, size_t length);

static int search(source_fn *source, void *ctx, uint64_t *at, uint64_t end, const uint8_t *what,
                  size_t length)
{
    size_t size = CHUNK_BYTES + length, have = 0;
    uint8_t *buffer = length && length < 1u << 20 ? malloc(size) : NULL;
    if (!buffer)
        return length ? -WEIR_ENOMEM : -WEIR_EINVAL;
    uint64_t base = *at, next = *at; /* buffer holds [base, base + have), next = base + have */
    int rc = -WEIR_ENOENT;
    while (rc == -WEIR_ENOENT && next < end) {
        size_t run = CHUNK_BYTES - next % CHUNK_BYTES;
        if (run > end - next)
            run = end - next;
        if (!source(ctx, next, buffer + have, run)) {
            have = 0;
            next += run;
            base = next;
            if (!next)
                break;
            continue;
        }
        have += run;
        next += run;
        const uint8_t *hit = memmem(buffer, have, what, length);
        if (hit) {
            *at = base + (uint64_t)(hit - buffer);
            rc = 0;
        }
        size_t keep = have < length - 1 ? have : length - 1;
        memmove(buffer, buffer + have - keep, keep);
        base += have - keep;
        have = keep;
        if (!next)
            break;
    }
    free(buffer);
    return rc;
}

static bool from_ram(void *ctx, uint64_t at, uint8_t *buffer, size_t length)
{
    const void *p = weir_ram_pointer(ctx, at, length);
    if (p)
        memcpy(buffer, p, length);
    return p;
}

int weir_search(weir *vm, weir_gpa *at, weir_gpa end, const void *what, size_t length_bytes)
{
    uint64_t last = 0x100000000ull + weir_ram_bytes(vm);
    return search(from_ram, vm, at, end < last ? end : last, what, length_bytes);
}

struct in_space {
    struct vcpu *c;
    uint64_t cr3;
};

static bool from_space(void *ctx, uint64_t at, uint8_t *buffer, size_t length)
{
    const struct in_space *s = ctx;
    uint64_t gpa;
    return translate(s->c, s->cr3, at, &gpa) && from_ram(s->c->vm, gpa, buffer, length);
}

int weir_space_search(weir_vcpu *cpu, uint64_t cr3, weir_gva *at, weir_gva end,
                      const void *what, size_t length_bytes)
{
    struct in_space s = {(struct vcpu *)cpu, cr3};
    return search(from_space, &s, at, end, what, length_bytes);
}
