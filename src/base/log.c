/* SPDX-License-Identifier: MIT */
/* log.c - see log.h. */
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

void log_init(struct log *log, weir_log_fn *fn, void *ctx)
{
    *log = (struct log){.fn = fn, .ctx = ctx};
    pthread_mutex_init(&log->lock, NULL);
}

void log_fini(struct log *log)
{
    pthread_mutex_destroy(&log->lock);
    free(log->filter);
    log->filter = NULL;
}

bool log_wants(const struct log *log, uint64_t address)
{
    if (log->filter_count == 0)
        return true;
    for (unsigned k = 0; k < log->filter_count; k++)
        if (address >= log->filter[k][0] && address <= log->filter[k][1])
            return true;
    return false;
}

void log_write(struct log *log, enum weir_log_item item, const char *text, size_t length)
{
    if (!log->fn)
        return;
    pthread_mutex_lock(&log->lock);
    log->fn(log->ctx, item, text, length);
    pthread_mutex_unlock(&log->lock);
}

void log_vprintf(struct log *log, enum weir_log_item item, const char *format, va_list args)
{
    char *text = NULL;
    int length = vasprintf(&text, format, args);
    if (length >= 0) {
        log_write(log, item, text, (size_t)length);
        free(text);
    }
}

void log_printf(struct log *log, enum weir_log_item item, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_vprintf(log, item, format, args);
    va_end(args);
}
