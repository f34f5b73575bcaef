/* SPDX-License-Identifier: MIT */
/*
 * int_io.c - IN, OUT, INS, OUTS.
 *
 * Order of checks: I/O permission, then memory, then the port, because a port access cannot be
 * undone. A port that nobody serves may need an answer of the embedder: c->exit.pending is then
 * set and a read waits for it (STOP_RETRY); a write is complete and has set `attention`.
 * Devices may raise interrupts, move memory or stop the machine, so a block ends behind a port
 * access if anything is pending.
 */
#include "cpu/events.h"
#include "cpu/icount.h"
#include "cpu/interp/operands.h"

/* 64-bit operand size is 32 for ports. */
static unsigned port_size(const struct insn *i)
{
    return i->opsize > 4 ? 4 : i->opsize;
}

static uint64_t port_read(struct vcpu *c, unsigned port, unsigned size)
{
    cpu_outside(c);
    pthread_mutex_lock(c->device_lock);
    uint64_t v = bus_read(c->io, port, size);
    pthread_mutex_unlock(c->device_lock);
    return v;
}
static void port_write(struct vcpu *c, unsigned port, unsigned size, uint64_t v)
{
    cpu_outside(c);
    pthread_mutex_lock(c->device_lock);
    bus_write(c->io, port, v, size);
    pthread_mutex_unlock(c->device_lock);
}
static enum weir_stop after_port(struct vcpu *c)
{
    return attention_due(c) ? STOP_BOUNDARY : STOP_NEXT;
}

/* E4-E7: port in the immediate; EC-EF: in DX. */
static unsigned port_operand(const struct vcpu *c, const struct insn *i)
{
    return i->opcode >= 0xec ? (uint16_t)c->gpr[RDX] : (uint8_t)i->imm;
}

enum weir_stop op_in(struct vcpu *c, const struct insn *i)
{
    unsigned port = port_operand(c, i), size = port_size(i);
    if (!io_permitted(c, port, size))
        return STOP_FAULT;
    uint64_t v;
    bool settled;
    if (!event_io(c, port, size, false, false, &v, &settled))
        return STOP_FAULT;
    if (!settled)
        v = port_read(c, port, size);
    if (c->exit.pending && !c->exit.is_write)
        return STOP_RETRY;
    reg_set(c, RAX, size, v);
    return after_port(c);
}

enum weir_stop op_out(struct vcpu *c, const struct insn *i)
{
    unsigned port = port_operand(c, i), size = port_size(i);
    if (!io_permitted(c, port, size))
        return STOP_FAULT;
    uint64_t v = reg_get(c, RAX, size);
    bool settled;
    if (!event_io(c, port, size, true, false, &v, &settled))
        return STOP_FAULT;
    if (!settled)
        port_write(c, port, size, v);
    return after_port(c);
}

/* ---- strings: one element per call; REP repeats by STOP_REPEAT ---- */

static bool is_rep(const struct insn *i)
{
    return i->prefixes & (PFX_REP | PFX_REPNE);
}
static void step(struct vcpu *c, const struct insn *i, unsigned r, unsigned size)
{
    uint64_t delta = c->rflags_rest & FLAG_DF ? -(uint64_t)size : size;
    reg_addr_set(c, r, i, c->gpr[r] + delta);
}

static enum weir_stop in_element(struct vcpu *c, const struct insn *i, unsigned size)
{
    uint64_t offset = reg_addr(c, RDI, i);
    if (!mem_probe(c, SEG_ES, offset, size, ACCESS_WRITE))
        return STOP_FAULT;
    uint64_t v;
    bool settled;
    if (!event_io(c, (uint16_t)c->gpr[RDX], size, false, true, &v, &settled))
        return STOP_FAULT;
    if (!settled)
        v = port_read(c, (uint16_t)c->gpr[RDX], size);
    if (c->exit.pending && !c->exit.is_write)
        return STOP_RETRY;
    if (!mem_store(c, SEG_ES, offset, size, v))
        return STOP_FAULT;
    step(c, i, RDI, size);
    return after_port(c);
}
static enum weir_stop out_element(struct vcpu *c, const struct insn *i, unsigned size)
{
    uint64_t v;
    if (!mem_load(c, i->seg, reg_addr(c, RSI, i), size, &v))
        return STOP_FAULT;
    bool settled;
    if (!event_io(c, (uint16_t)c->gpr[RDX], size, true, true, &v, &settled))
        return STOP_FAULT;
    if (!settled)
        port_write(c, (uint16_t)c->gpr[RDX], size, v);
    step(c, i, RSI, size);
    return after_port(c);
}

typedef enum weir_stop element_fn(struct vcpu *c, const struct insn *i, unsigned size);

/* An element that is done counts, whatever it asks for; the instruction then goes on later. */
static enum weir_stop port_string(struct vcpu *c, const struct insn *i, element_fn *element)
{
    unsigned size = port_size(i);
    if (is_rep(i) && reg_addr(c, RCX, i) == 0)
        return STOP_NEXT;
    if (!io_permitted(c, (uint16_t)c->gpr[RDX], size))
        return STOP_FAULT;
    if (!is_rep(i))
        return element(c, i, size);
    for (;;) {
        enum weir_stop stop = element(c, i, size);
        if (stop == STOP_FAULT || stop == STOP_RETRY)
            return stop;
        uint64_t left = (reg_addr(c, RCX, i) - 1) & addr_mask(i);
        reg_addr_set(c, RCX, i, left);
        if (left == 0)
            return stop;
        if (stop != STOP_NEXT)
            return STOP_REPEAT;
    }
}

enum weir_stop op_ins(struct vcpu *c, const struct insn *i)
{
    return port_string(c, i, in_element);
}
enum weir_stop op_outs(struct vcpu *c, const struct insn *i)
{
    return port_string(c, i, out_element);
}
