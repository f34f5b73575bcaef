/* SPDX-License-Identifier: MIT */
/*
 * internal.h - what the translator's files share: its data, and who does what.
 *
 *   run.c          the loop: finds blocks, enters code, serves its exits; slow paths
 *   cache.c        memory, links between blocks, invalidation
 *   translate.c    one block: liveness of flags, instructions in order, ends
 *   go_on.c        from C to another block
 *   groups.c       operands that are checked together
 *   windows.c      address spaces that the host maps; faults.c: accesses that meet nothing there;
 *                  regions.c: where they are
 *   mixed.c        pages that hold both code and data
 *   pinned.c       what 16-bit code and non-flat segments need beside that
 *   gen_int.c      integer instructions; gen_flow.c: branches, calls, the stack
 *   gen_system.c   SYSCALL, SYSRET, control registers
 *   gen_segment.c  segment registers; gen_far.c: far transfers, INT, IRET
 *   tables.h       where memory operands and jumps are looked up
 *   view.h         the log, perf and `weir disas` look at what was made
 *   x64/mem.c      memory operands; x64/stubs.c: entry, exits, slow paths
 *   x64/strings.c  REP MOVS and STOS over several pages
 *
 * Registers in translated code: guest registers are in the host registers of the same name, but
 * RSP is in R9, and R9, R10, R11 are in struct vcpu. T1 (R11) and T2 (R10) are scratch, RSP is
 * the host's stack. Arithmetic flags are in EFLAGS, or saved in flags_ax, or dead: known at
 * every point of a block (enum flags_at). The rest of the vCPU is in struct vcpu, but for RIP:
 * `code_base` + the offset in the page, known for every instruction.
 */
#ifndef JIT_INTERNAL_H
#define JIT_INTERNAL_H

#include "cpu/decode/optab.h"
#include "cpu/interp/blocks.h"
#include "cpu/interp/ops.h"
#include "jit/code.h"
#include "jit/jit.h"
#include "jit/plan.h"
#include "jit/stats.h"
#include "jit/tables.h"
#include "jit/x64/asm.h"

#define T1      H_R11
#define T2      H_R10
#define H_SP    H_R9 /* the guest's RSP */
#define SPILLED 0xff

/* What code needs of the host's vector registers, each level including the one before. */
enum fpu_level { FPU_NONE, FPU_SSE, FPU_AVX, FPU_AVX512, FPU_LEVELS };

#define GROUPS_MAX 16u
#define NO_GROUP   0xffu

struct jit {
    /* ---- used by translated code */
    uint64_t code_base;
    uint64_t window_base; /* GS */
    uint64_t flags_ax;    /* AH of LAHF, AL of SETO */
    uint64_t tmp, tmp2, save[4], light[5], string_bytes, string_count;
    uint32_t host_mxcsr;
    uint8_t live,
        x87_live; /* enum fpu_level, and whether the x87 is: see x64/fpu.c; one word */
    uint8_t allowed, want;
    bool x87_allowed, x87_want;
    uint16_t host_fcw;
    bool refused;                     /* left because `allowed` was too low */
    uint64_t stack_base, stack_limit; /* of RSP: calls that have not returned are in between */
    uint64_t no_return;               /* the return address on top when there are none */
    struct page_slot slots[SET_COUNT][2][SLOTS]; /* [write] */
    uint8_t slot_marks[SET_COUNT][SLOT_MARKS];
    struct jump_slot *jumps[SET_COUNT]; /* of the current address space */
    bool fill_all; /* SET_SUPER may have translations that are not global */
    struct set_tables super;
    struct set_tables spaces[SPACES][2]; /* SET_USER, SET_SUPER_AC */
    struct pinned pinned;
    struct distance_slot distances[DISTANCES];
    uint64_t group[GROUPS_MAX]; /* host addresses of what leaders checked */
    struct mixed_page *mixed;   /* = mixed_pages: by host page number */
    struct mixed_page mixed_pages[MIXED_PAGES];
    uint8_t rewritten[REWRITTEN];
    uint64_t miss_linear;              /* of the access that a stub gave up */
    uint64_t filled_host, filled_back; /* T1 and where to, once the TLB has it */
    uint64_t go_on_at;                 /* where to, with all registers to be loaded */
    uint64_t
        empty_page; /* of empty slots: not canonical, and nobody knows it; leads to `dummy` */
    uint8_t dummy[4096];

