/* SPDX-License-Identifier: MIT */
/*
 * rom.h - the ROM as data: the rows of calls.def, what the assembly hands over, and images made of
 * it. Knows no machine.
 */
#ifndef VMI_ROM_H
#define VMI_ROM_H

#include <weir/vmi.h>
#include "vmi/layout.h"

enum vmi_row {
#define CALL(name, n3, n13, kind3, kind13, ...) ROW_##name##_##kind3##_##kind13,
#include "vmi/calls.def"
#undef CALL
    ROW_COUNT
};
_Static_assert(ROW_COUNT == VMI_ROWS, "layout.h counts the rows of calls.def");

struct vmi_call {
    const char *name;
    int number[2]; /* 3.0, 13.0; -1 = not there */
    const char *kind[2];
    const char *relocation;
    const char *host; /* "none": no exit */
    const char *in, *out, *clobbers, *what;
};
extern const struct vmi_call vmi_calls[VMI_ROWS];

/* What rom_image.inc gives. */
struct vmi_source {
    const uint8_t *rom; /* VMI_ROM_BYTES */
    struct {
        uint32_t first, end; /* of the entry; 0 where the API has none */
    } const *rows;
    struct vmi_exit {
        uint32_t offset, row;
    } const *exits;             /* offset 0 ends them */
    const uint32_t *operations; /* the same: instructions that may fault for the caller */
    const uint16_t *patchups;   /* the same: instructions that Init adapts */
    uint32_t frequency;         /* a word to be filled in */
    uint32_t resident;          /* end of what a guest may move */
    uint32_t patch_table;       /* room for the patch-ups */
    uint32_t query;             /* 3.0: GetRelocationInfo */
};
const struct vmi_source *vmi_source(unsigned api, bool counters);
/* Index of an API in struct vmi_call. */
static inline unsigned vmi_which(unsigned api)
{
    return api == 13;
}

/* Makes the ROM for `base`; VMI_ROM_BYTES. */
void vmi_image_make(const struct vmi_source *s, unsigned api, uint32_t base,
                    uint32_t cycles_per_second, uint8_t *image);
void vmi_image_sum(uint8_t *image); /* makes its checksum right */
/* Where in an instruction at a patch-up its word is; 0: none such. `room` bytes are there. */
unsigned vmi_patch_field(const uint8_t *insn, size_t room, bool *is_relative);
/* Row of the entry with this offset in it, -1 if none. */
int vmi_row_at(const struct vmi_source *s, uint32_t offset);
int vmi_row_find(unsigned api, const char *name);

#endif
