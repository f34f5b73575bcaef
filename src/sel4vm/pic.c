/* SPDX-License-Identifier: MIT */
/*
 * pic.c - two 8259As, the second at input 2 of the first, with ELCR, behind port handlers; and
 * giving what they raise to the vCPU. Not modelled: rotating priorities, special mask mode, polling
 * (no PC system uses them).
 */
#include "sel4vm/internal.h"

#include <stdlib.h>

struct chip {
    uint8_t irr, isr, imr, lines, elcr, base;
    uint8_t step; /* of initialisation: 0 = none, else the ICW that comes next */
    bool needs_icw4, auto_eoi, read_isr;
};

struct i8259 {
    struct chip chip[2];
    vm_vcpu_t *vcpu;
    struct {
        irq_ack_fn_t fn;
        void *cookie;
    } ack[16];
};

/* ---- the chips ---- */

static int highest(uint8_t bits)
{
    return bits ? __builtin_ctz(bits) : 8;
}

/* Input that asks for service and may have it, or -1. */
static int request(const struct chip *c)
{
    int want = highest(c->irr & (uint8_t)~c->imr);
    return want < highest(c->isr) ? want : -1;
}

static void line(struct chip *c, unsigned n, bool level)
{
    uint8_t bit = (uint8_t)(1u << n);
    if (c->elcr & bit)
        c->irr = level ? c->irr | bit : c->irr & (uint8_t)~bit;
    else if (level && !(c->lines & bit))
        c->irr |= bit;
    c->lines = level ? c->lines | bit : c->lines & (uint8_t)~bit;
}

static void cascade(struct i8259 *p)
{
    bool raised = request(&p->chip[1]) >= 0;
    line(&p->chip[0], 2, raised);
    if (!raised)
        p->chip[0].irr &= (uint8_t)~4u;
}

static uint8_t acknowledge(struct chip *c, int n)
{
    uint8_t bit = (uint8_t)(1u << n);
    if (!c->auto_eoi)
        c->isr |= bit;
    if (!(c->elcr & bit))
        c->irr &= (uint8_t)~bit;
    return (uint8_t)(c->base + n);
}

static int vector(struct i8259 *p)
{
    int n = request(&p->chip[0]);
    if (n < 0)
        return -1;
    int v = acknowledge(&p->chip[0], n);
    if (n == 2) {
        int slave = request(&p->chip[1]);
        v = acknowledge(&p->chip[1], slave < 0 ? 7 : slave);
        if (slave < 0)
            p->chip[1].isr &= 0x7f; /* spurious */
    }
    cascade(p);
    return v;
}

/* ---- ports ---- */

static void end_of_interrupt(struct i8259 *p, unsigned which, int n)
{
    struct chip *c = &p->chip[which];
    if (n > 7 || !(c->isr >> n & 1))
        return;
    c->isr &= (uint8_t) ~(1u << n);
    unsigned irq = which * 8 + (unsigned)n;
    cascade(p);
    if (p->ack[irq].fn)
        p->ack[irq].fn(p->vcpu, (int)irq, p->ack[irq].cookie);
}

static void write_command(struct i8259 *p, unsigned which, uint8_t v)
{
    struct chip *c = &p->chip[which];
    if (v & 0x10) { /* ICW1 */
        *c = (struct chip){.elcr = c->elcr, .lines = c->lines, .step = 2, .needs_icw4 = v & 1};
    } else if (v & 8) { /* OCW3 */
        if (v & 2)
            c->read_isr = v & 1;
    } else if (v & 0x20) { /* OCW2: EOI, of the highest or of a given level */
        end_of_interrupt(p, which, v & 0x40 ? v & 7 : highest(c->isr));
    }
}

static void write_data(struct chip *c, uint8_t v)
{
    switch (c->step) {
    case 2:
        c->base = v & 0xf8;
        c->step = 3;
        break;
    case 3:
        c->step = c->needs_icw4 ? 4 : 0;
        break;
    case 4:
        c->auto_eoi = v & 2;
        c->step = 0;
        break;
    default:
        c->imr = v;
        break;
    }
}

