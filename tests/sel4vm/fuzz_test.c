/* SPDX-License-Identifier: MIT */
/*
 * Random writes to random fields and registers between short runs of random code: nothing may
 * crash or hang, a state that cannot be is an error of vm_run. Arguments: the engine, the number
 * of rounds, a seed.
 */
#include "guest.h"

#include <pthread.h>
#include <time.h>

GUEST_CODE(nothing, "hlt");

static uint64_t state = 88172645463325252ull;
static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static seL4_Word value(void)
{
    static const seL4_Word some[] = {0,          1,    0x80000000, 0x80000001,
                                     0xffffffff, 0x20, 0x500,      0xd01};
    switch (next() % 6) {
    case 0:
        return some[next() % ARRAY_SIZE(some)];
    case 1:
        return 1ul << next() % 64;
    case 2:
        return next() & 0xffff;
    case 3:
        return next() & 0x3fffff;
    case 4:
        return next() & 0xffffffff;
    default:
        return next();
    }
}

static seL4_Word some_field(void)
{
    static const uint16_t first[] = {0x0800, 0x2800, 0x4000, 0x4800, 0x6000, 0x6800, 0x4814, 0};
    return (first[next() % 8] + 2 * (next() % 24)) & (next() % 16 ? 0xffff : 0xffffffff);
}

static int answer_io(vm_vcpu_t *vcpu, unsigned int port, bool is_in, unsigned int *v,
                     size_t size, void *cookie)
{
    (void)vcpu, (void)port, (void)is_in, (void)size, (void)cookie;
    *v = (unsigned)next();
    return (int)(next() % 2);
}
static ioport_fault_result_t unhandled_io(vm_vcpu_t *vcpu, unsigned int port_no, bool is_in,
                                          unsigned int *v, size_t size, void *cookie)
{
    return (ioport_fault_result_t)answer_io(vcpu, port_no, is_in, v, size, cookie);
}
static memory_fault_result_t unhandled_memory(vm_t *vm, vm_vcpu_t *vcpu, uintptr_t paddr,
                                              size_t len, void *cookie)
{
    (void)vm, (void)vcpu, (void)paddr, (void)len, (void)cookie;
    return next() % 32 ? FAULT_IGNORE : FAULT_ERROR;
}
static int any_exit(vm_vcpu_t *vcpu)
{
    seL4_Word length = field(vcpu, VMX_DATA_EXIT_INSTRUCTION_LENGTH);
    vm_set_vmcs_field(vcpu, VMX_GUEST_RIP, field(vcpu, VMX_GUEST_RIP) + (length ? length : 1));
    return next() % 8 ? 1 : -1;
}

/* A guest that does not end by itself is stopped. */
static void *watch(void *vm)
{
    for (;;) {
        struct timespec t = {.tv_nsec = 3000000};
        nanosleep(&t, NULL);
        weir_sel4vm_stop(vm);
        pthread_testcancel();
    }
    return NULL;
}

static void *random_bytes(void *buffer, size_t size)
{
    for (size_t n = 0; n < size; n++)
        ((uint8_t *)buffer)[n] = (uint8_t)next();
    return buffer;
}

int main(int argc, char **argv)
{
    static uint8_t bytes[0x4000];
    unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 1500;
    unsigned refused = 0, ran = 0;
    vm_t vm;
    pthread_t thread;
    engine = argc > 1 ? argv[1] : engine;
    if (argc > 3)
        state ^= strtoull(argv[3], NULL, 0) * 0x9e3779b97f4a7c15;
    vm_vcpu_t *vcpu = GUEST(&vm, nothing);
    CHECK(vm_register_unhandled_ioport_callback(&vm, unhandled_io, NULL) == 0);
    CHECK(vm_register_unhandled_mem_fault_callback(&vm, unhandled_memory, NULL) == 0);
    for (unsigned n = 0; n < VM_EXIT_REASON_NUM; n++)
        if (!vm.arch.vmexit_handlers[n])
            vm.arch.vmexit_handlers[n] = any_exit;
    seL4_Word good[1024];
    unsigned fields[1024], count = 0;
    for (unsigned f = 0; f < 0x6900; f += 2)
        if (vm_get_vmcs_field(vcpu, f, &good[count]) == 0)
            fields[count++] = f;
    CHECK(pthread_create(&thread, NULL, watch, &vm) == 0);
    for (unsigned round = 0; round < rounds; round++) {
        random_bytes(bytes, sizeof(bytes));
        vm_ram_touch(&vm, CODE, sizeof(bytes), vm_guest_ram_write_callback, bytes);
        for (unsigned n = 0; n < count; n++)
            vm_set_vmcs_field(vcpu, fields[n], good[n]);
        for (unsigned n = next() % 6; n; n--)
            vm_set_vmcs_field(vcpu, some_field(), value());
        for (unsigned n = 0; n < 15; n++)
            vm_set_thread_context_reg(vcpu, (vcpu_context_reg_t)n, value());
        int rc = vm_run(&vm);
        seL4_Word reason = field(vcpu, VMX_DATA_EXIT_REASON);
        CHECK(rc == 0 || (rc == -1 && vm.run.exit_reason == VM_GUEST_ERROR_EXIT));
        refused += reason == 0x80000021;
        ran += reason != 0x80000021;
        seL4_Word v;
        for (unsigned n = 0; n < 64; n++)
            vm_get_vmcs_field(vcpu, some_field(), &v);
    }
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    CHECK(refused > rounds / 20 && ran > rounds / 20);
    weir_sel4vm_destroy(&vm);
    return 0;
}
