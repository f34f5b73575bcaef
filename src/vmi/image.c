/* SPDX-License-Identifier: MIT */
/*
 * image.c - the table of calls, and images of the ROM from what the assembly left: addresses of
 * counters, patch-up table, frequency, checksums.
 */
#include "vmi/rom.h"
#include "base/bits.h"

#include <stdlib.h>
#include <string.h>

// clang-format off
const struct vmi_call vmi_calls[VMI_ROWS] = {
#define CALL(name, n3, n13, kind3, kind13, count, reloc, host, in, out, clobbers, what)        \
    {#name, {n3, n13}, {#kind3, #kind13}, #reloc, #host, in, out, clobbers, what},
#include "vmi/calls.def"
#undef CALL
};
// clang-format on

extern const struct vmi_source vmi_rom3, vmi_rom3_counted, vmi_rom13, vmi_rom13_counted;

const struct vmi_source *vmi_source(unsigned api, bool counters)
{
    if (api == 13)
        return counters ? &vmi_rom13_counted : &vmi_rom13;
    return counters ? &vmi_rom3_counted : &vmi_rom3;
}

unsigned vmi_patch_field(const uint8_t *insn, size_t room, bool *is_relative)
{
    unsigned at = room > 0 && insn[0] == 0x36 ? 1 : 0; /* SS: */
    *is_relative = false;
    if (room < at + 5u)
        return 0;
    switch (insn[at]) {
    case 0xe8: /* CALL, JMP rel32 */
    case 0xe9:
        *is_relative = true;
        return at ? 0 : 1;
    case 0xa1: /* MOV between EAX and memory */
    case 0xa3:
        return at + 1;
    case 0xff: /* INC of memory */
        return room >= at + 6u && insn[at + 1] == 0x05 ? at + 2 : 0;
    default:
        return 0;
    }
}

void vmi_image_sum(uint8_t *image)
{
    uint8_t sum = 0;
    image[VMI_AT_SUM] = 0;
    for (unsigned i = 0; i < VMI_ROM_BYTES; i++)
        sum = (uint8_t)(sum + image[i]);
    image[VMI_AT_SUM] = (uint8_t)-sum;
}

static void sum_pnp(uint8_t *pnp)
{
    uint8_t sum = 0;
    for (unsigned i = 0; i < pnp[5] * 16u; i++)
        sum = (uint8_t)(sum + pnp[i]);
    pnp[9] = (uint8_t)-sum;
}

void vmi_image_make(const struct vmi_source *s, unsigned api, uint32_t base,
                    uint32_t cycles_per_second, uint8_t *image)
{
    unsigned count = 0;
    bool relative;
    memcpy(image, s->rom, VMI_ROM_BYTES);
    store_le(image + s->frequency, cycles_per_second, 4);
    for (; s->patchups[count]; count++) {
        uint32_t at = s->patchups[count];
        unsigned field = vmi_patch_field(image + at, VMI_CODE_BYTES - at, &relative);
        store_le(image + s->patch_table + 2 * count, at, 2);
        if (!relative)
            store_le(image + at + field, load_le(image + at + field, 4) + base, 4);
    }
    store_le(image + VMI_AT_OWN + 6, count, 2);
    sum_pnp(image + load_le(image + VMI_AT_PNP, 2));
    vmi_image_sum(image);
}

int vmi_row_at(const struct vmi_source *s, uint32_t offset)
{
    for (int row = 0; row < VMI_ROWS; row++)
        if (offset >= s->rows[row].first && offset < s->rows[row].end)
            return row;
    return -1;
}

int vmi_row_find(unsigned api, const char *name)
{
    char *end;
    long number = strtol(name, &end, 0);
    bool is_number = *name && !*end;
    if (!strncmp(name, "VMI_", 4))
        name += 4;
    for (int row = 0; row < VMI_ROWS; row++) {
        const struct vmi_call *c = &vmi_calls[row];
        int n = c->number[vmi_which(api)];
        if (n >= 0 && (is_number ? n == number : !strcmp(c->name, name)))
            return row;
    }
    return -1;
}
