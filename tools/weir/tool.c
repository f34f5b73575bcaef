/* SPDX-License-Identifier: MIT */
/* tool.c - what monitor, QMP and main share: run state, events, drives, the log's file. */
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- events and run state ---- */

void tool_event(struct tool *t, const char *name, const char *reason, bool from_guest)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    pthread_mutex_lock(&t->event_lock);
    if (t->event_count < ARRAY_SIZE(t->events))
        t->events[t->event_count++] = (struct machine_event){.name = name,
                                                             .reason = reason,
                                                             .from_guest = from_guest,
                                                             .seconds = ts.tv_sec,
                                                             .microseconds = ts.tv_nsec / 1000};
    pthread_mutex_unlock(&t->event_lock);
    loop_wake(&t->loop);
}

const char *tool_status(struct tool *t)
{
    if (!weir_is_paused(t->vm))
        return "running";
    return t->guest_shutdown ? "shutdown" : t->prelaunch ? "prelaunch" : "paused";
}

/* STOP and RESUME are what the user asked for; the short holds of an inspection are not. */
void tool_stop(struct tool *t)
{
    if (weir_is_paused(t->vm))
        return;
    weir_pause(t->vm);
}

bool tool_cont(struct tool *t, const char **why_not)
{
    if (t->guest_shutdown) {
        *why_not = "Resetting the Virtual Machine is required";
        return false;
    }
    if (!weir_is_paused(t->vm))
        return true;
    t->prelaunch = false;
    weir_resume(t->vm);
    return true;
}

const char *tool_error(struct tool *t)
{
    const char *text = weir_last_error(t->vm);
    return text && *text ? text : "unknown error";
}

/* ---- drives ---- */

struct drive_state *tool_drive(struct tool *t, const char *id)
{
    struct drive_state *d = t->drives;
    while (d && strcmp(d->id, id))
        d = d->next;
    return d;
}

void tool_forget_drives(struct tool *t)
{
    while (t->drives) {
        struct drive_state *d = t->drives;
        t->drives = d->next;
        free(d->file);
        free(d);
    }
}

int tool_media(struct tool *t, const char *id, const char *file, bool force)
{
    int error = weir_media_change(t->vm, id, file, force);
    struct drive_state *d = tool_drive(t, id);
    if (error >= 0 && d) {
        free(d->file);
        d->file = file ? strdup(file) : NULL;
    }
    return error;
}

/* ---- log ---- */

/* From any thread. Messages for the user always go to standard error. */
void tool_log(void *ctx, enum weir_log_item item, const char *text, size_t length)
{
    struct tool *t = ctx;
    if (item == WEIR_LOG_MESSAGE) {
        bool ends = length && text[length - 1] == '\n';
        fprintf(stderr, "weir: %.*s%s", (int)length, text, ends ? "" : "\n");
        return;
    }
    pthread_mutex_lock(&t->log_lock);
    fwrite(text, 1, length, t->log_file ? t->log_file : stderr);
    pthread_mutex_unlock(&t->log_lock);
}

/* A first %d in the name is the process id; other % are refused. */
static bool expand_name(const char *path, char *name, size_t bytes)
{
    const char *percent = strchr(path, '%');
    if (!percent) {
        snprintf(name, bytes, "%s", path);
        return strlen(path) < bytes;
    }
    if (percent[1] != 'd' || strchr(percent + 1, '%'))
        return false;
    int n = snprintf(name, bytes, "%.*s%d%s", (int)(percent - path), path, (int)getpid(),
                     percent + 2);
    return n > 0 && (size_t)n < bytes;
}

bool tool_log_open(struct tool *t, const char *path, char *error, size_t bytes)
{
    char name[4096];
    bool changed = path != NULL;
    if (changed) {
        char *copy = strdup(path);
        free(t->log_path);
        t->log_path = copy;
    }
    if (!t->log_path || (t->log_file && !changed))
        return true; /* standard error, or open already */
    if (!expand_name(t->log_path, name, sizeof(name))) {
        snprintf(error, bytes, "Bad logfile format: %.300s", t->log_path);
        return false;
    }
    /* Once this run has begun a log it only appends to it. */
    FILE *file = fopen(name, t->log_opened_before && !changed ? "a" : "w");
    if (!file) {
        snprintf(error, bytes, "%.300s: %s", name, strerror(errno));
        return false;
    }
    setvbuf(file, NULL, _IOLBF, 1 << 16);
    pthread_mutex_lock(&t->log_lock);
    if (t->log_file)
        fclose(t->log_file);
    t->log_file = file;
    t->log_opened_before = true;
    pthread_mutex_unlock(&t->log_lock);
    return true;
}

void tool_log_close(struct tool *t)
{
    if (t->log_file)
        fclose(t->log_file);
    t->log_file = NULL;
    free(t->log_path);
    t->log_path = NULL;
}
