/* SPDX-License-Identifier: MIT */
/*
 * host_cpu.h - runs a few bytes of code on the host with all registers given: what the CPU
 * under test is compared with. Independent of the library: state goes in by XRSTOR and out by
 * XSAVE.
 */
#ifndef TESTS_DIFF_HOST_CPU_H
#define TESTS_DIFF_HOST_CPU_H

#include <stdbool.h>
#include <stdint.h>

#define HOST_XSAVE_BYTES 4096

/* Lives at a fixed address below 2 GiB. RSP must be valid host memory. */
struct host_context {
    uint64_t gpr[16];
    uint64_t rflags;
    uint64_t xcr0;
    uint64_t saved_rsp;
    uint64_t entry;
    uint32_t saved_mxcsr, saved_fcw;
    _Alignas(64) uint8_t xsave[HOST_XSAVE_BYTES];
};

enum host_end { HOST_DONE, HOST_SIGFPE, HOST_SIGILL, HOST_SIGSEGV };

/* Maps the context and the code page; false where the host lacks XSAVE. */
bool host_cpu_init(struct host_context **context);
/* A page of plain memory at this address. */
void *host_map(uint64_t address, uint64_t bytes);
/* Runs `bytes` with the context's registers and stores what they became. Returns how the
 * code ended; registers are as they were then. */
enum host_end host_cpu_run(const uint8_t *bytes, unsigned length);

#endif
