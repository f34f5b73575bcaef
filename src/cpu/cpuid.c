/* SPDX-License-Identifier: MIT */
/*
 * cpuid.c - answers to the CPUID instruction: the model's features spread over their leaves,
 * and the leaves that describe caches, topology, XSAVE layout, frequencies and the hypervisor.
 *
 * The machine is one package with one core and one thread. SDM Vol. 2 CPUID; AMD APM Vol. 3 E.
 */
#include "cpu/cpu.h"
#include "cpu/cpuid.h"

#include <weir/hostcall.h>

enum { EAX, EBX, ECX, EDX };

#define HYPERVISOR_LEAF        0x40000000u
#define HYPERVISOR_TIMING_LEAF 0x40000010u
#define CACHE_LINE             64u

/* One cache as leaves 4 and 8000001Dh report it. */
struct cache {
    uint8_t type; /* 1 data, 2 instruction, 3 unified */
    uint8_t level;
    uint16_t ways;
    uint32_t bytes;
};
static const struct cache caches[] = {
    {1, 1, 8, 32 << 10},
    {2, 1, 8, 32 << 10},
    {3, 2, 8, 1 << 20},
    {3, 3, 16, 16 << 20},
};

static bool vendor_is(const struct cpu_model *m, const char *vendor)
{
    return strcmp(m->vendor, vendor) == 0;
}

uint32_t cpuid_xsave_size(const struct cpu_model *m, uint64_t components, bool compacted)
{
    uint32_t size = 576;
    for (unsigned n = XCOMP_AVX; n < XCOMP_COUNT; n++) {
        const struct xsave_component *x = &m->xsave[n];
        if (!(components >> n & 1) || !x->size)
            continue;
        if (compacted)
            size = (x->align64 ? (size + 63) & ~63u : size) + x->size;
        else if (x->offset + x->size > size)
            size = x->offset + x->size;
    }
    return size;
}

/* ORs the model's features of this leaf into out. */
static void leaf_features(const struct cpu_model *m, uint32_t leaf, uint32_t subleaf,
                          uint32_t out[4])
{
    for (unsigned f = 1; f < ISA_COUNT; f++) {
        const struct cpuid_feature *cf = &cpuid_features[f];
        if (cf->leaf == leaf && cf->subleaf == subleaf && model_has(m, f))
            out[cf->reg] |= BIT(cf->bit);
    }
}

static uint32_t signature(const struct cpu_model *m)
{
    uint32_t base = m->family < 15 ? m->family : 15;
    uint32_t extended = m->family - base;
    return m->stepping | (m->model & 15) << 4 | base << 8 | (m->model >> 4) << 16 |
           extended << 20;
}

static void leaf_vendor(const struct cpu_model *m, uint32_t max, uint32_t out[4])
{
    out[EAX] = max;
    memcpy(&out[EBX], m->vendor, 4);
    memcpy(&out[EDX], m->vendor + 4, 4);
    memcpy(&out[ECX], m->vendor + 8, 4);
}

static void leaf_1(const struct vcpu *c, uint32_t out[4])
{
    const struct cpu_model *m = c->model;
    uint64_t apic_base;
    out[EAX] = signature(m);
    out[EBX] = c->index << 24 | 1u << 16;
    if (model_has(m, ISA_CLFLUSH))
        out[EBX] |= CACHE_LINE / 8 << 8;
    if (c->cr4 & CR4_OSXSAVE)
        out[ECX] |= BIT(27);
    /* IA32_APIC_BASE.EN clear hides the APIC (SDM Vol. 3A 11.4.3). */
    if (c->wires.apic_msr_read && c->wires.apic_msr_read(c->wires.ctx, 0x1b, &apic_base) == 0 &&
        !(apic_base & BIT(11)))
        out[EDX] &= ~BIT(9);
}

/* Descriptors: TLBs and caches of a Pentium III, or "see leaf 4". */
static void leaf_2(const struct cpu_model *m, uint32_t out[4])
{
    if (m->max_basic < 4) {
        out[EAX] = 0x03020101;
        out[EDX] = 0x0c040843;
    } else {
        out[EAX] = 0x00feff01;
        out[EDX] = 0xf0;
    }
}

