/* SPDX-License-Identifier: MIT */
/*
 * device.c - see device.h. A device is its class, an id and a zeroed block of state. What it
 * maps carries the state as context, which is how the framework finds and removes it again.
 */
#include "board/device.h"
#include "base/nearest.h"
#include "dev/machine_hooks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- properties ---- */

static int parse_number(const char *text, uint64_t *value)
{
    char *end;
    errno = 0;
    if (*text == '-' || *text == 0)
        return -WEIR_EINVAL;
    *value = strtoull(text, &end, 0);
    if (errno || end == text)
        return -WEIR_ERANGE;
    static const char suffixes[] = "kKmMgG";
    const char *suffix = *end ? strchr(suffixes, *end) : NULL;
    if (suffix) {
        unsigned shift = 10 * (1 + (unsigned)(suffix - suffixes) / 2);
        if (*value > UINT64_MAX >> shift)
            return -WEIR_ERANGE;
        *value <<= shift;
        end++;
    }
    return *end ? -WEIR_EINVAL : 0;
}

static int parse_bool(const char *text, bool *value)
{
    static const char *const yes[] = {"on", "yes", "true", "y"};
    static const char *const no[] = {"off", "no", "false", "n"};
    for (unsigned i = 0; i < ARRAY_SIZE(yes); i++) {
        if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
            *value = !strcmp(text, yes[i]);
            return 0;
        }
    }
    return -WEIR_EINVAL;
}

static struct weir_block *find_drive(struct weir *vm, const char *id)
{
    struct weir_block *b = vm->blocks;
    while (b && strcmp(b->id, id))
        b = b->next;
    return b;
}

static struct weir_char *find_char(struct weir *vm, const char *id)
{
    struct char_node *n = vm->chars;
    while (n && strcmp(char_id(n->chr), id))
        n = n->next;
    return n ? n->chr : NULL;
}

static int set_number(weir_dev *dev, const struct weir_prop *prop, const char *text)
{
    uint64_t number;
    bool small = prop->kind == WEIR_PROP_U32;
    if (parse_number(text, &number) < 0 || (small && number > UINT32_MAX))
        return weir_dev_fail(dev, WEIR_EINVAL, "property '%s': '%s' is not a number%s",
                             prop->name, text, small ? " of 32 bits" : "");
    store_le((char *)dev->state + prop->offset, number, small ? 4 : 8);
    return 0;
}

static int set_string(weir_dev *dev, const struct weir_prop *prop, const char *text)
{
    char **at = (char **)((char *)dev->state + prop->offset);
    char *copy = strdup(text);
    if (!copy)
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    free(*at);
    *at = copy;
    return 0;
}

static int set_prop(weir_dev *dev, const struct weir_prop *prop, const char *text)
{
    void *at = (char *)dev->state + prop->offset;
    switch (prop->kind) {
    case WEIR_PROP_U32:
    case WEIR_PROP_U64:
        return set_number(dev, prop, text);
    case WEIR_PROP_BOOL:
        if (parse_bool(text, at) < 0)
            return weir_dev_fail(dev, WEIR_EINVAL, "property '%s': '%s' is not on or off",
                                 prop->name, text);
        return 0;
    case WEIR_PROP_STRING:
        return set_string(dev, prop, text);
    case WEIR_PROP_DRIVE: {
        struct weir_block *b = find_drive(dev->vm, text);
        if (!b || b->attached)
            return weir_dev_fail(dev, b ? WEIR_EBUSY : WEIR_ENOENT,
                                 b ? "drive '%s' is in use" : "no drive with id '%s'", text);
        b->attached = true;
        *(struct weir_block **)at = b;
        return 0;
    }
    case WEIR_PROP_CHAR:
        *(struct weir_char **)at = find_char(dev->vm, text);
        if (!*(struct weir_char **)at)
            return weir_dev_fail(dev, WEIR_ENOENT, "no character device with id '%s'", text);
        return 0;
    }
    return -WEIR_EINVAL;
}

