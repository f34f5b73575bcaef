/* SPDX-License-Identifier: MIT */
/*
 * Boots Linux by libsel4vm's interface alone: usage: sel4vm_linux KERNEL [INITRD [COMMAND LINE]]
 *
 * A VMM of the smallest kind that a kernel puts up with: RAM, a serial port for output, the
 * library's 8259s, an 8254 whose counter 0 ticks by notifications of a thread, a keyboard
 * controller that only knows how to reset. The kernel is entered by its 32-bit boot protocol, as
 * libsel4vmmplatsupport does. Ends with 0 when the guest resets.
 */
#include <pthread.h>
#include <sel4/sel4.h>
#include <sel4vm/arch/guest_x86_context.h>
#include <sel4vm/arch/ioports.h>
#include <sel4vm/boot.h>
#include <sel4vm/guest_irq_controller.h>
#include <sel4vm/guest_ram.h>
#include <sel4vm/guest_vm.h>
#include <sel4vm/weir.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RAM_BYTES    (256ul << 20)
#define BOOT_PARAMS  0x10000ul
#define COMMAND_LINE 0x20000ul
#define KERNEL       0x100000ul
#define PIT_HZ       1193182ull
#define TICK_BADGE   1

struct machine {
    vm_t vm;
    atomic_uint period_ns; /* of counter 0; 0: it stands still */
    atomic_bool ended;
    bool reset;
    uint8_t lcr, high_byte[3], latch[3];
    uint16_t reload[3];
    uint64_t started_ns[3];
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- 16550: what is written goes out; the transmitter is always empty ---- */

static ioport_fault_result_t serial_in(vm_vcpu_t *vcpu, void *cookie, unsigned int port_no,
                                       unsigned int size, unsigned int *result)
{
    const struct machine *m = cookie;
    (void)vcpu;
    (void)size;
    switch (port_no & 7) {
    case 2:
        *result = 1; /* no interrupt */
        break;
    case 3:
        *result = m->lcr;
        break;
    case 5:
        *result = 0x60;
        break;
    case 6:
        *result = 0xb0;
        break;
    default:
        *result = 0;
        break;
    }
    return IO_FAULT_HANDLED;
}

static ioport_fault_result_t serial_out(vm_vcpu_t *vcpu, void *cookie, unsigned int port_no,
                                        unsigned int size, unsigned int value)
{
    struct machine *m = cookie;
    (void)vcpu;
    (void)size;
    if ((port_no & 7) == 3)
        m->lcr = (uint8_t)value;
    if ((port_no & 7) == 0 && !(m->lcr & 0x80))
        putchar((int)(value & 0xff));
    return IO_FAULT_HANDLED;
}

/* ---- 8254, low byte then high byte ---- */

static uint16_t counter(const struct machine *m, unsigned n)
{
    uint64_t ticks = (now_ns() - m->started_ns[n]) * PIT_HZ / 1000000000u;
    unsigned reload = m->reload[n] ? m->reload[n] : 0x10000;
    return (uint16_t)(reload - ticks % reload);
}

static ioport_fault_result_t timer_in(vm_vcpu_t *vcpu, void *cookie, unsigned int port_no,
                                      unsigned int size, unsigned int *result)
{
    struct machine *m = cookie;
    unsigned n = port_no & 3;
    (void)vcpu;
    (void)size;
    if (n == 3)
        return IO_FAULT_UNHANDLED;
    uint16_t value = counter(m, n);
    if (!m->high_byte[n])
        m->latch[n] = (uint8_t)(value >> 8);
    *result = m->high_byte[n] ? m->latch[n] : value & 0xff;
    m->high_byte[n] ^= 1;
    return IO_FAULT_HANDLED;
}

static ioport_fault_result_t timer_out(vm_vcpu_t *vcpu, void *cookie, unsigned int port_no,
                                       unsigned int size, unsigned int value)
{
    struct machine *m = cookie;
    unsigned n = port_no & 3;
    (void)vcpu;
    (void)size;
    if (n == 3) { /* mode, or a latch command: the next byte is the low one */
        if (value >> 6 < 3)
            m->high_byte[value >> 6] = 0;
        return IO_FAULT_HANDLED;
    }
    if (!m->high_byte[n]) {
        m->latch[n] = (uint8_t)value;
    } else {
        m->reload[n] = (uint16_t)(m->latch[n] | value << 8);
        m->started_ns[n] = now_ns();
        uint64_t reload = m->reload[n] ? m->reload[n] : 0x10000;
        if (n == 0)
            m->period_ns = (unsigned)(reload * 1000000000u / PIT_HZ);
    }
    m->high_byte[n] ^= 1;
    return IO_FAULT_HANDLED;
}

static void *tick(void *argument)
{
    struct machine *m = argument;
    while (!m->ended) {
        unsigned ns = m->period_ns ? m->period_ns : 1000000;
        struct timespec t = {.tv_nsec = ns};
        nanosleep(&t, NULL);
        if (m->period_ns)
            weir_sel4vm_notify(&m->vm, TICK_BADGE);
    }
    return NULL;
}

static int on_notification(vm_t *vm, seL4_Word badge, seL4_MessageInfo_t tag, void *cookie)
{
    (void)badge;
    (void)tag;
    (void)cookie;
    return vm_inject_irq(vm->vcpus[BOOT_VCPU], 0);
}

/* ---- 8042 and system control port ---- */

static ioport_fault_result_t keyboard_in(vm_vcpu_t *vcpu, void *cookie, unsigned int port_no,
                                         unsigned int size, unsigned int *result)
{
    (void)vcpu;
    (void)cookie;
    (void)size;
    *result = port_no == 0x61 ? 0x20 : 0;
    return IO_FAULT_HANDLED;
}

static ioport_fault_result_t keyboard_out(vm_vcpu_t *vcpu, void *cookie, unsigned int port_no,
                                          unsigned int size, unsigned int value)
{
    struct machine *m = cookie;
    (void)vcpu;
    (void)size;
    if (port_no != 0x64 || (value & 0xfe) != 0xfe)
        return IO_FAULT_HANDLED;
    m->reset = true;
    return IO_FAULT_ERROR; /* vm_run ends */
}

/* Devices that are not there: reads are ones, or what was in the register. */
static memory_fault_result_t nobody(vm_t *vm, vm_vcpu_t *vcpu, uintptr_t paddr, size_t len,
                                    void *cookie)
{
    (void)vm;
    (void)vcpu;
    (void)paddr;
    (void)len;
    (void)cookie;
    return FAULT_IGNORE;
}

/* ---- loading ---- */

static uint8_t *read_file(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END)) {
        perror(path);
        exit(2);
    }
    long end = ftell(f);
    uint8_t *data = malloc((size_t)end);
    rewind(f);
    if (!data || fread(data, 1, (size_t)end, f) != (size_t)end)
        exit(2);
    fclose(f);
    *bytes = (size_t)end;
    return data;
}

