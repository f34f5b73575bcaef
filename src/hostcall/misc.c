/* SPDX-License-Identifier: MIT */
/* misc.c - the small services: information, console, log, random numbers, time, arguments,
 * clipboard. */
#include "hostcall/dostime.h"
#include "hostcall/handle.h"
#include "hostcall/services.h"
#include "hostcall/share.h"

#include "cpu/icount.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#define CLIP_MAX (16u << 20)

unsigned serve_info(weir_call *call)
{
    struct weir_hc_info *a = (struct weir_hc_info *)call->block;
    struct hostcall *h = call->h;
    a->groups = h->groups;
    a->rings = h->rings;
    a->max_version = WEIR_HC_VERSION;
    a->max_regions = WEIR_HC_MAX_REGIONS;
    a->max_bytes = WEIR_HC_MAX_BYTES;
    a->max_handles = handles_limit(h);
    a->shares = h->share_count;
    memset(a->host, 0, sizeof(a->host));
    snprintf(a->host, sizeof(a->host), "weir %s", weir_version());
    return 0;
}

/* ---- bytes ---- */

unsigned serve_console(weir_call *call)
{
    struct weir_hc_bytes *a = (struct weir_hc_bytes *)call->block;
    struct hostcall *h = call->h;
    for (unsigned k = 0; k < call->regions.count; k++) {
        const struct span *s = &call->regions.span[k];
        if (h->output)
            h->output(h->output_ctx, (const char *)s->host, s->length);
        else
            log_write(&h->vm->log, WEIR_LOG_MESSAGE, (const char *)s->host, s->length);
    }
    a->done = (uint32_t)call->regions.bytes;
    return 0;
}

/* One line, and nothing in it that a terminal would obey. */
unsigned serve_log(weir_call *call)
{
    struct weir_hc_bytes *a = (struct weir_hc_bytes *)call->block;
    char line[1024];
    uint64_t length = memory_read(&call->regions, 0, line, sizeof(line));
    while (length && (line[length - 1] == '\n' || line[length - 1] == '\r'))
        length--;
    for (uint64_t k = 0; k < length; k++)
        if ((unsigned char)line[k] < ' ' || line[k] == 0x7f)
            line[k] = ' ';
    log_printf(&call->h->vm->log, WEIR_LOG_MESSAGE, "guest: %.*s\n", (int)length, line);
    a->done = (uint32_t)call->regions.bytes;
    return 0;
}

/* Not where a run is to be repeatable. */
unsigned serve_random(weir_call *call)
{
    struct weir_hc_bytes *a = (struct weir_hc_bytes *)call->block;
    if (call->c->icount)
        return WEIR_HC_ENOSYS;
    a->done = 0;
    for (unsigned k = 0; k < call->regions.count; k++) {
        const struct span *s = &call->regions.span[k];
        for (uint64_t done = 0; done < s->length;) {
            uint64_t take = s->length - done < 256 ? s->length - done : 256;
            if (getrandom(s->host + done, take, 0) != (ssize_t)take)
                return WEIR_HC_EIO;
            done += take;
        }
        a->done += (uint32_t)s->length;
    }
    memory_written(call->c, &call->regions, call->regions.bytes);
    return 0;
}

/* ---- time ---- */

unsigned serve_time(weir_call *call)
{
    struct weir_hc_time *a = (struct weir_hc_time *)call->block;
    struct weir *vm = call->h->vm;
    uint64_t up = cpu_now_ns(call->c);
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    bool repeatable = call->c->icount;
    if (repeatable) {
        int64_t base = vm->config.rtc_base_s ? vm->config.rtc_base_s : ICOUNT_RTC_BASE_S;
        now.tv_sec = base + vm->config.rtc_offset_s + (int64_t)(up / 1000000000);
        now.tv_nsec = (long)(up % 1000000000);
    }
    struct dos_time dos = dos_time_of(now.tv_sec);
    a->seconds = now.tv_sec;
    a->nanoseconds = (uint32_t)now.tv_nsec;
    a->zone_seconds = zone_seconds(now.tv_sec);
    a->uptime_ns = up;
    a->dos_time = dos.time;
    a->dos_date = dos.date;
    a->dos_hundredths = (uint8_t)(now.tv_sec % 2 * 100 + now.tv_nsec / 10000000);
    a->weekday = (uint8_t)(((now.tv_sec + a->zone_seconds) / 86400 + 4) % 7);
    a->reserved = 0;
    return 0;
}

