/* SPDX-License-Identifier: MIT */
/*
 * vmi.h - the VMI option ROM: a paravirtual interface that a kernel finds in the option ROM space.
 * docs/vmi.md is the guest's side of it.
 *
 * Threads and errors as in weir.h.
 */
#ifndef WEIR_VMI_H
#define WEIR_VMI_H

#include "weir.h"
#include "device.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_VMI_ROM_BYTES 0x3000u

/* What becomes of a fault at ring 0 whose instruction is in the ROM and not one whose operand is
 * the guest's. */
enum weir_vmi_faults {
    WEIR_VMI_FAULTS_STOP, /* reported ("Unexpected fault in the ROM, ip ..."); weir_run fails */
    WEIR_VMI_FAULTS_GUEST, /* delivered like any other */
};

struct weir_vmi_config {
    size_t size;   /* set by weir_vmi_config_init */
    unsigned api;  /* 3 (default): what Linux 2.6.21-2.6.36 uses; 13: fixed slots */
    bool counters; /* each entry counts its calls */
    uint32_t base; /* where the ROM lies; default D0000h; multiple of 4096 in C0000h-DFFFFh */
    enum weir_vmi_faults faults;
};
WEIR_API void weir_vmi_config_init(struct weir_vmi_config *config, size_t size);

/* Puts the ROM into the machine. Before weir_start, which fails when the ROM would lie over another
 * one. Machines of both kinds ("none" has no alarms). */
WEIR_API int weir_vmi_enable(weir *vm, const struct weir_vmi_config *config);

/* ---- the table of calls ------------------------------------------------------------------- */

struct weir_vmi_call {
    size_t size;            /* sizeof(struct weir_vmi_call), set by the caller */
    const char *name;       /* "SetGDT" */
    int number;             /* in this API */
    uint32_t offset;        /* of the entry in the ROM */
    uint32_t bytes;         /* its length */
    const char *kind;       /* "exit"...; weir_vmi_kind tells what that is */
    const char *relocation; /* 3.0: "CALL_REL", "JUMP_REL", "NOP"; 13.0: "slot" */
    const char *in, *out, *clobbers, *what;
    const char *host; /* what the host does; NULL: nothing, the entry is all */
};
/* Call i = 0, 1... of an API, in order of number; -WEIR_ENOENT past the end. */
WEIR_API int weir_vmi_call(unsigned api, unsigned i, struct weir_vmi_call *call);
/* Number of a call by name or by its own number as text; -WEIR_ENOENT. */
WEIR_API int weir_vmi_find(unsigned api, const char *name);
/* One line about a kind of entry; NULL if there is none of that name. */
WEIR_API const char *weir_vmi_kind(const char *kind);

/* ---- the image ---------------------------------------------------------------------------- */

/* The ROM as a guest finds it: WEIR_VMI_ROM_BYTES. */
WEIR_API int weir_vmi_image(const struct weir_vmi_config *config, uint8_t *image);
/* One entry explained: where it is, its bytes and instructions with names for what they lead to,
 * patch-ups marked, its contract, what the host does. -WEIR_ENOENT: no such call. */
WEIR_API int weir_vmi_disassemble(const struct weir_vmi_config *config, const char *name,
                                  struct weir_text *out);
/* Checks any VMI ROM: header, checksum, PCI and PnP headers, licence, entries or slots, relocation.
 * One line per finding. Returns how many of them are errors. */
WEIR_API int weir_vmi_check(const uint8_t *image, size_t bytes, struct weir_text *out);

/* ---- counters ------------------------------------------------------------------------------ */

struct weir_vmi_counter {
    const char *name; /* "VMI_SetGDT"; NULL for a vector */
    int vector;       /* -1 for a call */
    uint64_t count;
};
/* Those that are not 0, largest first, calls (counted by the ROM itself if `counters` is on, and by
 * the host for those it serves otherwise) before vectors. At most `max`; returns how many there
 * are, -WEIR_ESTATE without a ROM. */
WEIR_API int weir_vmi_counters(weir *vm, struct weir_vmi_counter *counters, unsigned max);
WEIR_API int weir_vmi_counters_clear(weir *vm);

/* Exceptions, interrupts and INT n delivered so far. */
struct weir_vmi_traps {
    size_t size; /* sizeof(struct weir_vmi_traps), set by the caller */
    uint64_t from_user, from_kernel, in_rom, system_calls;
};
WEIR_API int weir_vmi_traps(weir *vm, struct weir_vmi_traps *traps);

#ifdef __cplusplus
}
#endif
#endif
