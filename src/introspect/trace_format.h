/* SPDX-License-Identifier: MIT */
/*
 * trace_format.h - the file of weir/trace.h, between its writer and its reader.
 *
 * A zstd stream of: TRACE_MAGIC, then records. A record is a tag byte and numbers, 7 bits a byte,
 * low first (LEB128); differences are zigzagged.
 *
 *   SPACE   cr3, cpl, bits                what holds from here on
 *   INSN    pc - expected pc, length, then the bytes         expected: behind the last one
 *   FAULTED the same
 *   MEMORY  (size << 1 | write), gva - last gva, gpa, value if write
 *   EVENT   kind, pc - expected pc, number, 6 arguments
 */
#ifndef INTROSPECT_TRACE_FORMAT_H
#define INTROSPECT_TRACE_FORMAT_H

#include <stdint.h>

#define TRACE_MAGIC "WEIRTRC1"
enum { TAG_SPACE = 1, TAG_INSN, TAG_FAULTED, TAG_MEMORY, TAG_EVENT };
#define TRACE_RECORD_MAX 128u

static inline uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}
static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

#endif
