/* SPDX-License-Identifier: MIT */
/*
 * escape_test.c - the instruction itself: which forms are a host call and which #UD, who may, what
 * faults and that it can be run again, and that nothing but the block changes. Both engines.
 */
#include "rig.h"

#include "cpu/cpu.h"
#include <stdlib.h>
#include <weir/introspect.h>

static const char *engine;

#define VECTOR_AT 0x600u /* real mode: handlers, one HLT each */

/* Real mode's table: every vector goes to a HLT of its own. */
static void real_vectors(struct rig *r)
{
    for (unsigned v = 0; v < 32; v++) {
        uint32_t handler = VECTOR_AT + v;
        weir_mem_write(r->vm, 4 * v, &handler, 4);
        weir_mem_write(r->vm, handler, "\xf4", 1);
    }
    r->c->idtr.base = 0;
    r->c->idtr.limit = 0x3ff;
}

/* Runs `bytes` in real mode: the vector that it raised, or -1 if it came to the HLT behind. */
static int run_real(struct rig *r, const void *bytes, unsigned length)
{
    struct weir_exit e;
    weir_mem_write(r->vm, RIG_CODE, bytes, length);
    weir_mem_write(r->vm, RIG_CODE + length, "\xf4", 1);
    r->c->rip = RIG_CODE;
    r->c->gpr[RSP] = RIG_STACK;
    r->c->halted = false;
    assert_int_equal(weir_run((weir_vcpu *)r->c, 0, &e), 0);
    assert_int_equal(e.reason, WEIR_EXIT_HALT);
    if (r->c->rip == RIG_CODE + length + 1)
        return -1;
    assert_in_range(r->c->rip, VECTOR_AT + 1, VECTOR_AT + 32);
    uint16_t ip;
    memcpy(&ip, rig_ram(r, (uint32_t)r->c->gpr[RSP]), 2);
    assert_int_equal(ip, RIG_CODE); /* at the instruction */
    return (int)(r->c->rip - VECTOR_AT - 1);
}

static void put_block(struct rig *r, uint32_t at, uint32_t magic, uint32_t length)
{
    struct weir_hc_header h = {.magic = magic,
                               .version = 1,
                               .service = WEIR_HC_NULL,
                               .error = 99,
                               .dos = 99,
                               .length = length};
    weir_mem_write(r->vm, at, &h, sizeof(h));
}
static unsigned block_error(struct rig *r, uint32_t at)
{
    struct weir_hc_header h;
    weir_mem_read(r->vm, at, &h, sizeof(h));
    return h.error;
}

static const uint8_t call16[] = {0x0f, 0xb9, 0x06, 0x00, 0x80}; /* ud1 ax, [8000h] */

static void off_is_ud(void **state)
{
    struct rig r;
    rig_open(&r, engine, 16, false, NULL);
    real_vectors(&r);
    put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC, 16);
    assert_int_equal(run_real(&r, call16, 5), VEC_UD);
    assert_int_equal(block_error(&r, RIG_BLOCK), 99);
    rig_close(&r);
}

