/* SPDX-License-Identifier: MIT */
/*
 * cold.c - code that runs once: what translating or decoding one instruction costs an emulator.
 * Straight code of the kinds that compilers make, with a branch every eight instructions, is
 * written to fresh pages and called once; the writing is not counted.
 */
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include "kernels.h"

enum { BATCH = 16384, LONGEST = 8, SLOTS = 16 };

static uint64_t writing_ns;

struct form {
    uint8_t length;
    bool widens;    /* REX.W leaves the low halves of the results as they are */
    uint8_t varies; /* offset of a byte that varies, 0: none; the last of 4: a stack slot */
    uint8_t bytes[LONGEST];
};

// clang-format off
static const struct form forms[] = {
    {2, true,  0, {0x01, 0xc8}},                      /* add eax, ecx */
    {2, true,  0, {0x31, 0xc2}},                      /* xor edx, eax */
    {3, true,  0, {0x8d, 0x14, 0x08}},                /* lea edx, [eax + ecx] */
    {4, false, 3, {0x89, 0x44, 0x24, 0}},             /* mov [esp + slot], eax */
    {4, false, 3, {0x8b, 0x4c, 0x24, 0}},             /* mov ecx, [esp + slot] */
    {4, false, 3, {0x03, 0x54, 0x24, 0}},             /* add edx, [esp + slot] */
    {3, false, 0, {0xc1, 0xc0, 0x05}},                /* rol eax, 5 */
    {3, true,  2, {0x83, 0xc1, 0}},                   /* add ecx, imm8 */
    {6, false, 4, {0x81, 0xf2, 0x11, 0x22, 0, 0x44}}, /* xor edx, imm32 */
    {3, true,  0, {0x0f, 0xaf, 0xc1}},                /* imul eax, ecx */
    {2, true,  0, {0x89, 0xd1}},                      /* mov ecx, edx */
    {3, false, 0, {0x0f, 0xb6, 0xca}},                /* movzx ecx, dl */
    {2, true,  0, {0xf7, 0xd8}},                      /* neg eax */
    {4, false, 0, {0x66, 0x0f, 0x6e, 0xc8}},          /* movd xmm1, eax */
    {4, false, 0, {0x66, 0x0f, 0xd4, 0xc1}},          /* paddq xmm0, xmm1 */
    {2, true,  0, {0x85, 0xd2}},                      /* test edx, edx */
};
static const uint8_t prologue[] = {
    0xb8, 1, 0, 0, 0, 0xb9, 2, 0, 0, 0, 0xba, 3, 0, 0, 0, /* mov eax, 1; ecx, 2; edx, 3 */
};
static const uint8_t make_room[] = {0x48, 0x81, 0xec, 0x88, 0, 0, 0}; /* sub rsp, 136 */
static const uint8_t give_back[] = {0x48, 0x81, 0xc4, 0x88, 0, 0, 0}; /* add rsp, 136 */
static const uint8_t epilogue[] = {0x01, 0xd0, 0xc3};                 /* add eax, edx; ret */
// clang-format on

static uint8_t *put(uint8_t *p, const uint8_t *bytes, size_t size)
{
    memcpy(p, bytes, size);
    return p + size;
}

/* Without the REX prefix in 32-bit code. */
static uint8_t *put_wide(uint8_t *p, const uint8_t *bytes, size_t size)
{
    size_t skip = sizeof(void *) == 8 ? 0 : 1;
    return put(p, bytes + skip, size - skip);
}

static uint8_t *put_form(uint8_t *p, uint32_t r)
{
    const struct form *f = &forms[r % 16];
    if (sizeof(void *) == 8 && f->widens && (r & 16))
        *p++ = 0x48;
    memcpy(p, f->bytes, f->length);
    if (f->varies)
        p[f->varies] = f->length == 4 ? (uint8_t)((r >> 5) % SLOTS * 8) : (uint8_t)(r >> 5);
    return p + f->length;
}

/* Writes a function of about count instructions; every path executes all of them. */
static void write_code(uint8_t *p, uint32_t count)
{
    uint32_t seed = 3;
    p = put(p, prologue, sizeof(prologue));
    p = put_wide(p, make_room, sizeof(make_room));
    for (uint8_t slot = 0; slot < SLOTS; slot++) {
        memcpy(p, "\x89\x44\x24", 3); /* mov [esp + slot], eax */
        p[3] = slot * 8;
        p += 4;
    }
    for (uint32_t i = 4 + SLOTS; i < count; i++) {
        uint32_t r = next_random(&seed);
        if (i % 8 == 7) { /* jcc or jmp to the next instruction: the block ends all the same */
            *p++ = r & 0x30 ? 0x70 + (r & 15) : 0xeb;
            *p++ = 0;
        } else {
            p = put_form(p, r);
        }
    }
    p = put_wide(p, give_back, sizeof(give_back));
    put(p, epilogue, sizeof(epilogue));
}

static uint64_t run_cold(uint64_t n)
{
    uint64_t sum = 0;
    while (n) {
        uint64_t start = clock_ns();
        uint32_t count = n < BATCH ? (uint32_t)n : BATCH;
        size_t size = 4096 + BATCH * LONGEST;
        uint8_t *code = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (code == MAP_FAILED)
            return 0;
        write_code(code, count);
        uint32_t (*function)(void) = (uint32_t(*)(void))(void *)code;
        writing_ns += clock_ns() - start;
        uint32_t result = function();
        start = clock_ns();
        sum = mix(sum, result);
        munmap(code, size);
        writing_ns += clock_ns() - start;
        n -= count;
    }
    return sum;
}

const struct kernel cold_kernels[] = {
    {"coldcode", GROUP_COLD, NULL, run_cold, 500, 0x5c03246d5c59562c, &writing_ns},
    {0},
};
