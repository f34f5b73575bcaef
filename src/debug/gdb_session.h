/* SPDX-License-Identifier: MIT */
/*
 * gdb_session.h - one gdb that is connected: what it asked for and what it is told. Built on the
 * public interface only. All in one thread, but for the event handlers that fill `stop`: those
 * run in the vCPU's thread, and are read when the vCPU stands still.
 */
#ifndef DEBUG_GDB_SESSION_H
#define DEBUG_GDB_SESSION_H

#include "debug/gdb_regs.h"
#include <weir/gdb.h>
#include <weir/memory.h>

/* The far end and the embedder. */
struct gdb_host {
    void (*write)(void *ctx, const void *data, size_t length);
    void (*hang_up)(void *ctx); /* after kill */
    void *ctx;
    const struct weir_gdb_config *config;
};

enum { GDB_SIGINT = 2, GDB_SIGTRAP = 5 };
enum gdb_stop_kind {
    GDB_STOP_ASKED, /* Ctrl-C, or somebody paused the machine */
    GDB_STOP_STEP,
    GDB_STOP_BREAK, /* Z0 */
    GDB_STOP_HARD,  /* Z1 */
    GDB_STOP_WATCH, /* Z2, Z3, Z4 */
};
struct gdb_stop {
    bool noted;
    enum gdb_stop_kind kind;
    unsigned vcpu;
    char type; /* WATCH: '2' to '4' */
    uint64_t address;
};

/* A breakpoint or watchpoint, by the digit of its Z packet. */
struct gdb_point {
    struct gdb_session *session;
    char type;
    uint64_t address, length;
    uint64_t handle;
    struct gdb_point *next;
};

/* Bits of Qqemu.sstep. */
enum { GDB_SSTEP_ENABLE = 1, GDB_SSTEP_NOIRQ = 2, GDB_SSTEP_NOTIMER = 4, GDB_SSTEP_ALL = 7 };
enum { GDB_VCPUS_MAX = 64 };

struct gdb_session {
    weir *vm;
    struct gdb_host host;
    struct gdb_wire wire;
    struct gdb_buffer reply, xml;
    struct gdb_layout layout;
    bool told;        /* gdb has read about the layout */
    unsigned g_vcpu;  /* of Hg */
    int64_t c_thread; /* of Hc: thread number, -1 all */
    uint32_t sstep;
    bool running;          /* gdb awaits a stop */
    bool physical;         /* PhyMemMode */
    bool swbreak, hwbreak; /* gdb wants to know which */
    bool non_stop, notified;
    bool no_ack_next; /* switched after the answer */
    bool detached;    /* the machine is nobody's until vAttach */
    bool ended;
    struct gdb_stop stop;
    struct {
        uint64_t handle; /* 0: none */
        uint64_t first, end;
        struct gdb_session *session;
    } steps[GDB_VCPUS_MAX];
    struct gdb_point *points;
};

/* The machine is paused. */
void gdb_session_start(struct gdb_session *s, weir *vm, const struct gdb_host *host);
/* Removes all points; the machine runs or stands as it does. */
void gdb_session_end(struct gdb_session *s);
void gdb_session_input(struct gdb_session *s, const uint8_t *data, size_t length);
/* The machine was perhaps paused by somebody. */
void gdb_session_check(struct gdb_session *s);
/* The machine has ended: status for gdb, or < 0. */
void gdb_session_exit(struct gdb_session *s, int status);

/* ---- for the packets' functions ---- */

static inline void gdb_ok(struct gdb_session *s)
{
    gdb_puts(&s->reply, "OK");
}
/* Error numbers are errno's, as gdb shows them. */
static inline void gdb_error(struct gdb_session *s, unsigned number)
{
    gdb_printf(&s->reply, "E%02x", number);
}
void gdb_send(struct gdb_session *s);
weir_vcpu *gdb_vcpu(struct gdb_session *s, unsigned index);
/* Number of a thread, 1 and up, to a vCPU's; 0 and -1 give the first. False: no such thread. */
bool gdb_thread_vcpu(struct gdb_session *s, int64_t thread, unsigned *vcpu);

/* Virtual or physical memory as gdb wants it now; returns the bytes done before an error. */
size_t gdb_access_memory(struct gdb_session *s, uint64_t address, uint8_t *data, size_t length,
                         bool write);

/* gdb_query.c: q and Q packets. */
void gdb_query(struct gdb_session *s, const char *p);
void gdb_query_set(struct gdb_session *s, const char *p);

/* gdb_run.c */
void gdb_run_v(struct gdb_session *s, const char *p); /* after the "v" */
/* c, s, C, S; `signalled`: the last two */
void gdb_run_one(struct gdb_session *s, const char *p, bool step, bool signalled);
void gdb_put_stop(struct gdb_session *s);
void gdb_interrupt(void *session);

/* gdb_events.c */
struct gdb_action {
    char kind;           /* 'c', 's', 'r', 't'; 0: none */
    uint64_t first, end; /* r: steps as long as the program counter is in here */
};
int gdb_arm_step(struct gdb_session *s, unsigned vcpu, const struct gdb_action *a);
void gdb_drop_steps(struct gdb_session *s);
void gdb_point_packet(struct gdb_session *s, const char *p, bool insert); /* after Z or z */
void gdb_points_clear(struct gdb_session *s);                             /* and steps */

#endif