static void put(vm_t *vm, uintptr_t at, const void *data, size_t bytes)
{
    if (vm_ram_touch(vm, at, bytes, vm_guest_ram_write_callback, (void *)data)) {
        fprintf(stderr, "no RAM at %#lx\n", at);
        exit(2);
    }
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, 4);
}

/* Documentation/arch/x86/boot.rst: "32-bit boot protocol". */
static void load(vm_t *vm, const char *kernel, const char *initrd, const char *command_line)
{
    static uint8_t params[4096];
    static const uint64_t map[][2] = {{0, 0x9fc00}, {KERNEL, RAM_BYTES - KERNEL}};
    size_t bytes;
    uint8_t *image = read_file(kernel, &bytes);
    size_t setup = ((image[0x1f1] ? image[0x1f1] : 4u) + 1u) * 512u;
    if (bytes < setup || memcmp(image + 0x202, "HdrS", 4)) {
        fprintf(stderr, "%s: not a bzImage\n", kernel);
        exit(2);
    }
    memcpy(params + 0x1f1, image + 0x1f1, 0x202u + image[0x201] - 0x1f1u);
    put(vm, KERNEL, image + setup, bytes - setup);
    free(image);
    params[0x210] = 0xff; /* some loader */
    params[0x1e8] = 2;    /* entries of the memory map */
    for (unsigned n = 0; n < 2; n++) {
        memcpy(params + 0x2d0 + 20 * n, map[n], 16);
        put32(params + 0x2d0 + 20 * n + 16, 1);
    }
    if (initrd) {
        uint8_t *data = read_file(initrd, &bytes);
        uintptr_t at = (RAM_BYTES - bytes) & ~0xffful;
        put(vm, at, data, bytes);
        put32(params + 0x218, (uint32_t)at);
        put32(params + 0x21c, (uint32_t)bytes);
        free(data);
    }
    put(vm, COMMAND_LINE, command_line, strlen(command_line) + 1);
    put32(params + 0x228, COMMAND_LINE);
    put(vm, BOOT_PARAMS, params, sizeof(params));
}