static void cache_leaf(uint32_t subleaf, uint32_t out[4])
{
    if (subleaf >= ARRAY_SIZE(caches))
        return;
    const struct cache *k = &caches[subleaf];
    out[EAX] = k->type | (uint32_t)k->level << 5 | 1u << 8; /* self-initialising */
    out[EBX] = (CACHE_LINE - 1) | (uint32_t)(k->ways - 1) << 22;
    out[ECX] = k->bytes / k->ways / CACHE_LINE - 1;
}

/* 0Bh, 1Fh: one thread, one core. */
static void topology_leaf(const struct vcpu *c, uint32_t subleaf, uint32_t out[4])
{
    if (subleaf < 2) {
        out[EBX] = 1;
        out[ECX] = (subleaf + 1) << 8;
    }
    out[ECX] |= subleaf & 0xff;
    out[EDX] = c->index;
}

static void xsave_leaf(const struct vcpu *c, uint32_t subleaf, uint32_t out[4])
{
    const struct cpu_model *m = c->model;
    if (!model_has(m, ISA_XSAVE)) {
        out[EAX] = 0;
        return;
    }
    if (subleaf == 0) {
        out[EAX] = (uint32_t)m->xcr0_mask;
        out[EDX] = (uint32_t)(m->xcr0_mask >> 32);
        out[EBX] = cpuid_xsave_size(m, c->xcr0, false);
        out[ECX] = cpuid_xsave_size(m, m->xcr0_mask, false);
    } else if (subleaf == 1) {
        if (model_has(m, ISA_XSAVEC) || model_has(m, ISA_XSAVES))
            out[EBX] = cpuid_xsave_size(m, c->xcr0 | c->xss, true);
    } else if (subleaf < XCOMP_COUNT && (m->xcr0_mask >> subleaf & 1)) {
        out[EAX] = m->xsave[subleaf].size;
        out[EBX] = m->xsave[subleaf].offset;
        out[ECX] = m->xsave[subleaf].align64 ? 2 : 0;
    }
}

static void basic_leaf(const struct vcpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const struct cpu_model *m = c->model;
    bool intel = vendor_is(m, "GenuineIntel");
    uint32_t mhz = (uint32_t)(c->tsc_hz / 1000000);
    switch (leaf) {
    case 0:
        leaf_vendor(m, m->max_basic, out);
        break;
    case 1:
        leaf_1(c, out);
        break;
    case 2:
        if (intel)
            leaf_2(m, out);
        break;
    case 4:
        if (intel)
            cache_leaf(subleaf, out);
        break;
    case 5:
        if (model_has(m, ISA_MONITOR)) {
            out[EAX] = out[EBX] = CACHE_LINE;
            out[ECX] = 3; /* extensions; interrupts break MWAIT */
        }
        break;
    case 7:
        if (subleaf == 0)
            out[EAX] = 1; /* last subleaf */
        break;
    case 0xb:
        topology_leaf(c, subleaf, out);
        break;
    case 0xd:
        xsave_leaf(c, subleaf, out);
        break;
    case 0x15: /* crystal of 1 MHz, ratio = MHz */
        out[EAX] = 1;
        out[EBX] = mhz;
        out[ECX] = 1000000;
        break;
    case 0x16:
        if (intel) {
            out[EAX] = out[EBX] = mhz;
            out[ECX] = 100;
        }
        break;
    case 0x1f:
        topology_leaf(c, subleaf, out);
        break;
    default:
        break;
    }
}

/* AMD's encoding of associativity in 80000006h. */
static uint32_t amd_ways(unsigned ways)
{
    return ways >= 16 ? 8 : ways >= 8 ? 6 : ways >= 4 ? 4 : ways;
}

