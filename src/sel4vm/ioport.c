/* SPDX-License-Identifier: MIT */
/* ioport.c - handlers of ports, and carrying out IN, OUT, INS and OUTS by them. */
#include "sel4vm/internal.h"

#include <stdlib.h>

/* ---- registration ---- */

int vm_io_port_add_handler(vm_t *vm, vm_ioport_range_t range, vm_ioport_interface_t interface)
{
    if (!vm || range.start > range.end)
        return -1;
    vm_io_port_list_t *list = &vm->arch.ioport_list;
    int at = 0;
    while (at < list->num_ioports && list->ioports[at].range.end < range.start)
        at++;
    if (at < list->num_ioports && list->ioports[at].range.start <= range.end)
        return -1;
    vm_ioport_entry_t *more =
        realloc(list->ioports, (size_t)(list->num_ioports + 1) * sizeof(*more));
    if (!more)
        return -1;
    list->ioports = more;
    for (int n = list->num_ioports++; n > at; n--)
        more[n] = more[n - 1];
    more[at] = (vm_ioport_entry_t){range, interface};
    return 0;
}

int vm_register_unhandled_ioport_callback(vm_t *vm, unhandled_ioport_callback_fn callback,
                                          void *cookie)
{
    if (!vm || !callback)
        return -1;
    vm->arch.unhandled_ioport_callback = callback;
    vm->arch.unhandled_ioport_callback_cookie = cookie;
    return 0;
}

int vm_enable_passthrough_ioport(vm_vcpu_t *vcpu, uint16_t port_start, uint16_t port_end)
{
    (void)vcpu, (void)port_start, (void)port_end;
    return -1;
}

/* ---- one access ---- */

static const vm_ioport_interface_t *find(const vm_t *vm, unsigned port)
{
    const vm_io_port_list_t *list = &vm->arch.ioport_list;
    for (int n = 0; n < list->num_ioports; n++)
        if (port >= list->ioports[n].range.start && port <= list->ioports[n].range.end)
            return &list->ioports[n].interface;
    return NULL;
}

static uint32_t ones(unsigned size)
{
    return size == 4 ? UINT32_MAX : (1u << 8 * size) - 1;
}

/* *value is written, or becomes what is read. */
static ioport_fault_result_t access_port(vm_vcpu_t *vcpu, unsigned port, unsigned size, bool in,
                                         unsigned int *value)
{
    const vm_ioport_interface_t *i = find(vcpu->vm, port);
    ioport_fault_result_t result = IO_FAULT_UNHANDLED;
    if (!in)
        *value &= ones(size);
    if (i && in && i->port_in)
        result = i->port_in(vcpu, i->cookie, port, size, value);
    else if (i && !in && i->port_out)
        result = i->port_out(vcpu, i->cookie, port, size, *value);
    else if (!i && vcpu->vm->arch.unhandled_ioport_callback)
        result = vcpu->vm->arch.unhandled_ioport_callback(
            vcpu, port, in, value, size, vcpu->vm->arch.unhandled_ioport_callback_cookie);
    if (in && result == IO_FAULT_UNHANDLED)
        *value = UINT32_MAX;
    if (in)
        *value &= ones(size);
    return result;
}

/* ---- the instruction ---- */

/* RIP moves behind the instruction, unless a handler has put it elsewhere. */
static void go_on(vm_vcpu_t *vcpu, uint64_t rip)
{
    if (weir_reg_get_u64(cpu_of(vcpu), WEIR_RIP) == rip)
        skip_instruction(vcpu);
}

static int plain(vm_vcpu_t *vcpu, const struct weir_exit *e)
{
    weir_vcpu *cpu = cpu_of(vcpu);
    bool in = e->insn.kind == WEIR_INSN_IN;
    unsigned size = e->insn.size_bytes;
    uint64_t rip = weir_reg_get_u64(cpu, WEIR_RIP), rax = weir_reg_get_u64(cpu, WEIR_RAX);
    unsigned int value = in ? 0 : (unsigned int)rax;
    if (access_port(vcpu, e->insn.number, size, in, &value) == IO_FAULT_ERROR)
        return VM_EXIT_HANDLE_ERROR;
    if (in) {
        rax = weir_reg_get_u64(cpu, WEIR_RAX); /* the handler may have set it */
        weir_reg_set_u64(cpu, WEIR_RAX,
                         size == 4 ? value : (rax & ~(uint64_t)ones(size)) | value);
    }
    go_on(vcpu, rip);
    return VM_EXIT_HANDLED;
}

/* `reg` changed within its low `bits`. */
static void move(weir_vcpu *cpu, enum weir_reg reg, unsigned bits, uint64_t by)
{
    uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
    uint64_t old = weir_reg_get_u64(cpu, reg), now = (old + by) & mask;
    weir_reg_set_u64(cpu, reg, bits == 16 ? (old & ~mask) | now : now);
}

/* One element; the instruction is an exit again for the next one. */
static int string(vm_vcpu_t *vcpu, const struct weir_exit *e)
{
    weir_vcpu *cpu = cpu_of(vcpu);
    bool in = e->insn.kind == WEIR_INSN_IN;
    unsigned size = e->insn.size_bytes, bits = (unsigned)weir_code_bits(cpu);
    uint64_t mask = bits == 64 ? ~0ull : (1ull << bits) - 1;
    uint64_t rip = weir_reg_get_u64(cpu, WEIR_RIP);
    uint64_t count = weir_reg_get_u64(cpu, WEIR_RCX) & mask;
    unsigned int value = 0;
    if (e->insn.is_rep && !count) {
        skip_instruction(vcpu);
        return VM_EXIT_HANDLED;
    }
    if ((!in && weir_virt_read(cpu, e->insn.gva, &value, size) < 0) ||
        access_port(vcpu, e->insn.number, size, in, &value) == IO_FAULT_ERROR ||
        (in && weir_virt_write(cpu, e->insn.gva, &value, size) < 0))
        return VM_EXIT_HANDLE_ERROR;
    bool down = weir_reg_get_u64(cpu, WEIR_RFLAGS) & RFLAGS_DF;
    move(cpu, in ? WEIR_RDI : WEIR_RSI, bits, down ? -(uint64_t)size : size);
    if (e->insn.is_rep)
        move(cpu, WEIR_RCX, bits, UINT64_MAX);
    if (!e->insn.is_rep || count == 1)
        go_on(vcpu, rip);
    return VM_EXIT_HANDLED;
}

int handle_io(vm_vcpu_t *vcpu)
{
    const struct weir_exit *e = &state_of(vcpu)->last;
    return e->insn.is_string ? string(vcpu, e) : plain(vcpu, e);
}
