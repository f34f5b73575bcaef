/* SPDX-License-Identifier: MIT */
/*
 * lockstep.c - `-accel check`: the same machine twice, run in lock-step by the library. What the
 * reference writes to its first serial port is shown; nothing goes in, so there is no loop's
 * thread, no monitor and no QMP.
 */
#include "setup.h"

#include <weir/check.h>

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SHIFT = 2 };

/* ---- terminals ---- */

static void show(void *ctx, const uint8_t *data, size_t length)
{
    fwrite(data, 1, length, stdout);
    fflush(stdout);
}
static void discard(void *ctx, const uint8_t *data, size_t length) {}

static bool add_chardev(struct tool *t, const struct chardev *def, bool shown)
{
    weir_char *chr;
    bool first = false;
    for (unsigned k = 0; k < def->user_count; k++)
        first |= def->users[k].role == USER_SERIAL && def->users[k].index == 0;
    if (weir_char_new(t->vm, def->id, first && shown ? show : discard, NULL, &chr) < 0)
        return false;
    for (unsigned k = 0; k < def->user_count; k++) {
        const struct user *user = &def->users[k];
        if ((user->role == USER_SERIAL && weir_serial_set(t->vm, user->index, chr) < 0) ||
            (user->role == USER_DEBUGCON && weir_debugcon_set(t->vm, chr) < 0))
            return false;
    }
    return true;
}

/* ---- the machines ---- */

static bool equip(struct tool *t, bool shown)
{
    if (!setup_parts(t))
        return false;
    for (const struct chardev *def = t->options.chardevs; def; def = def->next) {
        if (!add_chardev(t, def, shown)) {
            fprintf(stderr, "weir: %s: %s\n", def->id, tool_error(t));
            return false;
        }
    }
    weir_set_reset_exits(t->vm, t->options.no_reboot);
    return setup_devices(t);
}

/* The translator's own items are the engine's under test, all others the reference's. */
static uint32_t log_items(const struct tool *t, unsigned which)
{
    uint32_t all = t->options.log_items;
    uint32_t code = all & (WEIR_LOG_OP | WEIR_LOG_OUT_ASM | WEIR_LOG_OUT_BYTES);
    if (code)
        code |= all & WEIR_LOG_IN_ASM;
    return which ? code : all & ~code;
}

static int make(void *ctx, unsigned which, bool again, weir **out)
{
    struct tool *t = ctx;
    struct weir_config config = t->options.config;
    config.accel = which ? t->options.check.engine : "interp";
    config.log = tool_log;
    config.log_ctx = t;
    int rc = weir_create(&config, out);
    if (rc < 0)
        return rc;
    t->vm = *out; /* the machine that setup.c works on */
    bool good = (!which || setup_translator(t)) && equip(t, which == 0 && !again) &&
                (again || setup_log(t, log_items(t, which)));
    t->vm = NULL;
    tool_forget_drives(t);
    return good ? 0 : -WEIR_EINVAL;
}

/* ---- the result ---- */

static void print_end(const struct weir_check_result *r, const char *engine)
{
    static const char *const ends[] = {
        [WEIR_EXIT_QUIT] = "it quit",
        [WEIR_EXIT_HALT] = "the CPU is halted for good",
        [WEIR_EXIT_SHUTDOWN] = "the guest powered off",
        [WEIR_EXIT_RESET] = "the guest asked for a reset",
        [WEIR_EXIT_TRIPLE_FAULT] = "triple fault",
        [WEIR_EXIT_DEBUG_EXIT] = "debug exit",
    };
    const char *end = r->exit.reason < ARRAY_SIZE(ends) ? ends[r->exit.reason] : NULL;
    fprintf(stderr, "weir: lock-step: interp and %s were equal for %llu instructions (%s)\n",
            engine, (unsigned long long)r->instructions,
            r->limit_reached ? "limit"
            : end            ? end
                             : "end");
    if (r->flags_passed)
        fprintf(stderr, "weir: lock-step: %llu times only arithmetic flags differed\n",
                (unsigned long long)r->flags_passed);
}

int lockstep_run(struct tool *t)
{
    struct options *o = &t->options;
    struct strbuf report;
    struct weir_check_result result;
    if (o->config.icount_shift < 0)
        o->config.icount_shift = DEFAULT_SHIFT;
    o->config.icount_sleep = false;
    for (struct drive_option *d = o->drives; d; d = d->next)
        d->drive.snapshot = !d->drive.is_cdrom;
    strbuf_init(&report);
    struct weir_check check = {.size = sizeof(check),
                               .make = make,
                               .ctx = t,
                               .names = {"interp", o->check.engine},
                               .step = o->check.step,
                               .ram_step = o->check.ram_step,
                               .limit = o->check.limit,
                               .report = &report.text};
    int rc = weir_check_run(&check, &result);
    if (report.length)
        fprintf(stderr, "\nweir: lock-step: %s", report.data);
    else if (rc == 0)
        print_end(&result, o->check.engine);
    strbuf_free(&report);
    if (rc < 0 || result.different)
        return 1;
    return result.exit.reason == WEIR_EXIT_DEBUG_EXIT ? result.exit.status & 0xff : 0;
}
