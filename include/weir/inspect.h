/* SPDX-License-Identifier: MIT */
/*
 * inspect.h - looking at a guest: other address spaces, page walks level by level, search, views of
 * physical memory, names of addresses.
 *
 * Calls that take a vCPU need it stopped, or are made inside a handler (introspect.h).
 */
#ifndef WEIR_INSPECT_H
#define WEIR_INSPECT_H

#include "introspect.h"
#include "memory.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- address spaces ---------------------------------------------------------------------- */

/* CR3 of the vCPU itself. */
#define WEIR_THIS_SPACE (~0ull)

struct weir_walk_level {
    const char *name; /* "PML4E", "PDPTE", "PDE", "PTE" */
    weir_gpa gpa;     /* of the entry */
    uint64_t entry;   /* as read */
    bool present, writable, user, no_execute, accessed, dirty, global, large;
};
struct weir_walk {
    unsigned levels; /* that were read */
    struct weir_walk_level level[4];
    /* How it ended. */
    enum {
        WEIR_WALK_OK,
        WEIR_WALK_NOT_PRESENT,
        WEIR_WALK_RESERVED,
        WEIR_WALK_NOT_CANONICAL
    } end;
    weir_gpa gpa;        /* all below: if OK */
    uint64_t page_bytes; /* 4096 for unpaged addresses too, with no levels */
    bool writable, user, no_execute, global, dirty; /* of all levels together */
};
/* How the vCPU translates a linear address in the address space of `cr3`. Permissions of its
 * CPL are not applied, nothing is changed. 0 also if it is not mapped: see `end`. */
WEIR_API int weir_walk(weir_vcpu *cpu, uint64_t cr3, weir_gva gva, struct weir_walk *walk);
/* One line of text per level and one for the result, as the monitor's `info walk`. */
WEIR_API int weir_walk_text(const struct weir_walk *walk, char *text, size_t text_bytes);

/* As weir_virt_read and weir_virt_write, in the address space of `cr3`. */
WEIR_API int weir_space_read(weir_vcpu *cpu, uint64_t cr3, weir_gva gva, void *buffer,
                             size_t length_bytes);
WEIR_API int weir_space_write(weir_vcpu *cpu, uint64_t cr3, weir_gva gva, const void *buffer,
                              size_t length_bytes);
/* First place of `what` at or behind *at and before `end`, or -WEIR_ENOENT. Pages that
 * are not there are passed over. Physical: RAM only. */
WEIR_API int weir_search(weir *vm, weir_gpa *at, weir_gpa end, const void *what,
                         size_t length_bytes);
WEIR_API int weir_space_search(weir_vcpu *cpu, uint64_t cr3, weir_gva *at, weir_gva end,
                               const void *what, size_t length_bytes);

/* ---- views of physical memory ------------------------------------------------------------ */

/* View 0 is memory as it is. Another one differs from it in some pages: with other permissions, and
 * perhaps a copy of its own. The vCPU sees one view at a time, page walks included; devices and
 * weir_mem_* see view 0. */
#define WEIR_VIEWS_MAX 64
WEIR_API int weir_view_create(weir *vm, unsigned *view);
WEIR_API int weir_view_destroy(weir *vm, unsigned view); /* not the current one: -WEIR_EBUSY */
enum weir_view_page_kind {
    WEIR_VIEW_SAME,     /* the page of view 0 */
    WEIR_VIEW_ON_WRITE, /* the same, but the guest's first write in this view makes it a copy */
    WEIR_VIEW_COPY,     /* a copy, made now; a second call makes it anew */
};
/* access: WEIR_READ | WEIR_WRITE | WEIR_EXECUTE that need no event; what is not permitted raises
 * memory or execute events with `denied` for all handlers whose range it is in, and if none answers
 * EMULATE (or SUPPLY, SKIP...) is refused with #PF. */
WEIR_API int weir_view_page(weir *vm, unsigned view, weir_gpa gpa,
                            enum weir_view_page_kind kind, unsigned access);
/* A page's bytes in this view; within one page. A write needs a page with a copy. */
WEIR_API int weir_view_read(weir *vm, unsigned view, weir_gpa gpa, void *buffer, size_t length);
WEIR_API int weir_view_write(weir *vm, unsigned view, weir_gpa gpa, const void *buffer,
                             size_t length);
/* From the next instruction on. */
WEIR_API int weir_view_switch(weir_vcpu *cpu, unsigned view);
WEIR_API unsigned weir_view_current(weir_vcpu *cpu);

/* ---- names ------------------------------------------------------------------------------- */

/* Symbols of an ELF file, or of a System.map or /proc/kallsyms listing (by its contents); every
 * address is moved by `offset`. Several files may be loaded. */
WEIR_API int weir_symbols_load(weir *vm, const char *path, int64_t offset);
WEIR_API void weir_symbols_clear(weir *vm);
WEIR_API int weir_symbol_find(weir *vm, const char *name, weir_gva *gva, uint64_t *size_bytes);
/* Name of the symbol around an address and the distance from it; NULL if there is none near. Valid
 * until symbols are loaded or cleared. */
WEIR_API const char *weir_symbol_at(weir *vm, weir_gva gva, uint64_t *offset);

#ifdef __cplusplus
}
#endif
#endif
