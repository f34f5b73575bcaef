/* SPDX-License-Identifier: MIT */
/* control.c - what a guest may ask of the machine it runs in. */
#include "hostcall/handle.h"
#include "hostcall/services.h"

#include "dev/chips.h"
#include "dev/machine_hooks.h"
#include "run/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

unsigned control_exit(weir_call *call)
{
    const struct weir_hc_control *a = (const struct weir_hc_control *)call->block;
    run_exit(call->h->vm, (int)(a->value & 0xff));
    return 0;
}

unsigned control_reset(weir_call *call)
{
    struct weir *vm = call->h->vm;
    pthread_mutex_lock(&vm->device_lock);
    machine_reset_request(vm);
    pthread_mutex_unlock(&vm->device_lock);
    return 0;
}

unsigned control_snapshot(weir_call *call)
{
    const struct weir_hc_control *a = (const struct weir_hc_control *)call->block;
    struct hostcall *h = call->h;
    return h->snapshot ? h->snapshot(h->snapshot_ctx, a->value) : WEIR_HC_EOPNOTSUPP;
}

unsigned control_clock(weir_call *call)
{
    const struct weir_hc_control *a = (const struct weir_hc_control *)call->block;
    struct weir *vm = call->h->vm;
    pthread_mutex_lock(&vm->device_lock);
    weir_dev *rtc = weir_dev_find(vm, "mc146818", NULL);
    if (rtc)
        rtc_set(rtc, a->seconds ? a->seconds : (int64_t)time(NULL));
    pthread_mutex_unlock(&vm->device_lock);
    return rtc ? 0 : WEIR_HC_EOPNOTSUPP;
}

/* ---- screenshot ---- */

/* The image as a PPM file. */
static uint8_t *make_ppm(const struct weir_image *image, size_t *bytes)
{
    char head[40];
    int n = snprintf(head, sizeof(head), "P6\n%u %u\n255\n", image->width, image->height);
    size_t pixels = (size_t)image->width * image->height;
    *bytes = (size_t)n + 3 * pixels;
    uint8_t *ppm = malloc(*bytes), *p = ppm;
    if (!ppm)
        return NULL;
    memcpy(p, head, (size_t)n);
    p += n;
    for (size_t k = 0; k < pixels; k++) {
        *p++ = (uint8_t)(image->pixels[k] >> 16);
        *p++ = (uint8_t)(image->pixels[k] >> 8);
        *p++ = (uint8_t)image->pixels[k];
    }
    return ppm;
}

static unsigned write_all(struct handle *f, const uint8_t *bytes, size_t length)
{
    while (length) {
        ssize_t n = pwrite(f->fd, bytes, length, (off_t)f->position);
        if (n <= 0)
            return n < 0 ? status_of_errno(errno) : WEIR_HC_EIO;
        f->position += (uint64_t)n;
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

unsigned control_screenshot(weir_call *call)
{
    struct weir_hc_screenshot *a = (struct weir_hc_screenshot *)call->block;
    struct handle *f = NULL;
    if (a->handle) {
        f = handle_get(call, a->handle);
        if (!f || f->kind != HANDLE_FILE || !f->writable)
            return WEIR_HC_EBADF;
    }
    struct weir_image image;
    if (weir_screen_image(call->h->vm, &image) < 0)
        return WEIR_HC_EOPNOTSUPP;
    size_t bytes;
    uint8_t *ppm = make_ppm(&image, &bytes);
    weir_image_free(&image);
    if (!ppm)
        return WEIR_HC_ENOMEM;
    a->size = bytes;
    unsigned error = 0;
    if (f)
        error = write_all(f, ppm, bytes);
    else if (call->regions.bytes < bytes)
        error = WEIR_HC_ERANGE;
    else
        memory_write(call->c, &call->regions, 0, ppm, bytes);
    free(ppm);
    return error;
}
