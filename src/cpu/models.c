/* SPDX-License-Identifier: MIT */
/*
 * models.c - CPU models by name, and the parser of "-cpu MODEL[,+flag][,-flag][,flag=on|off]
 * [,property=value]".
 *
 * A flag whose instructions run on the host (NEEDS_HOST) is never set when the host lacks it; a
 * flag never stays set when one it builds on is clear. Asking for such a flag by name is an
 * error.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/nearest.h"
#include "cpu/cpuid.h"

enum base { BASE_LIST, BASE_HOST, BASE_MAX };

struct model_definition {
    const char *name, *help;
    enum base base;
    const char *vendor, *brand;
    uint16_t family, model, stepping;
    uint32_t max_basic, max_extended;
    uint8_t phys_bits;
    const char *flags; /* space-separated, BASE_LIST only */
};

#define FLAGS_QEMU64                                                                           \
    "fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr "    \
    "sse sse2 pni cx16 syscall nx lm lahf_lm x2apic hypervisor tsc_deadline_timer arat "
#define FLAGS_V2 FLAGS_QEMU64 "vme popcnt ssse3 sse4_1 sse4_2 rdtscp "
#define FLAGS_V3                                                                               \
    FLAGS_V2 "xsave xsaveopt avx avx2 bmi1 bmi2 f16c fma abm movbe fsgsbase smep smap "        \
             "rdrand erms pcid invpcid "

// clang-format off
static const struct model_definition models[] = {
    {"host", "what the host CPU has (default)", BASE_HOST, NULL, NULL, 0, 0, 0, 0x1f,
     0x80000021, 0, NULL},
    {"max", "everything that can be offered on this host", BASE_MAX, NULL, NULL, 0, 0, 0, 0x1f,
     0x80000021, 0, NULL},
    {"qemu64", "AMD64 baseline, as QEMU's model of this name", BASE_LIST, "AuthenticAMD",
     "Weir Virtual CPU", 15, 107, 1, 0xd, 0x8000000a, 40, FLAGS_QEMU64},
    {"x86-64-v2", "x86-64 psABI level 2 (SSE4.2, POPCNT)", BASE_LIST, "AuthenticAMD",
     "Weir Virtual CPU (x86-64-v2)", 15, 107, 1, 0x16, 0x8000000a, 40, FLAGS_V2},
    {"x86-64-v3", "x86-64 psABI level 3 (AVX2, BMI, FMA)", BASE_LIST, "AuthenticAMD",
     "Weir Virtual CPU (x86-64-v3)", 15, 107, 1, 0x16, 0x8000000a, 40, FLAGS_V3},
    {"486", "Intel 486 DX4: no CMOV, no MMX", BASE_LIST, "GenuineIntel", "", 4, 8, 0, 1, 0, 32,
     "fpu vme pse"},
    {"pentium3", "Intel Pentium III: 32 bits, MMX and SSE", BASE_LIST, "GenuineIntel", "", 6, 8,
     3, 2, 0, 36,
     "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 mmx fxsr sse"},
};