    /* ---- C */
    struct vcpu *c;
    struct jit_link *exit_link; /* the code left by this one */
    enum weir_stop stop;        /* a site ended the run with this */
    bool site_stopped;
    uint32_t generation; /* counts flushes */
    unsigned space;
    bool returns_stale;                 /* code that calls on the stack return to may be gone */
    unsigned slots_taken[SET_COUNT][2]; /* that many of `slots` have been given out */
    uint16_t fixed_slots[SET_COUNT][2][FIXED_PAGES]; /* by page: number of the slot, 0: none */
    uint32_t samples;
    uint8_t *code_rw, *code_rx;
    size_t code_bytes, stub_bytes, code_used;
    size_t cold_start, cold_used; /* slow paths are from cold_start on */
    uint8_t *arena;               /* sites, links, blocks */
    size_t arena_bytes, arena_used;
    size_t region_bytes;
    bool limited; /* code checks insn_limit */
    bool exact;   /* flags that nothing needs are kept, too; always if limited */
    bool has_bmi2, has_avx, has_avx512, has_avx512bw;
    struct jit_stats stats;
    struct jit_view *view;   /* NULL: nobody looks */
    struct windows *windows; /* NULL: there are none */
    /* Stubs: addresses. */
    uint64_t enter, leave, return_none, site_call, slot_miss[SET_COUNT][2], write_miss,
        read_miss, filled, go_on, rdtsc, exit_live, exit_saved, exit_indirect;
    uint64_t far_miss[SET_COUNT][2]; /* [64-bit code] */
    uint64_t strings[2][4][2];       /* [MOVS][log2 of the size][64-bit addresses] */
    uint64_t jump_second, fpu_load, fpu_save, fpu_need[2][FPU_LEVELS]; /* [x87] */
};

/* ---- translation ---- */

/* block.heat of one that has no translation: no valid instruction */
#define HEAT_NEVER 0xffffu
#define HEAT_MAX   0xfffeu /* it counts no further */

enum flags_at { FLAGS_LIVE, FLAGS_SAVED, FLAGS_BOTH, FLAGS_DEAD };

#define COLD_MAX (12 * BLOCK_INSNS + 8) /* REP MOVS has the most */
struct cold {
    uint8_t *from; /* rel32 that leads here */
    struct jit_site *site;
    struct jit_link *link;
    enum {
        COLD_PLAIN,
        COLD_FAR,    /* of a link to another page */
        COLD_SECOND, /* of an indirect jump, as are the next */
        COLD_LEAVE,
        COLD_RETURN,
        COLD_STRAY,      /* the operand is in another piece of the window */
        COLD_WINDOW,     /* of an access to a window, which comes by a signal */
        COLD_WINDOW_LIVE /* the same, with flags in EFLAGS */
    } kind;
    int32_t sp_move; /* added to SP once its target is known to be one */
    uint64_t stub;   /* of a site that does not go to C at once */
    struct distance_slot *slot;
    uint64_t back;
    uint8_t reg; /* has the number, and is to have the distance */
};

/* Operands that are checked together: groups.c. */
struct group {
    int64_t low; /* displacement of the first byte */
    unsigned bytes;
    bool write;
    bool open;      /* the leader has been translated */
    uint8_t leader; /* instruction */
};

struct translation {
    struct as as;
    struct jit *jit;
    struct vcpu *c;
    struct block *block;
    struct jit_block *out;
    struct insn insns[BLOCK_INSNS];
    uint8_t live[BLOCK_INSNS + 1]; /* flags needed at or behind instruction n: bits as LAHF's */
    unsigned count, at;            /* at: the current instruction */
    unsigned offset;               /* in the page, of the next instruction */
    struct group groups[GROUPS_MAX];
    unsigned group_count;
    uint8_t group_of[BLOCK_INSNS];       /* its number, or NO_GROUP */
    uint8_t group_of_stack[BLOCK_INSNS]; /* in a window: of what it pushes or pops */
    bool flat, pinned, windowed;
    bool relies;  /* on its successors, which need no flags */
    bool returns; /* what is made is a link that does */
    bool shadow;  /* of STI, its last instruction */
    enum flags_at flags;
    enum slot_set set;
    unsigned level; /* enum fpu_level */
    bool x87;       /* uses the x87 registers */
    struct cold cold[COLD_MAX];
    unsigned colds;
    struct {
        uint8_t *at; /* code up to here has just stored it: `reg` still has its value */
        unsigned guest, reg;
    } kept;                         /* a spilled register */
    uint8_t *begin, *end;           /* of the code */
    uint8_t *cold_begin, *cold_end; /* slow paths */
    struct plan *plan;              /* NULL: nobody wants to know */
    bool failed;                    /* out of room */
};

