/* SPDX-License-Identifier: MIT */
/*
 * run.c - `weir run`: the main thread runs the vCPU, a second one serves people and programs.
 *
 * The end: weir_run returns - the loop's thread executes no more commands (t->vm = NULL) - the
 * machine is destroyed, which flushes what the guest wrote - the loop's thread moves that on to
 * the terminal and ends.
 */
#include "client.h"
#include "console.h"
#include "debug.h"
#include "gdb.h"
#include "guestrun.h"
#include "setup.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { QUIET_MS = 1000 };

/* ---- signals ---- */

static void signal_ready(void *ctx, short events)
{
    struct tool *t = ctx;
    struct signalfd_siginfo info;
    (void)events;
    if (read(t->signal_fd, &info, sizeof(info)) != sizeof(info))
        return;
    if (info.ssi_signo == SIGCONT) {
        terminal_again();
        return;
    }
    if (t->signal_count++) { /* the first one did not help */
        terminal_restore();
        _exit(128 + (int)info.ssi_signo);
    }
    fprintf(stderr, "weir: terminating on signal %u\n", info.ssi_signo);
    pthread_mutex_lock(&t->lock);
    t->quitting = true;
    if (t->vm)
        weir_quit(t->vm);
    pthread_mutex_unlock(&t->lock);
}

static bool take_signals(struct tool *t)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGCONT};
    sigset_t set;
    sigemptyset(&set);
    for (unsigned k = 0; k < ARRAY_SIZE(signals); k++)
        sigaddset(&set, signals[k]);
    if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
        return false;
    t->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (t->signal_fd < 0)
        return false;
    t->signal_watch =
        (struct watch){.fd = t->signal_fd, .events = POLLIN, .ready = signal_ready, .ctx = t};
    loop_add(&t->loop, &t->signal_watch);
    return true;
}

/* ---- the loop's thread ---- */

/* -quit-on-eof: input is at its end, all of it was taken, and the guest is silent. */
static int check_eof(struct tool *t)
{
    if (!t->options.quit_on_eof || !t->eof_at_ms || t->quitting)
        return -1;
    for (const struct console *c = t->consoles; c; c = c->next)
        if (!console_input_done(c))
            return 100;
    int64_t since = t->eof_at_ms > t->last_output_ms ? t->eof_at_ms : t->last_output_ms;
    int64_t left = since + QUIET_MS - host_time_ms();
    if (left > 0)
        return (int)left;
    pthread_mutex_lock(&t->lock);
    t->quitting = true;
    if (t->vm)
        weir_quit(t->vm);
    pthread_mutex_unlock(&t->lock);
    return -1;
}

static void tell_notices(struct tool *t)
{
    char *text;
    while ((text = debug_next_notice(t))) {
        for (struct client *c = t->clients; c; c = c->next)
            if (c->monitor && !c->dying)
                monitor_notice(c->monitor, text);
        for (struct console *c = t->consoles; c; c = c->next)
            if (c->monitor && (c->monitor_focus || !c->serial))
                monitor_notice(c->monitor, text);
        free(text);
    }
}

static int loop_idle(void *ctx)
{
    struct tool *t = ctx;
    tell_notices(t);
    clients_service(t);
    int eof_ms = check_eof(t), guest_ms = guest_run_idle(t);
    return eof_ms < 0 || (guest_ms >= 0 && guest_ms < eof_ms) ? guest_ms : eof_ms;
}

static void *loop_thread(void *arg)
{
    loop_run(&((struct tool *)arg)->loop);
    return NULL;
}

/* ---- the vCPU's thread ---- */

static bool has_monitor(const struct tool *t)
{
    for (const struct chardev *c = t->options.chardevs; c; c = c->next)
        for (unsigned k = 0; k < c->user_count; k++)
            if (c->users[k].role == USER_MONITOR || c->users[k].role == USER_QMP)
                return true;
    return false;
}

/* The guest has powered off, but -no-shutdown keeps the machine for inspection. */
static void stay_stopped(struct tool *t)
{
    t->guest_shutdown = true;
    tool_stop(t);
}

/* True when the run is over; *status is the process's. */
static bool handle_exit(struct tool *t, const struct weir_exit *e, int *status)
{
    bool keep = t->options.no_shutdown;
    *status = 0;
    switch (e->reason) {
    case WEIR_EXIT_BUDGET:
    case WEIR_EXIT_PAUSED:
    case WEIR_EXIT_STOPPED:
    case WEIR_EXIT_IO:
    case WEIR_EXIT_MMIO:
    case WEIR_EXIT_INSN:
    case WEIR_EXIT_EXCEPTION:
    case WEIR_EXIT_WINDOW:
    case WEIR_EXIT_NMI:
    case WEIR_EXIT_NMI_WINDOW:
    case WEIR_EXIT_TIME:
        return false;
    case WEIR_EXIT_QUIT:
        tool_event(t, "SHUTDOWN", t->signal_count ? "host-signal" : "host-qmp-quit", false);
        return true;
    case WEIR_EXIT_SHUTDOWN:
        tool_event(t, "SHUTDOWN", "guest-shutdown", true);
        if (keep)
            stay_stopped(t);
        return !keep;
    case WEIR_EXIT_RESET:
    case WEIR_EXIT_TRIPLE_FAULT:
        tool_event(t, "SHUTDOWN", "guest-reset", true);
        if (keep)
            stay_stopped(t);
        return !keep;
    case WEIR_EXIT_HALT:
        fprintf(stderr, "weir: the CPU is halted and nothing can wake it\n");
        if (has_monitor(t))
            tool_stop(t);
        return !has_monitor(t);
    case WEIR_EXIT_DEBUG_EXIT:
        *status = e->status & 0xff;
        t->guest_exited = true;
        tool_event(t, "SHUTDOWN", "guest-shutdown", true);
        return true;
    case WEIR_EXIT_ERROR:
        fprintf(stderr, "weir: %s\n", tool_error(t));
        *status = 1;
        return true;
    }
    return true;
}