static const struct weir_prop *find_prop(weir_dev *dev, const char *name)
{
    struct nearest nearest = {.wanted = name};
    for (const struct weir_prop *p = dev->cls->props; p && p->name; p++) {
        if (!strcmp(p->name, name))
            return p;
        nearest_offer(&nearest, p->name);
    }
    char hint[96];
    weir_dev_fail(dev, WEIR_ENOENT, "no property '%s'%s; see -device %s,help", name,
                  nearest_hint(&nearest, hint, sizeof(hint)), dev->cls->name);
    return NULL;
}

/* Cuts the next "name=value" off *list (",," stands for a comma in a value). A name alone means
 * on, as in QEMU. `item` is changed in place. */
static char *next_item(char **list)
{
    char *item = *list, *out = item, *in = item;
    if (!item || !*item)
        return NULL;
    while (*in && !(in[0] == ',' && in[1] != ',')) {
        in += in[0] == ',';
        *out++ = *in++;
    }
    *list = *in ? in + 1 : in;
    *out = 0;
    return item;
}

static int set_props(weir_dev *dev, const char *props)
{
    int rc = 0;
    for (const struct weir_prop *p = dev->cls->props; p && p->name && rc == 0; p++)
        if (p->initial)
            rc = set_prop(dev, p, p->initial);
    if (rc < 0 || !props)
        return rc;
    char *copy = strdup(props), *rest = copy;
    if (!copy)
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    for (char *item; rc == 0 && (item = next_item(&rest));) {
        char *value = strchr(item, '=');
        if (value)
            *value++ = 0;
        const struct weir_prop *p = find_prop(dev, item);
        rc = p ? set_prop(dev, p, value ? value : "on") : -WEIR_ENOENT;
    }
    free(copy);
    return rc;
}

/* ---- life ---- */

/* A region's context is the state or a part of it. */
static void drop_regions(struct bus *bus, const void *state, size_t bytes)
{
    for (struct weir_region *r = bus->regions; r;) {
        struct weir_region *next = r->next;
        if ((uintptr_t)r->ctx - (uintptr_t)state < bytes)
            bus_unmap(r);
        r = next;
    }
}

static void cancel_timers(uint8_t *state, const struct weir_field *f)
{
    for (; f && f->name; f++) {
        uint8_t *at = state + f->offset;
        if (f->kind == WEIR_FIELD_TIMER && ((struct weir_timer *)at)->clock)
            weir_timer_cancel((struct weir_timer *)at);
        for (uint32_t i = 0; f->kind == WEIR_FIELD_STRUCT && i < f->count; i++)
            cancel_timers(at + (size_t)i * f->size, f->sub);
    }
}

static void release_props(weir_dev *dev)
{
    for (const struct weir_prop *p = dev->cls->props; p && p->name; p++) {
        void **at = (void **)((char *)dev->state + p->offset);
        if (p->kind == WEIR_PROP_STRING)
            free(*at);
        if (p->kind == WEIR_PROP_DRIVE && *at)
            ((struct weir_block *)*at)->attached = false;
    }
}

static void device_free(weir_dev *dev)
{
    if (dev->cls->fini)
        dev->cls->fini(dev->state);
    cancel_timers(dev->state, dev->cls->fields);
    drop_regions(&dev->vm->mem, dev->state, dev->cls->state_bytes);
    drop_regions(&dev->vm->io, dev->state, dev->cls->state_bytes);
    release_props(dev);
    free(dev->state);
    free(dev);
}

static void name_device(weir_dev *dev, const char *id)
{
    unsigned n = 0;
    for (weir_dev *d = dev->vm->devices; d; d = d->next)
        n += d->cls == dev->cls;
    if (id)
        snprintf(dev->id, sizeof(dev->id), "%s", id);
    else if (n)
        snprintf(dev->id, sizeof(dev->id), "%.20s%u", dev->cls->name, n);
    else
        snprintf(dev->id, sizeof(dev->id), "%.31s", dev->cls->name);
}

