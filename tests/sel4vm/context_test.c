/* SPDX-License-Identifier: MIT */
/* Registers and VMCS fields by libsel4vm's interface: every field, errors, use by the guest. */
#include "guest.h"

GUEST_CODE(halt, "hlt\n jmp code_halt");
GUEST_CODE(store,
           "mov [0x2000], eax\n mov [0x2004], ebx\n mov [0x2008], ecx\n mov [0x200c], edx\n"
           "mov [0x2010], esi\n mov [0x2014], edi\n mov [0x2018], ebp\n mov [0x201c], esp\n"
           "hlt");
GUEST_CODE(control, "mov eax, cr0\n mov [0x2000], eax\n mov eax, cr4\n mov [0x2004], eax\n"
                    "smsw ax\n mov [0x2008], eax\n"
                    "mov eax, cr0\n or eax, 8\n mov cr0, eax\n clts\n"
                    "mov eax, cr0\n or eax, 0x10000\n mov cr0, eax\n"
                    "mov eax, cr4\n or eax, 0x2000\n mov cr4, eax\n hlt");
GUEST_CODE(handler, "mov [0x2000], ebp\n pop eax\n pop ebx\n mov [0x2004], eax\n"
                    "mov [0x2008], ebx\n hlt");
GUEST_CODE(faults, "mov eax, [0x2000]\n ud2\n int3\n mov eax, 5\n xor edx, edx\n xor ecx, ecx\n"
                   "div ecx\n hlt");
GUEST_CODE(cpuid, "mov eax, 0x1234\n cpuid\n mov ecx, 0x174\n rdmsr\n hlt");

/* ---- general registers ---- */

static void contexts(void)
{
    vm_t vm;
    vm_vcpu_t *vcpu = GUEST(&vm, store);
    seL4_VCPUContext c, d;
    memset(&c, 0xff, sizeof(c));
    CHECK(vm_get_thread_context(vcpu, &c) == 0);
    const seL4_Word *words = &c.eax;
    for (unsigned n = 0; n < 15; n++)
        CHECK(words[n] == 0); /* before the first run */
    for (unsigned n = 0; n < 15; n++)
        CHECK(vm_set_thread_context_reg(vcpu, (vcpu_context_reg_t)n, 0x100 + n) == 0);
    CHECK(vm_get_thread_context(vcpu, &c) == 0);
    for (unsigned n = 0; n < 15; n++) {
        CHECK(words[n] == 0x100 + n);
        CHECK(reg(vcpu, (vcpu_context_reg_t)n) == 0x100 + n);
    }
    c.ebp = 0x5555;
    CHECK(vm_set_thread_context(vcpu, c) == 0);
    CHECK(reg(vcpu, VCPU_CONTEXT_EBP) == 0x5555);
    CHECK(vm_run(&vm) == 0);
    static const unsigned order[] = {0x100, 0x101, 0x102, 0x103, 0x104, 0x105, 0x5555, 0x9000};
    for (unsigned n = 0; n < 8; n++)
        CHECK(word_at(&vm, 0x2000 + 4 * n) == order[n]);
    /* Errors leave everything as it was. */
    seL4_Word value = 77;
    uint32_t old = 78;
    CHECK(vm_get_thread_context_reg(vcpu, (vcpu_context_reg_t)15, &value) == -1);
    CHECK(vm_get_thread_context_reg(vcpu, (vcpu_context_reg_t)-1, &value) == -1);
    CHECK(vm_get_thread_context_reg(NULL, VCPU_CONTEXT_EAX, &value) == -1 && value == 77);
    CHECK(vm_get_thread_context_reg(NULL, VCPU_CONTEXT_EAX, &old) == -1 && old == 78);
    CHECK(vm_get_thread_context_reg(vcpu, VCPU_CONTEXT_EBP, &old) == 0 && old == 0x5555);
    CHECK(vm_set_thread_context_reg(vcpu, (vcpu_context_reg_t)99, 1) == -1);
    CHECK(vm_set_thread_context_reg(NULL, VCPU_CONTEXT_EAX, 1) == -1);
    CHECK(vm_set_thread_context(NULL, c) == -1 && vm_get_thread_context(NULL, &c) == -1);
    CHECK(vm_get_thread_context(vcpu, NULL) == -1);
    CHECK(vm_get_thread_context(vcpu, &d) == 0 && d.ebx == 0x101);
    weir_sel4vm_destroy(&vm);
}

