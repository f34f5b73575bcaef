/* SPDX-License-Identifier: MIT */
/* option_machine.c - options that describe the machine and how it boots. */
#include "option_parse.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum parse_result option_help(struct options *o, const char *name, const char *argument)
{
    options_help(&o->help.text);
    return PARSE_DONE;
}

enum parse_result option_version(struct options *o, const char *name, const char *argument)
{
    strbuf_printf(&o->help, "Weir %s\n", weir_version());
    return PARSE_DONE;
}

enum parse_result option_memory(struct options *o, const char *name, const char *argument)
{
    static const char *const names[] = {"size", NULL};
    struct props p;
    uint64_t bytes;
    if (option_props(o, &p, "-m", argument, "size", names) != PARSE_OK)
        return PARSE_FAIL;
    const char *size = props_get(&p, "size");
    bool good = size && parse_size(size, 1 << 20, &bytes) && bytes && bytes % 4096 == 0 &&
                bytes <= 1ull << 40;
    props_free(&p);
    if (!good)
        return option_fail(o, "-m %s: not a size of RAM; as in 512, 64M or 2G", argument);
    o->config.ram_bytes = bytes;
    o->run.memory_given = true;
    return PARSE_OK;
}

enum parse_result option_smp(struct options *o, const char *name, const char *argument)
{
    static const char *const names[] = {"cpus",  "maxcpus", "sockets", "dies",
                                        "cores", "threads", NULL};
    struct props p;
    uint64_t product = 1, n;
    if (option_props(o, &p, "-smp", argument, "cpus", names) != PARSE_OK)
        return PARSE_FAIL;
    enum parse_result result = PARSE_OK;
    for (unsigned k = 0; k < p.count && result == PARSE_OK; k++) {
        const char *value = p.items[k].value ? p.items[k].value : "";
        if (!parse_u64(value, &n) || !n || n > 1024)
            result =
                option_fail(o, "-smp: %s=%s: not a number of CPUs", p.items[k].name, value);
        else if (n > product)
            product = n;
    }
    props_free(&p);
    if (result == PARSE_OK && product != 1)
        return option_fail(o, "-smp %s: this version has one CPU; use -smp 1", argument);
    return result;
}

/* ---- -cpu ---- */

static const char *cpu_model_at(const void *ctx, unsigned i)
{
    return weir_cpu_model(i, NULL);
}
static const char *cpu_feature_at(const void *ctx, unsigned i)
{
    return weir_cpu_feature(i);
}

static bool is_known(const char *word, size_t length,
                     const char *(*name)(const void *ctx, unsigned i))
{
    const char *known;
    for (unsigned k = 0; (known = name(NULL, k)); k++)
        if (strlen(known) == length && !memcmp(known, word, length))
            return true;
    return false;
}

static void cpu_help(struct options *o)
{
    const char *model, *feature, *help;
    strbuf_printf(&o->help, "CPU models:\n");
    for (unsigned k = 0; (model = weir_cpu_model(k, &help)); k++)
        strbuf_printf(&o->help, "  %-16s %s\n", model, help ? help : "");
    strbuf_printf(&o->help, "\nFeatures (+NAME, -NAME, NAME=on|off):\n ");
    unsigned column = 1;
    for (unsigned k = 0; (feature = weir_cpu_feature(k)); k++) {
        if (column + strlen(feature) + 1 > 78) {
            strbuf_printf(&o->help, "\n ");
            column = 1;
        }
        strbuf_printf(&o->help, " %s", feature);
        column += (unsigned)strlen(feature) + 1;
    }
    strbuf_printf(&o->help, "\n");
}

enum parse_result option_cpu(struct options *o, const char *name, const char *argument)
{
    if (!strcmp(argument, "help") || !strcmp(argument, "?")) {
        cpu_help(o);
        return PARSE_DONE;
    }
    size_t length = strcspn(argument, ",");
    char word[64];
    if (!is_known(argument, length, cpu_model_at)) {
        snprintf(word, sizeof(word), "%.*s", (int)length, argument);
        return option_fail(o, "-cpu: unknown model '%s', the nearest is '%s'", word,
                           suggest(word, cpu_model_at, NULL));
    }
    for (const char *s = argument + length; *s == ',';) {
        s++;
        const char *flag = s + (*s == '+' || *s == '-');
        size_t item = strcspn(s, ",");
        length = strcspn(flag, ",=");
        snprintf(word, sizeof(word), "%.*s", (int)length, flag);
        for (char *c = word; *c; c++)
            *c = *c == '_' ? '-' : *c;
        bool known = is_known(flag, length, cpu_feature_at) ||
                     is_known(word, strlen(word), cpu_feature_at);
        snprintf(word, sizeof(word), "%.*s", (int)length, flag);
        if (!known)
            return option_fail(o, "-cpu: unknown feature '%s', the nearest is '%s'", word,
                               suggest(word, cpu_feature_at, NULL));
        s += item;
    }
    o->config.cpu = argument;
    return PARSE_OK;
}

