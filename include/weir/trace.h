/* SPDX-License-Identifier: MIT */
/*
 * trace.h - what a guest did, in a file: every instruction, memory accesses, events. Compact, and
 * compressed (zstd) while it is written.
 */
#ifndef WEIR_TRACE_H
#define WEIR_TRACE_H

#include "introspect.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- writing ----------------------------------------------------------------------------- */

struct weir_trace_config {
    const char *path;
    struct weir_filter filter; /* vCPU, CR3, CPL, PC: of instructions and what they do */
    bool memory;               /* memory accesses too */
    bool events; /* interrupts, exceptions, system calls, ports, CR3, MSRs, CPUID */
    int level;   /* of compression, 0 = 3 */
};
/* One at a time for each VM. It ends with weir_trace_stop or the VM. A file that can no longer be
 * written (-WEIR_EIO from weir_trace_stop) ends before its time, but can be read. */
WEIR_API int weir_trace_start(weir *vm, const struct weir_trace_config *config);
WEIR_API int weir_trace_stop(weir *vm);

/* ---- reading ----------------------------------------------------------------------------- */

enum weir_trace_kind {
    WEIR_TRACE_INSN,   /* retired, or faulted */
    WEIR_TRACE_MEMORY, /* of the last instruction */
    WEIR_TRACE_EVENT,
    WEIR_TRACE_KINDS
};
struct weir_trace_record {
    enum weir_trace_kind kind;
    uint64_t count; /* of instructions before this record */
    weir_gva pc;
    uint64_t cr3;
    uint8_t cpl, bits; /* of the code: 16, 32, 64 */
    /* INSN */
    uint8_t length; /* 0: the bytes could not be read */
    uint8_t bytes[15];
    bool faulted;
    /* MEMORY */
    weir_gva gva;
    weir_gpa gpa;
    uint32_t size;
    bool write;
    uint64_t value; /* of writes: the first 8 bytes */
    /* EVENT */
    enum weir_event_kind event;
    uint64_t number; /* vector, port, MSR, leaf, system call... */
    uint64_t argument[6];
};

typedef struct weir_trace_reader weir_trace_reader;
/* *error: a text that says what is wrong; valid for ever. */
WEIR_API int weir_trace_open(const char *path, weir_trace_reader **out, const char **error);
/* 1: a record. 0: the end. -WEIR_EFORMAT: damaged from here on, or cut off. */
WEIR_API int weir_trace_next(weir_trace_reader *reader, struct weir_trace_record *record);
/* Bytes of the file read so far, and all. */
WEIR_API void weir_trace_position(const weir_trace_reader *reader, uint64_t *at,
                                  uint64_t *size);
WEIR_API void weir_trace_close(weir_trace_reader *reader);

#ifdef __cplusplus
}
#endif
#endif
