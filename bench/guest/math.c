/* SPDX-License-Identifier: MIT */
/*
 * math.c - floating point, vectors and block copies: matrix product in doubles, an AVX2 loop, an
 * x87 loop, memcpy of 64 KiB. All values are exact, so that 32- and 64-bit code, SSE and x87,
 * agree to the last bit.
 */
#include <immintrin.h>
#include <string.h>
#include "kernels.h"

enum { SIDE = 48 };
static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];

static void setup_matrix(void)
{
    uint32_t seed = 17;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            a[i][j] = next_random(&seed) % 1000 - 500.0;
            b[i][j] = next_random(&seed) % 1000 * 0.25;
        }
}

static NOINLINE void multiply(void)
{
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            double sum = 0;
            for (int k = 0; k < SIDE; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}

static uint64_t run_matrix(uint64_t n)
{
    uint64_t sum = 0;
    double first = a[0][0];
    for (uint64_t i = 0; i < n; i++) {
        a[0][0] = (double)(i % 100);
        multiply();
        sum = mix(sum, (uint64_t)(int64_t)(c[0][i % SIDE] * 4));
    }
    a[0][0] = first;
    return sum;
}

/* An operation is one pass over 4096 floats: multiply, add, compare, blend, and shuffle. */
static float values[4096] __attribute__((aligned(32)));

static void setup_avx2(void)
{
    for (int i = 0; i < 4096; i++)
        values[i] = (float)(i % 251);
}

__attribute__((target("avx2"))) static NOINLINE uint64_t run_avx2(uint64_t n)
{
    __m256i sum = _mm256_setzero_si256();
    const __m256 limit = _mm256_set1_ps(128);
    for (; n; n--)
        for (int i = 0; i < 4096; i += 8) {
            __m256 v = _mm256_load_ps(values + i);
            __m256 w = _mm256_add_ps(_mm256_mul_ps(v, v), limit);
            __m256 low = _mm256_cmp_ps(v, limit, _CMP_LT_OQ);
            __m256i x = _mm256_cvttps_epi32(_mm256_blendv_ps(w, v, low));
            x = _mm256_xor_si256(_mm256_shuffle_epi32(x, 0x1b), _mm256_slli_epi32(x, 3));
            sum = _mm256_add_epi32(sum, x);
        }
    uint32_t lanes[8];
    uint64_t total = 0;
    _mm256_storeu_si256((__m256i *)lanes, sum);
    for (int i = 0; i < 8; i++)
        total = mix(total, lanes[i]);
    return total;
}

/* An operation is one step of a recurrence in 80-bit registers. */
static uint64_t run_x87(uint64_t n)
{
    long double x = 1, y = 3;
    for (; n; n--) {
        long double z = x * 5 + y;
        y = x - 7;
        x = z > 1e12L ? z - 1e12L : z;
        x = x > 1e9L ? x * 0.0009765625L - (long double)(int32_t)(x * 0.0009765625L) : x;
    }
    return (uint64_t)(int64_t)(x * 1024) + (uint64_t)(int64_t)y;
}

static uint8_t from[65536] __attribute__((aligned(64))), to[65536] __attribute__((aligned(64)));

static uint64_t run_memcpy(uint64_t n)
{
    void *(*volatile copy)(void *, const void *, size_t) = memcpy;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        from[i * 61 % sizeof(from)] = (uint8_t)i;
        copy(to, from, sizeof(to));
        sum += to[i * 61 % sizeof(to)];
    }
    return sum;
}

const struct kernel math_kernels[] = {
    {"matrix", GROUP_C, setup_matrix, run_matrix, 3, 0xcee2258a83c1d910, NULL},
    {"avx2", GROUP_SIMD, setup_avx2, run_avx2, 10, 0xc6d56c531ce778cb, NULL},
    {"x87", GROUP_SIMD, NULL, run_x87, 10000, 0x6ef5e0f0ee, NULL},
    {"memcpy64k", GROUP_SIMD, NULL, run_memcpy, 10, 0x2d, NULL},
    {0},
};
