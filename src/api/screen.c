/* SPDX-License-Identifier: MIT */
/*
 * screen.c - keyboard, mouse and display of the machine. Key combinations go through a queue in
 * virtual time, so that a script may send many at once and the guest still sees each of them
 * held and released in turn.
 */
#include "api/api.h"
#include "dev/chips.h"
#include "dev/input.h"
#include "run/run.h"

#include <stdlib.h>
#include <string.h>

#define GAP_NS 5000000ull /* between the end of one combination and the start of the next */

int weir_key_by_name(const char *name)
{
    return key_by_name(name);
}
const char *weir_key_name(int key)
{
    return key_name(key);
}

void weir_key_send(weir *vm, int key, bool down)
{
    pthread_mutex_lock(&vm->device_lock);
    if (vm->kbd && key_name(key))
        i8042_key(vm->kbd, key, down);
    pthread_mutex_unlock(&vm->device_lock);
}

void weir_mouse_send(weir *vm, int dx, int dy, int dz, unsigned buttons)
{
    pthread_mutex_lock(&vm->device_lock);
    if (vm->kbd)
        i8042_mouse(vm->kbd, dx, dy, dz, buttons);
    pthread_mutex_unlock(&vm->device_lock);
}

static void fire_keys(void *ctx)
{
    struct key_queue *q = ctx;
    uint64_t now = clock_now_ns(&q->vm->clock);
    while (q->first != q->end && q->events[q->first % KEY_QUEUE].at_ns <= now) {
        struct key_event *e = &q->events[q->first++ % KEY_QUEUE];
        i8042_key(q->vm->kbd, e->key, e->down);
    }
    if (q->first != q->end)
        weir_timer_set(&q->timer, q->events[q->first % KEY_QUEUE].at_ns);
}

static void push_key(struct key_queue *q, uint64_t at_ns, int key, bool down)
{
    q->events[q->end++ % KEY_QUEUE] = (struct key_event){at_ns, key, down};
    q->last_ns = at_ns;
}

static int parse_keys(weir *vm, const char *text, int *keys, unsigned max, unsigned *count)
{
    *count = 0;
    while (*text) {
        char name[32];
        size_t length = strcspn(text, "-");
        if (length >= sizeof(name) || *count == max)
            return err_set(&vm->err, WEIR_EINVAL, "too many keys, or a too long name: '%s'",
                           text);
        memcpy(name, text, length);
        name[length] = 0;
        int key = key_by_name(name);
        if (key < 0)
            return err_set(&vm->err, WEIR_ENOENT, "unknown key: '%s'", name);
        keys[(*count)++] = key;
        text += length;
        text += *text == '-';
    }
    return *count ? 0 : err_set(&vm->err, WEIR_EINVAL, "no key given");
}

static int queue_keys(weir *vm, const int *keys, unsigned count, uint64_t hold_ns)
{
    struct key_queue *q = &vm->keys;
    if (!vm->kbd)
        return err_set(&vm->err, WEIR_ESTATE, "this machine has no keyboard");
    if (KEY_QUEUE - (q->end - q->first) < 2 * count)
        return err_set(&vm->err, WEIR_EBUSY, "too many keys are waiting to be pressed");
    if (!q->timer.clock) {
        q->vm = vm;
        timer_init(&q->timer, &vm->clock, fire_keys, q);
    }
    uint64_t at = clock_now_ns(&vm->clock);
    if (q->first != q->end)
        at = q->last_ns;
    else if (q->last_ns + GAP_NS > at)
        at = q->last_ns;
    at += q->last_ns ? GAP_NS : 0;
    for (unsigned i = 0; i < count; i++)
        push_key(q, at, keys[i], true);
    for (unsigned i = count; i-- > 0;)
        push_key(q, at + hold_ns, keys[i], false);
    weir_timer_set(&q->timer, q->events[q->first % KEY_QUEUE].at_ns);
    return 0;
}

int weir_keys_send(weir *vm, const char *combination, unsigned hold_ms)
{
    int keys[16];
    unsigned count;
    int rc = parse_keys(vm, combination, keys, ARRAY_SIZE(keys), &count);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&vm->device_lock);
    rc = queue_keys(vm, keys, count, (hold_ms ? hold_ms : 100) * 1000000ull);
    pthread_mutex_unlock(&vm->device_lock);
    return rc;
}

/* ---- display ---- */

static int no_display(weir *vm)
{
    return err_set(&vm->err, WEIR_ESTATE, "this machine has no display (-vga none)");
}

int weir_screen_image(weir *vm, struct weir_image *image)
{
    pthread_mutex_lock(&vm->device_lock);
    int rc = vm->vga ? vga_image(vm->vga, image) : no_display(vm);
    pthread_mutex_unlock(&vm->device_lock);
    return rc;
}

void weir_image_free(struct weir_image *image)
{
    free(image->pixels);
    image->pixels = NULL;
}

int weir_screen_text(weir *vm, struct weir_text *out)
{
    pthread_mutex_lock(&vm->device_lock);
    int rc = vm->vga ? vga_text(vm->vga, out) : no_display(vm);
    pthread_mutex_unlock(&vm->device_lock);
    return rc;
}

void weir_powerdown(weir *vm)
{
    pthread_mutex_lock(&vm->device_lock);
    if (vm->acpi)
        acpi_power_button(vm->acpi);
    pthread_mutex_unlock(&vm->device_lock);
    run_emit(vm, WEIR_EVENT_POWERDOWN, false);
}
