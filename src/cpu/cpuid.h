/* SPDX-License-Identifier: MIT */
/*
 * cpuid.h - CPU models: what a guest's CPUID says and which instructions it may use.
 *
 * A model is made once, from "NAME[,+feature][,-feature][,property=value]", and not changed after.
 */
#ifndef CPU_CPUID_H
#define CPU_CPUID_H

#include "base/err.h"
#include "cpu/decode/features.h"
#include "cpu/state.h"

/* State components of XSAVE that we support, by their number in XCR0. */
enum {
    XCOMP_X87,
    XCOMP_SSE,
    XCOMP_AVX,
    XCOMP_OPMASK = 5,
    XCOMP_ZMM_HI256,
    XCOMP_HI16_ZMM,
    XCOMP_COUNT
};
#define XCR0_X87    BIT64(XCOMP_X87)
#define XCR0_SSE    BIT64(XCOMP_SSE)
#define XCR0_AVX    BIT64(XCOMP_AVX)
#define XCR0_AVX512 (7ull << XCOMP_OPMASK)

struct xsave_component {
    uint32_t offset, size; /* standard format, as on the host; size 0 = not there */
    bool align64;          /* in the compacted format */
};

struct cpu_model {
    char name[16];
    char vendor[13], hv_vendor[13];
    char brand[49]; /* "" = no brand string */
    uint32_t family, model, stepping;
    uint32_t max_basic, max_extended;
    uint8_t phys_bits, linear_bits;
    uint64_t features[(ISA_COUNT + 63) / 64];
    uint64_t xcr0_mask; /* what XSETBV may set */
    /* Layout of the guest's XSAVE area; size 0: the host does not have the component. */
    struct xsave_component xsave[XCOMP_COUNT];
};

/* On failure the text names what is wrong and the nearest valid word. */
int cpu_model_parse(const char *spec, struct cpu_model **out, struct err *err);
void cpu_model_free(struct cpu_model *model);
/* Names for -cpu help: i = 0,1,...; NULL at the end. `help` may be NULL. */
const char *cpu_model_name(unsigned i, const char **help);

/* Of a bit set by enum isa_feature. */
static inline bool features_have(const uint64_t *set, unsigned f)
{
    return set[f / 64] >> (f % 64) & 1;
}
static inline bool cpu_has(const struct vcpu *c, enum isa_feature f)
{
    return features_have(c->model->features, f);
}
static inline bool model_has(const struct cpu_model *m, enum isa_feature f)
{
    return features_have(m->features, f);
}
static inline unsigned cpu_phys_bits(const struct vcpu *c)
{
    return c->model->phys_bits;
}

/* Frequency of the local APIC's bus clock; CPUID leaves 15h and 40000010h tell guests. */
#define CPU_APIC_BUS_HZ 1000000000ull

/* ---- cpuid_host.c: what the host has ---- */
struct host_cpu {
    char vendor[13], brand[49];
    uint32_t family, model, stepping;
    uint8_t phys_bits, linear_bits;
    uint64_t features[(ISA_COUNT + 63) / 64]; /* raw bits, also of SOFT ones */
    uint64_t xcr0;
    struct xsave_component xsave[XCOMP_COUNT];
};
void cpuid_host_read(struct host_cpu *host);
static inline bool host_has(const struct host_cpu *host, unsigned feature)
{
    return features_have(host->features, feature);
}

struct cpuid_feature {
    const char *name;
    uint32_t leaf;
    uint8_t subleaf, reg, bit; /* reg: 0 EAX, 1 EBX, 2 ECX, 3 EDX */
    bool needs_host;
};
extern const struct cpuid_feature cpuid_features[ISA_COUNT]; /* [ISA_BASE].name is NULL */
/* XSAVE area for these components; compacted or standard. */
uint32_t cpuid_xsave_size(const struct cpu_model *m, uint64_t components, bool compacted);

#endif