/* Flag X is worth nothing without flag Y. Rows in an order in which one pass drops chains. */
static const uint8_t dependencies[][2] = {
    {ISA_MMX, ISA_FPU}, {ISA_MMXEXT, ISA_MMX},
    {ISA_FXSR, ISA_FPU}, {ISA_FXSR_OPT, ISA_FXSR}, {ISA_SSE, ISA_FXSR}, {ISA_SSE2, ISA_SSE},
    {ISA_SSE3, ISA_SSE2}, {ISA_SSSE3, ISA_SSE3}, {ISA_SSE4_1, ISA_SSSE3},
    {ISA_SSE4_2, ISA_SSE4_1}, {ISA_SSE4A, ISA_SSE3}, {ISA_PCLMULQDQ, ISA_SSE2},
    {ISA_AES, ISA_SSE2}, {ISA_SHA_NI, ISA_SSE2}, {ISA_GFNI, ISA_SSE2},
    {ISA_XSAVE, ISA_FXSR}, {ISA_XSAVEOPT, ISA_XSAVE}, {ISA_XSAVEC, ISA_XSAVE},
    {ISA_XGETBV1, ISA_XSAVE}, {ISA_XSAVES, ISA_XSAVEC}, {ISA_XSAVEERPTR, ISA_XSAVE},
    {ISA_AVX, ISA_XSAVE}, {ISA_AVX, ISA_SSE4_2}, {ISA_FMA, ISA_AVX}, {ISA_F16C, ISA_AVX},
    {ISA_BMI1, ISA_FPU},
    {ISA_VAES, ISA_AVX}, {ISA_VPCLMULQDQ, ISA_AVX}, {ISA_AVX2, ISA_AVX},
    {ISA_AVX_VNNI, ISA_AVX2}, {ISA_AVX_IFMA, ISA_AVX2}, {ISA_AVX512F, ISA_AVX2},
    {ISA_AVX512F, ISA_FMA}, {ISA_AVX512F, ISA_F16C},
    {ISA_AVX512DQ, ISA_AVX512F}, {ISA_AVX512IFMA, ISA_AVX512F}, {ISA_AVX512CD, ISA_AVX512F},
    {ISA_AVX512BW, ISA_AVX512F}, {ISA_AVX512VL, ISA_AVX512F}, {ISA_AVX512VBMI, ISA_AVX512BW},
    {ISA_AVX512_VBMI2, ISA_AVX512BW}, {ISA_AVX512_VNNI, ISA_AVX512F},
    {ISA_AVX512_BITALG, ISA_AVX512BW}, {ISA_AVX512_VPOPCNTDQ, ISA_AVX512F},
    {ISA_AVX512_VP2INTERSECT, ISA_AVX512F}, {ISA_AVX512_FP16, ISA_AVX512BW},
    {ISA_AVX512_BF16, ISA_AVX512BW},
    {ISA_X2APIC, ISA_APIC}, {ISA_TSC_DEADLINE, ISA_APIC}, {ISA_ARAT, ISA_APIC},
    {ISA_TSC_DEADLINE, ISA_TSC}, {ISA_TSC_ADJUST, ISA_TSC}, {ISA_RDTSCP, ISA_TSC},
    {ISA_INVTSC, ISA_TSC}, {ISA_NX, ISA_PAE}, {ISA_LM, ISA_PAE}, {ISA_LM, ISA_NX},
    {ISA_LAHF_LM, ISA_LM}, {ISA_PDPE1GB, ISA_LM}, {ISA_PCID, ISA_LM}, {ISA_INVPCID, ISA_PCID},
    {ISA_CX16, ISA_LM}, {ISA_FSGSBASE, ISA_LM},
};

/* The model "host" has these whatever the host says: they are ours and cost nothing. */
static const uint8_t always[] = {
    ISA_FPU, ISA_APIC, ISA_X2APIC, ISA_TSC_DEADLINE, ISA_TSC_ADJUST, ISA_ARAT, ISA_HYPERVISOR,
};

/* Nor is the host's sensitivity to speculation theirs to treat: what guests do against it is done
 * with instructions that are translated, so it costs time and helps nobody. */
static const uint8_t always_amd[] = {
    ISA_SSB_NO, ISA_AUTOIBRS, ISA_SRSO_NO, ISA_TSA_SQ_NO, ISA_TSA_L1_NO,
};
static const uint8_t always_intel[] = {ISA_SPEC_CTRL, ISA_ARCH_CAPABILITIES};
// clang-format on

static const struct {
    const char *name;
    uint8_t feature;
} aliases[] = {
#define FEATURE(...)
#define ALIAS(text, NAME) {text, ISA_##NAME},
#include "cpu/decode/features.def"
#undef ALIAS
#undef FEATURE
};

static const char *const properties[] = {"vendor",   "hv-vendor", "model-id", "family", "model",
                                         "stepping", "phys-bits", "enforce",  "check"};

const char *cpu_model_name(unsigned i, const char **help)
{
    if (i >= ARRAY_SIZE(models))
        return NULL;
    if (help)
        *help = models[i].help;
    return models[i].name;
}