static void forms(void **state)
{
    static const struct {
        const char *bytes;
        unsigned length;
        int vector;
    } cases[] = {
        {"\x0f\xb9\x06\x00\x80", 5, -1},
        {"\x0f\xb9\x3e\x00\x80", 5, -1},                     /* the register means nothing */
        {"\x66\x0f\xb9\x06\x00\x80", 6, -1},                 /* nor does the operand size */
        {"\x67\x0f\xb9\x05\x00\x80\x00\x00", 8, -1},         /* [disp32] */
        {"\x26\x0f\xb9\x06\x00\x80", 6, -1},                 /* es: */
        {"\x36\x0f\xb9\x06\x00\x80", 6, -1},                 /* ss: */
        {"\x65\x0f\xb9\x06\x00\x80", 6, -1},                 /* gs: */
        {"\x67\x0f\xb9\x04\x25\x00\x80\x00\x00", 9, -1},     /* SIB without base and index */
        {"\x0f\xb9\xc0", 3, VEC_UD},                         /* ud1 ax, ax */
        {"\x0f\xb9\x07", 3, VEC_UD},                         /* [bx] */
        {"\x0f\xb9\x47\x00", 4, VEC_UD},                     /* [bx+0] */
        {"\x0f\xb9\x86\x00\x80", 5, VEC_UD},                 /* [bp+8000h] */
        {"\x67\x0f\xb9\x00", 4, VEC_UD},                     /* [eax] */
        {"\x67\x0f\xb9\x04\x05\x00\x80\x00\x00", 9, VEC_UD}, /* [eax+disp32], index */
        {"\xf0\x0f\xb9\x06\x00\x80", 6, VEC_UD},
        {"\xf2\x0f\xb9\x06\x00\x80", 6, VEC_UD},
        {"\xf3\x0f\xb9\x06\x00\x80", 6, VEC_UD},
        {"\x0f\x0b", 2, VEC_UD},
        {"\x0f\xff\x06\x00\x80", 5, VEC_UD},             /* UD0 */
        {"\x0f\xb9\x06\xf1\xff", 5, VEC_GP},             /* the header passes the limit */
        {"\x36\x0f\xb9\x06\xf1\xff", 6, VEC_SS},         /* the same in the stack segment */
        {"\x67\x0f\xb9\x05\x00\x00\x01\x00", 8, VEC_GP}, /* beyond it */
    };
    struct rig r;
    rig_open(&r, engine, 16, false, "console=on");
    real_vectors(&r);
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC, 16);
        int vector = run_real(&r, cases[k].bytes, cases[k].length);
        if (vector != cases[k].vector)
            fail_msg("case %u: vector %d, not %d", k, vector, cases[k].vector);
        assert_int_equal(block_error(&r, RIG_BLOCK), vector < 0 ? 0 : 99);
    }
    put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC + 1, 16);
    assert_int_equal(run_real(&r, call16, 5), VEC_UD);
    /* The block passes the limit although its header does not. */
    put_block(&r, 0xfff0, WEIR_HC_MAGIC, 17);
    assert_int_equal(run_real(&r, "\x0f\xb9\x06\xf0\xff", 5), VEC_GP);
    put_block(&r, 0xfff0, WEIR_HC_MAGIC, 16);
    assert_int_equal(run_real(&r, "\x0f\xb9\x06\xf0\xff", 5), -1);
    assert_int_equal(weir_hostcall_address((weir_vcpu *)r.c), 0xfff0);
    /* Not RAM. */
    r.c->seg[SEG_ES].base = 0xfee00000;
    r.c->seg[SEG_ES].limit = 0xffff;
    cpu_mode_update(r.c);
    assert_int_equal(run_real(&r, "\x26\x0f\xb9\x06\x00\x80", 6), VEC_UD);
    rig_close(&r);
}

static void segments_and_address(void **state)
{
    struct rig r;
    rig_open(&r, engine, 16, false, "console=on");
    real_vectors(&r);
    for (unsigned s = SEG_ES; s <= SEG_GS; s++) {
        static const uint8_t prefix[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65};
        uint8_t code[6] = {prefix[s], 0x0f, 0xb9, 0x06, 0x10, 0x00};
        if (s == SEG_CS || s == SEG_SS)
            continue;
        r.c->seg[s].base = 0x20000 + 0x1000 * s;
        cpu_mode_update(r.c);
        put_block(&r, 0x20010 + 0x1000 * s, WEIR_HC_MAGIC, 16);
        assert_int_equal(run_real(&r, code, 6), -1);
        assert_int_equal(weir_hostcall_address((weir_vcpu *)r.c), 0x20010 + 0x1000 * s);
    }
    rig_close(&r);
}

/* Protected mode: the block is written, so its segment must be writable data. */
static void protected_segments(void **state)
{
    static const struct {
        uint16_t attr;
        uint32_t limit;
        int vector;
    } cases[] = {
        {0xc093, 0xffffffff, -1},     {0xc091, 0xffffffff, VEC_GP}, /* read-only */
        {0xc09b, 0xffffffff, VEC_GP},                               /* code */
        {0x4093, RIG_BLOCK + 15, -1}, {0x4093, RIG_BLOCK + 14, VEC_GP},
        {0x4097, RIG_BLOCK, VEC_GP},  {0x4097, RIG_BLOCK - 1, -1}, /* expand-down */
        {0x4013, 0xffffffff, VEC_GP},                              /* not present */
    };
    struct rig r;
    rig_open(&r, engine, 32, false, "console=on");
    uint64_t gdt[3] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
    memcpy(rig_ram(&r, 0x103000), gdt, sizeof(gdt));
    for (uint32_t v = 0; v < 32; v++) {
        uint64_t gate = (VECTOR_AT + v) | 8u << 16 | 0x8e00ull << 32;
        memcpy(rig_ram(&r, 0x102000 + 8 * v), &gate, 8);
        weir_mem_write(r.vm, VECTOR_AT + v, "\xf4", 1);
    }
    r.c->gdtr = (struct table_register){0x103000, 23};
    r.c->idtr = (struct table_register){0x102000, 255};
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        struct weir_exit e;
        r.c->seg[SEG_DS].attr = cases[k].attr;
        r.c->seg[SEG_DS].limit = cases[k].limit;
        cpu_mode_update(r.c);
        put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC, 16);
        r.c->rip = RIG_CODE;
        r.c->gpr[RSP] = RIG_STACK;
        r.c->halted = false;
        assert_int_equal(weir_run((weir_vcpu *)r.c, 0, &e), 0);
        int vector = r.c->rip == RIG_CODE + 8 ? -1 : (int)(r.c->rip - VECTOR_AT - 1);
        if (vector != cases[k].vector)
            fail_msg("case %u: vector %d, not %d", k, vector, cases[k].vector);
    }
    rig_close(&r);
}