static void add(struct machine *m, uint16_t start, uint16_t end, vm_ioport_in_fn in,
                vm_ioport_out_fn out, const char *what)
{
    vm_ioport_range_t range = {start, end};
    vm_ioport_interface_t interface = {m, in, out, what};
    if (vm_io_port_add_handler(&m->vm, range, interface)) {
        fprintf(stderr, "%s: port %#x is taken\n", what, start);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct machine m;
    static vka_t vka;
    static simple_t simple;
    static vspace_t vspace;
    static ps_io_ops_t io_ops;
    pthread_t ticker;
    if (argc < 2 || vm_init(&m.vm, &vka, &simple, vspace, &io_ops, 0, "linux"))
        return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    vm_vcpu_t *vcpu = vm_create_vcpu(&m.vm, 100);
    if (!vcpu || vm_ram_register_at(&m.vm, 0, RAM_BYTES, false) ||
        vm_create_default_irq_controller(&m.vm))
        return 2;
    vm_register_unhandled_mem_fault_callback(&m.vm, nobody, NULL);
    vm_register_notification_callback(&m.vm, on_notification, NULL);
    add(&m, 0x3f8, 0x3ff, serial_in, serial_out, "serial");
    add(&m, 0x40, 0x43, timer_in, timer_out, "timer");
    add(&m, 0x60, 0x64, keyboard_in, keyboard_out, "keyboard");
    load(&m.vm, argv[1], argc > 2 ? argv[2] : NULL,
         argc > 3
             ? argv[3]
             : "console=ttyS0 earlyprintk=serial panic=-1 reboot=k noapic nolapic acpi=off "
               "pci=off no_timer_check");
    vm_set_vmcs_field(vcpu, VMX_GUEST_CS_SELECTOR, 0x10);
    for (unsigned n = 0; n < 4; n++)
        if (n != 1)
            vm_set_vmcs_field(vcpu, VMX_GUEST_ES_SELECTOR + 2 * n, 0x18);
    vm_set_vmcs_field(vcpu, VMX_GUEST_RIP, KERNEL);
    vm_set_thread_context_reg(vcpu, VCPU_CONTEXT_ESI, BOOT_PARAMS);
    vcpu_start(vcpu);
    pthread_create(&ticker, NULL, tick, &m);
    vm_run(&m.vm);
    m.ended = true;
    pthread_join(ticker, NULL);
    fflush(stdout);
    if (!m.reset) {
        seL4_Word reason = 0, rip = 0, address = 0;
        vm_get_vmcs_field(vcpu, VMX_DATA_EXIT_REASON, &reason);
        vm_get_vmcs_field(vcpu, VMX_GUEST_RIP, &rip);
        vm_get_vmcs_field(vcpu, VMX_DATA_GUEST_PHYSICAL, &address);
        fprintf(stderr, "ended by exit %#lx at %#lx, address %#lx\n", reason, rip, address);
    }
    weir_sel4vm_destroy(&m.vm);
    return m.reset ? 0 : 1;
}
