/* SPDX-License-Identifier: MIT */
/* Exits that are not the guest's doing: preemption timer, monitor trap flag, NMIs, the host. */
#include "guest.h"

#include <pthread.h>

GUEST_CODE(loop, "again: inc eax\n jmp again");
GUEST_CODE(call, "mov ecx, 100000\nwork: dec ecx\n jnz work\n mov eax, 5\n vmcall\n"
                 "on: inc ebx\n jmp on");
GUEST_CODE(sleep, "mov ebx, 1\n hlt\n mov ebx, 2\n hlt");
GUEST_CODE(steps, "mov ecx, 3\n mov edi, 0x2000\n pushfd\n pop edx\n rep stosb\n mov ss, esi\n"
                  "nop\n cpuid\n int3\n nop\n hlt");
GUEST_CODE(handler, "inc ebp\n iretd");
GUEST_CODE(nmis, "pushfd\n push 8\n push 0x1100\n nop\n iretd");
GUEST_CODE(halt, "nop\n hlt\n nop\n hlt");

static unsigned exits, wanted;
static seL4_Word rips[64], info;
static int note(vm_vcpu_t *vcpu)
{
    CHECK(exits < ARRAY_SIZE(rips));
    rips[exits++] = field(vcpu, VMX_GUEST_RIP);
    info = field(vcpu, VMX_DATA_EXIT_INTERRUPT_INFO);
    return exits < wanted;
}

static vm_vcpu_t *start(vm_t *vm, vm_vcpu_t *vcpu, unsigned reason, unsigned count)
{
    exits = 0;
    wanted = count;
    vm->arch.vmexit_handlers[reason] = note;
    return vcpu;
}

static uint64_t tsc(vm_vcpu_t *vcpu)
{
    return weir_reg_get_u64(weir_sel4vm_vcpu(vcpu), WEIR_TSC);
}

/* ---- the preemption timer ---- */

static void timer(void)
{
    vm_t vm;
    vm_vcpu_t *vcpu = start(&vm, GUEST(&vm, loop), EXIT_REASON_VMX_TIMER, 3);
    vm.arch.vmexit_handlers[EXIT_REASON_VMX_TIMER] = note;
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_PIN_EXECUTION_CONTROLS,
                             VMX_CONTROL_PIN_PREEMPTION_TIMER));
    CHECK(!vm_set_vmcs_field(vcpu, VMX_GUEST_PREEMPTION_TIMER_VALUE, 50000));
    uint64_t before = tsc(vcpu);
    CHECK(vm_run(&vm) == 0);
    CHECK(exits == 3 && field(vcpu, VMX_DATA_EXIT_REASON) == EXIT_REASON_VMX_TIMER);
    CHECK(tsc(vcpu) - before >= 3ull * 50000 * 32);
    CHECK(reg(vcpu, VCPU_CONTEXT_EAX) > 1000);
    CHECK(field(vcpu, VMX_GUEST_PREEMPTION_TIMER_VALUE) == 50000); /* not saved */
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_EXIT_CONTROLS, VMX_CONTROL_EXIT_SAVE_TIMER));
    wanted = 4;
    CHECK(vm_run(&vm) == 0 && exits == 4);
    CHECK(field(vcpu, VMX_GUEST_PREEMPTION_TIMER_VALUE) == 0);
    /* 0: nothing is executed. */
    seL4_Word eax = reg(vcpu, VCPU_CONTEXT_EAX);
    wanted = 8;
    CHECK(vm_run(&vm) == 0 && exits == 8);
    CHECK(reg(vcpu, VCPU_CONTEXT_EAX) == eax && rips[7] == rips[3]);
    /* But what is injected is delivered. */
    guest_tables(&vm, vcpu, code_handler, code_handler_end);
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_ENTRY_INTERRUPTION_INFO, 0x80000306));
    wanted = 9;
    CHECK(vm_run(&vm) == 0 && exits == 9 && rips[8] == 0x3000);
    CHECK(reg(vcpu, VCPU_CONTEXT_EBP) == 0 && field(vcpu, VMX_GUEST_RSP) == 0x9000 - 12);
    /* The program has no handler: an error. */
    vm.arch.vmexit_handlers[EXIT_REASON_VMX_TIMER] = NULL;
    CHECK(vm_run(&vm) == -1);
    /* Without the control the value is only a number. */
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_EXIT_CONTROLS, 0));
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_PIN_EXECUTION_CONTROLS, 0));
    weir_sel4vm_destroy(&vm);
}

static unsigned calls;
static int on_call(vm_vcpu_t *vcpu)
{
    seL4_Word left = field(vcpu, VMX_GUEST_PREEMPTION_TIMER_VALUE);
    calls++;
    CHECK(left > 0 && left < 1000000);
    return 0;
}