static void forms_64(void **state)
{
    static const struct {
        const char *bytes;
        unsigned length;
        uint64_t fs_base;
        bool served;
    } cases[] = {
        {"\x0f\xb9\x05\xf9\x6f\x00\x00", 7, 0, true},                   /* [rip+6ff9h] */
        {"\x48\x0f\xb9\x05\xf8\x6f\x00\x00", 8, 0, true},               /* REX means nothing */
        {"\x67\x0f\xb9\x05\xf8\x6f\x00\x00", 8, 0, true},               /* [eip+6ff8h] */
        {"\x0f\xb9\x04\x25\x00\x80\x00\x00", 8, 0, true},               /* [8000h] */
        {"\x64\x0f\xb9\x04\x25\x00\x00\x00\x00", 9, 0x8000, true},      /* [fs:0] */
        {"\x64\x0f\xb9\x04\x25\xf0\xff\xff\xff", 9, 0x8010, true},      /* [fs:-10h] */
        {"\x64\x0f\xb9\x04\x25\x00\x00\x00\x00", 9, 1ull << 50, false}, /* not canonical */
        {"\x0f\xb9\x00", 3, 0, false},                                  /* [rax] */
        {"\x42\x0f\xb9\x04\x25\x00\x80\x00\x00", 9, 0, false},          /* [r12+8000h] */
        {"\x0f\xb9\xc0", 3, 0, false},
    };
    struct rig r;
    rig_open(&r, engine, 64, false, "console=on");
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        uint8_t block[16];
        r.c->idtr.limit = 0; /* a fault is the end */
        r.c->seg[SEG_FS].base = cases[k].fs_base;
        cpu_mode_update(r.c);
        weir_mem_write(r.vm, RIG_CODE, cases[k].bytes, cases[k].length);
        put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC, 16);
        memcpy(block, rig_ram(&r, RIG_BLOCK), 16);
        rig_raw(&r, block, 16);
        if ((block_error(&r, RIG_BLOCK) == 0) != cases[k].served)
            fail_msg("case %u", k);
        if (cases[k].served)
            assert_int_equal(r.c->rip, RIG_CODE + cases[k].length);
        r.vm->reset_exits = true;
    }
    rig_close(&r);
}

/* ---- rings ---- */

static void rings(void **state)
{
    static const struct {
        const char *option;
        bool in_real, in_user;
    } cases[] = {{"console=on", true, true},
                 {"ring=0", true, false},
                 {"ring=3", false, true},
                 {"ring=v86", false, false},
                 {"ring=0+v86,time=on", true, false}};
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        struct rig r;
        uint8_t block[16];
        rig_open(&r, engine, 16, false, cases[k].option);
        real_vectors(&r);
        put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC, 16);
        assert_int_equal(run_real(&r, call16, 5), cases[k].in_real ? -1 : VEC_UD);
        assert_int_equal(weir_boot_flat(r.vm, 32, RIG_CODE, RIG_STACK, 0), 0);
        rig_code(&r, 32);
        r.c->idtr.limit = 0; /* a fault is the end */
        r.c->cpl = 3;
        r.c->seg[SEG_CS].attr |= SEG_ATTR_DPL;
        r.c->seg[SEG_CS].selector |= 3;
        r.c->seg[SEG_SS].attr |= SEG_ATTR_DPL;
        r.c->seg[SEG_SS].selector |= 3;
        cpu_mode_update(r.c);
        put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC, 16);
        memcpy(block, rig_ram(&r, RIG_BLOCK), 16);
        rig_raw(&r, block, 16);
        assert_int_equal(block_error(&r, RIG_BLOCK), cases[k].in_user ? 0 : 99);
        rig_close(&r);
    }
}

