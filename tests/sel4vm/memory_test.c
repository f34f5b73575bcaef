/* SPDX-License-Identifier: MIT */
/* A program for libsel4vm with emulated devices in memory, RAM of its own making, interrupts. */
#include "guest.h"

#include <pthread.h>
#include <sel4vm/guest_irq_controller.h>
#include <sel4vm/guest_vcpu_fault.h>
#include <sel4vm/guest_vm_util.h>
#include <time.h>

#define DEVICE 0xd0000000u

GUEST_CODE(device, "mov ebx, 0xd0000000\n mov eax, [ebx+4]\n mov [0x2000], eax\n"
                   "mov dword ptr [ebx+8], 0x12345678\n mov byte ptr [ebx+1], 0x5a\n"
                   "mov eax, 100\n add eax, [ebx+4]\n mov [0x2004], eax\n"
                   "movzx eax, word ptr [ebx+6]\n mov [0x2008], eax\n"
                   "add dword ptr [ebx+12], 3\n"
                   "mov esi, 0xd0000010\n mov edi, 0x2100\n mov ecx, 4\n cld\n rep movsd\n"
                   "cmp dword ptr [ebx+4], 7\n setz al\n mov [0x200c], al\n hlt");
GUEST_CODE(holes, "mov eax, 0x1111\n mov eax, [0xe0000000]\n mov [0x2000], eax\n"
                  "mov [0xe0000004], eax\n mov [0x2004], eax\n hlt");
GUEST_CODE(late, "mov dword ptr [0x800000], 0x99\n mov eax, [0x800004]\n mov [0x2000], eax\n"
                 "mov eax, [0x800000]\n mov [0x2004], eax\n hlt");
GUEST_CODE(
    interrupts,
    "mov al, 0x11\n out 0x20, al\n mov al, 0x30\n out 0x21, al\n mov al, 4\n out 0x21, al\n"
    "mov al, 1\n out 0x21, al\n mov al, 0x11\n out 0xa0, al\n mov al, 0x38\n out 0xa1, al\n"
    "mov al, 2\n out 0xa1, al\n mov al, 1\n out 0xa1, al\n"
    "mov al, 0\n out 0x21, al\n out 0xa1, al\n sti\n"
    "1: hlt\n mov eax, [0x2000]\n cmp eax, 5\n jb 1b\n cli\n hlt");
GUEST_CODE(isr, "inc dword ptr [0x2000]\n mov al, 0x20\n out 0xa0, al\n out 0x20, al\n iretd");
GUEST_CODE(spin, "sti\n1: inc eax\n cmp dword ptr [0x2000], 0\n jz 1b\n cli\n hlt");

/* ---- a device ---- */

struct device {
    uint32_t words[16];
    unsigned reads, writes;
};

static memory_fault_result_t on_access(vm_t *vm, vm_vcpu_t *vcpu, uintptr_t fault_addr,
                                       size_t fault_length, void *cookie)
{
    struct device *d = cookie;
    unsigned word = (fault_addr - DEVICE) / 4 % 16, shift = (fault_addr & 3) * 8;
    (void)vm;
    CHECK(fault_addr == get_vcpu_fault_address(vcpu));
    CHECK(fault_length == get_vcpu_fault_size(vcpu));
    CHECK(field(vcpu, VMX_DATA_GUEST_PHYSICAL) == fault_addr);
    CHECK(field(vcpu, VMX_DATA_GUEST_LINEAR_ADDRESS) == fault_addr);
    CHECK(field(vcpu, VMX_DATA_EXIT_REASON) == EXIT_REASON_EPT_VIOLATION);
    CHECK(get_vcpu_fault_ip(vcpu) == field(vcpu, VMX_GUEST_RIP));
    if (is_vcpu_read_fault(vcpu)) {
        CHECK((field(vcpu, VMX_DATA_EXIT_QUALIFICATION) & 7) == 1);
        set_vcpu_fault_data(vcpu, d->words[word] >> shift);
        d->reads++;
    } else {
        CHECK((field(vcpu, VMX_DATA_EXIT_QUALIFICATION) & 7) == 2);
        CHECK(set_vcpu_fault_data(vcpu, 1) == -1);
        d->words[word] = (uint32_t)emulate_vcpu_fault(vcpu, d->words[word]);
        d->writes++;
    }
    advance_vcpu_fault(vcpu);
    return FAULT_HANDLED;
}

