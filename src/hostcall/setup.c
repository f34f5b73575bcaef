/* SPDX-License-Identifier: MIT */
/*
 * setup.c - switching the host call on: options, the device behind its ports (which also gives it a
 * reset and a topic of `info`), services of the embedder.
 */
#include "hostcall/export.h"
#include "hostcall/handle.h"
#include "hostcall/dosview.h"
#include "hostcall/fs.h"
#include "hostcall/services.h"

#include "base/bits.h"
#include "base/nearest.h"
#include "board/device.h"

#include <stdio.h>
#include <stdlib.h>

struct hostcall *hostcall_of(struct weir *vm)
{
    return vm->hostcall;
}

/* ---- the device ---- */

struct port {
    struct weir *vm;
};

static uint64_t port_read(void *state, uint64_t offset, unsigned size)
{
    const struct hostcall *h = ((struct port *)state)->vm->hostcall;
    if (size != 4 || !h || !h->vm->cpu.host_call.call)
        return ~0ull;
    switch (offset) {
    case 0:
        return WEIR_HC_MAGIC;
    case 4:
        return WEIR_HC_VERSION | h->rings << 16;
    default:
        return h->groups;
    }
}
static void port_write(void *state, uint64_t offset, uint64_t value, unsigned size) {}
static const struct weir_io_ops port_ops = {port_read, port_write, 4, 4, false};