static void v86(void **state)
{
    for (unsigned allowed = 0; allowed < 2; allowed++) {
        struct rig r;
        uint8_t block[16];
        rig_open(&r, engine, 32, false, allowed ? "ring=v86" : "ring=0+3");
        rig_code(&r, 16);
        r.c->idtr.limit = 0;
        for (unsigned s = SEG_ES; s <= SEG_GS; s++)
            r.c->seg[s] = (struct segment){.limit = 0xffff, .attr = 0xf3};
        r.c->cpl = 3;
        r.c->rflags_rest |= FLAG_VM;
        cpu_mode_update(r.c);
        put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC, 16);
        memcpy(block, rig_ram(&r, RIG_BLOCK), 16);
        rig_raw(&r, block, 16);
        assert_int_equal(block_error(&r, RIG_BLOCK), allowed ? 0 : 99);
        rig_close(&r);
    }
}

/* ---- pages ---- */

#define PD  0x100000u
#define PT  0x101000u
#define IDT 0x102000u
#define GDT 0x103000u

/* 32-bit paging, 1:1, the first 4 MiB by small pages; vector n goes to a HLT. */
static void paged(struct rig *r)
{
    uint32_t *pd = rig_ram(r, PD), *pt = rig_ram(r, PT);
    for (unsigned k = 0; k < 1024; k++)
        pt[k] = k << 12 | 7;
    pd[0] = PT | 7;
    for (unsigned k = 1; k < 8; k++)
        pd[k] = k << 22 | 0x87;
    uint64_t gdt[3] = {0, 0x00cf9b000000ffff, 0x00cf93000000ffff};
    memcpy(rig_ram(r, GDT), gdt, sizeof(gdt));
    for (uint32_t v = 0; v < 32; v++) {
        uint64_t gate = (VECTOR_AT + v) | 8u << 16 | 0x8e00ull << 32;
        memcpy(rig_ram(r, IDT + 8 * v), &gate, 8);
        weir_mem_write(r->vm, VECTOR_AT + v, "\xf4", 1);
    }
    r->c->gdtr = (struct table_register){GDT, 23};
    r->c->idtr = (struct table_register){IDT, 255};
    r->c->cr3 = PD;
    r->c->cr4 |= CR4_PSE;
    r->c->cr0 |= CR0_PG | CR0_PE | CR0_WP;
    cpu_mode_update(r->c);
    tlb_flush_all(r->c);
}

/* Vector of the fault, -1: none. Error code in *error. */
static int run_paged(struct rig *r, uint32_t *error)
{
    struct weir_exit e;
    r->c->rip = RIG_CODE;
    r->c->gpr[RSP] = RIG_STACK;
    r->c->halted = false;
    tlb_flush_all(r->c);
    assert_int_equal(weir_run((weir_vcpu *)r->c, 0, &e), 0);
    assert_int_equal(e.reason, WEIR_EXIT_HALT);
    if (r->c->rip == RIG_CODE + 8)
        return -1;
    uint32_t frame[2];
    memcpy(frame, rig_ram(r, (uint32_t)r->c->gpr[RSP]), 8);
    *error = frame[0];
    assert_int_equal(frame[1], RIG_CODE);
    return (int)(r->c->rip - VECTOR_AT - 1);
}