/* ---- -accel, -machine ---- */

static const char *const accels[] = {"jit", "interp", "check", NULL};

enum parse_result option_accel(struct options *o, const char *name, const char *argument)
{
    if (!strcmp(argument, "help") || !strcmp(argument, "?")) {
        strbuf_printf(&o->help, "Accelerators:\n"
                                "  jit              translator\n"
                                "  interp           interpreter\n"
                                "  check            lock-step: two engines on one guest\n");
        return PARSE_DONE;
    }
    if (strcspn(argument, ",") == strlen("check") && !strncmp(argument, "check", 5))
        return option_check(o, argument);
    static const char *const names[] = {"accel", "tb-size", "windows", NULL};
    struct props p;
    if (option_props(o, &p, "-accel", argument, "accel", names) != PARSE_OK)
        return PARSE_FAIL;
    const char *accel = props_get(&p, "accel"), *size = props_get(&p, "tb-size");
    int k = option_choice(o, "-accel", accel ? accel : "", accels);
    enum parse_result result = k < 0 ? PARSE_FAIL : PARSE_OK;
    if (k >= 0)
        o->config.accel = accels[k];
    bool windows = true;
    if (result == PARSE_OK)
        result = option_bool_prop(o, &p, "-accel", "windows", &windows);
    o->config.no_windows = !windows;
    uint64_t bytes;
    if (result == PARSE_OK && size) {
        if (!parse_size(size, 1 << 20, &bytes) || bytes < (1 << 20) || bytes > (512u << 20))
            result = option_fail(o, "-accel: tb-size=%s: not a size of 1 to 512 (MiB)", size);
        else
            o->config.code_cache_bytes = bytes;
    }
    props_free(&p);
    return result;
}

enum parse_result option_machine(struct options *o, const char *name, const char *argument)
{
    static const char *const names[] = {"type", "accel", NULL};
    static const char *const types[] = {"pc", "none", NULL};
    struct props p;
    if (!strcmp(argument, "help") || !strcmp(argument, "?")) {
        strbuf_printf(&o->help, "Machines:\n"
                                "  pc               PC with i440FX and PIIX3 (default)\n"
                                "  none             RAM and a CPU, no device\n");
        return PARSE_DONE;
    }
    if (option_props(o, &p, "-machine", argument, "type", names) != PARSE_OK)
        return PARSE_FAIL;
    const char *type = props_get(&p, "type"), *accel = props_get(&p, "accel");
    int k = type ? option_choice(o, "-machine", type, types) : 0;
    if (k >= 0 && type)
        o->config.machine = types[k];
    enum parse_result result = k < 0 ? PARSE_FAIL : PARSE_OK;
    if (result == PARSE_OK && accel)
        result = option_accel(o, "accel", accel);
    props_free(&p);
    return result;
}

/* ---- name, uuid, time ---- */

enum parse_result option_name(struct options *o, const char *name, const char *argument)
{
    static const char *const names[] = {"guest", "process", NULL};
    struct props p;
    if (option_props(o, &p, "-name", argument, "guest", names) != PARSE_OK)
        return PARSE_FAIL;
    const char *guest = option_prop(o, &p, "guest");
    bool process = props_get(&p, "process") != NULL;
    props_free(&p);
    if (process)
        return option_fail(o, "-name: process= is not supported");
    if (guest)
        o->config.name = guest;
    return PARSE_OK;
}

enum parse_result option_uuid(struct options *o, const char *name, const char *argument)
{
    unsigned digits = 0;
    bool good = true;
    memset(o->config.uuid, 0, sizeof(o->config.uuid));
    for (const char *s = argument; *s && good; s++) {
        size_t at = (size_t)(s - argument);
        if (at == 8 || at == 13 || at == 18 || at == 23) {
            good = *s == '-';
            continue;
        }
        good = isxdigit((unsigned char)*s) && digits < 32;
        unsigned value = isdigit((unsigned char)*s) ? (unsigned)(*s - '0')
                                                    : (unsigned)(tolower(*s) - 'a' + 10);
        if (good)
            o->config.uuid[digits / 2] |= (uint8_t)(digits & 1 ? value : value << 4);
        digits++;
    }
    if (!good || digits != 32)
        return option_fail(o,
                           "-uuid %s: not of the form "
                           "12345678-1234-1234-1234-123456789abc",
                           argument);
    return PARSE_OK;
}