/* ---- arguments ---- */

static unsigned answer_item(weir_call *call, char **items, unsigned count)
{
    struct weir_hc_arg *a = (struct weir_hc_arg *)call->block;
    a->count = count;
    a->done = 0;
    if (a->index >= count)
        return WEIR_HC_ENODATA;
    const char *item = items[a->index];
    a->done = (uint32_t)strlen(item);
    if (call->text[0].memory.bytes < a->done)
        return WEIR_HC_ERANGE;
    memory_write(call->c, &call->text[0].memory, 0, item, a->done);
    return 0;
}
unsigned serve_arg(weir_call *call)
{
    return answer_item(call, call->h->args, call->h->arg_count);
}
unsigned serve_env(weir_call *call)
{
    return answer_item(call, call->h->env, call->h->env_count);
}

/* ---- clipboard ---- */

unsigned clip_get(weir_call *call)
{
    struct weir_hc_bytes *a = (struct weir_hc_bytes *)call->block;
    struct hostcall *h = call->h;
    pthread_mutex_lock(&h->lock);
    a->size = h->clip_bytes;
    a->done = 0;
    if (a->offset < h->clip_bytes)
        a->done = (uint32_t)memory_write(call->c, &call->regions, 0, h->clip + a->offset,
                                         h->clip_bytes - a->offset);
    pthread_mutex_unlock(&h->lock);
    return 0;
}

/* Makes room for `bytes`; h->lock held. */
static bool clip_size(struct hostcall *h, uint64_t bytes)
{
    char *more = realloc(h->clip, bytes ? bytes : 1);
    if (!more)
        return false;
    h->clip = more;
    h->clip_bytes = bytes;
    return true;
}

unsigned clip_put(weir_call *call)
{
    struct weir_hc_bytes *a = (struct weir_hc_bytes *)call->block;
    struct hostcall *h = call->h;
    unsigned error = 0;
    pthread_mutex_lock(&h->lock);
    if (a->offset && a->offset != h->clip_bytes)
        error = WEIR_HC_EINVAL;
    else if (call->regions.bytes > CLIP_MAX - a->offset)
        error = WEIR_HC_ENOSPC;
    else if (!clip_size(h, a->offset + call->regions.bytes))
        error = WEIR_HC_ENOMEM;
    if (!error)
        a->done =
            (uint32_t)memory_read(&call->regions, 0, h->clip + a->offset, call->regions.bytes);
    a->size = h->clip_bytes;
    pthread_mutex_unlock(&h->lock);
    return error;
}

size_t weir_clipboard_get(weir *vm, char *buffer, size_t room)
{
    struct hostcall *h = hostcall_of(vm);
    if (!h)
        return 0;
    pthread_mutex_lock(&h->lock);
    size_t length = h->clip_bytes;
    if (length && room)
        memcpy(buffer, h->clip, length < room ? length : room);
    pthread_mutex_unlock(&h->lock);
    return length;
}

int weir_clipboard_put(weir *vm, const char *text, size_t length)
{
    struct hostcall *h = hostcall_of(vm);
    if (!h)
        return err_set(&vm->err, WEIR_ESTATE, "the host call is not on");
    if (length > CLIP_MAX)
        return err_set(&vm->err, WEIR_ERANGE, "clipboard: more than %u bytes", CLIP_MAX);
    pthread_mutex_lock(&h->lock);
    bool ok = clip_size(h, length);
    if (ok)
        memcpy(h->clip, text, length);
    pthread_mutex_unlock(&h->lock);
    return ok ? 0 : err_set(&vm->err, WEIR_ENOMEM, "out of memory");
}