/* An action of the plan, for those who look. */
static inline void plan(struct translation *t, enum plan_kind kind, int64_t value)
{
    if (UNLIKELY(t->plan != NULL))
        plan_add(t, kind, value);
}

/* translate.c */
struct jit_block *jit_translate(struct jit *jit, struct block *b);
struct jit_site *site_new(struct translation *t);
void cold_add(struct translation *t, uint8_t *from, struct jit_site *site,
              struct jit_link *link);
/* For an indirect jump to T2: looks into the second slot of the pair at T1, or leaves at once. */
void cold_add_jump(struct translation *t, uint8_t *from, struct jit_site *site, unsigned kind,
                   int32_t sp_move);
void cold_add_far(struct translation *t, uint8_t *from, struct jit_link *link);
void gen_move_sp(struct translation *t, int32_t by);
/* Host register `reg` = spilled register `guest`, and the reverse. */
void home_load(struct translation *t, unsigned reg, unsigned guest);
void home_store(struct translation *t, unsigned reg, unsigned guest);
/* Before code that destroys EFLAGS: saves what instruction `at` and those behind it need. */
void flags_preserve(struct translation *t);
/* Whether EFLAGS may be destroyed before the current instruction without saving anything. */
bool flags_spare(struct translation *t);
/* Before code that reads EFLAGS. */
void flags_require(struct translation *t);
/* Around the current instruction, done as it is: what it reads, and what it leaves as it was and
 * somebody needs, must be in EFLAGS before; what it writes is there then. */
void flags_before(struct translation *t);
void flags_after(struct translation *t);
/* Calls the interpreter for the current instruction. */
void gen_call(struct translation *t);

/* groups.c */
void groups_find(struct translation *t);
/* That of the current instruction's operand, if the leader is this one or open; or NULL. */
struct group *group_of(struct translation *t, const struct insn *i, unsigned bytes, bool write);
/* Whether the operand's address is a base register that is on the host, and a displacement: in a
 * window its group has in common how far away the memory is, and otherwise where it is. */
bool is_by_base(const struct insn *i);
/* The same in a window, where any of them may be the first; also of the stack's top. */
struct group *group_in_window(struct translation *t, const struct insn *i);
/* C is called: it may change what they rely on. */
void groups_close(struct translation *t);
/* Whether the instruction, by itself or by what C does for it, may overwrite code. */
bool may_write_code(const struct insn *i);

/* gen_int.c: false if there is no fast form. */
bool gen_integer(struct translation *t, const struct insn *i);
/* gen_flow.c: false likewise; *ended: control does not reach what follows. */
bool gen_flow(struct translation *t, const struct insn *i, bool *ended);
/* Several PUSHes or POPs (and a RET) in a row, in a window with others between them, with one check
 * of memory. False: there are none, or one; *ended as above. */
bool gen_stack_run(struct translation *t, bool *ended);
/* rSP += by, as wide as the stack; uses T1. */
void gen_move_sp(struct translation *t, int32_t by);
/* All flags into flags_ax. */
void flags_save_all(struct translation *t);
/* T2 = RFLAGS; the flags are in flags_ax before and after it. */
void gen_flags_image(struct translation *t);
/* Leaves for the RIP in T2; the flags are in flags_ax. */
void gen_indirect(struct translation *t);
/* T2 = RIP of `offset`. */
void gen_rip(struct translation *t, int64_t offset);
/* Where the block goes on inside its page, as offsets from code_base. 0: elsewhere, too. */
unsigned successors(struct translation *t, int64_t offsets[2]);
/* What is translated there, or NULL. */
struct jit_block *successor_at(const struct translation *t, int64_t offset);
/* Leaves for the instruction at `offset` from code_base. */
void gen_jump(struct translation *t, int64_t offset);

/* gen_far.c: far transfers in real and virtual-8086 mode; as gen_flow */
bool gen_far(struct translation *t, const struct insn *i, bool *ended);
/* gen_segment.c: loads of segment registers in real and virtual-8086 mode */
bool gen_segment(struct translation *t, const struct insn *i);
/* gen_system.c; as gen_flow */
bool gen_system(struct translation *t, const struct insn *i, bool *ended);
/* gen_string.c */
bool gen_string(struct translation *t, const struct insn *i);
/* gen_vector.c */
bool gen_vector(struct translation *t, const struct insn *i);
unsigned vector_level(const struct translation *t, const struct insn *i); /* enum fpu_level */