/* ---- fields ---- */

static const struct {
    uint16_t first, count;
} guest_fields[] = {{0x0800, 8}, {0x2802, 8}, {0x4800, 21},
                    {0x482a, 1}, {0x482e, 1}, {0x6800, 20}},
  control_fields[] = {{0x4000, 3}, {0x400c, 1}, {0x4012, 1},
                      {0x4016, 3}, {0x401e, 1}, {0x6000, 4}},
  data_fields[] = {{0x2400, 1}, {0x4400, 8}, {0x6400, 6}};

static bool listed(unsigned f, unsigned *kind)
{
#define IN(list)                                                                               \
    for (unsigned n = 0; n < ARRAY_SIZE(list); n++)                                            \
        if (f >= list[n].first && f < list[n].first + 2u * list[n].count && !(f & 1))          \
            return true;
    *kind = 0;
    IN(guest_fields)
    *kind = 1;
    IN(control_fields)
    *kind = 2;
    IN(data_fields)
#undef IN
    return false;
}

/* What each can hold, with bits of a pattern. */
static seL4_Word legal(unsigned f, seL4_Word p)
{
    unsigned width = f >> 13 & 3;
    if (f >= VMX_GUEST_ES_ACCESS_RIGHTS && f <= VMX_GUEST_TR_ACCESS_RIGHTS)
        return p & 0x1f0ff;
    switch (f) {
    case VMX_GUEST_CR0:
        return (p & 0x8005000a) | 0x80000031;
    case VMX_GUEST_CR4:
        return (p & 0x6b4) | 0x2020;
    case VMX_GUEST_CR3:
        return p & 0xfffff000;
    case VMX_GUEST_EFER:
        return p & 1;
    case VMX_GUEST_RFLAGS:
        return (p & 0x47ed5) | 2;
    case VMX_GUEST_DR7:
        return (p & 0xffff23ff) | 0x400;
    case VMX_GUEST_PAT:
        return 0x0007010600070106;
    case VMX_GUEST_DEBUGCTRL:
        return p & 3;
    case VMX_GUEST_INTERRUPTABILITY:
        return p & 9;
    case VMX_GUEST_ACTIVITY:
        return p & 1;
    case VMX_GUEST_PENDING_DEBUG_EXCEPTIONS:
        return p & 0x500f;
    case VMX_GUEST_GDTR_LIMIT:
    case VMX_GUEST_IDTR_LIMIT:
        return (uint16_t)p;
    default:
        break;
    }
    if (f >= VMX_GUEST_ES_BASE && f <= VMX_GUEST_IDTR_BASE)
        return f <= VMX_GUEST_DS_BASE ? (uint32_t)p : p & 0x7fffffffffff;
    if (f == VMX_GUEST_SYSENTER_ESP || f == VMX_GUEST_SYSENTER_EIP)
        return p & 0x7fffffffffff;
    return width == 0 ? (uint16_t)p : width == 2 ? (uint32_t)p : p;
}

