/* SPDX-License-Identifier: MIT */
/*
 * init.c - Init: from now on the ROM knows where it is. The address is that of the call itself.
 *
 * 3.0 needs it for the counters' addresses only. In 13.0 the guest may have the slots elsewhere, by
 * a second mapping or as a copy, and says where in EAX; they then call and count where the ROM is.
 * Every word is computed from the ROM's source, so a second Init is as good as the first.
 */
#include "cpu/access.h"
#include "vmi/vmi.h"

#include <string.h>

enum { LONGEST = 7 }; /* of the instructions at patch-ups */

static void patch(const struct vmi_source *s, uint32_t insn, uint32_t at, uint32_t slots,
                  uint8_t *bytes)
{
    bool relative;
    unsigned field = vmi_patch_field(bytes, LONGEST, &relative);
    uint32_t word = (uint32_t)load_le(s->rom + insn + field, 4);
    store_le(bytes + field, word + (relative ? at - slots : at), 4);
}

static void patch_rom(struct vmi *v, uint32_t at, uint32_t slots)
{
    const struct vmi_source *s = v->source;
    for (const uint16_t *insn = s->patchups; *insn; insn++)
        patch(s, *insn, at, slots, v->rom + *insn);
    vmi_image_sum(v->rom);
    blocks_invalidate(&v->vm->cpu, v->config.base, VMI_CODE_BYTES);
}

/* What is at the slots' new place: the ROM itself, other memory, nothing (-1). */
enum { ELSEWHERE, ALIAS };
static int look(struct vmi *v, struct vcpu *c, uint32_t slots)
{
    int found = ALIAS;
    uint32_t last = slots + v->source->resident - 1;
    if (last < slots)
        return -1;
    for (uint32_t page = slots & ~0xfffu;; page += 0x1000) {
        struct walk walk;
        if (!paging_walk(c, page, &walk))
            return -1;
        if (walk.gpa - v->config.base != (uint64_t)page - slots)
            found = ELSEWHERE;
        if (last - page < 0x1000)
            return found;
    }
}

/* The copy must be one: each patch-up has the instruction that belongs there. */
static bool is_copy(struct vmi *v, struct vcpu *c, uint32_t slots)
{
    const struct vmi_source *s = v->source;
    uint8_t there[LONGEST];
    bool relative;
    for (const uint16_t *insn = s->patchups; *insn && *insn < s->resident; insn++) {
        unsigned field = vmi_patch_field(s->rom + *insn, LONGEST, &relative);
        if (!lin_read(c, slots + *insn, there, sizeof(there), 0))
            return false;
        if (memcmp(there, s->rom + *insn, field)) {
            if (log_on(&v->vm->log, WEIR_LOG_GUEST_ERRORS))
                log_printf(&v->vm->log, WEIR_LOG_GUEST_ERRORS,
                           "Invalid VMI ROM instruction, %02x %02x at %08x\n", there[0],
                           there[1], slots + *insn);
            return false;
        }
    }
    return true;
}

static bool patch_copy(struct vmi *v, struct vcpu *c, uint32_t at, uint32_t slots)
{
    const struct vmi_source *s = v->source;
    uint8_t bytes[LONGEST];
    bool relative;
    if (!is_copy(v, c, slots))
        return false;
    for (const uint16_t *insn = s->patchups; *insn && *insn < s->resident; insn++) {
        unsigned field = vmi_patch_field(s->rom + *insn, LONGEST, &relative);
        memcpy(bytes, s->rom + *insn, sizeof(bytes));
        patch(s, *insn, at, slots, bytes);
        if (!lin_write(c, slots + *insn, bytes, field + 4, 0))
            return false;
    }
    return true;
}

static bool relocate(struct vmi *v, struct vcpu *c, uint32_t at)
{
    uint32_t slots = v->config.api == 13 ? (uint32_t)c->gpr[RAX] : at;
    if (c->segc[SEG_CS].base)
        return false;
    if (slots == at) {
        patch_rom(v, at, at);
    } else {
        int found = look(v, c, slots);
        if (found < 0 || (found == ELSEWHERE && !patch_copy(v, c, at, slots)))
            return false;
        patch_rom(v, at, found == ALIAS ? slots : at);
    }
    v->at = at;
    v->slots = slots == at ? 0 : slots;
    if (!v->initialised)
        vmi_time_start(v);
    return v->initialised = true;
}

enum weir_stop vmi_init_call(struct vmi *v, struct vcpu *c, uint32_t at)
{
    c->gpr[RAX] = relocate(v, c, at) ? 0 : UINT32_MAX;
    return STOP_BOUNDARY;
}
