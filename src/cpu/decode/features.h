/* SPDX-License-Identifier: MIT */
/* features.h - enumerators of the CPUID features in features.def, for table rows and cpu_has(). */
#ifndef CPU_DECODE_FEATURES_H
#define CPU_DECODE_FEATURES_H

enum isa_feature {
    ISA_BASE, /* every x86 has it */
#define FEATURE(name, ...) ISA_##name,
#include "cpu/decode/features.def"
#undef FEATURE
    ISA_COUNT
};

#endif