static void every_field(void)
{
    static const seL4_Word patterns[] = {0, 0x5a5a5a5a5a5a5a5a, 0xa5a5a5a5a5a5a5a5, ~0ul,
                                         0x123456789abcdef0};
    vm_t vm;
    vm_vcpu_t *vcpu = GUEST(&vm, halt);
    unsigned known = 0;
    for (unsigned f = 0; f < 0x10000; f++) {
        unsigned kind;
        seL4_Word value = 0x77, before;
        if (!listed(f, &kind)) {
            CHECK(vm_get_vmcs_field(vcpu, f, &value) == -1 && value == 0x77);
            CHECK(vm_set_vmcs_field(vcpu, f, 1) == -1);
            continue;
        }
        known++;
        CHECK(vm_get_vmcs_field(vcpu, f, &before) == 0);
        if (kind == 2) {
            CHECK(vm_set_vmcs_field(vcpu, f, 1) == -1);
            CHECK(field(vcpu, f) == before);
            continue;
        }
        for (unsigned n = 0; n < ARRAY_SIZE(patterns); n++) {
            seL4_Word v = legal(f, patterns[n]);
            CHECK(vm_set_vmcs_field(vcpu, f, v) == 0);
            if (field(vcpu, f) != v)
                fprintf(stderr, "field %#x: %#lx became %#lx\n", f, v, field(vcpu, f));
            CHECK(field(vcpu, f) == v);
        }
        CHECK(vm_set_vmcs_field(vcpu, f, before) == 0 && field(vcpu, f) == before);
    }
    CHECK(known == 8 + 8 + 21 + 2 + 20 + 13 + 15);
    CHECK(vm_get_vmcs_field(vcpu, 1ul << 32 | VMX_GUEST_RIP, &(seL4_Word){0}) == -1);
    CHECK(vm_get_vmcs_field(NULL, VMX_GUEST_RIP, &(seL4_Word){0}) == -1);
    CHECK(vm_get_vmcs_field(vcpu, VMX_GUEST_RIP, (seL4_Word *)NULL) == -1);
    CHECK(vm_set_vmcs_field(NULL, VMX_GUEST_RIP, 0) == -1);
    uint32_t old = 1;
    CHECK(vm_get_vmcs_field(vcpu, VMX_GUEST_RIP, &old) == 0 && old == CODE);
    /* Bits that are forced can be seen. */
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_CR0, 1) == 0);
    CHECK((field(vcpu, VMX_GUEST_CR0) & 0x31) == 0x31);
    CHECK(vm_run(&vm) == 0);
    weir_sel4vm_destroy(&vm);
}

/* A state that cannot be is kept until vm_run, which says so. */
static void impossible_states(void)
{
    static const struct {
        unsigned field;
        seL4_Word value;
    } bad[] = {{VMX_GUEST_CR0, 0x80000000},
               {VMX_GUEST_CR4, 1ul << 40},
               {VMX_GUEST_CS_BASE, 1ul << 40},
               {VMX_GUEST_GDTR_LIMIT, 0x10000},
               {VMX_GUEST_FS_BASE, 1ul << 60},
               {VMX_GUEST_INTERRUPTABILITY, 3},
               {VMX_GUEST_ACTIVITY, 2},
               {VMX_GUEST_EFER, 1ul << 4},
               {VMX_GUEST_PAT, 2},
               {VMX_CONTROL_ENTRY_INTERRUPTION_INFO, 0x80000130},
               {VMX_GUEST_DR7, 1ul << 32},
               {VMX_CONTROL_ENTRY_INTERRUPTION_INFO, 0x80000030},
               {VMX_GUEST_SYSENTER_EIP, 1ul << 50}};
    vm_t vm;
    vm_vcpu_t *vcpu = GUEST(&vm, halt);
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++) {
        seL4_Word before = field(vcpu, bad[n].field);
        CHECK(vm_set_vmcs_field(vcpu, bad[n].field, bad[n].value) == 0);
        CHECK(field(vcpu, bad[n].field) == bad[n].value);
        CHECK(vm_run(&vm) == -1 && vm.run.exit_reason == VM_GUEST_ERROR_EXIT);
        CHECK(field(vcpu, VMX_DATA_EXIT_REASON) == 0x80000021);
        CHECK(vm_set_vmcs_field(vcpu, bad[n].field, before) == 0);
    }
    CHECK(vm_run(&vm) == 0);
    CHECK(field(vcpu, VMX_DATA_EXIT_REASON) == EXIT_REASON_HLT);
    /* One after the other in a bad order, it is well in the end. */
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_CR0, 0x80000000) == 0);
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_CR0, 0x80000001) == 0);
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_CR0, 1) == 0);
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_ACTIVITY, 0) == 0);
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_RIP, CODE) == 0);
    CHECK(vm_run(&vm) == 0);
    weir_sel4vm_destroy(&vm);
}