/* ---- names ---- */

/* '-', '_' and '.' are one letter; case does not matter. */
static int letter(char ch)
{
    return ch == '_' || ch == '.' ? '-' : tolower((unsigned char)ch);
}

static bool name_equal(const char *a, const char *b)
{
    while (*a && letter(*a) == letter(*b))
        a++, b++;
    return !*a && !*b;
}

static unsigned feature_by_name(const char *name)
{
    for (unsigned f = 1; f < ISA_COUNT; f++)
        if (name_equal(name, cpuid_features[f].name))
            return f;
    for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++)
        if (name_equal(name, aliases[i].name))
            return aliases[i].feature;
    return ISA_BASE;
}

static int unknown_model(const char *word, struct err *err)
{
    struct nearest n = {.wanted = word};
    char hint[64];
    for (unsigned i = 0; i < ARRAY_SIZE(models); i++)
        nearest_offer(&n, models[i].name);
    return err_set(err, WEIR_EINVAL, "unknown CPU model '%s'%s", word,
                   nearest_hint(&n, hint, sizeof hint));
}

static int unknown_flag(const char *word, bool property_allowed, struct err *err)
{
    struct nearest n = {.wanted = word};
    char hint[64];
    for (unsigned f = 1; f < ISA_COUNT; f++)
        nearest_offer(&n, cpuid_features[f].name);
    for (unsigned i = 0; i < ARRAY_SIZE(aliases); i++)
        nearest_offer(&n, aliases[i].name);
    for (unsigned i = 0; property_allowed && i < ARRAY_SIZE(properties); i++)
        nearest_offer(&n, properties[i]);
    return err_set(err, WEIR_EINVAL, "unknown CPU feature or property '%s'%s", word,
                   nearest_hint(&n, hint, sizeof hint));
}

/* ---- feature sets ---- */

struct parse {
    struct cpu_model *model;
    struct host_cpu host;
    const struct model_definition *definition;
    uint64_t wanted[(ISA_COUNT + 63) / 64]; /* asked for by name */
    bool enforce;
    struct err *err;
};

static void set_put(uint64_t *set, unsigned f, bool on)
{
    if (on)
        set[f / 64] |= BIT64(f % 64);
    else
        set[f / 64] &= ~BIT64(f % 64);
}
static bool offerable(const struct parse *p, unsigned f)
{
    return !cpuid_features[f].needs_host || features_have(p->host.features, f);
}

/* Drops flags that build on absent ones; an error if one of them was asked for. */
static int drop_dependents(struct parse *p)
{
    uint64_t *set = p->model->features;
    bool changed = true;
    while (changed) {
        changed = false;
        for (unsigned i = 0; i < ARRAY_SIZE(dependencies); i++) {
            unsigned f = dependencies[i][0], needs = dependencies[i][1];
            if (!features_have(set, f) || features_have(set, needs))
                continue;
            if (features_have(p->wanted, f))
                return err_set(p->err, WEIR_EINVAL, "CPU feature '%s' needs '%s'",
                               cpuid_features[f].name, cpuid_features[needs].name);
            set_put(set, f, false);
            changed = true;
        }
    }
    return 0;
}

static int list_features(struct parse *p, const char *flags)
{
    char word[32];
    int length;
    for (; sscanf(flags, " %31s%n", word, &length) == 1; flags += length) {
        unsigned f = feature_by_name(word);
        if (f == ISA_BASE)
            return unknown_flag(word, false, p->err);
        set_put(p->model->features, f, true);
        if (p->enforce)
            set_put(p->wanted, f, true);
    }
    return 0;
}

static void base_features(struct parse *p)
{
    uint64_t *set = p->model->features;
    for (unsigned f = 1; f < ISA_COUNT; f++) {
        bool soft = !cpuid_features[f].needs_host;
        bool max = p->definition->base == BASE_MAX && soft;
        set_put(set, f, max || features_have(p->host.features, f));
    }
    for (unsigned i = 0; i < ARRAY_SIZE(always); i++)
        set_put(set, always[i], true);
    bool intel = memcmp(p->host.vendor, "GenuineIntel", 12) == 0;
    for (unsigned i = 0; i < ARRAY_SIZE(always_amd); i++)
        set_put(set, always_amd[i], !intel);
    for (unsigned i = 0; i < ARRAY_SIZE(always_intel); i++)
        set_put(set, always_intel[i], intel);
}

