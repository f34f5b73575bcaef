/* SPDX-License-Identifier: MIT */
/*
 * interp_test.c - the interpreter's loops and caches: strings, self-modifying code, page
 * crossings, exact budgets, resumption. What single instructions compute is tested elsewhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "interp_vm.h"

#define CODE  0x1000
#define STACK 0x80000

static struct interp_vm vm;

static struct vcpu *start(unsigned bits)
{
    struct vcpu *c = vm.cpu;
    interp_vm_mode(&vm, bits);
    memset(c->gpr, 0, sizeof(c->gpr));
    c->gpr[RSP] = bits == 16 ? 0x8000 : STACK;
    memset(vm.ram.base, 0, 4 << 20);
    memset(vm.ram.tags, 0, vm.ram.bytes / 4096);
    blocks_flush(c);
    tlb_flush_all(c);
    return c;
}
static void put(uint64_t at, const char *code, size_t length)
{
    memcpy(vm.ram.base + at, code, length);
}
#define PUT(at, s) put(at, s, sizeof(s) - 1)

/* ---- strings ---- */

static void movs_propagates_overlap(void **state)
{
    for (unsigned distance = 1; distance < 20; distance++) {
        struct vcpu *c = start(64);
        uint8_t expected[3 * 4096];
        uint8_t *ram = vm.ram.base + 0x200000;
        for (unsigned k = 0; k < sizeof(expected); k++)
            ram[k] = (uint8_t)(k * 7 + k / 256);
        memcpy(expected, ram, sizeof(expected));
        for (unsigned k = 0; k < 9000; k++)
            expected[5 + distance + k] = expected[5 + k];
        PUT(CODE, "\xf3\xa4\xf4");
        c->gpr[RSI] = 0x200005;
        c->gpr[RDI] = 0x200005 + distance;
        c->gpr[RCX] = 9000;
        assert_int_equal(interp_vm_run(&vm, CODE, 1), STOP_BOUNDARY);
        assert_memory_equal(ram, expected, sizeof(expected));
        assert_int_equal(c->gpr[RCX], 0);
        assert_int_equal(c->gpr[RSI], 0x200005 + 9000);
        assert_int_equal(c->rip, CODE + 2);
    }
}

/* Elements of 2, 4 and 8 bytes whose source and destination overlap by less than one of them, in
 * both directions, across pages. */
static void movs_wide_elements(void **state)
{
    static const char *const code[3] = {"\xf3\x66\xa5", "\xf3\xa5", "\xf3\x48\xa5"};
    for (unsigned size = 2; size <= 8; size *= 2) {
        for (int distance = -9; distance <= 9; distance++) {
            for (unsigned backward = 0; backward < 2; backward++) {
                struct vcpu *c = start(64);
                uint8_t expected[8192], *ram = vm.ram.base + 0x200000;
                unsigned count = 600;
                for (unsigned k = 0; k < sizeof(expected); k++)
                    ram[k] = (uint8_t)(k * 13 + k / 256);
                memcpy(expected, ram, sizeof(expected));
                unsigned first = 3000 + (backward ? (count - 1) * size : 0);
                for (unsigned k = 0; k < count; k++) {
                    unsigned at = backward ? first - k * size : first + k * size;
                    memmove(expected + (int)at + distance, expected + at, size);
                }
                put(CODE, code[size == 2 ? 0 : size == 4 ? 1 : 2], 3);
                c->rflags_rest |= backward ? FLAG_DF : 0;
                c->gpr[RSI] = 0x200000 + first;
                c->gpr[RDI] = 0x200000 + first + (uint64_t)(int64_t)distance;
                c->gpr[RCX] = count;
                interp_vm_run(&vm, CODE, 1);
                assert_memory_equal(ram, expected, sizeof(expected));
            }
        }
    }
}