static void devices(void)
{
    vm_t vm;
    struct device d = {.words = {0, 7, 0, 40, 1, 2, 3, 4}};
    GUEST(&vm, device);
    CHECK(vm_reserve_memory_at(&vm, DEVICE, 0x40, on_access, &d));
    CHECK(!vm_reserve_memory_at(&vm, DEVICE + 0x3f, 0x40, on_access, &d));
    CHECK(!vm_reserve_memory_at(&vm, DEVICE, 0, on_access, &d));
    CHECK(!vm_reserve_memory_at(&vm, ~0ul, 2, on_access, &d));
    CHECK(vm_run(&vm) == 0);
    CHECK(word_at(&vm, 0x2000) == 7 && word_at(&vm, 0x2004) == 107);
    CHECK(word_at(&vm, 0x2008) == 0 && (word_at(&vm, 0x200c) & 0xff) == 1);
    CHECK(d.words[2] == 0x12345678 && d.words[0] == 0x5a00 && d.words[3] == 43);
    for (unsigned n = 0; n < 4; n++)
        CHECK(word_at(&vm, 0x2100 + 4 * n) == n + 1);
    CHECK(d.writes == 3 && d.reads == 9);
    weir_sel4vm_destroy(&vm);
}

/* ---- memory of nobody's ---- */

static memory_fault_result_t answer;
static unsigned asked;
static memory_fault_result_t on_hole(vm_t *vm, vm_vcpu_t *vcpu, uintptr_t paddr, size_t len,
                                     void *cookie)
{
    (void)vm, (void)vcpu, (void)cookie;
    CHECK((paddr & ~4ul) == 0xe0000000 && len == 4);
    asked++;
    return answer;
}

static void holes(void)
{
    vm_t vm;
    vm_vcpu_t *vcpu = GUEST(&vm, holes);
    CHECK(vm_run(&vm) == -1); /* no callback */
    CHECK(field(vcpu, VMX_GUEST_RIP) == CODE + 5);
    CHECK(field(vcpu, VMX_DATA_GUEST_PHYSICAL) == 0xe0000000);
    CHECK(vm_register_unhandled_mem_fault_callback(&vm, NULL, NULL) == -1);
    CHECK(vm_register_unhandled_mem_fault_callback(&vm, on_hole, NULL) == 0);
    answer = FAULT_ERROR;
    CHECK(vm_run(&vm) == -1 && asked == 1);
    answer = FAULT_IGNORE;
    CHECK(vm_run(&vm) == 0 && asked == 3);
    CHECK(word_at(&vm, 0x2000) == 0x1111 && word_at(&vm, 0x2004) == 0x1111);
    weir_sel4vm_destroy(&vm);
}

/* The callback maps RAM there; the access is made again. */
static vm_memory_reservation_t *late_memory;
static vm_frame_t frame_of(uintptr_t addr, void *cookie)
{
    (void)cookie;
    return (vm_frame_t){.cptr = 5, .rights = seL4_AllRights, .vaddr = addr, .size_bits = 12};
}
static memory_fault_result_t map_it(vm_t *vm, vm_vcpu_t *vcpu, uintptr_t fault_addr,
                                    size_t fault_length, void *cookie)
{
    (void)vcpu, (void)fault_addr, (void)fault_length;
    ++*(unsigned *)cookie;
    CHECK(vm_map_reservation(vm, late_memory, frame_of, NULL) == 0);
    return FAULT_RESTART;
}

