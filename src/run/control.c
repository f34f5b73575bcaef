/* SPDX-License-Identifier: MIT */
/*
 * control.c - starting, pausing, resetting and leaving the run loop, from any thread.
 *
 * run_lock guards the wishes (paused, quit, reset_wanted, ...); whoever adds one sets
 * ATTENTION_STOP, and the vCPU thread looks at them all at its next boundary. run_lock is a
 * leaf: nothing is called with it held. device_lock may be held when it is taken, never the
 * reverse.
 */
#include "run/run.h"
#include "board/board.h"
#include "board/device.h"
#include "cpu/events.h"
#include "dev/machine_hooks.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- sleeping in HLT ---- */

void cpu_attention_wake(struct vcpu *c)
{
    syscall(SYS_futex, &c->attention, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

uint64_t run_wait(struct vcpu *c, uint64_t limit_ns)
{
    struct timespec limit = {.tv_sec = (time_t)(limit_ns / 1000000000u),
                             .tv_nsec = (long)(limit_ns % 1000000000u)};
    uint64_t start = clock_host_ns();
    bool timed_out = false;
    __atomic_store_n(&c->sleeping, 1, __ATOMIC_SEQ_CST);
    uint32_t seen = __atomic_load_n(&c->attention, __ATOMIC_SEQ_CST);
    bool due = (seen & ~(uint32_t)(ATTENTION_BY_IF | ATTENTION_BY_NMI)) ||
               ((seen & ATTENTION_BY_IF) && interrupt_window(c)) ||
               ((seen & ATTENTION_BY_NMI) && !c->nmi_blocked);
    if (!due)
        timed_out = syscall(SYS_futex, &c->attention, FUTEX_WAIT_PRIVATE, seen,
                            limit_ns == UINT64_MAX ? NULL : &limit, NULL, 0) < 0 &&
                    errno == ETIMEDOUT;
    __atomic_store_n(&c->sleeping, 0, __ATOMIC_SEQ_CST);
    uint64_t waited = clock_host_ns() - start;
    return timed_out || waited > limit_ns ? limit_ns : waited;
}

/* ---- wishes ---- */

static void wish(struct weir *vm, bool *flag)
{
    pthread_mutex_lock(&vm->run_lock);
    *flag = true;
    pthread_cond_broadcast(&vm->run_changed);
    pthread_mutex_unlock(&vm->run_lock);
    cpu_attention(&vm->cpu, ATTENTION_STOP);
}

static bool grant(struct weir *vm, bool *flag)
{
    pthread_mutex_lock(&vm->run_lock);
    bool was = *flag;
    *flag = false;
    pthread_mutex_unlock(&vm->run_lock);
    return was;
}

void machine_reset_request(weir *vm)
{
    vm->reset_from_guest = true;
    wish(vm, &vm->reset_wanted);
}
void machine_shutdown_request(weir *vm)
{
    wish(vm, &vm->shutdown_wanted);
}
void machine_debug_exit(weir *vm, uint32_t value)
{
    vm->debug_exit_status = (int)((value << 1) | 1) & 0xff;
    wish(vm, &vm->debug_exit_wanted);
}
void run_exit(struct weir *vm, int status)
{
    vm->debug_exit_status = status & 0xff;
    wish(vm, &vm->debug_exit_wanted);
}
void machine_a20_set(weir *vm, bool enabled)
{
    if (vm->a20_enabled == enabled)
        return;
    vm->a20_enabled = enabled;
    cpu_attention(&vm->cpu, ATTENTION_A20);
}
bool machine_a20(const weir *vm)
{
    return vm->a20_enabled;
}

void run_request_stop(struct weir *vm)
{
    wish(vm, &vm->stop_wanted);
}
void run_time_over(void *vm)
{
    wish(vm, &((struct weir *)vm)->time_over);
}
void weir_quit(weir *vm)
{
    wish(vm, &vm->quit);
}
void weir_reset(weir *vm)
{
    vm->reset_from_guest = false;
    wish(vm, &vm->reset_wanted);
}
void weir_nmi(weir *vm)
{
    cpu_attention(&vm->cpu, ATTENTION_NMI);
}
void weir_set_reset_exits(weir *vm, bool on)
{
    vm->reset_exits = on;
}
void weir_set_unclaimed_exits(weir *vm, bool on)
{
    vm->unclaimed_exits = on;
}

void weir_pause(weir *vm)
{
    pthread_mutex_lock(&vm->run_lock);
    bool news = !vm->paused;
    vm->paused = true;
    pthread_mutex_unlock(&vm->run_lock);
    cpu_attention(&vm->cpu, ATTENTION_STOP);
    pthread_mutex_lock(&vm->run_lock);
    while (vm->running && vm->paused && !pthread_equal(vm->run_thread, pthread_self()))
        pthread_cond_wait(&vm->run_changed, &vm->run_lock);
    pthread_mutex_unlock(&vm->run_lock);
    if (news)
        run_emit(vm, WEIR_EVENT_STOP, false);
}

void weir_resume(weir *vm)
{
    if (!grant(vm, &vm->paused))
        return;
    pthread_mutex_lock(&vm->run_lock);
    pthread_cond_broadcast(&vm->run_changed);
    pthread_mutex_unlock(&vm->run_lock);
    run_emit(vm, WEIR_EVENT_RESUME, false);
}

bool weir_is_paused(const weir *vm)
{
    return __atomic_load_n(&vm->paused, __ATOMIC_RELAXED);
}

void weir_hold(weir *vm)
{
    pthread_mutex_lock(&vm->run_lock);
    vm->holds++;
    pthread_mutex_unlock(&vm->run_lock);
    cpu_attention(&vm->cpu, ATTENTION_STOP);
    pthread_mutex_lock(&vm->run_lock);
    while (vm->running)
        pthread_cond_wait(&vm->run_changed, &vm->run_lock);
    pthread_mutex_unlock(&vm->run_lock);
}

void weir_release(weir *vm)
{
    pthread_mutex_lock(&vm->run_lock);
    vm->holds--;
    pthread_cond_broadcast(&vm->run_changed);
    pthread_mutex_unlock(&vm->run_lock);
}

static bool is_held(struct weir *vm)
{
    pthread_mutex_lock(&vm->run_lock);
    bool held = vm->holds > 0;
    pthread_mutex_unlock(&vm->run_lock);
    return held;
}

/* ---- listeners ---- */

void weir_on_machine_event(weir *vm, weir_machine_event_fn *fn, void *ctx)
{
    pthread_mutex_lock(&vm->listen_lock);
    vm->listeners[0].fn = fn;
    vm->listeners[0].ctx = ctx;
    pthread_mutex_unlock(&vm->listen_lock);
}

int weir_machine_listener_add(weir *vm, weir_machine_event_fn *fn, void *ctx)
{
    int rc = -WEIR_EBUSY;
    pthread_mutex_lock(&vm->listen_lock);
    for (unsigned i = 1; i < ARRAY_SIZE(vm->listeners) && rc; i++) {
        if (vm->listeners[i].fn)
            continue;
        vm->listeners[i].fn = fn;
        vm->listeners[i].ctx = ctx;
        rc = 0;
    }
    pthread_mutex_unlock(&vm->listen_lock);
    return rc ? err_set(&vm->err, WEIR_EBUSY, "too many listeners for machine events") : 0;
}

void weir_machine_listener_remove(weir *vm, weir_machine_event_fn *fn, void *ctx)
{
    pthread_mutex_lock(&vm->listen_lock);
    for (unsigned i = 1; i < ARRAY_SIZE(vm->listeners); i++)
        if (vm->listeners[i].fn == fn && vm->listeners[i].ctx == ctx)
            vm->listeners[i].fn = NULL;
    pthread_mutex_unlock(&vm->listen_lock);
}

void run_emit(struct weir *vm, enum weir_machine_event event, bool from_guest)
{
    const struct event_hooks *hooks = vm->cpu.ev.hooks;
    if (hooks && event == WEIR_EVENT_RESET)
        hooks->machine(&vm->cpu, WEIR_EV_RESET, from_guest);
    if (hooks && event == WEIR_EVENT_SHUTDOWN)
        hooks->machine(&vm->cpu, WEIR_EV_SHUTDOWN, from_guest);
    pthread_mutex_lock(&vm->listen_lock);
    for (unsigned i = 0; i < ARRAY_SIZE(vm->listeners); i++)
        if (vm->listeners[i].fn)
            vm->listeners[i].fn(vm->listeners[i].ctx, event, from_guest);
    pthread_mutex_unlock(&vm->listen_lock);
}

/* ---- taking requests in the vCPU thread ---- */

static void bus_changed(void *ctx)
{
    cpu_attention(&((struct weir *)ctx)->cpu, ATTENTION_BUS);
}

static void code_written(void *ctx, uint64_t address, uint64_t length)
{
    struct weir *vm = ctx;
    unsigned n = vm->code_write_count;
    if (n < ARRAY_SIZE(vm->code_writes)) {
        vm->code_writes[n].gpa = address;
        vm->code_writes[n].length = length;
    }
    vm->code_write_count = n + (n <= ARRAY_SIZE(vm->code_writes));
    cpu_attention(&vm->cpu, ATTENTION_CODE);
}

static void drop_written_code(struct weir *vm)
{
    pthread_mutex_lock(&vm->device_lock);
    if (vm->code_write_count > ARRAY_SIZE(vm->code_writes))
        blocks_flush(&vm->cpu);
    else
        for (unsigned i = 0; i < vm->code_write_count; i++)
            blocks_invalidate(&vm->cpu, vm->code_writes[i].gpa, vm->code_writes[i].length);
    vm->code_write_count = 0;
    pthread_mutex_unlock(&vm->device_lock);
}

int run_machine_reset(struct weir *vm)
{
    struct vcpu *c = &vm->cpu;
    vcpu_reset(c, false);
    pthread_mutex_lock(&vm->device_lock);
    c->exit.pending = false;
    vm->answer_count = 0;
    devices_reset(vm);
    int rc = board_boot(vm);
    if (c->rom)
        c->rom->reset(c);
    pthread_mutex_unlock(&vm->device_lock);
    c->a20_mask = vm->a20_enabled ? ~0ull : ~(1ull << 20);
    tlb_flush_all(c);
    blocks_flush(c);
    return rc;
}

static bool reset_now(struct weir *vm, struct weir_exit *exit)
{
    bool from_guest = vm->reset_from_guest;
    if (from_guest && vm->reset_exits) {
        exit->reason = WEIR_EXIT_RESET;
        return true;
    }
    exit->reason = WEIR_EXIT_ERROR;
    exit->status = run_machine_reset(vm);
    run_emit(vm, WEIR_EVENT_RESET, from_guest);
    return exit->status < 0;
}

/* Wishes by falling priority. One is granted at a time: ATTENTION_STOP stays set until none is
 * left, so the next weir_run finds the others. */
static bool take_wishes(struct weir *vm, struct weir_exit *exit)
{
    if (grant(vm, &vm->quit)) {
        exit->reason = WEIR_EXIT_QUIT;
        return true;
    }
    if (grant(vm, &vm->debug_exit_wanted)) {
        exit->reason = WEIR_EXIT_DEBUG_EXIT;
        exit->status = vm->debug_exit_status;
        return true;
    }
    if (grant(vm, &vm->shutdown_wanted)) {
        exit->reason = WEIR_EXIT_SHUTDOWN;
        run_emit(vm, WEIR_EVENT_SHUTDOWN, true);
        return true;
    }
    if (grant(vm, &vm->reset_wanted) && reset_now(vm, exit))
        return true;
    if (grant(vm, &vm->stop_wanted)) {
        exit->reason = WEIR_EXIT_STOPPED;
        return true;
    }
    if (grant(vm, &vm->time_over)) {
        exit->reason = WEIR_EXIT_TIME;
        return true;
    }
    if (vm->cpu.exit.pending) { /* a write that nobody claimed; the instruction is complete */
        exit->reason = (enum weir_exit_reason)vm->cpu.exit.reason;
        run_exit_access(&vm->cpu, exit);
        vm->cpu.exit.pending = false;
        return true;
    }
    if (weir_is_paused(vm) || is_held(vm)) {
        exit->reason = WEIR_EXIT_PAUSED;
        return true;
    }
    return false;
}

bool run_take_requests(struct weir *vm, struct weir_exit *exit)
{
    struct vcpu *c = &vm->cpu;
    uint32_t mine = ATTENTION_STOP | ATTENTION_BUS | ATTENTION_CODE | ATTENTION_A20 |
                    ATTENTION_EVENTS | ATTENTION_INIT | ATTENTION_SIPI | ATTENTION_SMI |
                    ATTENTION_RESET;
    uint32_t a = __atomic_fetch_and(&c->attention, ~mine, __ATOMIC_ACQ_REL) & mine;
    if (a & ATTENTION_A20)
        c->a20_mask = vm->a20_enabled ? ~0ull : ~(1ull << 20);
    if (a & (ATTENTION_BUS | ATTENTION_A20)) {
        tlb_flush_all(c);
        blocks_flush(c);
    } else if (a & ATTENTION_CODE) {
        drop_written_code(vm);
    }
    if (a & ATTENTION_EVENTS && c->ev.hooks)
        c->ev.hooks->changed(c);
    if (a & ATTENTION_INIT) {
        vcpu_reset(c, true);
        tlb_flush_all(c);
        if (c->rom)
            c->rom->init(c);
    }
    if (!(a & ATTENTION_STOP) || !take_wishes(vm, exit))
        return false;
    cpu_attention(c, ATTENTION_STOP);
    return true;
}

/* ---- accesses that no region claims ---- */

static bool unclaimed(struct weir *vm, int reason, uint64_t address, uint64_t *value,
                      unsigned size, bool write)
{
    struct vcpu *c = &vm->cpu;
    if (!vm->unclaimed_exits || !vm->running || !pthread_equal(vm->run_thread, pthread_self()))
        return false;
    if (!write && vm->answer_next < vm->answer_count) {
        *value = vm->answers[vm->answer_next++];
        context_leave(c); /* a repeated string instruction: the next element asks anew */
        return true;
    }
    if (c->exit.pending || (!write && vm->answer_count == ARRAY_SIZE(vm->answers))) {
        log_printf(&vm->log, WEIR_LOG_GUEST_ERRORS,
                   "one instruction made too many unclaimed accesses (%#llx)\n",
                   (unsigned long long)address);
        return false;
    }
    c->exit.pending = true;
    c->exit.reason = reason;
    c->exit.address = address;
    c->exit.value = write ? *value : 0;
    c->exit.size = (uint8_t)size;
    c->exit.is_write = write;
    c->exit.insn_bytes = (uint8_t)exits_insn_bytes(c);
    c->exit.linear = reason == WEIR_EXIT_MMIO ? c->operand_linear : 0;
    if (write)
        context_leave(c);
    return true;
}

static bool unclaimed_memory(void *ctx, uint64_t address, uint64_t *value, unsigned size,
                             bool write)
{
    return unclaimed(ctx, WEIR_EXIT_MMIO, address, value, size, write);
}
static bool unclaimed_port(void *ctx, uint64_t address, uint64_t *value, unsigned size,
                           bool write)
{
    return unclaimed(ctx, WEIR_EXIT_IO, address, value, size, write);
}

/* ---- weir_run ---- */

/* Waits while paused; false when weir_run must return at once with *exit. */
static bool enter(struct weir *vm, struct weir_exit *exit)
{
    pthread_mutex_lock(&vm->run_lock);
    while (vm->holds || (vm->paused && !vm->quit && !vm->reset_wanted))
        pthread_cond_wait(&vm->run_changed, &vm->run_lock);
    bool quit = vm->quit;
    vm->quit = false;
    vm->running = !quit;
    vm->run_thread = pthread_self();
    pthread_mutex_unlock(&vm->run_lock);
    if (quit)
        exit->reason = WEIR_EXIT_QUIT;
    return !quit;
}

/* The I/O thread is woken by clock_start if it sleeps too long for the first timer. When the clock
 * stops, it may sleep on: what it wakes for then is not due, and it looks again. */
static void set_clock(struct weir *vm, bool running)
{
    pthread_mutex_lock(&vm->device_lock);
    if (running)
        clock_start(&vm->clock);
    else
        clock_stop(&vm->clock);
    pthread_mutex_unlock(&vm->device_lock);
}

/* -icount: a timer was armed. The vCPU thread looks again behind whatever it does there; when it
 * was somebody else, it must be told. */
static void timer_armed(void *ctx)
{
    struct weir *vm = ctx;
    if (vm->running && !pthread_equal(vm->run_thread, pthread_self()))
        cpu_attention(&vm->cpu, ATTENTION_STOP);
}

int weir_run(weir_vcpu *cpu, uint64_t budget_instructions, struct weir_exit *exit)
{
    struct weir *vm = ((struct vcpu *)cpu)->vm;
    int rc = weir_start(vm);
    if (rc == 0 && vm->running)
        rc = err_set(&vm->err, WEIR_ESTATE, "weir_run: the vCPU is already running");
    if (rc < 0) {
        *exit = (struct weir_exit){.reason = WEIR_EXIT_ERROR, .status = rc};
        return rc;
    }
    if (!enter(vm, exit))
        return 0;
    set_clock(vm, true);
    run_activity(&vm->cpu, VCPU_RUNNING);
    run_loop(vm, budget_instructions, exit);
    run_activity(&vm->cpu, VCPU_STOPPED);
    set_clock(vm, false);
    pthread_mutex_lock(&vm->run_lock);
    vm->running = false;
    pthread_cond_broadcast(&vm->run_changed);
    pthread_mutex_unlock(&vm->run_lock);
    return exit->reason == WEIR_EXIT_ERROR ? exit->status : 0;
}

int run_init(struct weir *vm)
{
    pthread_mutexattr_t recursive;
    if (pthread_mutexattr_init(&recursive) ||
        pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE) ||
        pthread_mutex_init(&vm->device_lock, &recursive) ||
        pthread_mutex_init(&vm->listen_lock, &recursive) ||
        pthread_mutex_init(&vm->run_lock, NULL) || pthread_cond_init(&vm->run_changed, NULL))
        return err_set(&vm->err, WEIR_ENOMEM, "cannot create locks");
    pthread_mutexattr_destroy(&recursive);
    vm->a20_enabled = true;
    return 0;
}

void run_connect(struct weir *vm)
{
    vm->mem.changed = bus_changed;
    vm->mem.changed_ctx = vm;
    vm->mem.code_written = code_written;
    vm->mem.unclaimed = unclaimed_memory;
    vm->io.unclaimed = unclaimed_port;
    vm->mem.unclaimed_ctx = vm->io.unclaimed_ctx = vm;
}

void run_connect_timers(struct weir *vm)
{
    pthread_mutex_lock(&vm->device_lock);
    if (vm->cpu.icount) {
        vm->clock.rearmed = timer_armed;
        vm->clock.ctx = vm;
    }
    pthread_mutex_unlock(&vm->device_lock);
}

void run_fini(struct weir *vm)
{
    pthread_cond_destroy(&vm->run_changed);
    pthread_mutex_destroy(&vm->run_lock);
    pthread_mutex_destroy(&vm->listen_lock);
    pthread_mutex_destroy(&vm->device_lock);
}
