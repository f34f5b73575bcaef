/* SPDX-License-Identifier: MIT */
/*
 * decode_oracle.c - every map, opcode, modrm byte and prefix combination in three modes,
 * decoded by us and by Zydis. What is behind modrm (SIB, displacement, immediates) and fields
 * that do not steer decoding (register extensions) are pseudo-random.
 *
 * Usage: decode_oracle [random-count [seed]]: random-count adds wholly random instructions.
 */
#include <stdio.h>
#include <stdlib.h>
#include "oracle.h"

struct difference {
    enum check check;
    const char *theirs, *ours, *reason; /* names; "*" = any */
    unsigned long seen;
};

static struct difference differences[] = {
#define DIFFERENCE(check, theirs, ours, reason) {CHECK_##check, theirs, ours, reason, 0},
#include "differences.def"
#undef DIFFERENCE
};

struct run {
    struct oracle oracle;
    uint64_t random;
    unsigned long compared, valid, errors;
    /* One line per kind of error is enough. */
    struct {
        enum check check;
        ZydisMnemonic mnemonic;
        unsigned op, count;
        unsigned bits;
        uint8_t bytes[15];
    } seen[4096];
    unsigned seen_count;
};

static uint64_t next_random(struct run *r)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return r->random;
}

/* One * in the pattern fits anything. */
static bool name_matches(const char *pattern, const char *name)
{
    const char *star = strchr(pattern, '*');
    if (!star)
        return strcmp(pattern, name) == 0;
    size_t head = (size_t)(star - pattern), tail = strlen(star + 1), n = strlen(name);
    return n >= head + tail && strncmp(pattern, name, head) == 0 &&
           strcmp(name + n - tail, star + 1) == 0;
}

static bool is_intended(enum check check, const char *theirs, const char *ours)
{
    for (unsigned k = 0; k < ARRAY_SIZE(differences); k++) {
        struct difference *d = &differences[k];
        if (d->check == check && name_matches(d->theirs, theirs) &&
            name_matches(d->ours, ours)) {
            d->seen++;
            return true;
        }
    }
    return false;
}

static void remember(struct run *r, enum check check, const struct oracle_result *result,
                     const uint8_t *bytes, unsigned bits)
{
    unsigned k;
    for (k = 0; k < r->seen_count; k++)
        if (r->seen[k].check == check && r->seen[k].mnemonic == result->mnemonic &&
            r->seen[k].op == result->insn.op && r->seen[k].bits == bits)
            break;
    if (k == ARRAY_SIZE(r->seen))
        return;
    r->seen[k].count++;
    if (k < r->seen_count)
        return;
    r->seen_count++;
    r->seen[k].check = check;
    r->seen[k].mnemonic = result->mnemonic;
    r->seen[k].op = result->insn.op;
    r->seen[k].bits = bits;
    memcpy(r->seen[k].bytes, bytes, 15);
}

/* A byte less is truncated, a valid instruction needs no byte more. */
static void check_truncation(struct run *r, const struct insn *i)
{
    struct insn again;
    if (decode_insn(&again, i->bytes, i->length - 1u, i->code_bits) != DECODE_TRUNCATED ||
        decode_insn(&again, i->bytes, i->length, i->code_bits) != DECODE_OK) {
        printf("truncation: %s of %u bytes, %u-bit:", op_name(i->op), i->length, i->code_bits);
        for (unsigned k = 0; k < i->length; k++)
            printf(" %02x", i->bytes[k]);
        printf("\n");
        r->errors++;
    }
}

static void check_one(struct run *r, const uint8_t *bytes, unsigned bits)
{
    struct oracle_result result;
    oracle_compare(&r->oracle, bytes, bits, &result);
    r->compared++;
    r->valid += result.insn.op != OP_INVALID;
    if (result.insn.op != OP_INVALID && r->compared % 16 == 0)
        check_truncation(r, &result.insn);
    if (result.failed == 0)
        return;
    const char *theirs = ZydisMnemonicGetString(result.mnemonic);
    const char *ours = op_name(result.insn.op);
    for (unsigned check = 0; check < CHECK_COUNT; check++)
        if ((result.failed & BIT(check)) && !is_intended(check, theirs, ours)) {
            r->errors++;
            remember(r, check, &result, bytes, bits);
        }
}

