/* SPDX-License-Identifier: MIT */
/*
 * control.c - kernels about control flow: a bytecode interpreter, recursion, indirect calls, a
 * state machine that splits text into tokens.
 */
#include <string.h>
#include "kernels.h"

/* ---- bytecode interpreter: a stack machine that counts the steps of Collatz sequences - */

enum op { PUSH, LOAD, STORE, ADD, MUL, SHR, AND, JZ, JNZ, JMP, END };

// clang-format off
/* Variables: 0 = start value, 1 = x, 2 = steps. Jumps name the offset of their target. */
static const uint8_t collatz[] = {
    LOAD, 0, STORE, 1,
    LOAD, 1, PUSH, 1, SHR, JZ, 46,                  /* 4: x is 1: the end */
    LOAD, 2, PUSH, 1, ADD, STORE, 2,
    LOAD, 1, PUSH, 1, AND, JNZ, 34,
    LOAD, 1, PUSH, 1, SHR, STORE, 1, JMP, 4,        /* 25: even */
    LOAD, 1, PUSH, 3, MUL, PUSH, 1, ADD, STORE, 1, JMP, 4, /* 34: odd */
    END,                                            /* 46 */
};
// clang-format on

static NOINLINE uint32_t interpret(const uint8_t *code, uint32_t argument)
{
    uint32_t stack[16], variables[4] = {argument, 0, 0, 0};
    int sp = 0;
    for (const uint8_t *pc = code;;)
        switch (*pc++) {
        case PUSH:
            stack[sp++] = *pc++;
            break;
        case LOAD:
            stack[sp++] = variables[*pc++];
            break;
        case STORE:
            variables[*pc++] = stack[--sp];
            break;
        case ADD:
            sp--, stack[sp - 1] += stack[sp];
            break;
        case MUL:
            sp--, stack[sp - 1] *= stack[sp];
            break;
        case SHR:
            sp--, stack[sp - 1] >>= stack[sp] & 31;
            break;
        case AND:
            sp--, stack[sp - 1] &= stack[sp];
            break;
        case JZ:
            pc = stack[--sp] ? pc + 1 : code + *pc;
            break;
        case JNZ:
            pc = stack[--sp] ? code + *pc : pc + 1;
            break;
        case JMP:
            pc = code + *pc;
            break;
        default:
            return variables[2];
        }
}

static uint64_t run_bytecode(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum = mix(sum, interpret(collatz, (uint32_t)(i % 5000) + 27));
    return sum;
}

/* ---- recursion ------------------------------------------------------------------------ */

static NOINLINE uint32_t fibonacci(uint32_t n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static NOINLINE uint32_t ackermann(uint32_t m, uint32_t n)
{
    if (!m)
        return n + 1;
    return ackermann(m - 1, n ? ackermann(m, n - 1) : 1);
}

static NOINLINE int32_t takeuchi(int32_t x, int32_t y, int32_t z)
{
    if (y >= x)
        return z;
    return takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y));
}

static uint64_t run_recursion(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t odd = (uint32_t)(i & 1);
        sum = mix(sum, fibonacci(14 + odd));
        sum = mix(sum, ackermann(2, 18 + odd));
        sum = mix(sum, (uint32_t)takeuchi(8, 4 + (int32_t)odd, 0));
    }
    return sum;
}

/* ---- calls through pointers, the target changing at random ---------------------------- */

#define STEP(name, expression)                                                                 \
    static NOINLINE uint32_t name(uint32_t x)                                                  \
    {                                                                                          \
        return expression;                                                                     \
    }
STEP(step0, x + 3)
STEP(step1, x ^ 0x5bd1e995)
STEP(step2, (x << 7) | (x >> 25))
STEP(step3, x * 5)
STEP(step4, x - 0x61c88647)
STEP(step5, ~x)
STEP(step6, x ^ (x >> 9))
STEP(step7, x + (x << 3))