/* ---- parsing ---- */

static int number(struct parse *p, const char *name, const char *text, uint32_t low,
                  uint32_t high, uint32_t *out)
{
    char *end;
    unsigned long v = strtoul(text, &end, 0);
    if (!isdigit((unsigned char)*text) || *end || v < low || v > high)
        return err_set(p->err, WEIR_EINVAL, "CPU property '%s': '%s' is not in %u..%u", name,
                       text, low, high);
    *out = (uint32_t)v;
    return 0;
}

static int text_property(struct parse *p, const char *name, const char *value, char *out,
                         size_t bytes)
{
    if (strlen(value) >= bytes)
        return err_set(p->err, WEIR_EINVAL, "CPU property '%s': at most %zu characters", name,
                       bytes - 1);
    memset(out, 0, bytes);
    memcpy(out, value, strlen(value));
    return 0;
}

/* 1 = not a property. */
static int property_set(struct parse *p, const char *name, const char *value)
{
    struct cpu_model *m = p->model;
    uint32_t v;
    int r;
    if (name_equal(name, "vendor")) {
        if (strlen(value) != 12)
            return err_set(p->err, WEIR_EINVAL, "CPU property 'vendor' has 12 characters");
        return text_property(p, name, value, m->vendor, sizeof m->vendor);
    }
    if (name_equal(name, "hv-vendor") || name_equal(name, "hv-vendor-id"))
        return text_property(p, name, value, m->hv_vendor, sizeof m->hv_vendor);
    if (name_equal(name, "model-id"))
        return text_property(p, name, value, m->brand, sizeof m->brand);
    if (name_equal(name, "family"))
        return number(p, name, value, 4, 270, &m->family);
    if (name_equal(name, "model"))
        return number(p, name, value, 0, 255, &m->model);
    if (name_equal(name, "stepping"))
        return number(p, name, value, 0, 15, &m->stepping);
    if (name_equal(name, "phys-bits")) {
        r = number(p, name, value, 32, 52, &v);
        if (r == 0)
            m->phys_bits = (uint8_t)v;
        return r;
    }
    return 1;
}

static int feature_set(struct parse *p, const char *name, bool on)
{
    if (name_equal(name, "enforce") || name_equal(name, "check"))
        return 0; /* looked at before the model's own flags */
    unsigned f = feature_by_name(name);
    if (f == ISA_BASE)
        return unknown_flag(name, true, p->err);
    if (on && !offerable(p, f))
        return err_set(p->err, WEIR_EUNSUPPORTED, "CPU feature '%s': the host does not have it",
                       cpuid_features[f].name);
    set_put(p->model->features, f, on);
    set_put(p->wanted, f, on);
    return 0;
}

/* One word behind the model's name. */
static int word_apply(struct parse *p, char *word)
{
    if (*word == '+' || *word == '-')
        return feature_set(p, word + 1, *word == '+');
    char *value = strchr(word, '=');
    if (!value)
        return feature_set(p, word, true);
    *value++ = '\0';
    int r = property_set(p, word, value);
    if (r <= 0)
        return r;
    bool on = strcmp(value, "on") == 0 || strcmp(value, "true") == 0;
    if (!on && strcmp(value, "off") != 0 && strcmp(value, "false") != 0)
        return feature_by_name(word) == ISA_BASE
                   ? unknown_flag(word, true, p->err)
                   : err_set(p->err, WEIR_EINVAL, "CPU feature '%s': '%s' is not on or off",
                             word, value);
    return feature_set(p, word, on);
}