static void cache_sizes(uint32_t leaf, bool amd, uint32_t out[4])
{
    const struct cache *l1d = &caches[0], *l1i = &caches[1], *l2 = &caches[2], *l3 = &caches[3];
    if (leaf == 0x80000005 && amd) {
        out[EAX] = out[EBX] = 0xff40ff40; /* TLBs: 64 entries, fully associative */
        out[ECX] = l1d->bytes >> 10 << 24 | (uint32_t)l1d->ways << 16 | 1u << 8 | CACHE_LINE;
        out[EDX] = l1i->bytes >> 10 << 24 | (uint32_t)l1i->ways << 16 | 1u << 8 | CACHE_LINE;
    } else if (leaf == 0x80000006) {
        out[ECX] = l2->bytes >> 10 << 16 | amd_ways(l2->ways) << 12 | CACHE_LINE;
        if (!amd)
            return;
        out[EAX] = out[EBX] = 0x42004200; /* 512 entries, 4 ways */
        out[ECX] |= 1u << 8;
        out[EDX] =
            l3->bytes / (512 << 10) << 18 | amd_ways(l3->ways) << 12 | 1u << 8 | CACHE_LINE;
    }
}

static void extended_leaf(const struct vcpu *c, uint32_t leaf, uint32_t subleaf,
                          uint32_t out[4])
{
    const struct cpu_model *m = c->model;
    bool amd = !vendor_is(m, "GenuineIntel");
    switch (leaf) {
    case 0x80000000:
        if (amd)
            leaf_vendor(m, m->max_extended, out);
        out[EAX] = m->max_extended;
        break;
    case 0x80000001:
        if (!amd)
            break;
        out[EAX] = signature(m);
        /* AMD repeats these bits of leaf 1 here: FPU..CX8, APIC, MTRR..PSE36, MMX, FXSR. */
        uint32_t basic[4] = {0};
        leaf_features(m, 1, 0, basic);
        leaf_1(c, basic);
        out[EDX] |= basic[EDX] & 0x0183f3ffu;
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        memcpy(out, m->brand + 16 * (leaf - 0x80000002), 16);
        break;
    case 0x80000005:
    case 0x80000006:
        cache_sizes(leaf, amd, out);
        break;
    case 0x80000008:
        out[EAX] = m->phys_bits | (uint32_t)m->linear_bits << 8;
        break;
    case 0x8000001d:
        if (model_has(m, ISA_TOPOEXT))
            cache_leaf(subleaf, out);
        break;
    case 0x8000001e:
        if (model_has(m, ISA_TOPOEXT))
            out[EAX] = c->index;
        break;
    default:
        break;
    }
}

static void hypervisor_leaf(const struct vcpu *c, uint32_t leaf, uint32_t out[4])
{
    if (leaf == HYPERVISOR_LEAF) {
        out[EAX] = HYPERVISOR_TIMING_LEAF;
        memcpy(&out[EBX], c->model->hv_vendor, 12);
    } else if (leaf == WEIR_HC_CPUID && c->host_call.call) {
        out[EAX] = WEIR_HC_MAGIC;
        out[EBX] = WEIR_HC_VERSION;
        out[ECX] = c->host_call.groups;
        out[EDX] = c->host_call.rings;
    } else if (leaf == HYPERVISOR_TIMING_LEAF) {
        out[EAX] = (uint32_t)(c->tsc_hz / 1000);
        out[EBX] = (uint32_t)(CPU_APIC_BUS_HZ / 1000);
    }
}

void cpuid_query(const struct vcpu *c, uint32_t leaf, uint32_t subleaf, uint32_t out[4])
{
    const struct cpu_model *m = c->model;
    memset(out, 0, 16);
    if (leaf >= HYPERVISOR_LEAF && leaf <= HYPERVISOR_LEAF + 0xff &&
        model_has(m, ISA_HYPERVISOR)) {
        hypervisor_leaf(c, leaf, out);
        return;
    }
    if (leaf >= 0x80000000u && leaf <= m->max_extended) {
        leaf_features(m, leaf, subleaf & -(uint32_t)(leaf == 0x8000001d), out);
        extended_leaf(c, leaf, subleaf, out);
        return;
    }
    if (leaf > m->max_basic) {
        /* Intel answers with the last basic leaf, AMD with zeros. */
        if (!vendor_is(m, "GenuineIntel") || m->max_basic < 0xd)
            return;
        leaf = m->max_basic;
    }
    bool has_subleaves = leaf == 4 || leaf == 7 || leaf == 0xb || leaf == 0xd || leaf == 0x1f;
    leaf_features(m, leaf, has_subleaves ? subleaf : 0, out);
    basic_leaf(c, leaf, subleaf, out);
}
