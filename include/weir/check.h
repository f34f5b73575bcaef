/* SPDX-License-Identifier: MIT */
/*
 * check.h - lock-step: runs two machines that should do the same side by side, and finds the first
 * instruction after which they differ. Meant for two engines on one guest.
 *
 * Both must have deterministic time (weir_config.icount_shift >= 0), no input from outside, and no
 * device that is a source of chance. Since a run can then be repeated, finding is done by running
 * again: both machines are made anew, run to the last point at which they were equal, and then go
 * on in ever smaller steps.
 */
#ifndef WEIR_CHECK_H
#define WEIR_CHECK_H

#include "device.h"
#include "weir.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weir_check {
    size_t size; /* sizeof(struct weir_check) */
    /* Makes machine 0 (the reference) or 1 (the one under test), ready to run. `again`: it was
     * made before, and what it prints has been seen. 0, or a negative error that
     * weir_check_run then returns. */
    int (*make)(void *ctx, unsigned which, bool again, weir **out);
    void *ctx;
    const char *names[2];     /* for the report; NULL: "reference" and "test" */
    uint64_t step;            /* instructions between comparisons of registers; 0: 10,000 */
    uint64_t ram_step;        /* ... and of RAM; 0: 20 million */
    uint64_t limit;           /* ends after so many instructions; 0: when the guest ends */
    struct weir_text *report; /* gets the report of a difference; may be NULL */
};

struct weir_check_result {
    bool different;
    bool exact;         /* different: `address` is one instruction, not the first of several */
    bool limit_reached; /* else `exit` says how the guest ended */
    uint64_t instructions; /* for which both were equal */
    weir_gva address;      /* different: linear address of the instruction behind those */
    struct weir_exit exit;
    /* Comparisons that found nothing but other arithmetic flags (or copies of RFLAGS). Engines may
     * disagree on flags that an instruction leaves undefined; a wrong flag that is used shows in
     * something else. */
    uint64_t flags_passed;
};

/* 0 also if they differ; negative: a machine could not be made or run. */
WEIR_API int weir_check_run(const struct weir_check *check, struct weir_check_result *result);

#ifdef __cplusplus
}
#endif
#endif
