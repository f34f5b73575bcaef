/* SPDX-License-Identifier: MIT */
/* x86.h - architectural constants by their SDM names. */
#ifndef CPU_X86_H
#define CPU_X86_H

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };
enum { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR };

/* RFLAGS */
#define FLAG_CF     (1u << 0)
#define FLAG_FIXED  (1u << 1)
#define FLAG_PF     (1u << 2)
#define FLAG_AF     (1u << 4)
#define FLAG_ZF     (1u << 6)
#define FLAG_SF     (1u << 7)
#define FLAG_TF     (1u << 8)
#define FLAG_IF     (1u << 9)
#define FLAG_DF     (1u << 10)
#define FLAG_OF     (1u << 11)
#define FLAG_IOPL   (3u << 12)
#define FLAG_NT     (1u << 14)
#define FLAG_RF     (1u << 16)
#define FLAG_VM     (1u << 17)
#define FLAG_AC     (1u << 18)
#define FLAG_VIF    (1u << 19)
#define FLAG_VIP    (1u << 20)
#define FLAG_ID     (1u << 21)
#define FLAGS_ARITH (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

#define CR0_PE         (1u << 0)
#define CR0_MP         (1u << 1)
#define CR0_EM         (1u << 2)
#define CR0_TS         (1u << 3)
#define CR0_ET         (1u << 4)
#define CR0_NE         (1u << 5)
#define CR0_WP         (1u << 16)
#define CR0_AM         (1u << 18)
#define CR0_NW         (1u << 29)
#define CR0_CD         (1u << 30)
#define CR0_PG         (1u << 31)
#define CR4_VME        (1u << 0)
#define CR4_PVI        (1u << 1)
#define CR4_TSD        (1u << 2)
#define CR4_DE         (1u << 3)
#define CR4_PSE        (1u << 4)
#define CR4_PAE        (1u << 5)
#define CR4_MCE        (1u << 6)
#define CR4_PGE        (1u << 7)
#define CR4_PCE        (1u << 8)
#define CR4_OSFXSR     (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_UMIP       (1u << 11)
#define CR4_LA57       (1u << 12)
#define CR4_FSGSBASE   (1u << 16)
#define CR4_PCIDE      (1u << 17)
#define CR4_OSXSAVE    (1u << 18)
#define CR4_SMEP       (1u << 20)
#define CR4_SMAP       (1u << 21)
#define CR4_PKE        (1u << 22)
#define EFER_SCE       (1u << 0)
#define EFER_LME       (1u << 8)
#define EFER_LMA       (1u << 10)
#define EFER_NXE       (1u << 11)
#define EFER_FFXSR     (1u << 14)
#define EFER_AIBRSE    (1u << 21)

/* struct segment.attr */
#define SEG_ATTR_TYPE      0x000f
#define SEG_ATTR_ACCESSED  0x0001
#define SEG_ATTR_RW        0x0002 /* data: writable; code: readable */
#define SEG_ATTR_DC        0x0004 /* data: expand down; code: conforming */
#define SEG_ATTR_CODE      0x0008
#define SEG_ATTR_S         0x0010
#define SEG_ATTR_DPL_SHIFT 5
#define SEG_ATTR_DPL       0x0060
#define SEG_ATTR_P         0x0080
#define SEG_ATTR_AVL       0x1000
#define SEG_ATTR_L         0x2000
#define SEG_ATTR_DB        0x4000
#define SEG_ATTR_G         0x8000

enum {
    VEC_DE = 0,
    VEC_DB = 1,
    VEC_NMI = 2,
    VEC_BP = 3,
    VEC_OF = 4,
    VEC_BR = 5,
    VEC_UD = 6,
    VEC_NM = 7,
    VEC_DF = 8,
    VEC_TS = 10,
    VEC_NP = 11,
    VEC_SS = 12,
    VEC_GP = 13,
    VEC_PF = 14,
    VEC_MF = 16,
    VEC_AC = 17,
    VEC_MC = 18,
    VEC_XM = 19
};

#define PF_ERR_P    1u
#define PF_ERR_W    2u
#define PF_ERR_U    4u
#define PF_ERR_RSVD 8u
#define PF_ERR_I    16u

#define DR6_FIXED 0xffff0ff0u
#define DR6_BD    (1u << 13)
#define DR6_BS    (1u << 14)
#define DR6_BT    (1u << 15)
#define DR7_FIXED 0x400u
#define DR7_GD    (1u << 13)
/* IA32_DEBUGCTL: kept; TF traps taken branches only. A debug exception clears both. */
#define DEBUGCTL_LBR (1u << 0)
#define DEBUGCTL_BTF (1u << 1)

#endif
