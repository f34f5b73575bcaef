/* SPDX-License-Identifier: MIT */
/*
 * vmi.h - a machine's VMI ROM, for src/vmi and src/api.
 *
 *   machine.c   the ROM in the machine: mapping, conflicts, reset, faults with its address
 *   call.c      the private exit: who may, arguments, the dispatcher
 *   host.c      what the host does for each call; init.c: Init; ap.c: SetInitialAPState
 *   time.c      counters, alarms, time of day
 *   check.c     any VMI ROM, from a file
 *   list.c      the table and the counters for people
 *
 * A ROM works by VMCALL at places the host knows. Nothing in it is trusted: a guest that reaches
 * such a place in any other way than by a call is served as if it had called, with its own
 * registers and its own privilege, or gets a fault.
 */
#ifndef VMI_VMI_H
#define VMI_VMI_H

#include "board/machine.h"
#include "vmi/activity.h"
#include "vmi/rom.h"

enum { ALARM_REAL, ALARM_AVAILABLE, ALARMS };
enum { AP_STATE_BYTES = 0x5c };
enum { EXIT_NONE, EXIT_INIT = 0xff }; /* of vmi.exits; others: row + 1 */

struct vmi_alarm {
    struct vmi *vmi;
    struct weir_timer timer;
    bool armed, lvtt;
    uint8_t counter;
    uint64_t expiry, period; /* in cycles; period 0: once */
};

struct vmi {
    struct weir *vm;
    struct weir_vmi_config config;
    const struct vmi_source *source;
    uint8_t *rom;   /* page-aligned, as the guest sees it */
    uint8_t *fresh; /* as after a reset */
    uint8_t tags[VMI_ROM_BYTES / RAM_PAGE_BYTES];
    uint8_t exits[VMI_CODE_BYTES]; /* by offset */
    uint64_t operations[VMI_CODE_BYTES / 64];
    bool initialised;
    uint32_t at;              /* linear address of the ROM when Init was called */
    uint32_t slots;           /* 13.0: where Init was told they are */
    uint64_t calls[VMI_ROWS]; /* served by the host */
    uint64_t vectors[256];
    struct weir_vmi_traps traps;
    pthread_mutex_t activity_lock; /* a leaf */
    struct activity activity;
    uint64_t available_ns; /* as last told */
    clockid_t thread_clock;
    bool has_thread_clock;
    struct vmi_alarm alarms[ALARMS];
    int64_t wallclock_ahead_ns; /* of the real counter, when last asked */
    bool has_ap_state;
    uint8_t ap_state[AP_STATE_BYTES];
};

/* A call on its way. */
struct vmi_args {
    uint32_t eax, ecx, edx;
    uint32_t stack; /* offset in SS of the guest's first stack argument */
};
typedef enum weir_stop vmi_call_fn(struct vmi *v, struct vcpu *c, struct vmi_args *a);

static inline void args_return64(struct vmi_args *a, uint64_t value)
{
    a->eax = (uint32_t)value;
    a->edx = (uint32_t)(value >> 32);
}
/* A stack argument; false: c->fault. */
bool args_stack(struct vcpu *c, const struct vmi_args *a, unsigned n, uint32_t *value);

/* ---- machine.c ---- */
int vmi_enable(struct weir *vm, const struct weir_vmi_config *config);
/* At weir_start, once the other ROMs are there; device lock held. */
int vmi_start(struct weir *vm);
void vmi_free(struct weir *vm);
/* Offset in the ROM of this linear address, -1 if it is elsewhere. Slots that were moved count. */
int32_t vmi_offset(struct vmi *v, struct vcpu *c, uint64_t linear);
/* The same, without moved slots. */
int32_t vmi_rom_offset(struct vmi *v, struct vcpu *c, uint64_t linear);

/* ---- call.c ---- */
enum weir_stop vmi_exit(struct vcpu *c, const struct insn *i);

/* ---- host.c: by name in calls.def ---- */
extern vmi_call_fn *const vmi_host[VMI_ROWS];
/* The CPUID entry of 13.0; `frame` is an offset in SS. */
enum weir_stop vmi_cpuid_frame(struct vcpu *c, uint32_t frame);

/* ---- init.c ---- */
/* `at` is the ROM's linear address; EAX is argument and result. */
enum weir_stop vmi_init_call(struct vmi *v, struct vcpu *c, uint32_t at);

/* ---- ap.c ---- */
vmi_call_fn vmi_set_initial_ap_state;
/* Loads a state into a vCPU that comes out of INIT; false: it is no possible one. */
bool vmi_ap_load(struct vcpu *c, const uint8_t state[AP_STATE_BYTES]);

/* ---- time.c ---- */
int vmi_time_init(struct vmi *v);
void vmi_time_reset(struct vmi *v);
/* Init: changes of the time of day are told from now on. */
void vmi_time_start(struct vmi *v);
void vmi_time_fini(struct vmi *v);
void vmi_activity(struct vcpu *c, enum vcpu_activity now);
vmi_call_fn vmi_get_cycle_counter, vmi_set_alarm, vmi_cancel_alarm, vmi_get_wallclock_time,
    vmi_wallclock_updated;

/* ---- list.c ---- */
void vmi_info(struct weir *vm, struct weir_text *out);

#endif