static ioport_fault_result_t port_out(vm_vcpu_t *vcpu, void *cookie, unsigned int port,
                                      unsigned int size, unsigned int value)
{
    struct i8259 *p = cookie;
    unsigned which = port >= 0xa0 && port < 0x4d0;
    (void)vcpu, (void)size;
    if (port >= 0x4d0)
        p->chip[port & 1].elcr = (uint8_t)(value & (port & 1 ? 0xde : 0xf8));
    else if (port & 1)
        write_data(&p->chip[which], (uint8_t)value);
    else
        write_command(p, which, (uint8_t)value);
    cascade(p);
    return IO_FAULT_HANDLED;
}

static ioport_fault_result_t port_in(vm_vcpu_t *vcpu, void *cookie, unsigned int port,
                                     unsigned int size, unsigned int *result)
{
    const struct i8259 *p = cookie;
    const struct chip *c = &p->chip[port >= 0xa0];
    (void)vcpu, (void)size;
    if (port >= 0x4d0)
        *result = p->chip[port & 1].elcr;
    else if (port & 1)
        *result = c->imr;
    else
        *result = c->read_isr ? c->isr : c->irr;
    return IO_FAULT_HANDLED;
}

/* ---- the interface ---- */

int vm_create_default_irq_controller(vm_t *vm)
{
    static const vm_ioport_range_t ranges[] = {{0x20, 0x21}, {0xa0, 0xa1}, {0x4d0, 0x4d1}};
    if (!vm || vm->arch.i8259_gs)
        return -1;
    struct i8259 *p = calloc(1, sizeof(*p));
    if (!p)
        return -1;
    vm->arch.i8259_gs = p;
    p->chip[0].base = 8;
    p->chip[1].base = 0x70;
    p->chip[0].imr = p->chip[1].imr = 0xff;
    const vm_ioport_interface_t interface = {p, port_in, port_out, "i8259"};
    for (unsigned n = 0; n < 3; n++)
        if (vm_io_port_add_handler(vm, ranges[n], interface))
            return -1;
    return 0;
}

static struct i8259 *pic_of(vm_vcpu_t *vcpu, int irq)
{
    return vcpu && irq >= 0 && irq < 16 ? vcpu->vm->arch.i8259_gs : NULL;
}

int vm_set_irq_level(vm_vcpu_t *vcpu, int irq, int irq_level)
{
    struct i8259 *p = pic_of(vcpu, irq);
    if (!p)
        return -1;
    line(&p->chip[irq / 8], (unsigned)irq % 8, irq_level);
    cascade(p);
    return 0;
}

int vm_inject_irq(vm_vcpu_t *vcpu, int irq)
{
    return vm_set_irq_level(vcpu, irq, 0) || vm_set_irq_level(vcpu, irq, 1) ||
                   vm_set_irq_level(vcpu, irq, 0)
               ? -1
               : 0;
}

int vm_register_irq(vm_vcpu_t *vcpu, int irq, irq_ack_fn_t ack_fn, void *cookie)
{
    struct i8259 *p = pic_of(vcpu, irq);
    if (!p)
        return -1;
    p->vcpu = vcpu;
    p->ack[irq].fn = ack_fn;
    p->ack[irq].cookie = cookie;
    return 0;
}

bool pic_pending(const vm_t *vm)
{
    return vm->arch.i8259_gs && request(&vm->arch.i8259_gs->chip[0]) >= 0;
}

void pic_deliver(vm_vcpu_t *vcpu)
{
    guest_state_t *gs = state_of(vcpu);
    seL4_Word flags, blocked;
    if (!pic_pending(vcpu->vm) || (gs->entry_info & ENTRY_INFO_VALID) ||
        vm_get_vmcs_field(vcpu, VMX_GUEST_RFLAGS, &flags) ||
        vm_get_vmcs_field(vcpu, VMX_GUEST_INTERRUPTABILITY, &blocked))
        return;
    if (!(flags & RFLAGS_IF) || (blocked & 15)) {
        gs->ppc |= VMX_CONTROL_PPC_INTERRUPT_WINDOW;
        return;
    }
    gs->entry_info = ENTRY_INFO_VALID | (uint8_t)vector(vcpu->vm->arch.i8259_gs);
    if (pic_pending(vcpu->vm))
        gs->ppc |= VMX_CONTROL_PPC_INTERRUPT_WINDOW;
}