static int port_init(weir_dev *dev, void *state)
{
    ((struct port *)state)->vm = weir_dev_vm(dev);
    if (!weir_map_ports(dev, WEIR_HC_PORT, 12, &port_ops, 0, "hostcall"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

void hostcall_reset(struct hostcall *h)
{
    handles_close_all(h);
    searches_free(h);
    sg_reset(h);
    extern_reset(h);
}
static void port_reset(void *state)
{
    struct hostcall *h = ((struct port *)state)->vm->hostcall;
    if (h)
        hostcall_reset(h);
}

static void free_words(char **words, unsigned count)
{
    for (unsigned k = 0; k < count; k++)
        free(words[k]);
    free(words);
}

static void port_fini(void *state)
{
    struct weir *vm = ((struct port *)state)->vm;
    struct hostcall *h = vm ? vm->hostcall : NULL;
    if (!h)
        return;
    vm->cpu.host_call.call = NULL;
    vm->hostcall = NULL;
    hostcall_reset(h);
    extern_fini(h);
    handles_free(h);
    dosviews_free(h);
    shares_free(h);
    for (unsigned k = 0; k < h->user_count; k++)
        free((char *)h->user[k].name);
    free(h->user);
    free_words(h->args, h->arg_count);
    free_words(h->env, h->env_count);
    free(h->clip);
    free(h->sg);
    memory_free(&h->call.regions);
    memory_free(&h->call.text[0].memory);
    memory_free(&h->call.text[1].memory);
    memory_free(&h->block_memory);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

// clang-format off
static const struct { const char *name; uint32_t bit; } group_names[] = {
    {"fs", 1u << WEIR_HC_GROUP_FILE},        {"console", 1u << WEIR_HC_GROUP_CONSOLE},
    {"control", 1u << WEIR_HC_GROUP_CONTROL}, {"time", 1u << WEIR_HC_GROUP_TIME},
    {"args", 1u << WEIR_HC_GROUP_ARGS},      {"random", 1u << WEIR_HC_GROUP_RANDOM},
    {"clip", 1u << WEIR_HC_GROUP_CLIP},      {"log", 1u << WEIR_HC_GROUP_LOG},
    {"sg", 1u << WEIR_HC_GROUP_SG},          {"extern", 1u << WEIR_HC_GROUP_EXTERN},
    {"all", HC_GROUPS_ALL},
};
static const struct { const char *name; uint32_t bit; } ring_names[] = {
    {"0", WEIR_HC_RING_0}, {"3", WEIR_HC_RING_3}, {"v86", WEIR_HC_RING_V86},
};
// clang-format on

static void port_info(void *state, struct weir_text *out)
{
    const struct hostcall *h = ((struct port *)state)->vm->hostcall;
    if (!h)
        return;
    weir_textf(out, "host call: version %u, port 0x%x, rings", WEIR_HC_VERSION, WEIR_HC_PORT);
    for (unsigned k = 0; k < ARRAY_SIZE(ring_names); k++)
        if (h->rings & ring_names[k].bit)
            weir_textf(out, " %s", ring_names[k].name);
    weir_textf(out, ", services");
    for (unsigned k = 0; k + 1 < ARRAY_SIZE(group_names); k++)
        if (h->groups & group_names[k].bit)
            weir_textf(out, " %s", group_names[k].name);
    weir_textf(out, "\naddress register: 0x%016llx\n",
               (unsigned long long)h->vm->cpu.host_call.address);
    weir_textf(out, "calls: %llu, failed: %llu, page faults: %llu\n",
               (unsigned long long)h->calls, (unsigned long long)h->failures,
               (unsigned long long)h->faults);
    weir_textf(out, "handles: %u open of %u\n", handles_open(h), handles_limit(h));
    for (unsigned k = 0; k < h->share_count; k++)
        weir_textf(out, "share %u: %s = %s%s\n", k, h->shares[k].name, h->shares[k].path,
                   h->shares[k].read_only ? ", read-only" : "");
    for (unsigned k = 0; k < h->user_count; k++)
        weir_textf(out, "service 0x%04x: %s\n", h->user[k].number, h->user[k].name);
    extern_info(h, out);
}

static const struct weir_field port_fields[] = {WEIR_FIELD_END};
static const struct weir_dev_class hostcall_class = {
    .name = "hostcall",
    .help = "host calls (-hostcall)",
    .bus = "system",
    .state_bytes = sizeof(struct port),
    .version = 1,
    .init = port_init,
    .reset = port_reset,
    .fini = port_fini,
    .info = port_info,
    .fields = port_fields,
};

static struct hostcall *create(struct weir *vm)
{
    struct hostcall *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->vm = vm;
    h->rings = WEIR_HC_RING_0 | WEIR_HC_RING_3 | WEIR_HC_RING_V86;
    h->groups = 1u << WEIR_HC_GROUP_GENERAL;
    h->call.h = h;
    h->call.block = h->block;
    h->handles = handles_make();
    pthread_mutex_init(&h->lock, NULL);
    pthread_mutex_lock(&vm->device_lock);
    int rc = h->handles ? device_create(vm, &hostcall_class, "hostcall", NULL, &h->dev) : -1;
    pthread_mutex_unlock(&vm->device_lock);
    if (rc < 0) {
        handles_free(h);
        pthread_mutex_destroy(&h->lock);
        free(h);
        return NULL;
    }
    vm->hostcall = h; /* from here on the device's fini frees it */
    return h;
}

static int get_or_create(struct weir *vm, const char *what, struct hostcall **h)
{
    if (vm->started)
        return err_set(&vm->err, WEIR_ESTATE, "%s: not while the machine runs", what);
    *h = vm->hostcall ? vm->hostcall : create(vm);
    return *h ? 0 : err_set(&vm->err, WEIR_ENOMEM, "%s: cannot be set up", what);
}

/* What the CPU must know. */
static void connect(struct hostcall *h)
{
    struct host_call_gate *gate = &h->vm->cpu.host_call;
    gate->ctx = h;
    gate->groups = h->groups;
    gate->rings = (uint8_t)h->rings;
    gate->call = hostcall_escape;
}

/* ---- options ---- */

#define WINDOW_BYTES (256ull << 20)
static const char *const share_keys[] = {"share", "path", "ro", "virtiofs", "dax", "cache"};

struct options {
    struct hostcall *h;
    char *share, *path; /* the share being described */
    bool read_only, device, always, rings_given;
    uint64_t window; /* bytes */
    uint32_t switched_off;
};

/* The next word of a list parted by commas, ",," being one comma; NULL at the end. */
static char *next_word(const char **list)
{
    const char *p = *list;
    if (!*p)
        return NULL;
    char *word = malloc(strlen(p) + 1);
    size_t n = 0;
    for (; word && *p; p++) {
        if (*p == ',' && p[1] != ',') {
            p++;
            break;
        }
        word[n++] = *p;
        p += *p == ',';
    }
    if (word)
        word[n] = 0;
    *list = p;
    return word;
}

static int add_fs_device(struct options *o)
{
    struct weir *vm = o->h->vm;
    char props[96];
    snprintf(props, sizeof(props), "share=%s,dax=%llu", o->share,
             (unsigned long long)o->window);
    pthread_mutex_lock(&vm->device_lock);
    int rc = device_create(vm, &fs_class, NULL, props, NULL);
    pthread_mutex_unlock(&vm->device_lock);
    return rc;
}

static int finish_share(struct options *o)
{
    int rc = 0;
    if (o->share) {
        rc = share_add(o->h, o->share, o->path, o->read_only);
        o->h->groups |= 1u << WEIR_HC_GROUP_FILE;
    }
    if (rc == 0 && o->share && o->device) {
        struct share *s = &o->h->shares[o->h->share_count - 1];
        s->device = true;
        s->always = o->always;
        rc = add_fs_device(o);
    }
    free(o->share);
    free(o->path);
    o->share = o->path = NULL;
    o->read_only = o->device = o->always = false;
    o->window = WINDOW_BYTES;
    return rc;
}

static int add_word(struct options *o, char ***words, unsigned *count, const char *text)
{
    char **more = realloc(*words, (*count + 1) * sizeof(*more));
    char *copy = strdup(text);
    if (more)
        *words = more;
    if (!more || !copy) {
        free(copy);
        return err_set(&o->h->vm->err, WEIR_ENOMEM, "out of memory");
    }
    more[(*count)++] = copy;
    o->h->groups |= 1u << WEIR_HC_GROUP_ARGS;
    return 0;
}

static int set_rings(struct options *o, const char *text)
{
    if (!o->rings_given)
        o->h->rings = 0;
    o->rings_given = true;
    while (*text) {
        size_t length = strcspn(text, "+");
        bool known = false;
        for (unsigned k = 0; k < ARRAY_SIZE(ring_names); k++)
            if (strlen(ring_names[k].name) == length &&
                !strncmp(ring_names[k].name, text, length)) {
                o->h->rings |= ring_names[k].bit;
                known = true;
            }
        if (!known)
            return err_set(&o->h->vm->err, WEIR_EINVAL,
                           "-hostcall ring=%s: use 0, 3, v86, or several with +", text);
        text += length + (text[length] == '+');
    }
    return 0;
}

static int unknown(struct options *o, const char *key)
{
    static const char *const others[] = {"ring", "arg", "env"};
    char buffer[64];
    struct nearest near = {.wanted = key};
    for (unsigned k = 0; k < ARRAY_SIZE(others); k++)
        nearest_offer(&near, others[k]);
    for (unsigned k = 0; k < ARRAY_SIZE(share_keys); k++)
        nearest_offer(&near, share_keys[k]);
    for (unsigned k = 0; k < ARRAY_SIZE(group_names); k++)
        nearest_offer(&near, group_names[k].name);
    return err_set(&o->h->vm->err, WEIR_EINVAL, "-hostcall: unknown option '%s'%s", key,
                   nearest_hint(&near, buffer, sizeof(buffer)));
}

static int set_group(struct options *o, const char *key, const char *value)
{
    bool off = value && !strcmp(value, "off");
    if (value && !off && strcmp(value, "on"))
        return err_set(&o->h->vm->err, WEIR_EINVAL, "-hostcall %s=%s: use on or off", key,
                       value);
    for (unsigned k = 0; k < ARRAY_SIZE(group_names); k++) {
        if (strcmp(group_names[k].name, key))
            continue;
        if (off)
            o->switched_off |= group_names[k].bit;
        else
            o->h->groups |= group_names[k].bit;
        return 0;
    }
    return unknown(o, key);
}

/* dax=on, off, or a size in MiB. The device comes with it. */
static int set_window(struct options *o, const char *value)
{
    char *end = NULL;
    unsigned long mib = value ? strtoul(value, &end, 10) : 0;
    o->device = true;
    if (!value || !strcmp(value, "on"))
        o->window = WINDOW_BYTES;
    else if (!strcmp(value, "off"))
        o->window = 0;
    else if (*value && !*end && mib >= 2 && is_power_of_2(mib) && mib <= FS_WINDOW_MAX >> 20)
        o->window = (uint64_t)mib << 20;
    else
        return err_set(&o->h->vm->err, WEIR_EINVAL,
                       "-hostcall dax=%s: use on, off, or a power of two of MiB, 2 to 8192",
                       value);
    return 0;
}

static int share_word(struct options *o, const char *key, const char *value)
{
    struct err *err = &o->h->vm->err;
    if (!strcmp(key, "share")) {
        int rc = finish_share(o);
        o->share = strdup(value ? value : "");
        return rc < 0 || o->share ? rc : err_set(err, WEIR_ENOMEM, "out of memory");
    }
    if (!o->share)
        return err_set(err, WEIR_EINVAL, "-hostcall %s: share=NAME must come first", key);
    if (!strcmp(key, "path")) {
        free(o->path);
        o->path = strdup(value ? value : "");
        return o->path ? 0 : err_set(err, WEIR_ENOMEM, "out of memory");
    }
    bool *flag = !strcmp(key, "ro") ? &o->read_only : &o->device;
    if (!strcmp(key, "dax"))
        return set_window(o, value);
    if (!strcmp(key, "cache")) {
        o->always = value && !strcmp(value, "always");
        if (o->always || (value && !strcmp(value, "auto")))
            return 0;
        return err_set(err, WEIR_EINVAL, "-hostcall cache=%s: use auto or always",
                       value ? value : "");
    }
    if (value && strcmp(value, "on") && strcmp(value, "off"))
        return err_set(err, WEIR_EINVAL, "-hostcall %s=%s: use on or off", key, value);
    *flag = !value || !strcmp(value, "on");
    return 0;
}

static int option(struct options *o, char *word)
{
    char *equals = strchr(word, '=');
    const char *key = word, *value = equals ? equals + 1 : NULL;
    struct hostcall *h = o->h;
    if (equals)
        *equals = 0;
    for (unsigned k = 0; k < ARRAY_SIZE(share_keys); k++)
        if (!strcmp(key, share_keys[k]))
            return share_word(o, key, value);
    if (!strcmp(key, "arg"))
        return add_word(o, &h->args, &h->arg_count, value ? value : "");
    if (!strcmp(key, "env")) {
        if (!value || !strchr(value, '='))
            return err_set(&h->vm->err, WEIR_EINVAL, "-hostcall env: use env=NAME=VALUE");
        return add_word(o, &h->env, &h->env_count, value);
    }
    if (!strcmp(key, "ring"))
        return set_rings(o, value ? value : "");
    return set_group(o, key, value);
}

int weir_hostcall_enable(weir *vm, const char *options)
{
    struct options o = {.window = WINDOW_BYTES};
    int rc = get_or_create(vm, "-hostcall", &o.h);
    char *word;
    while (rc == 0 && (word = next_word(&options))) {
        rc = *word ? option(&o, word) : 0;
        free(word);
    }
    if (rc == 0)
        rc = finish_share(&o);
    free(o.share);
    free(o.path);
    if (rc < 0)
        return rc;
    o.h->groups &= ~o.switched_off | 1u << WEIR_HC_GROUP_GENERAL;
    connect(o.h);
    return 0;
}

/* ---- the rest of hostservice.h ---- */

weir_gva weir_hostcall_address(weir_vcpu *cpu)
{
    return ((struct vcpu *)cpu)->host_call.address;
}

void weir_on_hostcall_output(weir *vm, weir_output_fn *fn, void *ctx)
{
    struct hostcall *h = hostcall_of(vm);
    if (!h)
        return;
    h->output = fn;
    h->output_ctx = ctx;
}

void weir_on_snapshot_request(weir *vm, weir_snapshot_request_fn *fn, void *ctx)
{
    struct hostcall *h = hostcall_of(vm);
    if (!h)
        return;
    h->snapshot = fn;
    h->snapshot_ctx = ctx;
}

int weir_service_add(weir *vm, const struct weir_service *service)
{
    struct hostcall *h;
    int rc = get_or_create(vm, "weir_service_add", &h);
    if (rc < 0)
        return rc;
    const struct weir_service *s = service;
    uint32_t header = sizeof(struct weir_hc_header);
    bool bad_count = s->count_at && (s->count_at < header || s->count_at + 4 > s->block_bytes);
    if (s->size < sizeof(*s) || s->number < WEIR_HC_USER || s->block_bytes < header ||
        s->block_bytes > 4096 || bad_count || !s->fn)
        return err_set(&vm->err, WEIR_EINVAL, "weir_service_add: 0x%x: bad description",
                       s->number);
    for (unsigned k = 0; k < h->user_count; k++)
        if (h->user[k].number == s->number)
            return err_set(&vm->err, WEIR_EEXIST, "weir_service_add: 0x%x is there already",
                           s->number);
    struct service *more = realloc(h->user, (h->user_count + 1) * sizeof(*more));
    char *name = strdup(s->name ? s->name : "");
    if (more)
        h->user = more;
    if (!more || !name) {
        free(name);
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    }
    more[h->user_count++] = (struct service){
        .name = name,
        .number = s->number,
        .bytes = (uint16_t)s->block_bytes,
        .direction = !s->count_at        ? HC_NONE
                     : s->writes_regions ? HC_TO_GUEST
                                         : HC_FROM_GUEST,
        .count_at = (uint16_t)s->count_at,
        .user = s->fn,
        .user_ctx = s->ctx,
    };
    connect(h);
    return 0;
}

weir_vcpu *weir_call_vcpu(const weir_call *call)
{
    return (weir_vcpu *)call->c;
}
uint64_t weir_call_bytes(const weir_call *call)
{
    return call->regions.bytes;
}
uint64_t weir_call_read(weir_call *call, uint64_t offset, void *buffer, uint64_t length)
{
    return memory_read(&call->regions, offset, buffer, length);
}
uint64_t weir_call_write(weir_call *call, uint64_t offset, const void *buffer, uint64_t length)
{
    if (call->service->direction != HC_TO_GUEST)
        return 0;
    return memory_write(call->c, &call->regions, offset, buffer, length);
}

int weir_mem_export(weir *vm, const char *path)
{
    struct hostcall *h;
    int rc = get_or_create(vm, "-mem-export", &h);
    return rc < 0 ? rc : extern_listen(h, path);
}
