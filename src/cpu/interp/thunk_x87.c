/* SPDX-License-Identifier: MIT */
/*
 * thunk_x87.c - the fast form of x87 instructions (struct x87_window).
 *
 * FLD and FSTP of 80-bit operands change nothing and raise nothing, so registers can be moved
 * one by one, which takes a tenth of the time of FXRSTOR and FXSAVE. Exception flags are
 * sticky: flags left over in the host's status word matter only where the guest's own are
 * clear.
 */
#include "cpu/interp/emit.h"

#define C0      0x0100u
#define C1      0x0200u
#define C2      0x0400u
#define C3      0x4000u
#define C_ALL   (C0 | C1 | C2 | C3)
#define NO_FORM 2

/* Stack movement and condition codes. What is not in here has no fast form: FPTAN, FSINCOS,
 * FXTRACT (they push or not), FFREE, FINCSTP, FDECSTP. */
struct behaviour {
    int8_t delta;
    uint16_t conditions;
};

static struct behaviour behaviour_of(unsigned op)
{
    switch (op) {
    case OP_FLD:
    case OP_FILD:
    case OP_FBLD:
    case OP_FLD1:
    case OP_FLDL2T:
    case OP_FLDL2E:
    case OP_FLDPI:
    case OP_FLDLG2:
    case OP_FLDLN2:
    case OP_FLDZ:
        return (struct behaviour){1, C1};
    case OP_FSTP:
    case OP_FISTP:
    case OP_FISTTP:
    case OP_FBSTP:
    case OP_FADDP:
    case OP_FMULP:
    case OP_FSUBP:
    case OP_FSUBRP:
    case OP_FDIVP:
    case OP_FDIVRP:
    case OP_FPATAN:
    case OP_FYL2X:
    case OP_FYL2XP1:
        return (struct behaviour){-1, C1};
    case OP_FCOMIP:
    case OP_FUCOMIP:
        return (struct behaviour){-1, 0};
    case OP_FCOMP:
    case OP_FUCOMP:
    case OP_FICOMP:
        return (struct behaviour){-1, C_ALL};
    case OP_FCOMPP:
    case OP_FUCOMPP:
        return (struct behaviour){-2, C_ALL};
    case OP_FCOM:
    case OP_FUCOM:
    case OP_FICOM:
    case OP_FTST:
    case OP_FXAM:
        return (struct behaviour){0, C_ALL};
    case OP_FSIN:
    case OP_FCOS:
        return (struct behaviour){0, C1 | C2};
    case OP_FADD:
    case OP_FMUL:
    case OP_FSUB:
    case OP_FSUBR:
    case OP_FDIV:
    case OP_FDIVR:
    case OP_FIADD:
    case OP_FIMUL:
    case OP_FISUB:
    case OP_FISUBR:
    case OP_FIDIV:
    case OP_FIDIVR:
    case OP_FST:
    case OP_FIST:
    case OP_FXCH:
    case OP_FCHS:
    case OP_FABS:
    case OP_FSQRT:
    case OP_FRNDINT:
    case OP_FSCALE:
    case OP_F2XM1:
        return (struct behaviour){0, C1};
    case OP_FCOMI:
    case OP_FUCOMI:
    case OP_FCMOVB:
    case OP_FCMOVE:
    case OP_FCMOVBE:
    case OP_FCMOVU:
    case OP_FCMOVNB:
    case OP_FCMOVNE:
    case OP_FCMOVNBE:
    case OP_FCMOVNU:
        return (struct behaviour){0, 0};
    default:
        return (struct behaviour){NO_FORM, 0};
    }
}

void x87_window_describe(const struct insn *i, struct thunk_spec *s)
{
    struct behaviour b = behaviour_of(i->op);
    struct x87_window *w = &s->window;
    struct operand o;
    if (b.delta == NO_FORM)
        return;
    w->usable = true;
    w->delta = b.delta;
    w->conditions = b.conditions;
    for (unsigned k = 0; insn_operand(i, k, &o); k++) {
        if (o.regs != REGS_X87 || (b.delta == 1 && o.written))
            continue;
        if (o.reg + 1 > w->depth)
            w->depth = o.reg + 1;
        if (o.written)
            w->stores |= (uint8_t)BIT(o.reg);
    }
    /* FADDP ST0: the result is popped, but it is there. FSTP ST0 changes nothing. */
    if (w->delta < 0 && w->stores & 1 && i->op != OP_FSTP)
        w->usable = false;
}

/* modrm and displacement of ST(n) in the image */
static void st_operand(struct code *k, unsigned opcode, unsigned digit, unsigned n)
{
    byte(k, 0x41);
    byte(k, opcode);
    fpu_operand(k, digit, FPU(fx.st) + 16 * n);
}

static void fnclex_unless_zero(struct code *k)
{
    byte(k, 0x74); /* jz over it */
    byte(k, 2);
    byte(k, 0xdb);
    byte(k, 0xe2);
}

static void emit_entry(struct code *k, const struct thunk_spec *s)
{
    static const uint8_t not_and_test[] = {0xf7, 0xd1, 0x21, 0xc8, 0xa8, 0x7f};
    op_frame(k, 0xd9, 7, FRAME(fcw_host)); /* fnstcw */
    byte(k, 0xdf);                         /* fnstsw ax */
    byte(k, 0xe0);
    byte(k, 0x41); /* mov ecx, [fsw] */
    byte(k, 0x8b);
    fpu_operand(k, 1, FPU(fx.fsw));
    bytes(k, not_and_test, sizeof not_and_test); /* eax & ~ecx & 7Fh */
    fnclex_unless_zero(k);
    byte(k, 0x41); /* fldcw [fcw] */
    byte(k, 0xd9);
    fpu_operand(k, 5, FPU(fx.fcw));
    for (unsigned n = s->window.depth; n-- > 0;)
        st_operand(k, 0xdb, 5, n); /* fld tbyte */
}

/* Empties the host stack into the image. Popped registers keep their contents. */
static void emit_exit(struct code *k, const struct thunk_spec *s)
{
    const struct x87_window *w = &s->window;
    unsigned first = w->delta < 0 ? (unsigned)-w->delta : 0;
    op_frame(k, 0xdd, 7, FRAME(fsw_out)); /* fnstsw */
    if (w->delta == 1)
        op_frame(k, 0xdb, 7, FRAME(pushed)); /* fstp tbyte */
    for (unsigned n = first; n < w->depth; n++) {
        if (w->stores >> n & 1) {
            st_operand(k, 0xdb, 7, n);
        } else {
            byte(k, 0xdd); /* fstp st0 */
            byte(k, 0xd8);
        }
    }
    byte(k, 0x80); /* cmp byte [fcw_host], 7Fh: flags must not trap unmasked */
    byte(k, 0x7f);
    byte(k, FRAME(fcw_host));
    byte(k, 0x7f);
    fnclex_unless_zero(k);
    op_frame(k, 0xd9, 5, FRAME(fcw_host)); /* fldcw */
    byte(k, 0xc3);
}

unsigned x87_window_emit(const struct thunk_spec *s, uint8_t *out)
{
    struct code k = {out, out};
    emit_entry(&k, s);
    if (s->flags_in)
        emit_flags_in(&k);
    bytes(&k, s->code, s->code_bytes);
    if (s->flags_out)
        emit_flags_out(&k);
    emit_exit(&k, s);
    return (unsigned)(k.p - k.start);
}