static void stos_wraps_at_16_bits(void **state)
{
    struct vcpu *c = start(16);
    PUT(CODE, "\xf3\xab\xf4"); /* rep stosw */
    c->gpr[RAX] = 0x1234;
    c->gpr[RDI] = 0xaaaa0000fff0;
    c->gpr[RCX] = 0xbbbb00000010;
    c->seg[SEG_ES].base = 0x20000;
    cpu_mode_update(c);
    interp_vm_run(&vm, CODE, 1);
    assert_int_equal(c->gpr[RDI], 0xaaaa00000010);
    assert_int_equal(c->gpr[RCX], 0xbbbb00000000);
    for (unsigned k = 0; k < 8; k++) {
        assert_int_equal(load_le(vm.ram.base + 0x2fff0 + 2 * k, 2), 0x1234);
        assert_int_equal(load_le(vm.ram.base + 0x20000 + 2 * k, 2), 0x1234);
    }
    assert_int_equal(vm.ram.base[0x30000], 0);
}

static void scas_and_cmps_stop_and_set_flags(void **state)
{
    struct vcpu *c = start(64);
    memset(vm.ram.base + 0x200000, 'a', 6000);
    memset(vm.ram.base + 0x300000, 'a', 6000);
    vm.ram.base[0x200000 + 5000] = 'b';
    PUT(CODE, "\xf2\xae"); /* repne scasb */
    c->gpr[RAX] = 'b';
    c->gpr[RDI] = 0x200000;
    c->gpr[RCX] = 6000;
    interp_vm_run(&vm, CODE, 1);
    assert_int_equal(c->gpr[RDI], 0x200000 + 5001);
    assert_int_equal(c->gpr[RCX], 999);
    assert_true(c->flags & FLAG_ZF);
    PUT(CODE + 16, "\xf3\xa6"); /* repe cmpsb */
    c->gpr[RSI] = 0x300000;
    c->gpr[RDI] = 0x200000;
    c->gpr[RCX] = 6000;
    interp_vm_run(&vm, CODE + 16, 1);
    assert_int_equal(c->gpr[RSI], 0x300000 + 5001);
    assert_int_equal(c->gpr[RCX], 999);
    assert_int_equal(c->flags & (FLAG_ZF | FLAG_CF), FLAG_CF); /* 'a' - 'b' */
    c->gpr[RCX] = 0;
    c->flags = FLAG_OF;
    interp_vm_run(&vm, CODE + 16, 1);
    assert_int_equal(c->flags, FLAG_OF); /* no iteration, no flags */
}

/* An attention in the middle stops REP between elements with registers that show how far it is. */
static void rep_is_resumable(void **state)
{
    struct vcpu *c = start(64);
    PUT(CODE, "\xf3\xaa\xf4");
    c->gpr[RAX] = 0x5a;
    c->gpr[RDI] = 0x200010;
    c->gpr[RCX] = 20000;
    c->rip = CODE;
    unsigned stops = 0;
    while (c->rip == CODE) {
        cpu_attention(c, ATTENTION_STOP);
        assert_true(interp_run(c) <= STOP_REPEAT);
        cpu_attention_clear(c, ATTENTION_STOP);
        assert_int_equal(c->gpr[RDI] - 0x200010, 20000 - c->gpr[RCX]);
        assert_true(++stops < 100);
    }
    assert_true(stops > 3);
    assert_int_equal(c->instructions > 0, 1);
    for (unsigned k = 0; k < 20000; k++)
        assert_int_equal(vm.ram.base[0x200010 + k], 0x5a);
    assert_int_equal(vm.ram.base[0x200010 + 20000], 0);
}

/* ---- self-modifying code ---- */