static bool parse_date(const char *text, struct tm *tm)
{
    *tm = (struct tm){0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", tm);
    if (!end || *end) {
        *tm = (struct tm){0};
        end = strptime(text, "%Y-%m-%d", tm);
    }
    return end && !*end;
}

enum parse_result option_rtc(struct options *o, const char *name, const char *argument)
{
    static const char *const names[] = {"base", "clock", "driftfix", NULL};
    struct props p;
    struct tm tm;
    time_t now = time(NULL);
    if (option_props(o, &p, "-rtc", argument, "base", names) != PARSE_OK)
        return PARSE_FAIL;
    const char *base = option_prop(o, &p, "base");
    const char *clock = option_prop(o, &p, "clock"), *fix = option_prop(o, &p, "driftfix");
    props_free(&p);
    if (clock && strcmp(clock, "host"))
        return option_fail(o, "-rtc: clock=%s: only host is possible", clock);
    if (fix && strcmp(fix, "none"))
        return option_fail(o, "-rtc: driftfix=%s: only none is possible", fix);
    if (!base || !strcmp(base, "utc")) {
        o->config.rtc_offset_s = o->config.rtc_base_s = 0;
    } else if (!strcmp(base, "localtime")) {
        localtime_r(&now, &tm);
        o->config.rtc_base_s = 0;
        o->config.rtc_offset_s = tm.tm_gmtoff;
    } else if (parse_date(base, &tm)) {
        int64_t seconds = (int64_t)timegm(&tm);
        o->config.rtc_base_s = seconds > 0 ? seconds : 0;
        o->config.rtc_offset_s = seconds > 0 ? 0 : seconds - (int64_t)now;
    } else {
        return option_fail(o,
                           "-rtc: base=%s: use utc, localtime, 2024-01-31 or "
                           "2024-01-31T12:00:00",
                           base);
    }
    return PARSE_OK;
}

/* ---- -boot ---- */

enum parse_result option_boot(struct options *o, const char *name, const char *argument)
{
    static const char *const names[] = {"order", "menu", "once", "strict", "splash-time", NULL};
    struct props p;
    if (option_props(o, &p, "-boot", argument, "order", names) != PARSE_OK)
        return PARSE_FAIL;
    const char *order = option_prop(o, &p, "once");
    if (!order)
        order = option_prop(o, &p, "order");
    bool strict = false;
    enum parse_result result = option_bool_prop(o, &p, "-boot", "menu", &o->config.boot_menu);
    if (result == PARSE_OK)
        result = option_bool_prop(o, &p, "-boot", "strict", &strict);
    bool splash = props_get(&p, "splash-time") != NULL;
    props_free(&p);
    if (result != PARSE_OK)
        return result;
    if (splash || strict)
        return option_fail(o, "-boot: %s is not supported",
                           splash ? "splash-time=" : "strict=on");
    for (const char *c = order ? order : ""; *c; c++)
        if (!strchr("acdn", *c) || strchr(c + 1, *c))
            return option_fail(o,
                               "-boot: '%s': letters are a floppy, c disk, d CD-ROM, n network,"
                               " each once",
                               order);
    if (order)
        o->config.boot_order = order;
    return PARSE_OK;
}

/* ---- -device ---- */

static const char *device_name_at(const void *ctx, unsigned i)
{
    unsigned user = 0;
    const struct weir_dev_class *cls;
    for (unsigned k = 0; (cls = weir_device_class(NULL, k)); k++)
        if (cls->user_creatable && user++ == i)
            return cls->name;
    return NULL;
}

static const struct weir_dev_class *find_class(const char *name)
{
    const struct weir_dev_class *cls;
    for (unsigned k = 0; (cls = weir_device_class(NULL, k)); k++)
        if (cls->user_creatable && !strcmp(cls->name, name))
            return cls;
    return NULL;
}

static void device_list(struct options *o)
{
    const struct weir_dev_class *cls;
    strbuf_printf(&o->help, "Devices for -device:\n");
    for (unsigned k = 0; (cls = weir_device_class(NULL, k)); k++)
        if (cls->user_creatable)
            strbuf_printf(&o->help, "  %-20s %-8s %s\n", cls->name, cls->bus ? cls->bus : "",
                          cls->help ? cls->help : "");
}

static void device_help(struct options *o, const struct weir_dev_class *cls)
{
    static const char *const kinds[] = {"number", "number", "on|off",
                                        "text",   "drive",  "chardev"};
    strbuf_printf(&o->help, "%s: %s\nproperties:\n", cls->name, cls->help ? cls->help : "");
    for (const struct weir_prop *p = cls->props; p && p->name; p++)
        strbuf_printf(&o->help, "  %-16s %-8s %s%s%s%s\n", p->name, kinds[p->kind],
                      p->help ? p->help : "", p->initial ? " (default " : "",
                      p->initial ? p->initial : "", p->initial ? ")" : "");
    strbuf_printf(&o->help, "  %-16s %-8s %s\n", "id", "text", "name of this device");
}

/* The device's own properties are passed on as they were written, without "id=". */
static char *join_props(struct options *o, const struct props *p)
{
    struct strbuf b;
    strbuf_init(&b);
    for (unsigned k = 1; k < p->count; k++) {
        if (!strcmp(p->items[k].name, "id"))
            continue;
        strbuf_printf(&b, "%s%s=", b.length ? "," : "", p->items[k].name);
        for (const char *c = p->items[k].value ? p->items[k].value : "on"; *c; c++)
            strbuf_add(&b, ",,", *c == ',' ? 2 : 0), strbuf_add(&b, c, *c != ',');
    }
    char *joined = option_printf(o, "%s", b.data);
    strbuf_free(&b);
    return joined;
}

static enum parse_result check_device_props(struct options *o, const struct props *p,
                                            const struct weir_dev_class *cls)
{
    const char *names[PROPS_MAX + 2];
    unsigned count = 0;
    for (const struct weir_prop *q = cls->props; q && q->name && count < PROPS_MAX; q++)
        names[count++] = q->name;
    names[count++] = "id";
    names[count] = NULL;
    for (unsigned k = 1; k < p->count; k++) {
        const char *const *n = names;
        while (*n && strcmp(*n, p->items[k].name))
            n++;
        if (!*n)
            return option_fail(o, "-device %s: unknown property '%s', the nearest is '%s'",
                               cls->name, p->items[k].name,
                               suggest_from(p->items[k].name, names));
    }
    return PARSE_OK;
}

static enum parse_result add_device(struct options *o, const struct props *p)
{
    const char *name =
        p->count && !strcmp(p->items[0].name, "driver") ? p->items[0].value : NULL;
    if (!name || !*name)
        return option_fail(o, "-device: the name of the device comes first");
    if (!strcmp(name, "help") || !strcmp(name, "?")) {
        device_list(o);
        return PARSE_DONE;
    }
    const struct weir_dev_class *cls = find_class(name);
    if (!cls)
        return option_fail(o, "-device: unknown device '%s', the nearest is '%s'", name,
                           suggest(name, device_name_at, NULL));
    if (p->count > 1 && (!strcmp(p->items[1].name, "help") || !strcmp(p->items[1].name, "?"))) {
        device_help(o, cls);
        return PARSE_DONE;
    }
    if (check_device_props(o, p, cls) != PARSE_OK)
        return PARSE_FAIL;
    struct device_option *d = calloc(1, sizeof(*d)), **end = &o->devices;
    if (!d)
        return option_fail(o, "out of memory");
    const char *id = props_get(p, "id");
    d->name = option_printf(o, "%s", name);
    d->id = id ? option_printf(o, "%s", id) : NULL;
    d->props = join_props(o, p);
    while (*end)
        end = &(*end)->next;
    *end = d;
    return PARSE_OK;
}

enum parse_result option_device(struct options *o, const char *name, const char *argument)
{
    struct props p;
    if (option_props(o, &p, "-device", argument, "driver", NULL) != PARSE_OK)
        return PARSE_FAIL;
    enum parse_result result = add_device(o, &p);
    props_free(&p);
    return result;
}

/* ---- simple ones ---- */

enum parse_result option_string(struct options *o, const char *name, const char *argument)
{
    // clang-format off
    const struct { const char *name; const char **to; } strings[] = {
        {"kernel", &o->kernel}, {"initrd", &o->initrd}, {"append", &o->append},
        {"bios", &o->config.bios}, {"L", &o->config.firmware_dir}, {"pidfile", &o->pid_file},
        {"mem-export", &o->mem_export},
    };
    // clang-format on
    for (unsigned k = 0; k < ARRAY_SIZE(strings); k++)
        if (!strcmp(strings[k].name, name))
            *strings[k].to = argument;
    return PARSE_OK;
}

enum parse_result option_flag(struct options *o, const char *name, const char *argument)
{
    // clang-format off
    const struct { const char *name; bool *to; } flags[] = {
        {"S", &o->start_stopped}, {"no-reboot", &o->no_reboot}, {"snapshot", &o->snapshot},
        {"no-shutdown", &o->no_shutdown}, {"nodefaults", &o->config.no_devices},
        {"quit-on-eof", &o->quit_on_eof}, {"singlestep", &o->singlestep},
        {"perfmap", &o->perf_map}, {"jitdump", &o->perf_dump},
    };
    // clang-format on
    for (unsigned k = 0; k < ARRAY_SIZE(flags); k++)
        if (!strcmp(flags[k].name, name))
            *flags[k].to = true;
    return PARSE_OK;
}

enum parse_result option_net(struct options *o, const char *name, const char *argument)
{
    if (strcmp(argument, "none"))
        return option_fail(o, "-%s %s: this version has no network; use -%s none", name,
                           argument, name);
    return PARSE_OK;
}
