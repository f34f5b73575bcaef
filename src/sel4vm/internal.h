/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the files of libweir-sel4vm share. It is a program for libweir: it uses
 * the public headers only.
 *
 *   boot.c     creating and freeing          context.c, vmcs.c  registers and VMCS fields
 *   run.c      entering the guest, exits     handlers.c         what is done about an exit
 *   controls.c timer, trap flag, NMIs
 *   ioport.c   port accesses                 memory.c, ram.c    guest-physical memory
 *   fault.c    accesses to what is no RAM    pic.c              interrupts
 */
#ifndef SEL4VM_INTERNAL_H
#define SEL4VM_INTERNAL_H

#include <pthread.h>
#include <sel4vm/arch/guest_x86_context.h>
#include <sel4vm/boot.h>
#include <sel4vm/guest_irq_controller.h>
#include <sel4vm/guest_memory_helpers.h>
#include <sel4vm/guest_ram.h>
#include <sel4vm/guest_vcpu_fault.h>
#include <sel4vm/guest_vm_exits.h>
#include <sel4vm/weir.h>
#include <weir/memory.h>

#define PAGE_BYTES 4096ul

struct vm_memory_reservation {
    uintptr_t addr;
    size_t size;
    memory_fault_callback_fn callback;
    void *cookie;
    bool is_ram; /* mapped */
    struct vm_memory_reservation *next;
};

struct anon_range {
    uintptr_t addr;
    size_t size;
};

struct vm_memory_reservation_cookie {
    struct vm_memory_reservation *first; /* by address */
    struct anon_range *anon;
    unsigned anon_count;
};

#define NOTIFICATIONS 64u
struct sel4vm_machine {
    weir *weir;
    weir_vcpu *cpu;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    seL4_Word badges[NOTIFICATIONS];
    unsigned first, count; /* count without wrapping */
    bool stop, nmi;
};

/* The last exit, as the VMX_DATA_ fields show it. */
struct exit_info {
    uint64_t reason, qualification, instruction_length, instruction_info;
    uint64_t physical, linear;
    uint64_t interrupt_info, interrupt_error, idt_info, idt_error, instruction_error;
    uint64_t io_rcx, io_rsi, io_rdi, io_rip;
};

/* The access of the last EPT violation. */
struct mem_fault {
    bool active, is_write, has_data, advanced;
    uint64_t gpa, data;
    unsigned size;
    uint64_t rip_after; /* write: it is done, RIP was behind the instruction */
};

#define VMCS_FIELDS_MAX 128u

struct guest_state {
    struct sel4vm_machine *machine;
    struct weir_exit last; /* weir_run's, which it gets again */
    struct exit_info exit;
    struct mem_fault fault;
    /* Fields that are ours alone. */
    uint64_t pin, ppc, secondary, exit_controls, entry_controls, exception_bitmap;
    uint64_t entry_info, entry_error, entry_length;
    uint64_t cr0_mask, cr4_mask, cr0_shadow, cr4_shadow;
    uint64_t smbase, timer, perf_global;
    /* Of this entry (controls.c): handles of a step and of a delivery behind which the guest is
     * left, 0 = none; and the reason of that exit. */
    uint64_t step, delivery;
    unsigned stop_reason;
    bool owed; /* that exit has not been told yet: another one came with it */
    /* By row of the table in vmcs.c. Stuck: the vCPU could not take it yet; else what was written,
     * and what the vCPU made of it. */
    bool stuck[VMCS_FIELDS_MAX];
    uint64_t written[VMCS_FIELDS_MAX], became[VMCS_FIELDS_MAX];
    bool has_written[VMCS_FIELDS_MAX];
    bool any_stuck, any_written;
};

static inline guest_state_t *state_of(const vm_vcpu_t *vcpu)
{
    return vcpu->vcpu_arch.guest_state;
}
/* Of a pointer that a program gave. */
static inline guest_state_t *state_or_null(const vm_vcpu_t *vcpu)
{
    return vcpu ? vcpu->vcpu_arch.guest_state : NULL;
}
static inline weir_vcpu *cpu_of(const vm_vcpu_t *vcpu)
{
    return state_of(vcpu)->machine->cpu;
}

#define ENTRY_INFO_VALID     (1ull << 31)
#define ENTRY_INFO_ERROR     (1ull << 11)
#define ENTRY_INFO_EXCEPTION (3ull << 8)
#define CR4_VMXE             (1ull << 13)
#define CR0_NE               (1ull << 5)
#define RFLAGS_IF            (1ull << 9)
#define RFLAGS_DF            (1ull << 10)

/* vmcs.c: tries again what is stuck; false: there is something that stays so. */
bool vmcs_settle(vm_vcpu_t *vcpu);
/* Forgets what was written: the vCPU is in a new state. */
void vmcs_forget(guest_state_t *gs);

/* controls.c */
/* Whether the controls agree with each other (SDM Vol. 3 26.2.1.1). */
bool controls_possible(const guest_state_t *gs);
/* Tells the machine what ends this entry, behind the injection. False: it is over already, *reason
 * says by what. */
bool controls_arm(guest_state_t *gs, bool injects, unsigned *reason);
/* The guest was left: takes it back. */
void controls_disarm(guest_state_t *gs);

/* handlers.c */
void handlers_install(vm_t *vm);
/* Kinds of instructions that are exits now (weir_set_insn_exits). */
uint32_t handlers_insn_exits(const vm_t *vm, const guest_state_t *gs);
/* RIP += the instruction's length. */
void skip_instruction(vm_vcpu_t *vcpu);
#define VM_EXIT_UNHANDLED    0
#define VM_EXIT_HANDLED      1
#define VM_EXIT_HANDLE_ERROR (-1)

/* ioport.c, fault.c: handlers of IO_INSTRUCTION and EPT_VIOLATION. */
int handle_io(vm_vcpu_t *vcpu);
int handle_ept_violation(vm_vcpu_t *vcpu);

/* memory.c */
void memory_free(vm_t *vm);
struct vm_memory_reservation *memory_find(vm_t *vm, uintptr_t addr);
/* Tells the machine where RAM is. */
int memory_layout(vm_t *vm);
int memory_map_ram(vm_t *vm, struct vm_memory_reservation *reservation);

/* pic.c */
/* Gives a pending interrupt to the vCPU, or asks to be told when it takes one. */
void pic_deliver(vm_vcpu_t *vcpu);
bool pic_pending(const vm_t *vm);

#endif