static void store_changes_the_next_instruction(void **state)
{
    struct vcpu *c = start(64);
    /* mov byte [CODE+9], 0xc3: the INC EAX behind it becomes INC EBX */
    PUT(CODE, "\xc6\x04\x25\x09\x10\x00\x00\xc3\xff\xc0\xf4");
    interp_vm_run(&vm, CODE, 2);
    assert_int_equal(c->gpr[RAX], 0);
    assert_int_equal(c->gpr[RBX], 1);
    assert_int_equal(c->rip, CODE + 10);
    /* and once more through the cache, with another value */
    vm.ram.base[CODE + 7] = 0xc1;
    blocks_invalidate(c, CODE + 7, 1);
    interp_vm_run(&vm, CODE, 2);
    assert_int_equal(c->gpr[RCX], 1);
}

/* 1: inc byte [imm of mov]; mov eax, imm; add ebx, eax; dec ecx; jnz 1 */
static void loop_that_modifies_itself(void **state)
{
    struct vcpu *c = start(64);
    PUT(CODE, "\xfe\x04\x25\x08\x10\x00\x00"
              "\xb8\x00\x00\x00\x00"
              "\x01\xc3\xff\xc9\x75\xee\xf4");
    c->gpr[RCX] = 100;
    interp_vm_run(&vm, CODE, 500);
    assert_int_equal(c->gpr[RBX], 100 * 101 / 2);
    assert_int_equal(c->rip, CODE + 18);
}

/* Data beside code: the block must survive, and the write must arrive. */
static void data_beside_code(void **state)
{
    struct vcpu *c = start(64);
    /* 1: inc dword [CODE + 0x100]; dec ecx; jnz 1 */
    PUT(CODE, "\xff\x04\x25\x00\x11\x00\x00\xff\xc9\x75\xf5\xf4");
    c->gpr[RCX] = 1000;
    interp_vm_run(&vm, CODE, 3000);
    assert_int_equal(load_le(vm.ram.base + CODE + 0x100, 4), 1000);
    assert_int_equal(c->rip, CODE + 11);
    assert_true(vm.ram.tags[CODE / 4096] & RAM_CODE);
}

/* Data in the very line of code; then code beside it is changed, and code that came later. */
static void data_in_a_line_of_code(void **state)
{
    struct vcpu *c = start(64);
    /* 1: inc dword [CODE + 0x20]; dec ecx; jnz 1 */
    PUT(CODE, "\xff\x04\x25\x20\x10\x00\x00\xff\xc9\x75\xf5\xf4");
    c->gpr[RCX] = 1000;
    interp_vm_run(&vm, CODE, 3000);
    assert_int_equal(load_le(vm.ram.base + CODE + 0x20, 4), 1000);
    for (unsigned k = 0; k < 3; k++) {
        uint64_t at = CODE + 0x28 + 8 * k; /* mov eax, 1 */
        put(at, "\xb8\x01\x00\x00\x00\xf4", 6);
        interp_vm_run(&vm, at, 1);
        assert_int_equal(c->gpr[RAX], 1);
        uint8_t store[] = {0xc6, 0x04, 0x25, 0, 0, 0, 0, 0x77}; /* mov byte [at + 1], 0x77 */
        store_le(store + 3, at + 1, 4);
        put(0x4000 + 16 * k, (char *)store, 8);
        interp_vm_run(&vm, 0x4000 + 16 * k, 1);
        interp_vm_run(&vm, at, 1);
        assert_int_equal(c->gpr[RAX], 0x77);
        c->gpr[RCX] = 10;
        interp_vm_run(&vm, CODE, 30);
        assert_int_equal(load_le(vm.ram.base + CODE + 0x20, 4), 1010 + 10 * k);
    }
}

/* A block that is written by a device, with nothing running. */
static void device_write_drops_blocks(void **state)
{
    struct vcpu *c = start(64);
    PUT(CODE, "\xb8\x01\x00\x00\x00\xf4");
    interp_vm_run(&vm, CODE, 1);
    vm.ram.base[CODE + 1] = 2;
    blocks_invalidate(c, CODE + 1, 1);
    assert_false(vm.ram.tags[CODE / 4096] & RAM_CODE);
    interp_vm_run(&vm, CODE, 1);
    assert_int_equal(c->gpr[RAX], 2);
}

