/* SPDX-License-Identifier: MIT */
/*
 * call.c - the private exit. VMCALL reaches the host only at the offsets of the ROM that its
 * assembly lists, in 32-bit protected mode at ring 0; elsewhere it is #UD, from other rings #GP as
 * a privileged instruction. The arguments are in registers, or in the frame that a 13.0 entry has
 * pushed; in both cases they are the guest's and checked by what they are used for.
 */
#include "cpu/access.h"
#include "cpu/icount.h"
#include "vmi/vmi.h"

#include <string.h>

/* struct of a frame entry: see stub_frame in stubs.inc */
enum { FRAME_POINTER = 4, FRAME_EDX = 8, FRAME_ECX = 12, FRAME_EAX = 16, FRAME_STACK = 24 };

bool args_stack(struct vcpu *c, const struct vmi_args *a, unsigned n, uint32_t *value)
{
    uint64_t v;
    if (!mem_load(c, SEG_SS, (uint32_t)(a->stack + 4 * n), 4, &v))
        return false;
    *value = (uint32_t)v;
    return true;
}

static bool load(struct vcpu *c, uint32_t offset, uint32_t *value)
{
    uint64_t v = 0;
    bool good = mem_load(c, SEG_SS, offset, 4, &v);
    *value = (uint32_t)v;
    return good;
}

/* The frame lies where its pointer says: at the stack pointer. Otherwise the guest came here by
 * another way than through the entry. */
static enum weir_stop find_frame(struct vcpu *c, uint32_t *frame)
{
    *frame = (uint32_t)c->gpr[RSP];
    uint32_t pointer;
    if (!load(c, *frame + FRAME_POINTER, &pointer))
        return STOP_FAULT;
    return pointer == *frame ? STOP_NEXT : raise_gp0(c);
}

static enum weir_stop by_frame(struct vmi *v, struct vcpu *c, unsigned row)
{
    uint32_t frame;
    struct vmi_args a;
    enum weir_stop stop = find_frame(c, &frame);
    if (stop != STOP_NEXT)
        return stop;
    if (!mem_probe(c, SEG_SS, frame + FRAME_EDX, 12, ACCESS_WRITE) ||
        !load(c, frame + FRAME_EDX, &a.edx) || !load(c, frame + FRAME_ECX, &a.ecx) ||
        !load(c, frame + FRAME_EAX, &a.eax))
        return STOP_FAULT;
    a.stack = frame + FRAME_STACK;
    stop = vmi_host[row](v, c, &a);
    if (stop == STOP_FAULT)
        return stop;
    if (!mem_store(c, SEG_SS, frame + FRAME_EDX, 4, a.edx) ||
        !mem_store(c, SEG_SS, frame + FRAME_ECX, 4, a.ecx) ||
        !mem_store(c, SEG_SS, frame + FRAME_EAX, 4, a.eax))
        return STOP_FAULT;
    return stop;
}

static enum weir_stop by_registers(struct vmi *v, struct vcpu *c, unsigned row)
{
    struct vmi_args a = {.eax = (uint32_t)c->gpr[RAX],
                         .ecx = (uint32_t)c->gpr[RCX],
                         .edx = (uint32_t)c->gpr[RDX],
                         .stack = (uint32_t)c->gpr[RSP] + 4};
    enum weir_stop stop = vmi_host[row](v, c, &a);
    if (stop == STOP_FAULT)
        return stop;
    c->gpr[RAX] = a.eax;
    c->gpr[RCX] = a.ecx;
    c->gpr[RDX] = a.edx;
    return stop;
}

static enum weir_stop by_kind(struct vmi *v, struct vcpu *c, unsigned row)
{
    const char *kind = vmi_calls[row].kind[vmi_which(v->config.api)];
    if (kind[0] == 'e') /* exit */
        return by_registers(v, c, row);
    if (kind[0] == 'f') /* frame */
        return by_frame(v, c, row);
    uint32_t frame;
    enum weir_stop stop = find_frame(c, &frame);
    return stop == STOP_NEXT ? vmi_cpuid_frame(c, frame) : stop;
}

enum weir_stop vmi_exit(struct vcpu *c, const struct insn *i)
{
    struct vmi *v = c->vm->vmi;
    uint64_t linear = (c->segc[SEG_CS].base + c->rip - i->length) & c->linear_mask;
    int32_t offset = vmi_rom_offset(v, c, linear);
    uint8_t exit = offset >= 0 && offset < VMI_CODE_BYTES ? v->exits[offset] : EXIT_NONE;
    if (exit == EXIT_NONE ||
        (c->mode & (MODE_PE | MODE_VM | MODE_CODE_MASK)) != (MODE_PE | MODE_CODE32))
        return raise_ud(c);
    if (c->cpl)
        return raise_gp0(c);
    if (exit == EXIT_INIT)
        return vmi_init_call(v, c, (uint32_t)(linear - (uint32_t)offset));
    cpu_outside(c);
    v->calls[exit - 1]++;
    return by_kind(v, c, exit - 1u);
}