int device_create(struct weir *vm, const struct weir_dev_class *cls, const char *id,
                  const char *props, weir_dev **out)
{
    if (id && weir_dev_find(vm, NULL, id))
        return err_set(&vm->err, WEIR_EEXIST, "%s: a device with this id exists", id);
    if (id && strlen(id) >= sizeof(((weir_dev *)0)->id))
        return err_set(&vm->err, WEIR_EINVAL, "%s: the id is longer than 31 characters", id);
    weir_dev *dev = calloc(1, sizeof(*dev));
    void *state = NULL;
    size_t bytes = (cls->state_bytes + 63) & ~(size_t)63;
    if (!dev || posix_memalign(&state, 64, bytes ? bytes : 64)) {
        free(dev);
        return err_set(&vm->err, WEIR_ENOMEM, "%s: out of memory", cls->name);
    }
    memset(state, 0, bytes ? bytes : 64);
    *dev = (weir_dev){.vm = vm, .cls = cls, .state = state};
    name_device(dev, id);
    int rc = set_props(dev, props);
    if (rc == 0)
        rc = cls->init(dev, state);
    if (rc < 0) {
        device_free(dev);
        return rc;
    }
    if (cls->reset)
        cls->reset(state);
    weir_dev **end = &vm->devices;
    while (*end)
        end = &(*end)->next;
    *end = dev;
    if (out)
        *out = dev;
    return 0;
}

void devices_reset(struct weir *vm)
{
    for (weir_dev *d = vm->devices; d; d = d->next)
        if (d->cls->reset)
            d->cls->reset(d->state);
}

static void free_from(weir_dev *dev)
{
    if (!dev)
        return;
    free_from(dev->next);
    device_free(dev);
}

void devices_free(struct weir *vm)
{
    free_from(vm->devices);
    vm->devices = NULL;
}

void backends_free(struct weir *vm)
{
    while (vm->chars) {
        struct char_node *n = vm->chars;
        vm->chars = n->next;
        char_close(n->chr);
        free(n);
    }
    while (vm->blocks) {
        struct weir_block *b = vm->blocks;
        vm->blocks = b->next;
        block_close(b);
        free(b->serial);
        free(b);
    }
}

/* ---- what a device may call ---- */

weir_region *machine_map_io(weir_dev *dev, bool ports, uint64_t start, uint64_t length,
                            const struct weir_io_ops *ops, void *ctx, int priority,
                            const char *name)
{
    return bus_map_io(ports ? &dev->vm->io : &dev->vm->mem, start, length, ops, ctx, priority,
                      name);
}
weir_region *weir_map_ports(weir_dev *dev, uint16_t start, unsigned length,
                            const struct weir_io_ops *ops, int priority, const char *name)
{
    return bus_map_io(&dev->vm->io, start, length, ops, dev->state, priority, name);
}
weir_region *weir_map_memory(weir_dev *dev, weir_gpa start, uint64_t length,
                             const struct weir_io_ops *ops, int priority, const char *name)
{
    return bus_map_io(&dev->vm->mem, start, length, ops, dev->state, priority, name);
}
weir_region *weir_map_host_memory(weir_dev *dev, weir_gpa start, void *memory, uint64_t length,
                                  bool read_only, int priority, const char *name)
{
    weir_region *r =
        bus_map_memory(&dev->vm->mem, start, length, memory, NULL, read_only, priority, name);
    if (r)
        r->ctx = dev->state;
    return r;
}
void weir_region_move(weir_region *region, uint64_t start)
{
    bus_region_set(region, start, region->enabled, region->read_only);
}
void weir_region_enable(weir_region *region, bool enabled)
{
    bus_region_set(region, region->start, enabled, region->read_only);
}

uint64_t weir_clock_ns(const weir_dev *dev)
{
    return clock_now_ns(&dev->vm->clock);
}
void machine_timers_due(weir_dev *dev)
{
    struct clock *clock = &dev->vm->clock;
    if (clock_is_late(clock, clock_now_ns(clock)))
        clock_run_due(clock);
}
void weir_timer_init(weir_dev *dev, struct weir_timer *timer, void (*fire)(void *))
{
    timer_init(timer, &dev->vm->clock, fire, dev->state);
}