/* ---- page crossing ---- */

static void instruction_across_pages(void **state)
{
    struct vcpu *c = start(64);
    for (unsigned split = 1; split < 10; split++) {
        uint64_t at = 0x5000 - split;
        PUT(at, "\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08\xf4");
        blocks_flush(c);
        c->gpr[RAX] = 0;
        interp_vm_run(&vm, at, 1);
        assert_int_equal(c->gpr[RAX], 0x0807060504030201);
        assert_int_equal(c->rip, at + 10);
        /* each half can be changed by a store: mov byte [at+9 or at+2], 0x77 */
        uint8_t store[] = {0xc6, 0x04, 0x25, 0, 0, 0, 0, 0x77};
        store_le(store + 3, at + 9, 4);
        put(CODE, (char *)store, 8);
        interp_vm_run(&vm, CODE, 1);
        interp_vm_run(&vm, at, 1);
        assert_int_equal(c->gpr[RAX] >> 56, 0x77);
        store_le(store + 3, at + 2, 4);
        put(CODE + 64 * split, (char *)store, 8);
        interp_vm_run(&vm, CODE + 64 * split, 1);
        interp_vm_run(&vm, at, 1);
        assert_int_equal(c->gpr[RAX] & 0xff, 0x77);
    }
}

/* ---- budget ---- */

/* A random walk of arithmetic, stores, branches; any way of cutting it gives the same end. */
static void budget_is_exact(void **state)
{
    /* 1: add eax, ecx; mov [rdi+rdx*4], eax; inc edx; and edx, 255; test eax, 16; jz 2;
     * xor ecx, eax; 2: inc ecx; jmp 1 */
    static const char code[] =
        "\x01\xc8\x89\x04\x97\xff\xc2\x81\xe2\xff\x00\x00\x00\xa9\x10\x00"
        "\x00\x00\x74\x02\x31\xc1\xff\xc1\xeb\xe6";
    uint64_t end[3][4];
    for (unsigned way = 0; way < 3; way++) {
        struct vcpu *c = start(64);
        put(CODE, code, sizeof(code));
        c->gpr[RDI] = 0x100000;
        uint64_t before = c->instructions, left = 10007;
        c->rip = CODE;
        for (unsigned k = 0; left; k++) {
            uint64_t part = way == 0 ? 10007 : way == 1 ? 1 : 1 + k * 7 % 13;
            part = part < left ? part : left;
            interp_vm_run(&vm, c->rip, part);
            left -= part;
            assert_int_equal(c->instructions - before, 10007 - left);
        }
        end[way][0] = c->rip;
        end[way][1] = c->gpr[RAX];
        end[way][2] = c->gpr[RCX];
        end[way][3] = c->gpr[RDX];
    }
    assert_memory_equal(end[0], end[1], sizeof(end[0]));
    assert_memory_equal(end[0], end[2], sizeof(end[0]));
}

/* ---- faults ---- */

/* Real mode: #DE of DIV pushes the address of the DIV; nothing it would change is changed. */
static void fault_leaves_state_alone(void **state)
{
    struct vcpu *c = start(16);
    store_le(vm.ram.base, 0x2000, 2); /* vector 0: 0:2000 */
    PUT(0x2000, "\xf4");
    PUT(CODE, "\x40\xf6\xf3\xf4"); /* inc ax; div bl */
    c->gpr[RAX] = 0x1233;
    c->gpr[RDX] = 0x77;
    uint64_t before = c->instructions;
    assert_int_equal(interp_vm_run(&vm, CODE, 2), STOP_HALT);
    assert_int_equal(c->instructions - before, 2); /* inc, hlt; not div */
    assert_int_equal(c->gpr[RAX], 0x1234);
    assert_int_equal(c->gpr[RDX], 0x77);
    assert_int_equal(c->gpr[RSP], 0x8000 - 6);
    assert_int_equal(load_le(vm.ram.base + 0x8000 - 6, 2), CODE + 1);
}

