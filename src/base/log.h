/* SPDX-License-Identifier: MIT */
/*
 * log.h - the -d log of one VM. A disabled item costs one test of a word. Complete text is handed
 * to the embedder's callback under a lock, so that lines of two threads never mix.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <pthread.h>
#include <weir/weir.h>

struct log {
    uint32_t items; /* enabled WEIR_LOG_* bits */
    weir_log_fn *fn;
    void *ctx;
    pthread_mutex_t lock;
    uint64_t (*filter)[2]; /* inclusive ranges of linear addresses */
    unsigned filter_count;
};

void log_init(struct log *log, weir_log_fn *fn, void *ctx);
void log_fini(struct log *log);
static inline bool log_on(const struct log *log, uint32_t item)
{
    return (log->items & item) != 0;
}
/* Whether -dfilter lets this linear address through. */
bool log_wants(const struct log *log, uint64_t address);
void log_write(struct log *log, enum weir_log_item item, const char *text, size_t length);
void log_printf(struct log *log, enum weir_log_item item, const char *format, ...)
    WEIR_PRINTF(3, 4);
void log_vprintf(struct log *log, enum weir_log_item item, const char *format, va_list args);

#endif