/* Fills the rest with random bytes and compares in all modes. */
static void check_all_modes(struct run *r, uint8_t *bytes, unsigned length)
{
    for (unsigned k = length; k < 16; k++)
        bytes[k] = (uint8_t)(next_random(r) >> 24);
    check_one(r, bytes, 16);
    check_one(r, bytes, 32);
    check_one(r, bytes, 64);
}

static void legacy_opcode(struct run *r, const char *prefix, unsigned map, unsigned opcode)
{
    static const char *const maps[4] = {"", "\x0f", "\x0f\x38", "\x0f\x3a"};
    uint8_t bytes[16];
    size_t n = strlen(prefix), m = strlen(maps[map]);
    memcpy(bytes, prefix, n);
    memcpy(bytes + n, maps[map], m);
    n += m;
    bytes[n++] = (uint8_t)opcode;
    for (unsigned modrm = 0; modrm < 256; modrm++) {
        bytes[n] = (uint8_t)modrm;
        check_all_modes(r, bytes, (unsigned)n + 1);
    }
}

static void legacy_maps(struct run *r)
{
    static const char *const prefixes[] = {
        "",         "\x66",     "\xf2", "\xf3", "\x48",     "\x66\x48",
        "\xf2\x48", "\xf3\x48", "\x67", "\xf0", "\xf0\x48", "\x45",
        "\x66\xf3", "\x66\xf2", "\x64", "\x2e", "\x66\x67", "\xf3\xf2\x42"};
    for (unsigned k = 0; k < ARRAY_SIZE(prefixes); k++)
        for (unsigned map = 0; map < 4; map++)
            for (unsigned opcode = 0; opcode < 256; opcode++)
                legacy_opcode(r, prefixes[k], map, opcode);
}

/* All modrm and SIB bytes with MOV. */
static void addressing(struct run *r)
{
    static const uint8_t prefixes[] = {0x66, 0x67, 0x40, 0x41, 0x42, 0x43, 0x47, 0x36, 0x65};
    uint8_t bytes[16];
    for (unsigned k = 0; k < sizeof(prefixes); k++)
        for (unsigned sib = 0; sib < 256 * 256; sib++) {
            bytes[0] = prefixes[k];
            bytes[1] = 0x8b;
            bytes[2] = (uint8_t)(sib >> 8);
            bytes[3] = (uint8_t)sib;
            check_all_modes(r, bytes, 4);
        }
}

static void vex_opcode(struct run *r, unsigned map, unsigned opcode)
{
    uint8_t bytes[16];
    for (unsigned fields = 0; fields < 16; fields++) /* W L pp */
        for (unsigned modrm = 0; modrm < 256; modrm++) {
            uint64_t v = next_random(r);
            unsigned vvvv = v & 1 ? 15 : v >> 1 & 15;
            bytes[0] = 0xc4;
            bytes[1] = (uint8_t)((v >> 8 & 0xe0) | map);
            bytes[2] = (uint8_t)((fields & 8) << 4 | vvvv << 3 | (fields & 7));
            bytes[3] = (uint8_t)opcode;
            bytes[4] = (uint8_t)modrm;
            check_all_modes(r, bytes, 5);
            if (map != 1 || (fields & 8))
                continue;
            bytes[0] = 0xc5;
            bytes[1] = (uint8_t)((v >> 8 & 0x80) | vvvv << 3 | (fields & 7));
            bytes[2] = (uint8_t)opcode;
            bytes[3] = (uint8_t)modrm;
            check_all_modes(r, bytes, 4);
        }
}