static void identity_set(struct parse *p)
{
    struct cpu_model *m = p->model;
    const struct model_definition *d = p->definition;
    snprintf(m->name, sizeof m->name, "%s", d->name);
    snprintf(m->hv_vendor, sizeof m->hv_vendor, "WeirWeirWeir");
    if (d->base == BASE_LIST) {
        snprintf(m->vendor, sizeof m->vendor, "%s", d->vendor);
        snprintf(m->brand, sizeof m->brand, "%s", d->brand);
        m->family = d->family;
        m->model = d->model;
        m->stepping = d->stepping;
        m->phys_bits = d->phys_bits;
    } else {
        memcpy(m->vendor, p->host.vendor, sizeof m->vendor);
        memcpy(m->brand, p->host.brand, sizeof m->brand);
        m->family = p->host.family;
        m->model = p->host.model;
        m->stepping = p->host.stepping;
        m->phys_bits = p->host.phys_bits;
    }
    m->max_basic = d->max_basic;
    m->max_extended = d->max_extended;
}

/* What follows from vendor and features. */
static void model_finish(struct parse *p)
{
    struct cpu_model *m = p->model;
    m->xcr0_mask = 0;
    if (model_has(m, ISA_XSAVE)) {
        m->xcr0_mask = XCR0_X87 | XCR0_SSE;
        if (model_has(m, ISA_AVX))
            m->xcr0_mask |= XCR0_AVX;
        if (model_has(m, ISA_AVX512F))
            m->xcr0_mask |= XCR0_AVX512;
    }
    memcpy(m->xsave, p->host.xsave, sizeof m->xsave);
    m->linear_bits = model_has(m, ISA_LM) ? 48 : 32;
    bool intel = strcmp(m->vendor, "GenuineIntel") == 0;
    if (intel && m->max_extended > 0x80000008)
        m->max_extended = 0x80000008;
    if (!intel && m->max_basic > 0x16)
        m->max_basic = 0x16;
}

static int model_build(struct parse *p, char *words)
{
    char *save, *word = strtok_r(words, ",", &save);
    int r = 0;
    for (unsigned i = 0; word && i < ARRAY_SIZE(models); i++)
        if (name_equal(word, models[i].name))
            p->definition = &models[i];
    if (!p->definition)
        return unknown_model(word ? word : "", p->err);
    identity_set(p);
    if (p->definition->base == BASE_LIST)
        r = list_features(p, p->definition->flags);
    else
        base_features(p);
    while (r == 0 && (word = strtok_r(NULL, ",", &save)) != NULL)
        r = word_apply(p, word);
    if (r)
        return r;
    for (unsigned f = 1; f < ISA_COUNT; f++) {
        if (!model_has(p->model, f) || offerable(p, f))
            continue;
        if (p->enforce)
            return err_set(p->err, WEIR_EUNSUPPORTED,
                           "CPU model '%s' has '%s', which the host does not have",
                           p->model->name, cpuid_features[f].name);
        set_put(p->model->features, f, false);
    }
    r = drop_dependents(p);
    if (r == 0)
        model_finish(p);
    return r;
}

/* Whether `word` is one of the comma-separated words, alone or "=on". */
static bool has_word(const char *spec, const char *word)
{
    size_t n = strlen(word);
    for (const char *s = strchr(spec, ','); s; s = strchr(s + 1, ','))
        if (strncmp(s + 1, word, n) == 0 &&
            (!s[n + 1] || s[n + 1] == ',' || strncmp(s + n + 1, "=on", 3) == 0))
            return true;
    return false;
}

int cpu_model_parse(const char *spec, struct cpu_model **out, struct err *err)
{
    struct parse p = {.err = err, .enforce = has_word(spec, "enforce")};
    char *words = strdup(*spec ? spec : "host");
    int r;
    *out = NULL;
    p.model = calloc(1, sizeof *p.model);
    if (!words || !p.model) {
        r = err_set(err, WEIR_ENOMEM, "CPU model: out of memory");
        goto fail;
    }
    cpuid_host_read(&p.host);
    r = model_build(&p, words);
    if (r)
        goto fail;
    free(words);
    *out = p.model;
    return 0;
fail:
    free(words);
    free(p.model);
    return r;
}

void cpu_model_free(struct cpu_model *model)
{
    free(model);
}
