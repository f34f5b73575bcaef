/* SPDX-License-Identifier: MIT */
/*
 * jit.h - the translator: runs a vCPU by translating its blocks to host code.
 *
 * It sits on the interpreter's blocks (cpu/interp/blocks.h): those decode, track code pages and
 * drop what was overwritten; a block that has been interpreted a few times gets a translation.
 * What has no fast form calls the interpreter's function from translated code; whole situations
 * that are rare (single-stepping, breakpoints, alignment checks) are interpreted.
 *
 * All memory is near the vCPU (within 2 GiB), so that code reaches its state RIP-relative.
 */
#ifndef JIT_JIT_H
#define JIT_JIT_H

#include "base/err.h"
#include "cpu/cpu.h"
#include <weir/machine.h>

#define JIT_CODE_BYTES_DEFAULT (64u << 20)
#define JIT_CODE_BYTES_MIN     (1u << 20)

/* code_bytes: size of the code cache. Failure leaves the vCPU to the interpreter. */
int jit_init(struct vcpu *c, size_t code_bytes, struct err *err);
void jit_fini(struct vcpu *c);
/* Behind jit_init, before anything runs: programs that run for long get windows (windows.h), if the
 * host can. */
int jit_windows_init(struct vcpu *c, struct err *err);
/* For tests: every program has one at once. False: there are none here. */
bool jit_windows_always(struct vcpu *c);
/* For tests: how many windows have had the host's lowest addresses so far. */
unsigned jit_windows_low(const struct vcpu *c);
/* As interp_run. */
enum weir_stop jit_run(struct vcpu *c);
/* Any thread, every JIT_SAMPLE_NS while the vCPU runs: it finds out where its time goes. */
#define JIT_SAMPLE_NS      1000000u
#define JIT_SAMPLE_IDLE_NS 50000000u /* meanwhile, how often to see whether it runs */
void jit_sample(struct vcpu *c);

/* ---- what people see of it ---- */

typedef int jit_disassemble_fn(const uint8_t *bytes, size_t length, unsigned bits,
                               uint64_t address, bool intel, char *text, size_t text_bytes);
/* Behind jit_init: who prints IN (vcpu.trace_block) and disassembles host code for the log. */
int jit_view_init(struct vcpu *c, jit_disassemble_fn *disassemble);
/* The section PROLOGUE, if OUT_ASM is logged; once. Any thread. */
void jit_log_prologue(struct vcpu *c);
/* What would be made of any bytes: the plan, or the host code under each instruction. The vCPU
 * must be one that never runs, in the mode wanted. */
int jit_stage_text(struct vcpu *c, const uint8_t *bytes, size_t length, uint64_t address,
                   bool code, struct weir_text *out);
/* Counters; false without a translator. */
bool jit_stats_read(const struct vcpu *c, struct weir_jit_stats *out);
/* Names of what is translated from now on, for perf: appended to a map file; a dump file. */
int jit_perf_map(struct vcpu *c, const char *path, struct err *err);
int jit_perf_dump(struct vcpu *c, const char *path, struct err *err);

#endif