/* gen_x87.c */
bool gen_x87(struct translation *t, const struct insn *i);
bool is_x87(const struct translation *t,
            const struct insn *i); /* has a fast form that needs the x87 registers */

/* x64/mem.c */
/* T1 = host address of the modrm operand; destroys EFLAGS (they are preserved) and T2. */
void gen_address(struct translation *t, const struct insn *i, unsigned bytes, bool write);
/* The same, where the operand is named then by what is returned. sum: that may be T1 + T2, which
 * is there a cycle earlier; both must stay until the access. */
struct rm gen_memory(struct translation *t, const struct insn *i, unsigned bytes, bool write,
                     bool sum);
/* The same for SP + disp, named by what is returned, which leaves T2 alone if by a window. */
struct rm gen_stack(struct translation *t, int32_t disp, unsigned bytes, bool write);
/* Whether gen_memory and gen_stack take a window: flags are as they were then at the access, and
 * must be so before it, in which nothing of the guest may have changed. */
bool gen_by_window(const struct translation *t);
/* Its slow path of kind COLD_STRAY. */
void gen_stray(struct translation *t, const struct cold *k);
/* Another access to the stack in 64-bit code, by what gen_stack left in T1. */
void gen_window_next(struct translation *t, int32_t disp, unsigned bytes, bool write);
/* The same for an offset that is in T1 already. */
void gen_check(struct translation *t, unsigned seg, unsigned bytes, bool write);
/* The same for a linear address that is in T1 already. */
void gen_check_linear(struct translation *t, unsigned bytes, bool write);
/* reg = effective address, without segment base; flags stay; T1 and T2 do not. */
void gen_effective(struct translation *t, const struct insn *i, unsigned reg);
/* Jumps to the interpreter for this instruction if `cc`. */
void gen_bail(struct translation *t, unsigned cc);
/* The same, but first to `stub`, if not 0. */
void gen_bail_to(struct translation *t, unsigned cc, uint64_t stub);

/* x64/stubs.c */
void stubs_emit(struct jit *jit);
/* T1 = pair of slots for the RIP in T2. */
void gen_jump_slot(struct as *a, const struct jit *jit, enum slot_set set, bool pinned);
/* On through slot 0 or 1 of the pair at T1, whose RIP is in T2; not for pinned blocks. */
void gen_jump_through(struct as *a, const struct jit *jit, unsigned slot);
/* Condition A: T2 is not canonical. Destroys T1. */
void gen_canonical_test(struct as *a);

/* x64/strings.c */
void string_stubs_emit(struct as *a, struct jit *jit);
/* For REP MOVS, REP STOS going forward over several pages; 0: there is none. */
uint64_t string_stub(const struct translation *t, const struct insn *i);

/* x64/fpu.c */
void fpu_stubs_emit(struct as *a, struct jit *jit);
void fpu_need_stubs_emit(struct as *a, struct jit *jit);
void gen_fpu_save(struct as *a, struct jit *jit); /* if anything is loaded; changes flags */

/* run.c: called by stubs. Returns where to go on, 0 to leave. */
uint64_t jit_serve_site(struct jit_site *site);
/* Makes what code relies on ready for the block at RIP. */
void jit_enter_at(struct jit *jit, const struct jit_block *jb);
/* Whether there is code for such blocks at all. */
bool jit_translatable(const struct block *b);

/* go_on.c: RIP is that of another block; C was called by code. Where to go on, as above. */
uint64_t jit_go_on(struct jit *jit);

/* ---- registers ---- */

static inline unsigned host_reg(unsigned guest)
{
    static const uint8_t map[16] = {H_RAX, H_RCX, H_RDX, H_RBX,   H_SP,    H_RBP,
                                    H_RSI, H_RDI, H_R8,  SPILLED, SPILLED, SPILLED,
                                    H_R12, H_R13, H_R14, H_R15};
    return map[guest];
}
/* Tag of an entry of the TLB. */
static inline int32_t tlb_tag(bool write)
{
    return write ? offsetof(struct tlb_entry, write) : offsetof(struct tlb_entry, read);
}
static inline struct rm guest_home(const struct translation *t, unsigned guest)
{
    return rm_near(&t->c->gpr[guest]);
}

#include "jit/cache.h"

#endif