/* PUSH at SP = 1 in real mode is #SS; SP keeps its value. IP runs into the segment's end: #GP. */
static void limits_in_real_mode(void **state)
{
    struct vcpu *c = start(16);
    store_le(vm.ram.base + 13 * 4, 0x3000, 2);
    PUT(0x3000, "\xf4");
    PUT(0xffff, "\x90\x90");
    interp_vm_run(&vm, 0xffff, 1);
    assert_int_equal(interp_vm_run(&vm, c->rip, 5), STOP_HALT);
    assert_int_equal(c->rip, 0x3001);
    /* a two-byte instruction whose second byte is beyond the limit */
    c->halted = false;
    PUT(0xffff, "\x89\xc0");
    blocks_flush(c);
    assert_int_equal(interp_vm_run(&vm, 0xffff, 5), STOP_HALT);
    assert_int_equal(c->rip, 0x3001);
    assert_int_equal(load_le(vm.ram.base + (uint16_t)c->gpr[RSP], 2), 0xffff);
}

static void single_step_traps(void **state)
{
    struct vcpu *c = start(16);
    store_le(vm.ram.base + 4, 0x3000, 2);
    PUT(0x3000, "\x43\xcf"); /* inc bx; iret */
    PUT(CODE, "\x40\x40\xf3\xaa\x40\xf4");
    c->gpr[RCX] = 3;
    c->gpr[RDI] = 0x6000;
    cpu_set_rflags(c, FLAG_TF | FLAG_FIXED);
    c->rip = CODE;
    for (unsigned k = 0; k < 100 && c->rip != CODE + 5; k++)
        interp_vm_run(&vm, c->rip, 1);
    /* behind two INC, three iterations of STOSB, one INC */
    assert_int_equal(c->gpr[RBX], 6);
    assert_int_equal(c->gpr[RAX], 3);
    assert_int_equal(c->gpr[RCX], 0);
}

/* More code than the arena holds: it is emptied on the way and everything still runs. */
static void cache_overflows(void **state)
{
    struct vcpu *c = start(64);
    /* each 16 bytes: inc eax; 5 x mov ebx,ebx; nop; jmp +0 */
    static const char unit[] =
        "\xff\xc0\x89\xdb\x89\xdb\x89\xdb\x89\xdb\x89\xdb\x90\x90\xeb\x00";
    uint64_t units = (8 << 20) / 16;
    for (uint64_t k = 0; k < units; k++)
        put(0x400000 + 16 * k, unit, 16);
    interp_vm_run(&vm, 0x400000, units * 9);
    assert_int_equal(c->gpr[RAX], units);
    assert_int_equal(c->rip, 0x400000 + 16 * units);
}

static int setup(void **state)
{
    return interp_vm_init(&vm, 16 << 20) ? 0 : -1;
}
static int teardown(void **state)
{
    interp_vm_fini(&vm);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(movs_propagates_overlap),
        cmocka_unit_test(movs_wide_elements),
        cmocka_unit_test(stos_wraps_at_16_bits),
        cmocka_unit_test(scas_and_cmps_stop_and_set_flags),
        cmocka_unit_test(rep_is_resumable),
        cmocka_unit_test(store_changes_the_next_instruction),
        cmocka_unit_test(loop_that_modifies_itself),
        cmocka_unit_test(data_beside_code),
        cmocka_unit_test(data_in_a_line_of_code),
        cmocka_unit_test(device_write_drops_blocks),
        cmocka_unit_test(instruction_across_pages),
        cmocka_unit_test(budget_is_exact),
        cmocka_unit_test(fault_leaves_state_alone),
        cmocka_unit_test(limits_in_real_mode),
        cmocka_unit_test(single_step_traps),
        cmocka_unit_test(cache_overflows),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
