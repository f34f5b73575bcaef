/* SPDX-License-Identifier: MIT */
/*
 * cpuid_host.c - what the host CPU and its operating system let this process use: the raw CPUID
 * bits of every feature in features.def, XCR0, and the layout of the XSAVE area.
 *
 * A feature whose registers the host's operating system does not save (XCR0) counts as absent.
 * SDM Vol. 1 13.2 (XSAVE enumeration), Vol. 2 CPUID.
 */
#include <cpuid.h>
#include "cpu/cpuid.h"

enum { EAX, EBX, ECX, EDX };

// clang-format off
const struct cpuid_feature cpuid_features[ISA_COUNT] = {
#define NEEDS_HOST true
#define NEEDS_SOFT false
#define FEATURE(NAME, text, leaf, subleaf, reg, bit, needs)                                    \
    [ISA_##NAME] = {text, leaf, subleaf, reg, bit, NEEDS_##needs},
#include "cpu/decode/features.def"
#undef FEATURE
};
// clang-format on

static bool leaf_exists(uint32_t leaf)
{
    unsigned max = __get_cpuid_max(leaf & 0x80000000u, NULL);
    return leaf <= max;
}

static void leaf_read(uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    memset(out, 0, 16);
    if (leaf_exists(leaf))
        __cpuid_count(leaf, subleaf, out[EAX], out[EBX], out[ECX], out[EDX]);
}

static uint64_t xcr0_read(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low | (uint64_t)high << 32;
}

static void features_read(struct host_cpu *host)
{
    uint32_t regs[4] = {0}, leaf = ~0u, subleaf = 0;
    for (unsigned f = 1; f < ISA_COUNT; f++) {
        const struct cpuid_feature *cf = &cpuid_features[f];
        if (cf->leaf != leaf || cf->subleaf != subleaf) {
            leaf = cf->leaf;
            subleaf = cf->subleaf;
            leaf_read(leaf, subleaf, regs);
        }
        if (regs[cf->reg] >> cf->bit & 1)
            host->features[f / 64] |= BIT64(f % 64);
    }
}

static void feature_clear(struct host_cpu *host, unsigned f)
{
    host->features[f / 64] &= ~BIT64(f % 64);
}

static void xsave_read(struct host_cpu *host)
{
    uint32_t regs[4];
    host->xsave[XCOMP_X87] = (struct xsave_component){0, 160, false};
    host->xsave[XCOMP_SSE] = (struct xsave_component){160, 256, false};
    leaf_read(1, 0, regs);
    if (!(regs[ECX] >> 27 & 1)) { /* OSXSAVE */
        feature_clear(host, ISA_XSAVE);
        host->xcr0 = XCR0_X87 | XCR0_SSE;
        return;
    }
    host->xcr0 = xcr0_read();
    for (unsigned n = XCOMP_AVX; n < XCOMP_COUNT; n++) {
        if (!(host->xcr0 >> n & 1))
            continue;
        leaf_read(0xd, n, regs);
        host->xsave[n] = (struct xsave_component){regs[EBX], regs[EAX], (regs[ECX] & 2) != 0};
    }
}

static void identity_read(struct host_cpu *host)
{
    uint32_t r[4];
    leaf_read(0, 0, r);
    memcpy(host->vendor, &r[EBX], 4);
    memcpy(host->vendor + 4, &r[EDX], 4);
    memcpy(host->vendor + 8, &r[ECX], 4);
    leaf_read(1, 0, r);
    host->stepping = r[EAX] & 15;
    host->model = bits_get(r[EAX], 4, 4) | bits_get(r[EAX], 16, 4) << 4;
    host->family = bits_get(r[EAX], 8, 4);
    if (host->family == 15)
        host->family += bits_get(r[EAX], 20, 8);
    for (unsigned n = 0; n < 3 && leaf_exists(0x80000004); n++) {
        leaf_read(0x80000002 + n, 0, r);
        memcpy(host->brand + 16 * n, r, 16);
    }
    leaf_read(0x80000008, 0, r);
    host->phys_bits = r[EAX] & 0xff ? r[EAX] & 0xff : 36;
    host->linear_bits = bits_get(r[EAX], 8, 8) ? bits_get(r[EAX], 8, 8) : 48;
}

void cpuid_host_read(struct host_cpu *host)
{
    memset(host, 0, sizeof *host);
    identity_read(host);
    features_read(host);
    xsave_read(host);
    bool avx = (host->xcr0 & (XCR0_SSE | XCR0_AVX)) == (XCR0_SSE | XCR0_AVX);
    bool avx512 = avx && (host->xcr0 & XCR0_AVX512) == XCR0_AVX512;
    /* models.c drops what builds on these. */
    if (!avx)
        feature_clear(host, ISA_AVX);
    if (!avx512)
        feature_clear(host, ISA_AVX512F);
}
