/* SPDX-License-Identifier: MIT */
/*
 * bytes.c - kernels about bytes: SHA-256 (FIPS 180-4), LZ77 compression, CRC-32, the string
 * functions of the C library.
 */
#include <stdio.h>
#include <string.h>
#include "kernels.h"

enum { TEXT_BYTES = 16384 };
static uint8_t text[TEXT_BYTES + 1];

/* Words of a small vocabulary, the first ones far more often. */
static void setup_text(void)
{
    uint32_t seed = 2024;
    size_t length = 0;
    while (length < TEXT_BYTES) {
        uint32_t r = next_random(&seed), word = (r & 255) * (r >> 8 & 255) >> 9;
        char buffer[16];
        int size = snprintf(buffer, sizeof(buffer), "%c%x%c ", 'a' + word % 23, word * 2711,
                            'k' + word % 7);
        for (int i = 0; i < size && length < TEXT_BYTES; i++)
            text[length++] = (uint8_t)buffer[i];
    }
    text[TEXT_BYTES] = 0;
}

/* ---- SHA-256 -------------------------------------------------------------------------- */

// clang-format off
static const uint32_t sha_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};
// clang-format on

static inline uint32_t ror(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

static NOINLINE void sha256_block(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++, p += 4)
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (ror(a, 7) ^ ror(a, 18) ^ a >> 3) +
               (ror(b, 17) ^ ror(b, 19) ^ b >> 10);
    }
    memcpy(s, h, sizeof(s));
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = s[7] + (ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25)) +
                      ((s[4] & s[5]) ^ (~s[4] & s[6])) + sha_k[i] + w[i];
        uint32_t t2 = (ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22)) +
                      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof(s[0]));
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        h[i] += s[i];
}

static uint64_t run_sha256(uint64_t n)
{
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    for (uint64_t i = 0; i < n; i++)
        sha256_block(h, text + i % (TEXT_BYTES / 64) * 64);
    return (uint64_t)h[0] << 32 | h[1];
}

/* ---- LZ77: literals and (length, distance) pairs, candidates from a hash of four bytes ----- */

enum { LZ_HASH = 4096, LZ_LONGEST = 127 };
static uint16_t lz_heads[LZ_HASH];
static uint8_t lz_packed[TEXT_BYTES * 9 / 8 + 16], lz_unpacked[TEXT_BYTES];

static inline uint32_t load32(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof(value));
    return value;
}

/* A byte below 128: so many literals follow; from 128: length - 4 + 128, then the distance. */
static NOINLINE size_t lz_pack(const uint8_t *in, size_t size, uint8_t *out)
{
    size_t o = 0, literal_start = 0, i = 0;
    memset(lz_heads, 0, sizeof(lz_heads));
    while (i < size) {
        size_t match = 0, distance = 0;
        if (i + 4 <= size) {
            uint16_t *head = &lz_heads[(load32(in + i) * 2654435761u) >> 20];
            distance = i - *head;
            *head = (uint16_t)i;
            if (distance)
                while (match < LZ_LONGEST && i + match < size &&
                       in[i + match] == in[i + match - distance])
                    match++;
        }
        if (match < 4)
            i++;
        if (i - literal_start == 127 || ((match >= 4 || i == size) && i > literal_start)) {
            out[o++] = (uint8_t)(i - literal_start);
            memcpy(out + o, in + literal_start, i - literal_start);
            o += i - literal_start;
            literal_start = i;
        }
        if (match >= 4) {
            out[o++] = (uint8_t)(match - 4 + 128);
            out[o++] = (uint8_t)distance;
            out[o++] = (uint8_t)(distance >> 8);
            literal_start = i += match;
        }
    }
    return o;
}

static NOINLINE size_t lz_unpack(const uint8_t *in, size_t size, uint8_t *out)
{
    size_t o = 0;
    for (size_t i = 0; i < size;) {
        uint8_t token = in[i++];
        if (token < 128) {
            memcpy(out + o, in + i, token);
            i += token;
            o += token;
            continue;
        }
        size_t distance = in[i] | (size_t)in[i + 1] << 8;
        i += 2;
        for (unsigned length = token - 128u + 4; length; length--, o++)
            out[o] = out[o - distance];
    }
    return o;
}

static uint64_t run_lz(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        size_t start = i % 256;
        size_t packed = lz_pack(text + start, TEXT_BYTES - start, lz_packed);
        size_t size = lz_unpack(lz_packed, packed, lz_unpacked);
        sum = mix(sum, packed);
        if (size != TEXT_BYTES - start || memcmp(lz_unpacked, text + start, size))
            return 0;
    }
    return sum;
}

/* ---- CRC-32, a table of 256 entries --------------------------------------------------- */

static uint32_t crc_table[256];

static void setup_crc(void)
{
    setup_text();
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
        crc_table[i] = c;
    }
}

static uint64_t run_crc(uint64_t n)
{
    uint32_t crc = ~0u;
    for (uint64_t i = 0; i < n; i++)
        for (const uint8_t *p = text, *end = text + 1024; p < end; p++)
            crc = crc_table[(crc ^ *p) & 0xff] ^ crc >> 8;
    return ~crc;
}

/* ---- the C library's string functions, on words of 4 to 60 bytes ---------------------- */

enum { WORDS = 64 };
static char words[WORDS][64];

static void setup_strings(void)
{
    uint32_t seed = 77;
    for (int i = 0; i < WORDS; i++) {
        size_t length = 4 + next_random(&seed) % 57;
        for (size_t j = 0; j < length; j++)
            words[i][j] = (char)('a' + (next_random(&seed) & 7));
        words[i][length] = 0;
    }
}

static uint64_t run_strings(uint64_t n)
{
    uint64_t sum = 0;
    char copy[64];
    for (uint64_t i = 0; i < n; i++) {
        const char *a = words[i % WORDS], *b = words[(i * 7 + 3) % WORDS], *found;
        size_t length = strlen(a);
        memcpy(copy, a, length + 1);
        copy[length / 2] ^= (char)(i & 1);
        sum += length + (strcmp(copy, a) == 0);
        sum += strcmp(a, b) < 0;
        found = strchr(b, 'h');
        sum += found ? (size_t)(found - b) : 64;
        found = strstr(b, "abc");
        sum += found ? (size_t)(found - b) : 64;
        sum += memcmp(a, b, 4) < 0;
    }
    return sum;
}

const struct kernel byte_kernels[] = {
    {"sha256", GROUP_C, setup_text, run_sha256, 16, 0x9733500a78e9e689, NULL},
    {"lz", GROUP_C, setup_text, run_lz, 2, 0x6060610051dec326, NULL},
    {"crc32", GROUP_C, setup_crc, run_crc, 8, 0x3cf2b3f9, NULL},
    {"strings", GROUP_C, setup_strings, run_strings, 1000, 0x190eb, NULL},
    {0},
};