/* ---- masks and shadows ---- */

static unsigned accesses;
static seL4_Word qualifications[8];
static vmexit_handler_ptr library_cr;
static int note_cr(vm_vcpu_t *vcpu)
{
    if (accesses < ARRAY_SIZE(qualifications))
        qualifications[accesses] = field(vcpu, VMX_DATA_EXIT_QUALIFICATION);
    accesses++;
    return library_cr(vcpu);
}

static void masks(void)
{
    vm_t vm;
    vm_vcpu_t *vcpu = GUEST(&vm, control);
    library_cr = vm.arch.vmexit_handlers[EXIT_REASON_CR_ACCESS];
    vm.arch.vmexit_handlers[EXIT_REASON_CR_ACCESS] = note_cr;
    CHECK(vm_set_vmcs_field(vcpu, VMX_CONTROL_CR0_MASK, 0x8) == 0); /* TS */
    CHECK(vm_set_vmcs_field(vcpu, VMX_CONTROL_CR0_READ_SHADOW, 0x8) == 0);
    CHECK(vm_set_vmcs_field(vcpu, VMX_CONTROL_CR4_MASK, 0x2000) == 0); /* VMXE */
    CHECK(vm_set_vmcs_field(vcpu, VMX_CONTROL_CR4_READ_SHADOW, 0) == 0);
    CHECK(vm_run(&vm) == 0);
    CHECK((word_at(&vm, 0x2000) & 0x9) == 0x9); /* TS by the shadow */
    CHECK((word_at(&vm, 0x2004) & 0x2000) == 0);
    CHECK((word_at(&vm, 0x2008) & 0x9) == 0x9);
    /* OR TS: no change. CLTS: one. WP is the guest's. VMXE: one. */
    CHECK(accesses == 2);
    CHECK(qualifications[0] == 0x20 && qualifications[1] == 4);
    CHECK(field(vcpu, VMX_CONTROL_CR0_READ_SHADOW) % 16 == (0x31 & 15));
    CHECK(field(vcpu, VMX_GUEST_CR0) & 0x10000);
    CHECK(field(vcpu, VMX_CONTROL_CR4_READ_SHADOW) & 0x2000);
    weir_sel4vm_destroy(&vm);
}

/* ---- injection ---- */

static void injection(void)
{
    static const struct {
        uint32_t info, error, length, first;
    } cases[] = {
        {0x80000040, 0, 0, CODE},     /* external */
        {0x80000202, 0, 0, CODE},     /* NMI */
        {0x80000b0d, 0x18, 0, 0x18},  /* #GP with an error code */
        {0x80000306, 0, 0, CODE},     /* #UD */
        {0x80000480, 0, 2, CODE + 2}, /* INT 80h */
        {0x80000603, 0, 1, CODE + 1}, /* INT3 */
    };
    for (unsigned n = 0; n < ARRAY_SIZE(cases); n++) {
        vm_t vm;
        vm_vcpu_t *vcpu = GUEST(&vm, halt);
        guest_tables(&vm, vcpu, code_handler, code_handler_end);
        vm_set_thread_context_reg(vcpu, VCPU_CONTEXT_EBP, 0xabc);
        vm_set_vmcs_field(vcpu, VMX_GUEST_RFLAGS, 0x202);
        vm_set_vmcs_field(vcpu, VMX_CONTROL_ENTRY_EXCEPTION_ERROR_CODE, cases[n].error);
        vm_set_vmcs_field(vcpu, VMX_CONTROL_ENTRY_INSTRUCTION_LENGTH, cases[n].length);
        vm_set_vmcs_field(vcpu, VMX_CONTROL_ENTRY_INTERRUPTION_INFO, cases[n].info);
        CHECK(field(vcpu, VMX_CONTROL_ENTRY_INTERRUPTION_INFO) == cases[n].info);
        CHECK(vm_run(&vm) == 0);
        CHECK(word_at(&vm, 0x2000) == 0xabc);
        CHECK(word_at(&vm, 0x2004) == cases[n].first);
        /* Valid no more. */
        CHECK(field(vcpu, VMX_CONTROL_ENTRY_INTERRUPTION_INFO) == (cases[n].info & 0x7fffffff));
        weir_sel4vm_destroy(&vm);
    }
}

