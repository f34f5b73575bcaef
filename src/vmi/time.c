/* SPDX-License-Identifier: MIT */
/*
 * time.c - VMI's time: cycle counters, alarms, time of day. A cycle is a tick of the virtual clock
 * at the TSC's rate, so `real` stands still while the machine is stopped. `available` is what is
 * left of it without stolen time: see activity.h; what the host took from the vCPU's thread is told
 * by that thread's CPU clock. With -icount nothing is ever stolen.
 *
 * Alarms hang on the VM's timers, so they fire in the I/O thread (device lock held), or between
 * instructions with -icount.
 */
#include "cpu/icount.h"
#include "dev/chips.h"
#include "vmi/vmi.h"

#include <time.h>

#define NS_PER_S  1000000000
#define SAMPLE_NS 100000
/* A difference of the clocks that is not one of reading them one after the other. */
#define WALLCLOCK_JUMP_NS 1000000

enum { COUNTER_REAL, COUNTER_AVAILABLE, COUNTER_STOLEN };
enum { ALARM_COUNTER = 0xff, ALARM_PERIODIC = 0x100, ALARM_LVTT = 0x10000 };

/* ---- counters ---- */

static uint64_t now_ns(const struct vmi *v)
{
    return cpu_now_ns(&v->vm->cpu);
}

static uint64_t cycles(const struct vmi *v, uint64_t ns)
{
    return muldiv64(ns, v->vm->cpu.tsc_hz, NS_PER_S);
}