static void late_mapping(void)
{
    vm_t vm;
    unsigned calls = 0;
    uintptr_t addr;
    size_t size;
    GUEST(&vm, late);
    late_memory = vm_reserve_memory_at(&vm, 0x800000, 0x2000, map_it, &calls);
    vm_get_reservation_memory_region(late_memory, &addr, &size);
    CHECK(addr == 0x800000 && size == 0x2000);
    CHECK(vm_run(&vm) == 0 && calls == 1);
    CHECK(word_at(&vm, 0x2000) == 0 && word_at(&vm, 0x2004) == 0x99);
    CHECK(vm_free_reserved_memory(&vm, late_memory) == 0);
    CHECK(vm_free_reserved_memory(&vm, late_memory) == -1);
    weir_sel4vm_destroy(&vm);
}

/* ---- RAM ---- */

static int count_pages(vm_t *vm, uintptr_t guest_addr, void *vmm_vaddr, size_t size,
                       size_t offset, void *cookie)
{
    (void)vm;
    CHECK(guest_addr == 0x1f00 + offset && vmm_vaddr && size <= 4096);
    ++*(unsigned *)cookie;
    return 0;
}

static void ram(void)
{
    vm_t vm;
    unsigned pages = 0;
    uintptr_t addr;
    size_t size;
    vm_vcpu_t *vcpu = GUEST(&vm, holes);
    CHECK(vm_ram_touch(&vm, 0x1f00, 0x1200, count_pages, &pages) == 0 && pages == 3);
    CHECK(vm_ram_touch(&vm, RAM_BYTES - 4, 8, count_pages, &pages) == -1 && pages == 3);
    CHECK(vm_ram_touch(&vm, ~0ul, 8, count_pages, &pages) == -1);
    CHECK(vm_ram_register_at(&vm, RAM_BYTES - 4096, 8192, false) == -1);
    CHECK(vm_ram_register(&vm, 0x10000) == 0); /* no anonymous memory yet */
    CHECK(vm_memory_make_anon(&vm, 0x10000000, 0x100000) == 0);
    CHECK(vm_ram_register(&vm, 0x10000) == 0x10000000);
    CHECK(vm_reserve_anon_memory(&vm, 100, 0x4000, default_error_fault_callback, NULL, &addr));
    CHECK(addr == 0x10010000);
    CHECK(vm_reserve_anon_memory(&vm, 100, 0x4000, default_error_fault_callback, NULL, &addr));
    CHECK(addr == 0x10014000);
    CHECK(!vm_reserve_anon_memory(&vm, 0x200000, 1, default_error_fault_callback, NULL, &addr));
    CHECK(vm_ram_register_at(&vm, 0x100000000, 0x200000, true) == 0); /* above 4 GiB */
    vm_ram_mark_allocated(&vm, 0, 0x8000);
    CHECK(vm_ram_allocate(&vm, 0x1000) == 0x8000);
    CHECK(vm_ram_find_largest_free_region(&vm, &addr, &size) == 0);
    CHECK(addr == 0x9000 && size == RAM_BYTES - 0x9000);
    vm_ram_free(&vm, 0x8000, 0x1000);
    CHECK(vm_ram_allocate(&vm, RAM_BYTES) == 0);
    CHECK(vm_ram_find_largest_free_region(&vm, &addr, &size) == 0 && addr == 0x8000);
    CHECK(vm_get_vcpu(&vm, 0) == vcpu->vcpu.cptr && vm_get_vcpu(&vm, 1) == seL4_CapNull);
    CHECK(vm_find_free_unassigned_vcpu(&vm) == vcpu && vm_find_free_unassigned_cpu(&vm) == 0);
    CHECK(vm_assign_vcpu_target(vcpu, 0) == 0 && vm_assign_vcpu_target(vcpu, 1) == -1);
    CHECK(vm_vcpu_for_target_cpu(&vm, 0) == vcpu && is_vcpu_online(vcpu));
    CHECK(!vm_create_vcpu(&vm, 1));
    weir_sel4vm_destroy(&vm);
}

/* ---- interrupts ---- */