static int run_machine(struct tool *t)
{
    weir_vcpu *cpu = weir_get_vcpu(t->vm, 0);
    struct weir_exit e;
    int status = 0;
    do {
        e = (struct weir_exit){.reason = WEIR_EXIT_ERROR};
        int error = weir_run(cpu, 0, &e);
        if (error < 0)
            e.reason = WEIR_EXIT_ERROR;
    } while (!handle_exit(t, &e, &status));
    return status;
}

/* ---- life ---- */

static bool write_pid_file(const struct tool *t)
{
    FILE *file = fopen(t->options.pid_file, "w");
    if (file && fprintf(file, "%d\n", (int)getpid()) > 0 && fclose(file) == 0)
        return true;
    fprintf(stderr, "weir: -pidfile: %s: %s\n", t->options.pid_file, strerror(errno));
    return false;
}

/* Whatever the machine's end has written reaches the terminal. The loop's thread is gone. */
static void flush_streams(struct tool *t)
{
    clients_flush(t, 200);
    for (struct console *c = t->consoles; c; c = c->next) {
        struct pollfd p = {.fd = c->serial ? c->serial->in_fd : -1, .events = POLLIN};
        while (c->serial && c->person && !c->serial->input_ended && poll(&p, 1, 0) > 0) {
            c->serial->in_watch.ready(c->serial, POLLIN);
            stream_flush(c->person, 5000);
        }
        if (c->person)
            stream_flush(c->person, 5000);
    }
}

static void end_machine(struct tool *t, int status)
{
    pthread_mutex_lock(&t->lock);
    weir *vm = t->vm;
    t->vm = NULL;
    pthread_mutex_unlock(&t->lock);
    gdb_stop(t, status);
    weir_destroy(vm); /* the loop's thread still moves output */
    if (t->loop_started) {
        t->loop.quit = true;
        loop_wake(&t->loop);
        pthread_join(t->loop_thread, NULL);
    }
    flush_streams(t);
}

static void tool_free(struct tool *t)
{
    while (t->consoles) {
        struct console *c = t->consoles;
        t->consoles = c->next;
        console_free(c);
    }
    clients_free(t);
    debug_free(t);
    tool_forget_drives(t);
    guest_run_free(t);
    terminal_restore();
    if (t->signal_fd >= 0)
        close(t->signal_fd);
    loop_fini(&t->loop);
    tool_log_close(t);
    options_free(&t->options);
}

static void put_error(struct weir_text *text, const char *chars, size_t length)
{
    fwrite(chars, 1, length, stderr);
}

static int run_options(struct tool *t)
{
    if (!setup_vm(t) || (t->options.pid_file && !write_pid_file(t)))
        return 1;
    if (t->options.start_stopped) {
        t->prelaunch = true;
        weir_pause(t->vm);
    }
    if (t->options.gdb && !gdb_start(t, t->options.gdb)) {
        fprintf(stderr, "weir: -gdb: %s\n", tool_error(t));
        return 1;
    }
    if (!take_signals(t))
        return 1;
    if (t->stdio_used)
        terminal_start(t->stdio_signals);
    t->loop.idle = loop_idle;
    t->loop.idle_ctx = t;
    t->loop_started = pthread_create(&t->loop_thread, NULL, loop_thread, t) == 0;
    if (!t->loop_started) {
        fprintf(stderr, "weir: cannot create a thread\n");
        return 1;
    }
    int status = run_machine(t);
    if (t->options.vmi_on && t->options.vmi.counters)
        weir_info(t->vm, "vmi", &(struct weir_text){put_error});
    if (t->options.pid_file)
        unlink(t->options.pid_file);
    return status;
}

int command_run(int argc, char **argv)
{
    struct tool *t = calloc(1, sizeof(*t));
    if (!t || !loop_init(&t->loop)) {
        fprintf(stderr, "weir: out of memory\n");
        free(t);
        return 1;
    }
    t->signal_fd = -1;
    pthread_mutex_init(&t->lock, NULL);
    pthread_mutex_init(&t->event_lock, NULL);
    pthread_mutex_init(&t->log_lock, NULL);
    signal(SIGPIPE, SIG_IGN);
    enum parse_result parsed = options_parse(&t->options, argc, argv);
    fputs(t->options.help.data, stdout);
    if (parsed == PARSE_FAIL)
        fprintf(stderr, "weir: %s\n", t->options.error);
    int status = parsed == PARSE_DONE ? 0 : 1;
    if (parsed == PARSE_OK)
        status = t->options.check.on ? lockstep_run(t) : run_options(t);
    if (t->vm)
        end_machine(t, status);
    if (parsed == PARSE_OK)
        status = guest_run_end(t, status);
    tool_free(t);
    free(t);
    return status;
}