/* ---- exceptions and instructions that the program asks for ---- */

static unsigned seen[32];
static int on_exception(vm_vcpu_t *vcpu)
{
    seL4_Word info = field(vcpu, VMX_DATA_EXIT_INTERRUPT_INFO);
    seL4_Word rip = field(vcpu, VMX_GUEST_RIP);
    CHECK(info & 0x80000000);
    seen[info & 31]++;
    if ((info & 31) == 3)
        CHECK((info & 0x700) == 0x600 && field(vcpu, VMX_DATA_EXIT_INSTRUCTION_LENGTH) == 1);
    else
        CHECK((info & 0x700) == 0x300);
    return vm_set_vmcs_field(vcpu, VMX_GUEST_RIP, rip + ((info & 31) == 3 ? 1 : 2)) ? -1 : 1;
}

static void exceptions(void)
{
    vm_t vm;
    vm_vcpu_t *vcpu = GUEST(&vm, faults);
    vm.arch.vmexit_handlers[EXIT_REASON_EXCEPTION_NMI] = on_exception;
    CHECK(vm_set_vmcs_field(vcpu, VMX_CONTROL_EXCEPTION_BITMAP, 1 << 6 | 1 << 3 | 1) == 0);
    CHECK(vm_run(&vm) == 0);
    CHECK(seen[6] == 1 && seen[3] == 1 && seen[0] == 1);
    CHECK(reg(vcpu, VCPU_CONTEXT_EAX) == 5);
    weir_sel4vm_destroy(&vm);
    /* Without: a triple fault, for which there is no handler. */
    vcpu = GUEST(&vm, faults);
    CHECK(vm_run(&vm) == -1);
    CHECK(field(vcpu, VMX_DATA_EXIT_REASON) == EXIT_REASON_TRIPLE_FAULT);
    weir_sel4vm_destroy(&vm);
}

static int own_cpuid(vm_vcpu_t *vcpu)
{
    CHECK(reg(vcpu, VCPU_CONTEXT_EAX) == 0x1234);
    vm_set_thread_context_reg(vcpu, VCPU_CONTEXT_EBX, 0x600d);
    vm_set_vmcs_field(vcpu, VMX_GUEST_RIP,
                      field(vcpu, VMX_GUEST_RIP) +
                          field(vcpu, VMX_DATA_EXIT_INSTRUCTION_LENGTH));
    return 1;
}
static vmexit_handler_ptr library_msr;
static int count_msr(vm_vcpu_t *vcpu)
{
    accesses++;
    return library_msr(vcpu);
}

static void own_handlers(void)
{
    vm_t vm;
    vm_vcpu_t *vcpu = GUEST(&vm, cpuid);
    accesses = 0;
    library_msr = vm.arch.vmexit_handlers[EXIT_REASON_MSR_READ];
    vm.arch.vmexit_handlers[EXIT_REASON_CPUID] = own_cpuid;
    vm.arch.vmexit_handlers[EXIT_REASON_MSR_READ] = count_msr;
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_SYSENTER_CS, 0x4321) == 0);
    CHECK(vm_run(&vm) == 0);
    CHECK(reg(vcpu, VCPU_CONTEXT_EBX) == 0x600d && accesses == 1);
    CHECK(reg(vcpu, VCPU_CONTEXT_EAX) == 0x4321);
    weir_sel4vm_destroy(&vm);
}