int weir_dma_read(weir_dev *dev, weir_gpa gpa, void *buffer, size_t length)
{
    return bus_dma_read(&dev->vm->mem, gpa, buffer, length);
}
int weir_dma_write(weir_dev *dev, weir_gpa gpa, const void *buffer, size_t length)
{
    return bus_dma_write(&dev->vm->mem, gpa, buffer, length);
}

weir *weir_dev_vm(const weir_dev *dev)
{
    return dev->vm;
}
const char *weir_dev_id(const weir_dev *dev)
{
    return dev->id;
}
void *weir_dev_state(const weir_dev *dev)
{
    return dev->state;
}
weir_dev *weir_dev_find(weir *vm, const char *class_name, const char *id)
{
    for (weir_dev *d = vm->devices; d; d = d->next)
        if ((!id || !strcmp(d->id, id)) && (!class_name || !strcmp(d->cls->name, class_name)))
            return d;
    return NULL;
}

int weir_dev_fail(weir_dev *dev, enum weir_error error, const char *format, ...)
{
    char text[384];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return err_set(&dev->vm->err, error, "%s: %s", dev->id, text);
}

void weir_dev_log(const weir_dev *dev, enum weir_log_item item, const char *format, ...)
{
    if (item != WEIR_LOG_MESSAGE && !log_on(&dev->vm->log, item))
        return;
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    log_printf(&dev->vm->log, item, "%s: %s\n", dev->id, text);
}

struct weir_line weir_dev_gsi(weir_dev *dev, unsigned gsi)
{
    return gsi < ARRAY_SIZE(dev->vm->gsi) ? dev->vm->gsi[gsi] : (struct weir_line){0};
}

struct weir_block *machine_find_block(weir *vm, const char *interface_name, int index)
{
    struct weir_block *b = vm->blocks;
    while (b && (strcmp(b->interface_name, interface_name) || b->index != index))
        b = b->next;
    return b;
}

/* ---- classes ---- */

int weir_device_class_add(weir *vm, const struct weir_dev_class *cls)
{
    if (registry_find(vm, cls->name))
        return err_set(&vm->err, WEIR_EEXIST, "device class '%s' exists", cls->name);
    const struct weir_dev_class **classes =
        realloc(vm->extra_classes, (vm->extra_class_count + 1) * sizeof(*vm->extra_classes));
    if (!classes)
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    vm->extra_classes = classes;
    classes[vm->extra_class_count++] = cls;
    return 0;
}

const struct weir_dev_class *weir_device_class(const weir *vm, unsigned i)
{
    unsigned built_in = 0;
    while (registry_class(built_in))
        built_in++;
    if (i < built_in)
        return registry_class(i);
    i -= built_in;
    return vm && i < vm->extra_class_count ? vm->extra_classes[i] : NULL;
}

const struct weir_dev_class *registry_find(const struct weir *vm, const char *name)
{
    const struct weir_dev_class *cls;
    for (unsigned i = 0; (cls = weir_device_class(vm, i)); i++)
        if (!strcmp(cls->name, name))
            return cls;
    return NULL;
}

static int unknown_class(weir *vm, const char *name)
{
    struct nearest nearest = {.wanted = name};
    const struct weir_dev_class *cls;
    for (unsigned i = 0; (cls = weir_device_class(vm, i)); i++)
        if (cls->user_creatable)
            nearest_offer(&nearest, cls->name);
    char hint[96];
    return err_set(&vm->err, WEIR_ENOENT, "no device class '%s'%s; see -device help", name,
                   nearest_hint(&nearest, hint, sizeof(hint)));
}

int weir_device_add(weir *vm, const char *class_name, const char *id, const char *props,
                    weir_dev **out)
{
    const struct weir_dev_class *cls = registry_find(vm, class_name);
    if (!cls || !cls->user_creatable)
        return unknown_class(vm, class_name);
    if (vm->started)
        return err_set(&vm->err, WEIR_ESTATE,
                       "%s: devices cannot be added to a running machine", class_name);
    return device_create(vm, cls, id, props, out);
}