static uint32_t (*const steps[])(uint32_t) = {step0, step1, step2, step3,
                                              step4, step5, step6, step7};
static uint8_t which[4096];

static void setup_indirect(void)
{
    uint32_t seed = 31;
    for (size_t i = 0; i < sizeof(which); i++)
        which[i] = next_random(&seed) & 7;
}

static uint64_t run_indirect(uint64_t n)
{
    uint32_t x = 1;
    for (uint64_t i = 0; i < n; i++)
        x = steps[which[i % sizeof(which)]](x);
    return x;
}

/* ---- state machine: tokens of C-like text --------------------------------------------- */

static char source[4096];

static void setup_lexer(void)
{
    static const char *const parts[] = {"while (",
                                        "count_",
                                        "0x1f3c",
                                        " + ",
                                        "/* a remark */",
                                        "\n\t",
                                        ") ",
                                        "\"a \\\"text\\\" \"",
                                        "return 42;",
                                        "x <<= 3;",
                                        "3.14159",
                                        "{ ",
                                        "}\n",
                                        "// line\n",
                                        "'c'",
                                        "->field"};
    uint32_t seed = 5;
    size_t length = 0;
    memset(source, ' ', sizeof(source));
    for (;;) {
        const char *part = parts[next_random(&seed) & 15];
        size_t size = strlen(part);
        if (length + size >= sizeof(source))
            break;
        memcpy(source + length, part, size);
        length += size;
    }
    source[sizeof(source) - 1] = 0;
}

enum state { BLANK, WORD, NUMBER, TEXT, ESCAPE, SLASH, LINE, REMARK, STAR, PUNCT };

static enum state begin(char c)
{
    if ((c | 32) >= 'a' && (c | 32) <= 'z')
        return WORD;
    if (c >= '0' && c <= '9')
        return NUMBER;
    switch (c) {
    case '_':
        return WORD;
    case '"':
        return TEXT;
    case '/':
        return SLASH;
    case ' ':
    case '\t':
    case '\n':
        return BLANK;
    default:
        return PUNCT;
    }
}

static enum state step(enum state state, char c)
{
    switch (state) {
    case WORD:
        if (c == '_' || (c >= '0' && c <= '9'))
            return WORD;
        return begin(c);
    case NUMBER:
        return c == '.' || (c | 32) == 'x' || (c >= 'a' && c <= 'f') ? NUMBER : begin(c);
    case TEXT:
        return c == '"' ? PUNCT : c == '\\' ? ESCAPE : TEXT;
    case ESCAPE:
        return TEXT;
    case SLASH:
        return c == '/' ? LINE : c == '*' ? REMARK : begin(c);
    case LINE:
        return c == '\n' ? BLANK : LINE;
    case REMARK:
        return c == '*' ? STAR : REMARK;
    case STAR:
        return c == '/' ? BLANK : c == '*' ? STAR : REMARK;
    default:
        return begin(c);
    }
}

static NOINLINE uint32_t tokens(const char *text)
{
    uint32_t counts[PUNCT + 1] = {0}, sum = 0;
    enum state state = BLANK;
    for (; *text; text++) {
        enum state next = step(state, *text);
        if (next != state)
            counts[next]++;
        state = next;
    }
    for (unsigned i = 0; i <= PUNCT; i++)
        sum = sum * 31 + counts[i];
    return sum;
}

static uint64_t run_lexer(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++)
        sum = mix(sum, tokens(source + i % 64));
    return sum;
}

const struct kernel control_kernels[] = {
    {"bytecode", GROUP_C, NULL, run_bytecode, 50, 0xab0cdde6bc9993f6, NULL},
    {"recursion", GROUP_C, NULL, run_recursion, 4, 0x468e67cf9aac476, NULL},
    {"indirect", GROUP_C, setup_indirect, run_indirect, 10000, 0x806703e4, NULL},
    {"lexer", GROUP_C, setup_lexer, run_lexer, 10, 0x6017f0b583091031, NULL},
    {0},
};