/* Saved at another exit, it goes on behind it; and it ends HLT. */
static void timer_goes_on(void)
{
    vm_t vm;
    vm_vcpu_t *vcpu = start(&vm, GUEST(&vm, call), EXIT_REASON_VMX_TIMER, 1);
    calls = 0;
    CHECK(vm_reg_new_vmcall_handler(&vm, on_call, 5) == 0);
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_PIN_EXECUTION_CONTROLS,
                             VMX_CONTROL_PIN_PREEMPTION_TIMER));
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_EXIT_CONTROLS, VMX_CONTROL_EXIT_SAVE_TIMER));
    CHECK(!vm_set_vmcs_field(vcpu, VMX_GUEST_PREEMPTION_TIMER_VALUE, 1000000));
    uint64_t before = tsc(vcpu);
    CHECK(vm_run(&vm) == 0 && calls == 1 && exits == 1);
    CHECK(tsc(vcpu) - before >= 1000000ull * 32 - 64); /* each exit loses less than a unit */
    weir_sel4vm_destroy(&vm);
    for (unsigned exiting = 0; exiting < 2; exiting++) {
        vcpu = start(&vm, GUEST(&vm, sleep), EXIT_REASON_VMX_TIMER, 1);
        vm_set_vmcs_field(vcpu, VMX_CONTROL_PRIMARY_PROCESSOR_CONTROLS,
                          exiting ? VMX_CONTROL_PPC_HLT_EXITING : 0);
        vm_set_vmcs_field(vcpu, VMX_CONTROL_PIN_EXECUTION_CONTROLS,
                          VMX_CONTROL_PIN_PREEMPTION_TIMER);
        vm_set_vmcs_field(vcpu, VMX_GUEST_PREEMPTION_TIMER_VALUE, 30000);
        before = tsc(vcpu);
        CHECK(vm_run(&vm) == 0 && exits == 1);
        CHECK(tsc(vcpu) - before >= 30000ull * 32);
        CHECK(field(vcpu, VMX_GUEST_ACTIVITY) == WEIR_HALTED);
        CHECK(reg(vcpu, VCPU_CONTEXT_EBX) == 1);
        weir_sel4vm_destroy(&vm);
    }
}

/* ---- the monitor trap flag ---- */

static int on_cpuid(vm_vcpu_t *vcpu)
{
    calls++;
    return vm_set_vmcs_field(vcpu, VMX_GUEST_RIP, field(vcpu, VMX_GUEST_RIP) + 2) ? -1 : 1;
}

static void trap_flag(void)
{
    static const struct {
        seL4_Word rip; /* behind CODE; 0x3000: of the handler */
    } places[] = {
        {5},  {10}, {11}, {12}, {12}, {12}, {14}, {16}, {17}, {0x3000 - CODE}, {0x3001 - CODE},
        {20}, {21}, {22}};
    vm_t vm;
    vm_vcpu_t *vcpu = start(&vm, GUEST(&vm, steps), EXIT_REASON_MONITOR_TRAP_FLAG, 14);
    guest_tables(&vm, vcpu, code_handler, code_handler_end);
    calls = 0;
    vm.arch.vmexit_handlers[EXIT_REASON_CPUID] = on_cpuid;
    vm_set_thread_context_reg(vcpu, VCPU_CONTEXT_ESI, 0x10);
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_PRIMARY_PROCESSOR_CONTROLS,
                             VMX_CONTROL_PPC_MONITOR_TRAP_FLAG));
    CHECK(vm_run(&vm) == 0);
    CHECK(exits == 14 && calls == 1);
    CHECK(field(vcpu, VMX_DATA_EXIT_REASON) == EXIT_REASON_MONITOR_TRAP_FLAG);
    CHECK(field(vcpu, VMX_DATA_EXIT_QUALIFICATION) == 0);
    for (unsigned n = 0; n < exits; n++)
        if (rips[n] != CODE + places[n].rip) {
            fprintf(stderr, "step %u is at %lx\n", n, (unsigned long)rips[n]);
            exit(1);
        }
    CHECK(reg(vcpu, VCPU_CONTEXT_EBP) == 1 && !(reg(vcpu, VCPU_CONTEXT_EDX) & 0x100));
    CHECK(field(vcpu, VMX_GUEST_ACTIVITY) == WEIR_HALTED);
    /* Behind an injection, nothing is executed. */
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_ENTRY_INTERRUPTION_INFO, 0x80000202));
    wanted = 15;
    CHECK(vm_run(&vm) == 0 && exits == 15 && rips[14] == 0x3000);
    CHECK(reg(vcpu, VCPU_CONTEXT_EBP) == 1);
    /* Off: the guest runs. */
    vm_set_vmcs_field(vcpu, VMX_CONTROL_PRIMARY_PROCESSOR_CONTROLS,
                      VMX_CONTROL_PPC_HLT_EXITING);
    vm_set_vmcs_field(vcpu, VMX_GUEST_RIP, CODE + 21);
    CHECK(vm_run(&vm) == 0 && exits == 15);
    weir_sel4vm_destroy(&vm);
}

/* ---- NMIs ---- */