static void evex_opcode(struct run *r, unsigned map, unsigned opcode)
{
    static const uint8_t modrms[] = {0x00, 0x08, 0x18, 0x20, 0x44, 0x54, 0x85,
                                     0xc0, 0xca, 0xdb, 0xe4, 0xf6, 0x05};
    uint8_t bytes[16];
    for (unsigned fields = 0; fields < 256; fields++) /* W pp L'L b z aaa!=0 */
        for (unsigned k = 0; k < ARRAY_SIZE(modrms); k++) {
            uint64_t v = next_random(r);
            unsigned vvvv = v & 1 ? 15 : v >> 1 & 15, v2 = (v & 0x60) ? 8 : 0;
            unsigned aaa = fields & 128 ? 1 + (v >> 8) % 7 : 0;
            bytes[0] = 0x62;
            bytes[1] = (uint8_t)((v >> 12 & 0xe0) | (v >> 20 & 7 ? 0x10 : 0) | map);
            bytes[2] = (uint8_t)((fields & 4) << 5 | vvvv << 3 | 4 | (fields & 3));
            bytes[3] = (uint8_t)((fields & 64) << 1 | (fields & 0x38) << 1 | v2 | aaa);
            bytes[4] = (uint8_t)opcode;
            bytes[5] = modrms[k];
            check_all_modes(r, bytes, 6);
        }
}

static void vector_maps(struct run *r)
{
    for (unsigned opcode = 0; opcode < 256; opcode++) {
        for (unsigned map = 1; map < 4; map++)
            vex_opcode(r, map, opcode);
        for (unsigned map = 0; map < 8; map++)
            if (opcode % 8 == 0 || (map != 0 && map != 4 && map != 7)) /* empty maps */
                evex_opcode(r, map, opcode);
    }
}

static void random_bytes(struct run *r, unsigned long count)
{
    uint8_t bytes[16];
    for (unsigned long k = 0; k < count; k++) {
        unsigned prefixes = next_random(r) % 5 == 0 ? (unsigned)(next_random(r) % 6) : 0;
        static const uint8_t pool[] = {0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e,
                                       0x26, 0x64, 0x65, 0x40, 0x48, 0x4f, 0x41, 0x42};
        for (unsigned n = 0; n < prefixes; n++)
            bytes[n] = pool[next_random(r) % sizeof(pool)];
        check_all_modes(r, bytes, prefixes);
    }
}

static int report(struct run *r)
{
    int stale = 0;
    for (unsigned k = 0; k < r->seen_count; k++) {
        printf("%-9s %2u-bit x%-8u zydis %-16s weir %-14s", check_name(r->seen[k].check),
               r->seen[k].bits, r->seen[k].count, ZydisMnemonicGetString(r->seen[k].mnemonic),
               op_name(r->seen[k].op));
        for (unsigned n = 0; n < 15; n++)
            printf(" %02x", r->seen[k].bytes[n]);
        printf("\n");
    }
    for (unsigned k = 0; k < ARRAY_SIZE(differences); k++)
        if (differences[k].seen == 0) {
            printf("never seen: %s %s %s\n", check_name(differences[k].check),
                   differences[k].theirs, differences[k].ours);
            stale++;
        }
    printf("%lu compared, %lu valid, %lu errors of %u kinds, %d stale differences\n",
           r->compared, r->valid, r->errors, r->seen_count, stale);
    return r->errors != 0 || stale != 0;
}

int main(int argc, char **argv)
{
    struct run *r = calloc(1, sizeof(*r));
    if (!r)
        return 1;
    oracle_init(&r->oracle);
    r->random = argc > 2 ? strtoull(argv[2], NULL, 0) : 0x9e3779b97f4a7c15ull;
    legacy_maps(r);
    addressing(r);
    vector_maps(r);
    random_bytes(r, argc > 1 ? strtoul(argv[1], NULL, 0) : 200000);
    int status = report(r);
    free(r);
    return status;
}
