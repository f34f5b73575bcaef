/* SPDX-License-Identifier: MIT */
/* sys_far.c - far JMP, CALL, RET, IRET and the software interrupts; the work is in far.c,
 * iret.c and deliver.c. */
#include "cpu/interp/operands.h"
#include "cpu/seg.h"

static bool load_far_pointer(struct vcpu *c, const struct insn *i, uint16_t *selector,
                             uint64_t *offset)
{
    uint8_t raw[10];
    if (!mem_read_bytes(c, i->seg, insn_offset(c, i), raw, i->opsize + 2u))
        return false;
    *offset = load_le(raw, i->opsize);
    *selector = (uint16_t)load_le(raw + i->opsize, 2);
    return true;
}

enum weir_stop op_jmpf(struct vcpu *c, const struct insn *i)
{
    return far_jump(c, i->imm2, i->imm, i->opsize);
}

enum weir_stop op_jmpf_ind(struct vcpu *c, const struct insn *i)
{
    uint16_t selector;
    uint64_t offset;
    if (!load_far_pointer(c, i, &selector, &offset))
        return STOP_FAULT;
    return far_jump(c, selector, offset, i->opsize);
}

enum weir_stop op_callf(struct vcpu *c, const struct insn *i)
{
    return far_call(c, i->imm2, i->imm, i->opsize);
}

enum weir_stop op_callf_ind(struct vcpu *c, const struct insn *i)
{
    uint16_t selector;
    uint64_t offset;
    if (!load_far_pointer(c, i, &selector, &offset))
        return STOP_FAULT;
    return far_call(c, selector, offset, i->opsize);
}

enum weir_stop op_retf(struct vcpu *c, const struct insn *i)
{
    return far_return(c, i->opsize, i->opcode == 0xca ? (uint16_t)i->imm : 0);
}

enum weir_stop op_iret(struct vcpu *c, const struct insn *i)
{
    return far_iret(c, i->opsize);
}

enum weir_stop op_int(struct vcpu *c, const struct insn *i)
{
    return software_interrupt(c, i, (uint8_t)i->imm, FAULT_SOFTWARE_INT);
}

enum weir_stop op_int3(struct vcpu *c, const struct insn *i)
{
    return software_interrupt(c, i, VEC_BP, FAULT_INT3_INTO);
}

enum weir_stop op_int1(struct vcpu *c, const struct insn *i)
{
    return software_interrupt(c, i, VEC_DB, FAULT_ICEBP);
}

enum weir_stop op_into(struct vcpu *c, const struct insn *i)
{
    if (!(c->flags & FLAG_OF))
        return STOP_NEXT;
    return software_interrupt(c, i, VEC_OF, FAULT_INT3_INTO);
}