static void page_faults(void **state)
{
    struct rig r;
    uint32_t error = 0;
    rig_open(&r, engine, 32, true, "share=s,path=%s");
    rig_put(&r, "f", "0123456789");
    paged(&r);
    uint32_t *pt = rig_ram(&r, PT);
    /* The block's page; its second page; then it works. */
    struct weir_hc_open o = {.path = rig_text(&r, "f", 0), .flags = WEIR_HC_O_READ};
    o.header = (struct weir_hc_header){WEIR_HC_MAGIC, 1, WEIR_HC_FILE_OPEN, 99, 99, sizeof(o)};
    uint32_t at = 0x9000 - 40; /* crosses a page */
    memcpy(rig_ram(&r, at), &o, sizeof(o));
    store_le(rig_ram(&r, RIG_CODE + 3), at, 4);
    pt[8] &= ~1u;
    assert_int_equal(run_paged(&r, &error), VEC_PF);
    assert_int_equal(r.c->cr2, at);
    assert_int_equal(error, 0);
    pt[8] = 0x8005; /* read-only */
    assert_int_equal(run_paged(&r, &error), VEC_PF);
    assert_int_equal(error, PF_ERR_P | PF_ERR_W);
    assert_int_equal(r.c->cr2, at);
    pt[8] = 0x8007;
    pt[9] &= ~1u;
    assert_int_equal(run_paged(&r, &error), VEC_PF);
    assert_int_equal(r.c->cr2, 0x9000);
    assert_int_equal(error, PF_ERR_W);
    pt[9] |= 1;
    pt[RIG_NAMES >> 12] &= ~1u; /* the name */
    assert_int_equal(run_paged(&r, &error), VEC_PF);
    assert_int_equal(r.c->cr2, RIG_NAMES);
    assert_int_equal(error, 0);
    assert_int_equal(((struct weir_hc_open *)rig_ram(&r, at))->header.error, 99);
    pt[RIG_NAMES >> 12] |= 1;
    assert_int_equal(run_paged(&r, &error), -1);
    memcpy(&o, rig_ram(&r, at), sizeof(o));
    assert_int_equal(o.header.error, 0);
    /* Regions: nothing is read while one page of them is missing. */
    struct weir_hc_io io = {.handle = o.handle,
                            .region_count = 1,
                            .offset = WEIR_HC_HERE,
                            .regions = {rig_region(0x20ffc, 10)}};
    io.header =
        (struct weir_hc_header){WEIR_HC_MAGIC, 1, WEIR_HC_FILE_READ, 99, 99, sizeof(io)};
    memcpy(rig_ram(&r, at), &io, sizeof(io));
    memset(rig_ram(&r, 0x20ff0), 'x', 0x40);
    pt[0x21] &= ~1u;
    assert_int_equal(run_paged(&r, &error), VEC_PF);
    assert_int_equal(r.c->cr2, 0x21000);
    assert_int_equal(error, PF_ERR_W);
    assert_memory_equal(rig_ram(&r, 0x20ff0), "xxxxxxxxxxxxxxxxxxxxxxxxxxxx", 28);
    pt[0x21] |= 1;
    assert_int_equal(run_paged(&r, &error), -1);
    assert_memory_equal(rig_ram(&r, 0x20ff8), "xxxx0123456789xxxx", 18);
    rig_close(&r);
}

/* ---- nothing else changes ---- */

static uint64_t seed = 1;
static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* Architectural state as bytes: all in front of what is derived from it. */
static void snapshot(const struct vcpu *c, uint8_t *to)
{
    memcpy(to, c, offsetof(struct vcpu, mode));
    ((struct vcpu *)to)->rip = 0;
    ((struct vcpu *)to)->rflags_rest &= ~FLAG_RF;
}

static void random_states(void **state)
{
    _Alignas(64) static uint8_t before[sizeof(struct vcpu)], after[sizeof(struct vcpu)];
    static uint8_t ram[0x8000];
    for (unsigned mode = 0; mode < 3; mode++) {
        unsigned bits = 16u << mode;
        struct rig r;
        rig_open(&r, engine, bits, false, "console=on");
        uint32_t end = rig_code(&r, bits);
        for (unsigned k = 0; k < 2000; k++) {
            struct vcpu *c = r.c;
            uint8_t block[16];
            for (unsigned g = 0; g < 16; g++)
                c->gpr[g] = rnd();
            c->flags = rnd() & FLAGS_ARITH;
            c->rflags_rest = FLAG_FIXED | (rnd() & (FLAG_DF | FLAG_AC | FLAG_ID | FLAG_IF));
            for (unsigned z = 0; z < 32; z++)
                for (unsigned b = 0; b < 16; b++)
                    c->fpu.zmm[z][b] = (uint8_t)rnd();
            cpu_mode_update(c);
            put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC, 16);
            memcpy(block, rig_ram(&r, RIG_BLOCK), 16);
            snapshot(c, before);
            memcpy(ram, rig_ram(&r, RIG_BLOCK + 16), sizeof(ram));
            if (k & 1) {
                assert_true(rig_raw(&r, block, 16));
                assert_int_equal(c->rip, end);
            } else { /* up to the HLT, without a budget: another path of the translator */
                struct weir_exit e;
                c->rip = RIG_CODE;
                c->halted = false;
                assert_int_equal(weir_run((weir_vcpu *)c, 0, &e), 0);
                assert_int_equal(e.reason, WEIR_EXIT_HALT);
                assert_int_equal(c->rip, end + 1);
                c->halted = false;
                memcpy(block, rig_ram(&r, RIG_BLOCK), 16);
            }
            snapshot(c, after);
            assert_int_equal(block_error(&r, RIG_BLOCK), 0);
            assert_memory_equal(before, after, offsetof(struct vcpu, mode));
            assert_memory_equal(ram, rig_ram(&r, RIG_BLOCK + 16), sizeof(ram));
        }
        rig_close(&r);
    }
}