/* Interrupts wait for IF: the one that comes with IF = 0 makes a window exit behind STI. */
GUEST_CODE(waits,
           "mov al, 0x11\n out 0x20, al\n mov al, 0x30\n out 0x21, al\n mov al, 4\n"
           "out 0x21, al\n mov al, 1\n out 0x21, al\n mov al, 0\n out 0x21, al\n"
           "out 0x80, al\n mov ebx, 1\n inc dword ptr [0x2004]\n sti\n nop\n mov ebx, 2\n"
           "cli\n hlt\n mov ebx, 3\n hlt");
static ioport_fault_result_t raise_now(vm_vcpu_t *vcpu, void *cookie, unsigned int port_no,
                                       unsigned int size, unsigned int value)
{
    (void)cookie, (void)port_no, (void)size, (void)value;
    return vm_inject_irq(vcpu, 5) ? IO_FAULT_ERROR : IO_FAULT_HANDLED;
}

static void windows(void)
{
    vm_t vm;
    vm_vcpu_t *vcpu = GUEST(&vm, waits);
    guest_tables(&vm, vcpu, code_isr, code_isr_end);
    CHECK(vm_create_default_irq_controller(&vm) == 0);
    CHECK(vm_io_port_add_handler(&vm, (vm_ioport_range_t){0x80, 0x80},
                                 (vm_ioport_interface_t){NULL, NULL, raise_now, "raise"}) == 0);
    CHECK(vm_run(&vm) == 0);
    CHECK(word_at(&vm, 0x2000) == 1 && word_at(&vm, 0x2004) == 1);
    CHECK(reg(vcpu, VCPU_CONTEXT_EBX) == 2); /* HLT with IF = 0 holds */
    CHECK(vm_inject_irq(vcpu, 5) == 0 && vm_run(&vm) == 0);
    CHECK(reg(vcpu, VCPU_CONTEXT_EBX) == 2 && word_at(&vm, 0x2000) == 1);
    weir_sel4vm_destroy(&vm);
}

static unsigned acknowledged[16];
static void on_ack(vm_vcpu_t *vcpu, int irq, void *cookie)
{
    (void)cookie;
    acknowledged[irq]++;
    if (irq == 4 && acknowledged[4] < 3)
        CHECK(vm_inject_irq(vcpu, 4) == 0);
    else if (irq == 4)
        CHECK(vm_inject_irq(vcpu, 11) == 0);
    else if (acknowledged[11] < 2)
        CHECK(vm_inject_irq(vcpu, 11) == 0);
}
static int on_notification(vm_t *vm, seL4_Word badge, seL4_MessageInfo_t tag, void *cookie)
{
    (void)tag;
    ++*(unsigned *)cookie;
    if (badge == 99)
        return -1;
    return vm_inject_irq(vm->vcpus[BOOT_VCPU], (int)badge);
}

static void interrupts(void)
{
    vm_t vm;
    unsigned notified = 0;
    vm_vcpu_t *vcpu = GUEST(&vm, interrupts);
    guest_tables(&vm, vcpu, code_isr, code_isr_end);
    CHECK(vm_inject_irq(vcpu, 4) == -1); /* no controller yet */
    CHECK(vm_create_default_irq_controller(&vm) == 0);
    CHECK(vm_create_default_irq_controller(&vm) == -1);
    CHECK(vm_register_irq(vcpu, 4, on_ack, NULL) == 0);
    CHECK(vm_register_irq(vcpu, 11, on_ack, NULL) == 0);
    CHECK(vm_inject_irq(vcpu, 16) == -1 && vm_inject_irq(vcpu, -1) == -1);
    CHECK(vm_register_notification_callback(&vm, on_notification, &notified) == 0);
    CHECK(weir_sel4vm_notify(&vm, 4) == 0);
    CHECK(weir_sel4vm_notify(&vm, 99) == 0);
    CHECK(vm_run(&vm) == -1 && notified == 2); /* -1 by badge 99 */
    vm.run.notification_callback = NULL;       /* nobody waits when all is done */
    CHECK(vm_run(&vm) == 0);                   /* the guest waits in HLT */
    CHECK(field(vcpu, VMX_GUEST_ACTIVITY) == 1 && word_at(&vm, 0x2000) == 0);
    CHECK(vm_inject_irq(vcpu, 4) == 0);
    CHECK(vm_run(&vm) == 0);
    CHECK(word_at(&vm, 0x2000) == 5 && acknowledged[4] == 3 && acknowledged[11] == 2);
    weir_sel4vm_destroy(&vm);
}