/* Host CPU time of the vCPU's thread; 0: unknown. */
static uint64_t thread_ns(const struct vmi *v)
{
    struct timespec t;
    if (!v->has_thread_clock || clock_gettime(v->thread_clock, &t) < 0)
        return 0;
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Nanoseconds. The thread's clock is a system call, so it is not read each time; what turns out
 * later to have been stolen makes `available` stand still, it never goes back. */
static uint64_t read_available(struct vmi *v, uint64_t *real)
{
    pthread_mutex_lock(&v->activity_lock);
    *real = now_ns(v);
    if (*real - v->activity.sampled_ns >= SAMPLE_NS)
        activity_sample(&v->activity, *real, thread_ns(v));
    uint64_t available = *real - activity_stolen(&v->activity);
    if (available < v->available_ns)
        available = v->available_ns;
    v->available_ns = available;
    pthread_mutex_unlock(&v->activity_lock);
    return available;
}

static uint64_t available_ns(struct vmi *v)
{
    uint64_t real;
    return read_available(v, &real);
}

enum weir_stop vmi_get_cycle_counter(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    uint64_t real, available, ns = 0;
    if (a->eax == COUNTER_REAL) {
        ns = now_ns(v);
    } else if (a->eax <= COUNTER_STOLEN) {
        available = read_available(v, &real);
        ns = a->eax == COUNTER_STOLEN ? real - available : available;
    }
    args_return64(a, cycles(v, ns));
    return STOP_NEXT;
}

void vmi_activity(struct vcpu *c, enum vcpu_activity now)
{
    struct vmi *v = c->vm->vmi;
    if (c->icount)
        return;
    pthread_mutex_lock(&v->activity_lock);
    uint64_t ns = now_ns(v);
    if (now == VCPU_RUNNING && !v->has_thread_clock) { /* weir_run begins */
        v->has_thread_clock = pthread_getcpuclockid(pthread_self(), &v->thread_clock) == 0;
    }
    uint64_t used = thread_ns(v);
    switch (now) {
    case VCPU_RUNNING:
        activity_enter(&v->activity, ACTIVITY_RUNNING, ns, used);
        break;
    case VCPU_WOKEN: /* an interrupt for a halted vCPU: it is ready from now on */
        if (v->activity.state == ACTIVITY_HALTED && v->has_thread_clock)
            activity_enter(&v->activity, ACTIVITY_READY, ns, used);
        break;
    case VCPU_HALTED:
        activity_enter(&v->activity, ACTIVITY_HALTED, ns, used);
        break;
    case VCPU_STOPPED: /* as halted: nobody asks for it; another thread may come next */
        activity_enter(&v->activity, ACTIVITY_HALTED, ns, used);
        v->has_thread_clock = false;
        break;
    }
    pthread_mutex_unlock(&v->activity_lock);
}

/* ---- alarms ---- */

static uint64_t counter_ns(struct vmi *v, unsigned alarm)
{
    return alarm == ALARM_REAL ? now_ns(v) : available_ns(v);
}

/* Sets the timer for when the expiry can be reached at the earliest. */
static void schedule(struct vmi_alarm *alarm)
{
    struct vmi *v = alarm->vmi;
    unsigned __int128 ns = (unsigned __int128)alarm->expiry * NS_PER_S;
    uint64_t hz = v->vm->cpu.tsc_hz, counter = counter_ns(v, alarm->counter);
    ns = (ns + hz - 1) / hz;
    if (ns >= CLOCK_NEVER - now_ns(v)) {
        weir_timer_cancel(&alarm->timer); /* in centuries */
        return;
    }
    uint64_t left = (uint64_t)ns > counter ? (uint64_t)ns - counter : 0;
    weir_timer_set(&alarm->timer, now_ns(v) + left);
}

static void interrupt(struct vmi *v, bool lvtt)
{
    struct weir *vm = v->vm;
    if (lvtt && vm->apic) {
        apic_timer_interrupt(vm->apic);
    } else if (!lvtt) { /* the line stays high, as the 8259 wants it until INTA */
        weir_line_set(&vm->gsi[0], 0);
        weir_line_set(&vm->gsi[0], 1);
    }
}

static void fire(void *ctx)
{
    struct vmi_alarm *alarm = ctx;
    struct vmi *v = alarm->vmi;
    uint64_t counter = cycles(v, counter_ns(v, alarm->counter));
    if (!alarm->armed)
        return;
    if (counter < alarm->expiry) { /* time was stolen meanwhile */
        schedule(alarm);
        return;
    }
    if (alarm->period) {
        uint64_t missed = (counter - alarm->expiry) / alarm->period;
        uint64_t step = (missed + 1) * alarm->period;
        alarm->armed = alarm->expiry + step > alarm->expiry;
        alarm->expiry += step;
    } else {
        alarm->armed = false;
    }
    if (alarm->armed)
        schedule(alarm);
    interrupt(v, alarm->lvtt);
}

enum weir_stop vmi_set_alarm(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    uint32_t low, high, counter = a->eax & ALARM_COUNTER;
    if (!args_stack(c, a, 0, &low) || !args_stack(c, a, 1, &high))
        return STOP_FAULT;
    if (counter >= ALARMS)
        return STOP_NEXT;
    struct vmi_alarm *alarm = &v->alarms[counter];
    pthread_mutex_lock(&v->vm->device_lock);
    alarm->armed = true;
    alarm->lvtt = a->eax & ALARM_LVTT;
    alarm->expiry = a->edx | (uint64_t)a->ecx << 32;
    alarm->period = a->eax & ALARM_PERIODIC ? low | (uint64_t)high << 32 : 0;
    schedule(alarm);
    pthread_mutex_unlock(&v->vm->device_lock);
    return STOP_NEXT;
}

enum weir_stop vmi_cancel_alarm(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    uint32_t counter = a->eax & ALARM_COUNTER;
    a->eax = 0;
    if (counter >= ALARMS)
        return STOP_NEXT;
    pthread_mutex_lock(&v->vm->device_lock);
    a->eax = v->alarms[counter].armed;
    v->alarms[counter].armed = false;
    weir_timer_cancel(&v->alarms[counter].timer);
    pthread_mutex_unlock(&v->vm->device_lock);
    return STOP_NEXT;
}

/* ---- time of day ---- */

static uint64_t wallclock_ns(const struct vmi *v)
{
    const struct weir_config *config = &v->vm->config;
    int64_t base = config->rtc_base_s;
    uint64_t ns;
    if (!base && v->vm->cpu.icount)
        base = ICOUNT_RTC_BASE_S;
    if (base) {
        ns = (uint64_t)base * NS_PER_S + now_ns(v);
    } else {
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        ns = (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
    }
    return ns + (uint64_t)config->rtc_offset_s * NS_PER_S;
}

enum weir_stop vmi_get_wallclock_time(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    args_return64(a, wallclock_ns(v));
    return STOP_NEXT;
}

/* How far the time of day is ahead of the real counter; both read at the same time, or nearly: the
 * host may take the CPU in between. */
static int64_t wallclock_ahead(const struct vmi *v)
{
    uint64_t before, wall, behind;
    unsigned tries = 0;
    do {
        before = now_ns(v);
        wall = wallclock_ns(v);
        behind = now_ns(v);
    } while (behind - before > WALLCLOCK_JUMP_NS / 4 && ++tries < 100);
    return (int64_t)(wall - behind);
}

void vmi_time_start(struct vmi *v)
{
    v->wallclock_ahead_ns = wallclock_ahead(v);
}

enum weir_stop vmi_wallclock_updated(struct vmi *v, struct vcpu *c, struct vmi_args *a)
{
    int64_t ahead = wallclock_ahead(v);
    int64_t moved = (int64_t)((uint64_t)ahead - (uint64_t)v->wallclock_ahead_ns);
    a->eax = moved > WALLCLOCK_JUMP_NS || moved < -WALLCLOCK_JUMP_NS;
    if (a->eax)
        v->wallclock_ahead_ns = ahead;
    return STOP_NEXT;
}

/* ---- life ---- */

int vmi_time_init(struct vmi *v)
{
    v->activity.state = ACTIVITY_HALTED;
    return pthread_mutex_init(&v->activity_lock, NULL) ? -WEIR_ENOMEM : 0;
}

/* Device lock held. The clock goes on, so the counters do. */
void vmi_time_reset(struct vmi *v)
{
    for (unsigned k = 0; k < ALARMS; k++) {
        struct vmi_alarm *alarm = &v->alarms[k];
        if (!alarm->vmi)
            timer_init(&alarm->timer, &v->vm->clock, fire, alarm);
        weir_timer_cancel(&alarm->timer);
        alarm->vmi = v;
        alarm->counter = (uint8_t)k;
        alarm->armed = false;
    }
}

void vmi_time_fini(struct vmi *v)
{
    for (unsigned k = 0; k < ALARMS; k++)
        if (v->alarms[k].vmi)
            weir_timer_cancel(&v->alarms[k].timer);
    pthread_mutex_destroy(&v->activity_lock);
}