/* A trap behind the instruction, once, as behind any other. */
static void single_step(void **state)
{
    struct rig r;
    struct weir_exit e;
    rig_open(&r, engine, 16, false, "console=on");
    real_vectors(&r);
    rig_code(&r, 16);
    put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC, 16);
    r.c->rip = RIG_CODE;
    r.c->rflags_rest |= FLAG_TF;
    cpu_mode_update(r.c);
    uint64_t count = r.c->instructions;
    assert_int_equal(weir_run((weir_vcpu *)r.c, 0, &e), 0);
    assert_int_equal(r.c->rip, VECTOR_AT + VEC_DB + 1);
    assert_int_equal(r.c->instructions - count, 2); /* the call and the handler's HLT */
    uint16_t ip;
    memcpy(&ip, rig_ram(&r, (uint32_t)r.c->gpr[RSP]), 2);
    assert_int_equal(ip, RIG_CODE + 5);
    assert_int_equal(block_error(&r, RIG_BLOCK), 0);
    assert_int_equal(r.c->dr[6] & DR6_BS, DR6_BS);
    rig_close(&r);
}

/* ---- the rest of the contract ---- */

static void headers(void **state)
{
    for (unsigned k = 1; k < service_count; k++) /* they are found by bisection */
        assert_true(service_table[k - 1].number < service_table[k].number);
    struct rig r;
    struct weir_hc_header h = {WEIR_HC_MAGIC, 1, 0, 99, 99, 8};
    rig_open(&r, engine, 32, false, "console=on");
    assert_true(rig_raw(&r, &h, sizeof(h)));
    assert_int_equal(h.error, WEIR_HC_EINVAL);
    h = (struct weir_hc_header){WEIR_HC_MAGIC, 1, 0, 99, 99, WEIR_HC_MAX_BLOCK + 1};
    assert_true(rig_raw(&r, &h, sizeof(h)));
    assert_int_equal(h.error, WEIR_HC_EINVAL);
    h = (struct weir_hc_header){WEIR_HC_MAGIC, 2, 0, 99, 99, 16};
    assert_true(rig_raw(&r, &h, sizeof(h)));
    assert_int_equal(h.error, WEIR_HC_ENOSYS);
    assert_int_equal(h.dos, 1);
    assert_int_equal(rig_call(&r, &h, 0x77ff, 16), WEIR_HC_ENOSYS);
    assert_int_equal(rig_call(&r, &h, WEIR_HC_TIME, 16), WEIR_HC_ENOSYS); /* switched off */
    assert_int_equal(rig_call(&r, &h, WEIR_HC_INFO, 16), WEIR_HC_EINVAL); /* too short */
    struct weir_hc_info info;
    assert_int_equal(rig_call(&r, &info, WEIR_HC_INFO, sizeof(info)), 0);
    assert_int_equal(info.groups, 1u | 1u << WEIR_HC_GROUP_CONSOLE);
    assert_int_equal(info.rings, 7);
    rig_close(&r);
}

static void indirect(void **state)
{
    struct rig r;
    rig_open(&r, engine, 32, false, "time=on");
    struct weir_hc_time *inner = rig_ram(&r, RIG_DATA + 4090); /* crosses a page */
    struct weir_hc_indirect outer = {.block = RIG_DATA + 4090};
    struct weir_hc_header h = {WEIR_HC_MAGIC, 1, WEIR_HC_TIME, 99, 99, sizeof(*inner)};
    memcpy(inner, &h, sizeof(h));
    assert_int_equal(rig_call(&r, &outer, WEIR_HC_INDIRECT, sizeof(outer)), 0);
    memcpy(&h, inner, sizeof(h));
    assert_int_equal(h.error, 0);
    int64_t seconds;
    memcpy(&seconds, &inner->seconds, 8);
    assert_true(seconds > 1600000000);
    h.service = WEIR_HC_INDIRECT;
    memcpy(inner, &h, sizeof(h));
    assert_int_equal(rig_call(&r, &outer, WEIR_HC_INDIRECT, sizeof(outer)), WEIR_HC_EINVAL);
    outer.block = 0xf0000000;
    assert_int_equal(rig_call(&r, &outer, WEIR_HC_INDIRECT, sizeof(outer)), WEIR_HC_EFAULT);
    rig_close(&r);
}