/* ---- other modes ---- */

/* mov [0x2000], r8; mov [0x2008], r15; mov rax, cr4; mov [0x2010], rax; hlt */
static const uint8_t code_long[] = {0x4c, 0x89, 0x04, 0x25, 0,    0x20, 0,    0,    0x4c, 0x89,
                                    0x3c, 0x25, 8,    0x20, 0,    0,    0x0f, 0x20, 0xe0, 0x48,
                                    0x89, 0x04, 0x25, 0x10, 0x20, 0,    0,    0xf4};
/* mov ax, ds; mov [0x2000], ax; mov byte [bx], 7; hlt */
static const uint8_t code_real[] = {0x8c, 0xd8, 0xa3, 0x00, 0x20, 0xc6, 0x07, 0x07, 0xf4};

static void long_mode(void)
{
    vm_t vm;
    vm_vcpu_t *vcpu = guest_new(&vm, code_long, code_long + sizeof(code_long));
    uint64_t pml4 = 0x11003, pdpt = 0x12003, pd = 0x83;
    vm_ram_touch(&vm, 0x10000, 8, vm_guest_ram_write_callback, &pml4);
    vm_ram_touch(&vm, 0x11000, 8, vm_guest_ram_write_callback, &pdpt);
    vm_ram_touch(&vm, 0x12000, 8, vm_guest_ram_write_callback, &pd);
    /* In an order in which they are not possible one by one. */
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_CR0, 0x80000021) == 0);
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_EFER, 0x500) == 0);
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_CR4, 0x2020) == 0);
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_CR3, 0x10000) == 0);
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_CS_ACCESS_RIGHTS, 0xa09b) == 0);
    CHECK(vm_set_thread_context_reg(vcpu, VCPU_CONTEXT_R8, 0x1122334455667788) == 0);
    CHECK(vm_set_thread_context_reg(vcpu, VCPU_CONTEXT_R15, ~0ul) == 0);
    CHECK(vm_run(&vm) == 0);
    CHECK(word_at(&vm, 0x2000) == 0x55667788 && word_at(&vm, 0x2004) == 0x11223344);
    CHECK(word_at(&vm, 0x2008) == ~0u && word_at(&vm, 0x200c) == ~0u);
    CHECK(word_at(&vm, 0x2010) == 0x20); /* VMXE is not the guest's */
    CHECK(field(vcpu, VMX_GUEST_EFER) == 0x500);
    weir_sel4vm_destroy(&vm);
}

static void real_mode(void)
{
    vm_t vm;
    vm_vcpu_t *vcpu = guest_new(&vm, code_real, code_real + sizeof(code_real));
    for (unsigned n = 0; n < 6; n++) {
        vm_set_vmcs_field(vcpu, VMX_GUEST_ES_SELECTOR + 2 * n, n == 3 ? 0x30 : 0);
        vm_set_vmcs_field(vcpu, VMX_GUEST_ES_BASE + 2 * n, n == 3 ? 0x300 : 0);
        vm_set_vmcs_field(vcpu, VMX_GUEST_ES_LIMIT + 2 * n, 0xffff);
        vm_set_vmcs_field(vcpu, VMX_GUEST_ES_ACCESS_RIGHTS + 2 * n, n == 1 ? 0x9b : 0x93);
    }
    CHECK(vm_set_vmcs_field(vcpu, VMX_GUEST_CR0, 0) == 0);
    CHECK(vm_set_thread_context_reg(vcpu, VCPU_CONTEXT_EBX, 0x2100) == 0);
    CHECK(vm_run(&vm) == 0);
    CHECK(word_at(&vm, 0x2300) == 0x30 && word_at(&vm, 0x2400) == 7);
    weir_sel4vm_destroy(&vm);
}

int main(int argc, char **argv)
{
    engine = argc > 1 ? argv[1] : engine;
    contexts();
    every_field();
    impossible_states();
    masks();
    injection();
    exceptions();
    own_handlers();
    long_mode();
    real_mode();
    return 0;
}
