/* SPDX-License-Identifier: MIT */
/*
 * boot.c - creating a VM and its vCPU, and freeing them.
 *
 * The machine below is "none": RAM and a vCPU. It is made with all of the RAM that it could have,
 * of which only what the program registers is there (weir_ram_layout).
 */
#include "sel4vm/internal.h"

#include <stdlib.h>
#include <string.h>
#include <weir/machine.h>

#define RAM_BYTES (4ull << 30) /* sparse; 3 GiB of it below 4 GiB */

weir *weir_sel4vm_machine(vm_t *vm)
{
    return vm && vm->arch.machine ? vm->arch.machine->weir : NULL;
}
weir_vcpu *weir_sel4vm_vcpu(vm_vcpu_t *vcpu)
{
    return state_or_null(vcpu) ? cpu_of(vcpu) : NULL;
}

static int machine_new(vm_t *vm, const struct weir_config *config)
{
    struct sel4vm_machine *m = calloc(1, sizeof(*m));
    const struct weir_ram_range none = {0};
    if (!m)
        return -1;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, NULL);
    vm->arch.machine = m;
    if (weir_create(config, &m->weir) < 0)
        return -1;
    m->cpu = weir_get_vcpu(m->weir, 0);
    if (weir_start(m->weir) < 0 || weir_ram_layout(m->weir, &none, 0) < 0)
        return -1;
    weir_set_unclaimed_exits(m->weir, true);
    weir_set_reset_exits(m->weir, true);
    weir_set_exact_flags(m->weir, true); /* RFLAGS is a field */
    return 0;
}

int weir_sel4vm_init(vm_t *vm, const struct weir_config *config, const char *name)
{
    if (!vm || !config)
        return -1;
    struct weir_config c = *config;
    c.machine = "none";
    memset(vm, 0, sizeof(*vm));
    vm->vm_name = strdup(name ? name : "");
    if (!vm->vm_name || vm_memory_init(vm) || machine_new(vm, &c)) {
        weir_sel4vm_destroy(vm);
        return -1;
    }
    handlers_install(vm);
    vm->vm_initialised = true;
    return 0;
}

int vm_init(vm_t *vm, vka_t *vka, simple_t *host_simple, vspace_t host_vspace,
            ps_io_ops_t *io_ops, seL4_CPtr host_endpoint, const char *name)
{
    struct weir_config config;
    weir_config_init(&config, sizeof(config));
    config.ram_bytes = RAM_BYTES;
    if (weir_sel4vm_init(vm, &config, name))
        return -1;
    vm->vka = vka;
    vm->simple = host_simple;
    vm->io_ops = io_ops;
    vm->host_endpoint = host_endpoint;
    vm->mem.vmm_vspace = host_vspace;
    return 0;
}

void weir_sel4vm_destroy(vm_t *vm)
{
    if (!vm)
        return;
    for (unsigned n = 0; n < vm->num_vcpus; n++) {
        free(vm->vcpus[n]->vcpu_arch.guest_state);
        free(vm->vcpus[n]);
    }
    struct sel4vm_machine *m = vm->arch.machine;
    if (m) {
        weir_destroy(m->weir);
        pthread_cond_destroy(&m->changed);
        pthread_mutex_destroy(&m->lock);
        free(m);
    }
    memory_free(vm);
    free(vm->arch.vmcall_handlers);
    free(vm->arch.ioport_list.ioports);
    free(vm->arch.i8259_gs);
    free(vm->vm_name);
    memset(vm, 0, sizeof(*vm));
}

/* ---- the vCPU ---- */

static void set(vm_vcpu_t *vcpu, seL4_Word field, seL4_Word value)
{
    vm_set_vmcs_field(vcpu, field, value);
}

static void segment(vm_vcpu_t *vcpu, unsigned n, uint16_t selector, uint32_t limit,
                    uint32_t rights)
{
    set(vcpu, VMX_GUEST_ES_SELECTOR + 2 * n, selector);
    set(vcpu, VMX_GUEST_ES_LIMIT + 2 * n, limit);
    set(vcpu, VMX_GUEST_ES_BASE + 2 * n, 0);
    set(vcpu, VMX_GUEST_ES_ACCESS_RIGHTS + 2 * n, rights);
}

/* As libsel4vm's 32-bit guests begin, but really unpaged. */
static void initial_state(vm_vcpu_t *vcpu)
{
    const uint32_t data = AR(G) | AR(DB) | AR(P) | AR(S) | AR_T(DATA);
    const uint32_t code = AR(G) | AR(DB) | AR(P) | AR(S) | AR_T(CODE);
    set(vcpu, VMX_GUEST_CR0, 1);
    segment(vcpu, 1, 8, UINT32_MAX, code);
    for (unsigned n = 0; n < 4; n++)
        if (n != 1)
            segment(vcpu, n, 0x10, UINT32_MAX, data);
    for (unsigned n = 4; n < 7; n++)
        segment(vcpu, n, 0, 0, ACCESS_RIGHTS_UNUSABLE);
    segment(vcpu, 7, 0, 0, DEFAULT_TR_ACCESS_RIGHTS);
    set(vcpu, VMX_GUEST_GDTR_LIMIT, 0);
    set(vcpu, VMX_GUEST_IDTR_LIMIT, 0);
    set(vcpu, VMX_GUEST_RFLAGS, 2);
    set(vcpu, VMX_GUEST_RIP, 0);
    for (unsigned r = WEIR_RAX; r <= WEIR_R15; r++)
        weir_reg_set_u64(cpu_of(vcpu), r, 0);
    state_of(vcpu)->ppc = VMX_CONTROL_PPC_HLT_EXITING;
}

vm_vcpu_t *vm_create_vcpu(vm_t *vm, int priority)
{
    if (!vm || !vm->vm_initialised || vm->num_vcpus == CONFIG_MAX_NUM_NODES)
        return NULL;
    vm_vcpu_t *vcpu = calloc(1, sizeof(*vcpu));
    guest_state_t *gs = calloc(1, sizeof(*gs));
    if (!vcpu || !gs) {
        free(vcpu);
        free(gs);
        return NULL;
    }
    gs->machine = vm->arch.machine;
    vcpu->vm = vm;
    vcpu->vcpu.cptr = 1;
    vcpu->tcb.tcb.cptr = 2;
    vcpu->tcb.priority = priority;
    vcpu->target_cpu = -1;
    vcpu->vcpu_arch.guest_state = gs;
    vm->vcpus[vm->num_vcpus++] = vcpu;
    initial_state(vcpu);
    return vcpu;
}

int vm_assign_vcpu_target(vm_vcpu_t *vcpu, int target_cpu)
{
    if (!vcpu || target_cpu < 0 || target_cpu >= CONFIG_MAX_NUM_NODES)
        return -1;
    vm_vcpu_t *other = NULL;
    for (unsigned n = 0; n < vcpu->vm->num_vcpus; n++)
        if (vcpu->vm->vcpus[n]->target_cpu == target_cpu)
            other = vcpu->vm->vcpus[n];
    if (other && other != vcpu)
        return -1;
    vcpu->target_cpu = target_cpu;
    return 0;
}

int vcpu_start(vm_vcpu_t *vcpu)
{
    if (!vcpu)
        return -1;
    vcpu->vcpu_online = true;
    return 0;
}