static void discovery(void **state)
{
    struct rig r;
    uint32_t out[4], value;
    rig_open(&r, engine, 16, false, NULL);
    cpuid_query(r.c, WEIR_HC_CPUID, 0, out);
    assert_int_equal(out[0], 0);
    assert_int_equal(weir_port_read(r.vm, WEIR_HC_PORT, 4, &value), 0);
    assert_int_equal(value, UINT32_MAX);
    rig_close(&r);
    rig_open(&r, engine, 16, false, "ring=0+v86,log=on");
    cpuid_query(r.c, 0x40000000, 0, out);
    assert_true(out[0] >= WEIR_HC_CPUID);
    assert_int_equal(out[1], WEIR_HC_CPUID_TEXT);
    cpuid_query(r.c, WEIR_HC_CPUID, 0, out);
    assert_int_equal(out[0], WEIR_HC_MAGIC);
    assert_int_equal(out[1], WEIR_HC_VERSION);
    assert_int_equal(out[2], 1u | 1u << WEIR_HC_GROUP_LOG);
    assert_int_equal(out[3], WEIR_HC_RING_0 | WEIR_HC_RING_V86);
    weir_port_read(r.vm, WEIR_HC_PORT, 4, &value);
    assert_int_equal(value, WEIR_HC_MAGIC);
    weir_port_read(r.vm, WEIR_HC_PORT + 4, 4, &value);
    assert_int_equal(value, WEIR_HC_VERSION | 5 << 16);
    weir_port_read(r.vm, WEIR_HC_PORT + 8, 4, &value);
    assert_int_equal(value, 1u | 1u << WEIR_HC_GROUP_LOG);
    rig_close(&r);
}

static void options(void **state)
{
    static const char *const bad[] = {"shares=x",
                                      "share=,path=/",
                                      "share=a/b,path=/",
                                      "path=/tmp",
                                      "ro",
                                      "share=a",
                                      "share=a,path=/nonexistent",
                                      "fs=maybe",
                                      "ring=1",
                                      "ring=",
                                      "env=x",
                                      "consol=on",
                                      "share=a,path=/,share=a,path=/",
                                      "share=a,path=/,ro=x"};
    struct rig r;
    for (unsigned k = 0; k < ARRAY_SIZE(bad); k++) {
        rig_open(&r, engine, 16, false, NULL);
        r.vm->started = false;
        int rc = weir_hostcall_enable(r.vm, bad[k]);
        if (!strcmp(bad[k], "ring="))
            assert_int_equal(rc, 0); /* nobody */
        else if (rc >= 0)
            fail_msg("-hostcall %s is accepted", bad[k]);
        r.vm->started = true;
        rig_close(&r);
    }
    rig_open(&r, engine, 16, false, NULL);
    assert_int_equal(weir_hostcall_enable(r.vm, "console=on"), -WEIR_ESTATE);
    rig_close(&r);
}

/* ---- the embedder's services ---- */

struct sum_block {
    struct weir_hc_header header;
    uint32_t count;
    uint32_t sum;
};
static unsigned serve_sum(weir_call *call, struct sum_block *block, void *ctx)
{
    *(unsigned *)ctx += 1;
    assert_ptr_equal(weir_call_vcpu(call), (weir_vcpu *)call->c);
    block->sum = 2 * block->count;
    return block->count == 13 ? WEIR_HC_EBUSY : 0;
}
static unsigned serve_upper(weir_call *call, void *block, void *ctx)
{
    char text[64];
    uint64_t n = weir_call_read(call, 0, text, sizeof(text));
    assert_int_equal(n, weir_call_bytes(call));
    for (uint64_t k = 0; k < n; k++)
        text[k] = (char)(text[k] & ~32);
    assert_int_equal(weir_call_write(call, 0, text, n), n);
    return 0;
}

