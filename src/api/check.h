/* SPDX-License-Identifier: MIT */
/* check.h - the parts of the lock-step driver. */
#ifndef API_CHECK_H
#define API_CHECK_H

#include "api/api.h"
#include <weir/check.h>

/* Pages of RAM by offset in it. */
#define CHECK_PAGES 64u
struct check_pages {
    uint64_t at[CHECK_PAGES];
    unsigned count;
};

/* An instruction that was executed, for the report. */
struct check_insn {
    uint64_t linear;
    unsigned bits, length;
    uint8_t bytes[INSN_MAX_BYTES];
};

#define CHECK_TRAIL 64u
struct check {
    const struct weir_check *in;
    struct weir *vm[2];
    struct weir_exit exit[2];
    bool ended; /* one of them, or both */
    bool told;  /* make failed: its author knows why */
    uint64_t at;
    struct check_insn trail[CHECK_TRAIL]; /* of the reference, when it goes in single steps */
    unsigned trail_count;
};

/* ---- check_state.c ---- */
enum check_verdict { CHECK_SAME, CHECK_FLAGS, CHECK_DIFFERENT };
/* Registers; CHECK_FLAGS: arithmetic flags alone differ, or copies of them in registers. Copies in
 * RAM never count. */
enum check_verdict check_registers(const struct check *k);
/* How both ended, if they did. */
bool check_exits_equal(const struct check *k);
/* Whether any of these pages differs. */
bool check_pages_differ(const struct check *k, const struct check_pages *pages);
/* All of RAM: the first pages that differ. */
void check_ram(const struct check *k, struct check_pages *pages);
/* Tables of what differs. */
void check_print_registers(const struct check *k, struct weir_text *out);
void check_print_ram(const struct check *k, const struct check_pages *pages,
                     struct weir_text *out);

/* ---- check_find.c ---- */
/* `from`: registers and RAM were equal there; at `to` something differs, pages of RAM among it.
 * Writes the report and fills what the result says about the place. */
int check_find(struct check *k, uint64_t from, uint64_t to, struct check_pages *pages,
               struct weir_check_result *result);

/* ---- check.c ---- */
/* Machines from the start. */
int check_restart(struct check *k, bool again);
/* Runs both to `target`, or until one ends. */
int check_advance(struct check *k, uint64_t target);
/* The machine under test runs whole blocks, at most to `target` if they fit; the reference
 * follows. */
int check_advance_blocks(struct check *k, uint64_t target);
/* One instruction at a time. */
int check_advance_singly(struct check *k, uint64_t target);
/* The halves of these: the test to `target`, soft: by whole blocks; the reference to `target` in
 * single steps, noting what it executes. */
int check_advance_test(struct check *k, uint64_t target, bool soft);
int check_trail_reference(struct check *k, uint64_t target);

#endif