/* A running guest is reached from another thread. */
static void *notify_later(void *vm)
{
    for (unsigned n = 0; n < 3; n++) {
        struct timespec t = {.tv_nsec = 20000000};
        nanosleep(&t, NULL);
        weir_sel4vm_notify(vm, 7);
    }
    return NULL;
}
static int poke(vm_t *vm, seL4_Word badge, seL4_MessageInfo_t tag, void *cookie)
{
    uint32_t one = 1;
    (void)tag;
    CHECK(badge == 7);
    if (++*(unsigned *)cookie < 3)
        return 0;
    weir_sel4vm_stop(vm);
    return vm_ram_touch(vm, 0x2000, 4, vm_guest_ram_write_callback, &one);
}

static void threads(void)
{
    vm_t vm;
    pthread_t thread;
    unsigned pokes = 0;
    vm_vcpu_t *vcpu = GUEST(&vm, spin);
    CHECK(vm_register_notification_callback(&vm, poke, &pokes) == 0);
    CHECK(pthread_create(&thread, NULL, notify_later, &vm) == 0);
    CHECK(vm_run(&vm) == 0 && pokes == 3); /* stopped */
    pthread_join(thread, NULL);
    vm.run.notification_callback = NULL;
    CHECK(vm_run(&vm) == 0);
    CHECK(field(vcpu, VMX_GUEST_ACTIVITY) == 1 && reg(vcpu, VCPU_CONTEXT_EAX) > 0);
    weir_sel4vm_destroy(&vm);
}

/* vm_init and errors, as any program begins. */
static void beginnings(void)
{
    vm_t vm;
    vka_t vka = {0};
    simple_t simple = {0};
    vspace_t vspace = {0};
    ps_io_ops_t io_ops = {0};
    CHECK(vm_init(NULL, &vka, &simple, vspace, &io_ops, 0, "no") == -1);
    CHECK(vm_init(&vm, &vka, &simple, vspace, &io_ops, 3, "vm0") == 0);
    CHECK(!strcmp(vm.vm_name, "vm0") && vm.vm_initialised && vm.host_endpoint == 3);
    CHECK(vm_run(&vm) == -1); /* no vCPU */
    vm_vcpu_t *vcpu = vm_create_vcpu(&vm, 10);
    CHECK(vcpu && !is_vcpu_online(vcpu));
    CHECK(field(vcpu, VMX_GUEST_CS_ACCESS_RIGHTS) == 0xc09b);
    CHECK(field(vcpu, VMX_GUEST_TR_ACCESS_RIGHTS) == 0x8b);
    CHECK(field(vcpu, VMX_GUEST_FS_ACCESS_RIGHTS) == ACCESS_RIGHTS_UNUSABLE);
    CHECK(field(vcpu, VMX_GUEST_CS_SELECTOR) == 8 && field(vcpu, VMX_GUEST_DS_SELECTOR) == 16);
    CHECK(vm_run(&vm) == 0); /* offline: nothing to do */
    weir_sel4vm_destroy(&vm);
    CHECK(vm_run(&vm) == -1 && vm_run(NULL) == -1 && vcpu_start(NULL) == -1);
}

int main(int argc, char **argv)
{
    engine = argc > 1 ? argv[1] : engine;
    beginnings();
    devices();
    holes();
    late_mapping();
    ram();
    windows();
    interrupts();
    threads();
    return 0;
}