static void own_services(void **state)
{
    struct rig r;
    unsigned calls = 0;
    rig_open(&r, engine, 32, false, NULL);
    r.vm->started = false;
    assert_int_equal(WEIR_SERVICE_ADD(r.vm, 0x8001, "sum", struct sum_block, serve_sum, &calls),
                     0);
    struct weir_service s = {.size = sizeof(s),
                             .number = 0x8002,
                             .name = "upper",
                             .block_bytes = 24,
                             .count_at = 16,
                             .writes_regions = true,
                             .fn = serve_upper};
    assert_int_equal(weir_service_add(r.vm, &s), 0);
    assert_int_equal(weir_service_add(r.vm, &s), -WEIR_EEXIST);
    s.number = 5;
    assert_int_equal(weir_service_add(r.vm, &s), -WEIR_EINVAL);
    r.vm->started = true;
    struct sum_block a = {.count = 21};
    assert_int_equal(rig_call(&r, &a, 0x8001, sizeof(a)), 0);
    assert_int_equal(a.sum, 42);
    a.count = 13;
    assert_int_equal(rig_call(&r, &a, 0x8001, sizeof(a)), WEIR_HC_EBUSY);
    assert_int_equal(calls, 2);
    struct {
        struct weir_hc_header header;
        uint32_t count, reserved;
        struct weir_hc_region regions[2];
    } b = {.count = 2, .regions = {rig_region(RIG_DATA, 3), rig_region(RIG_DATA + 100, 2)}};
    memcpy(rig_ram(&r, RIG_DATA), "abcd", 4);
    memcpy(rig_ram(&r, RIG_DATA + 100), "efg", 3);
    assert_int_equal(rig_call(&r, &b, 0x8002, sizeof(b)), 0);
    assert_memory_equal(rig_ram(&r, RIG_DATA), "ABCd", 4);
    assert_memory_equal(rig_ram(&r, RIG_DATA + 100), "EFg", 3);
    rig_close(&r);
}

/* ---- introspection ---- */

struct watched {
    unsigned count;
    unsigned answer;
    struct weir_hostcall_event last;
};
static unsigned on_call(void *ctx, weir_vcpu *cpu, struct weir_hostcall_event *e)
{
    struct watched *w = ctx;
    w->count++;
    w->last = *e;
    return w->answer;
}

/* One event before the call is served, at the instruction; a refused call does nothing. */
static void events(void **state)
{
    struct rig r;
    struct watched w = {0};
    uint64_t handle;
    rig_open(&r, engine, 16, false, "console=on");
    real_vectors(&r);
    assert_int_equal(weir_on_hostcall(r.vm, NULL, on_call, &w, &handle), 0);
    put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC, 16);
    assert_int_equal(run_real(&r, call16, 5), -1);
    assert_int_equal(w.count, 1);
    assert_int_equal(w.last.block, RIG_BLOCK);
    assert_int_equal(w.last.service, WEIR_HC_NULL);
    assert_int_equal(w.last.head.rip, RIG_CODE);
    assert_int_equal(block_error(&r, RIG_BLOCK), 0);
    put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC, 16);
    w.answer = WEIR_SKIP;
    assert_int_equal(run_real(&r, call16, 5), -1);
    assert_int_equal(w.count, 2);
    assert_int_equal(block_error(&r, RIG_BLOCK), 99); /* not served */
    w.answer = WEIR_DENY;
    assert_int_equal(run_real(&r, call16, 5), w.last.head.answer.fault.vector);
    assert_int_equal(w.count, 3);
    assert_int_equal(block_error(&r, RIG_BLOCK), 99);
    put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC + 1, 16); /* is none */
    assert_int_equal(run_real(&r, call16, 5), VEC_UD);
    assert_int_equal(w.count, 3);
    weir_event_remove(r.vm, handle);
    put_block(&r, RIG_BLOCK, WEIR_HC_MAGIC, 16);
    assert_int_equal(run_real(&r, call16, 5), -1);
    assert_int_equal(w.count, 3);
    rig_close(&r);
}

int main(int argc, char **argv)
{
    engine = argc > 1 ? argv[1] : "jit";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(off_is_ud),
        cmocka_unit_test(forms),
        cmocka_unit_test(segments_and_address),
        cmocka_unit_test(protected_segments),
        cmocka_unit_test(forms_64),
        cmocka_unit_test(rings),
        cmocka_unit_test(v86),
        cmocka_unit_test(page_faults),
        cmocka_unit_test(random_states),
        cmocka_unit_test(single_step),
        cmocka_unit_test(headers),
        cmocka_unit_test(indirect),
        cmocka_unit_test(discovery),
        cmocka_unit_test(options),
        cmocka_unit_test(own_services),
        cmocka_unit_test(events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