static void nmi_exits(void)
{
    vm_t vm;
    vm_vcpu_t *vcpu = start(&vm, GUEST(&vm, halt), EXIT_REASON_EXCEPTION_NMI, 1);
    guest_tables(&vm, vcpu, code_handler, code_handler_end);
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_PIN_EXECUTION_CONTROLS,
                             VMX_CONTROL_PIN_NMI_EXITING));
    weir_sel4vm_nmi(&vm);
    CHECK(vm_run(&vm) == 0 && exits == 1 && rips[0] == CODE);
    CHECK(field(vcpu, VMX_DATA_EXIT_INTERRUPT_INFO) == 0x80000202);
    CHECK(vm_run(&vm) == 0 && exits == 1); /* to the HLT */
    CHECK(field(vcpu, VMX_GUEST_ACTIVITY) == WEIR_HALTED);
    weir_sel4vm_nmi(&vm);
    wanted = 2;
    CHECK(vm_run(&vm) == 0 && exits == 2 && reg(vcpu, VCPU_CONTEXT_EBP) == 0);
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_PIN_EXECUTION_CONTROLS, 0));
    weir_sel4vm_nmi(&vm); /* the guest's own, which ends its HLT */
    CHECK(vm_run(&vm) == 0 && exits == 2 && reg(vcpu, VCPU_CONTEXT_EBP) == 1);
    CHECK(field(vcpu, VMX_GUEST_RIP) == CODE + 4);
    weir_sel4vm_nmi(NULL);
    weir_sel4vm_destroy(&vm);
}

static void nmi_window(void)
{
    const seL4_Word pin = VMX_CONTROL_PIN_NMI_EXITING | VMX_CONTROL_PIN_VIRTUAL_NMIS;
    vm_t vm;
    vm_vcpu_t *vcpu = start(&vm, GUEST(&vm, nmis), EXIT_REASON_NMI_WINDOW, 1);
    guest_tables(&vm, vcpu, code_handler, code_handler_end);
    CHECK(vm_ram_touch(&vm, 0x1100, 4, vm_guest_ram_write_callback, (void *)code_halt) == 0);
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_PIN_EXECUTION_CONTROLS, pin));
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_PRIMARY_PROCESSOR_CONTROLS,
                             VMX_CONTROL_PPC_NMI_WINDOW));
    CHECK(!vm_set_vmcs_field(vcpu, VMX_GUEST_INTERRUPTABILITY, 8));
    CHECK(vm_run(&vm) == 0);
    CHECK(exits == 1 && rips[0] == 0x1100); /* behind the IRET */
    CHECK(field(vcpu, VMX_GUEST_INTERRUPTABILITY) == 0);
    weir_sel4vm_destroy(&vm);
    /* Controls that contradict each other: the guest is not entered. */
    static const struct {
        uint32_t pin, ppc, exit;
    } bad[] = {{VMX_CONTROL_PIN_VIRTUAL_NMIS, 0, 0},
               {VMX_CONTROL_PIN_NMI_EXITING, VMX_CONTROL_PPC_NMI_WINDOW, 0},
               {0, 0, VMX_CONTROL_EXIT_SAVE_TIMER}};
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++) {
        vcpu = GUEST(&vm, halt);
        vm_set_vmcs_field(vcpu, VMX_CONTROL_PIN_EXECUTION_CONTROLS, bad[n].pin);
        vm_set_vmcs_field(vcpu, VMX_CONTROL_PRIMARY_PROCESSOR_CONTROLS, bad[n].ppc);
        vm_set_vmcs_field(vcpu, VMX_CONTROL_EXIT_CONTROLS, bad[n].exit);
        CHECK(vm_run(&vm) == -1 && field(vcpu, VMX_GUEST_RIP) == CODE);
        CHECK(field(vcpu, VMX_DATA_INSTRUCTION_ERROR) == 7);
        weir_sel4vm_destroy(&vm);
    }
}

/* ---- the host ---- */

static int on_notification(vm_t *vm, seL4_Word badge, seL4_MessageInfo_t tag, void *cookie)
{
    (void)tag, (void)cookie;
    CHECK(badge == 77);
    CHECK(exits == 1); /* the exit came first */
    weir_sel4vm_stop(vm);
    return 0;
}

static void *notify(void *vm)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    CHECK(weir_sel4vm_notify(vm, 77) == 0);
    return NULL;
}

static void external_interrupts(void)
{
    vm_t vm;
    pthread_t thread;
    vm_vcpu_t *vcpu = start(&vm, GUEST(&vm, loop), EXIT_REASON_EXTERNAL_INTERRUPT, 2);
    CHECK(vm_register_notification_callback(&vm, on_notification, NULL) == 0);
    CHECK(!vm_set_vmcs_field(vcpu, VMX_CONTROL_PIN_EXECUTION_CONTROLS,
                             VMX_CONTROL_PIN_EXTERNAL_INTERRUPT));
    CHECK(pthread_create(&thread, NULL, notify, &vm) == 0);
    CHECK(vm_run(&vm) == 0);
    pthread_join(thread, NULL);
    CHECK(exits == 1 && info == 0); /* it is not acknowledged */
    weir_sel4vm_destroy(&vm);
}

int main(int argc, char **argv)
{
    engine = argc > 1 ? argv[1] : engine;
    timer();
    timer_goes_on();
    trap_flag();
    nmi_exits();
    nmi_window();
    external_interrupts();
    return 0;
}
