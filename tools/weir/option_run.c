/* SPDX-License-Identifier: MIT */
/* option_run.c - options of commands in a guest: -share, -exec and what belongs to them. */
#include "option_parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { NAME_MAX_LENGTH = 31 };

static bool name_taken(const struct options *o, const char *name)
{
    for (const struct share_option *s = o->run.shares; s; s = s->next)
        if (!strcmp(s->name, name))
            return true;
    return !strcmp(name, "root") || !strcmp(name, "modules");
}

/* The directory's own name, with what would confuse lists of options left out. */
static const char *default_name(struct options *o, const char *path)
{
    const char *slash = strrchr(path, '/');
    char base[NAME_MAX_LENGTH - 4], name[NAME_MAX_LENGTH + 1];
    unsigned n = 0;
    for (const char *c = slash ? slash + 1 : path; *c && n < sizeof(base) - 1; c++)
        if (isalnum((unsigned char)*c) || *c == '-' || *c == '_' || *c == '.')
            base[n++] = *c;
    base[n] = 0;
    snprintf(name, sizeof(name), "%s", n ? base : "share");
    for (unsigned k = 2; name_taken(o, name) && k < 1000; k++)
        snprintf(name, sizeof(name), "%s%u", n ? base : "share", k);
    return option_printf(o, "%s", name);
}

static enum parse_result check_name(struct options *o, const char *name)
{
    bool good = *name && strlen(name) <= NAME_MAX_LENGTH;
    for (const char *c = name; *c; c++)
        good &= isalnum((unsigned char)*c) || (*c && strchr("-_.", *c));
    if (!good)
        return option_fail(o, "-share: name=%s: at most %d letters, digits, - _ .", name,
                           NAME_MAX_LENGTH);
    if (name_taken(o, name))
        return option_fail(o, "-share: a second share called '%s'; give it name=", name);
    return PARSE_OK;
}

static enum parse_result fill_share(struct options *o, const struct props *p,
                                    struct share_option *s)
{
    const char *path = props_get(p, "path"), *name = props_get(p, "name");
    struct stat st;
    char *real = path ? realpath(path, NULL) : NULL;
    if (!real)
        return option_fail(o, "-share %s: %s", path ? path : "",
                           strerror(path ? errno : EINVAL));
    s->path = option_keep(o, real);
    if (stat(real, &st) < 0 || !S_ISDIR(st.st_mode))
        return option_fail(o, "-share %s: not a directory", path);
    bool device = true;
    if (option_bool_prop(o, p, "-share", "virtiofs", &device) != PARSE_OK ||
        option_bool_prop(o, p, "-share", "ro", &s->read_only) != PARSE_OK ||
        option_bool_prop(o, p, "-share", "writeback", &s->writeback) != PARSE_OK)
        return PARSE_FAIL;
    s->device = props_get(p, "virtiofs") && device;
    s->no_device = !device;
    if (props_get(p, "dax"))
        s->window = option_prop(o, p, "dax");
    s->name = name ? option_prop(o, p, "name") : default_name(o, real);
    s->at = props_get(p, "at") ? option_prop(o, p, "at") : s->path;
    if (*s->at != '/')
        return option_fail(o, "-share: at=%s: an absolute path is needed", s->at);
    if (!s->at[strspn(s->at, "/")])
        return option_fail(o, "-share %s: it cannot be the guest's /; use at=PATH, or -root",
                           path);
    return name ? check_name(o, s->name) : PARSE_OK;
}

enum parse_result option_share(struct options *o, const char *name, const char *argument)
{
    static const char *const names[] = {"path",      "name",     "at",  "ro",
                                        "writeback", "virtiofs", "dax", NULL};
    struct props p;
    struct share_option *s, **end = &o->run.shares;
    (void)name;
    if (option_props(o, &p, "-share", argument, "path", names) != PARSE_OK)
        return PARSE_FAIL;
    s = calloc(1, sizeof(*s));
    if (!s) {
        props_free(&p);
        return option_fail(o, "out of memory");
    }
    option_keep(o, (char *)s);
    enum parse_result result = fill_share(o, &p, s);
    props_free(&p);
    while (*end)
        end = &(*end)->next;
    if (result == PARSE_OK)
        *end = s;
    return result;
}

/* NAME=VALUE, or NAME as it is here. */
enum parse_result option_env(struct options *o, const char *name, const char *argument)
{
    const char *value = strchr(argument, '=') ? NULL : getenv(argument);
    size_t length = strcspn(argument, "=");
    (void)name;
    if (!length)
        return option_fail(o, "-env %s: NAME=VALUE, or the NAME of a variable", argument);
    if (!argument[length] && !value)
        return PARSE_OK; /* not set here, so not there */
    if (o->run.env_count == ARRAY_SIZE(o->run.env))
        return option_fail(o, "-env: at most %u variables", (unsigned)ARRAY_SIZE(o->run.env));
    o->run.env[o->run.env_count++] =
        value ? option_printf(o, "%s=%s", argument, value) : argument;
    return PARSE_OK;
}

enum parse_result option_seconds(struct options *o, const char *name, const char *argument)
{
    uint64_t seconds;
    if (!parse_u64(argument, &seconds) || !seconds || seconds > 1000000)
        return option_fail(o, "-%s %s: not a number of seconds", name, argument);
    *(!strcmp(name, "timeout") ? &o->run.timeout_s : &o->run.boot_timeout_s) =
        (unsigned)seconds;
    return PARSE_OK;
}

enum parse_result option_run_text(struct options *o, const char *name, const char *argument)
{
    // clang-format off
    const struct { const char *name; const char **to; } texts[] = {
        {"exec", &o->run.exec}, {"root", &o->run.root}, {"modules", &o->run.modules},
        {"cwd", &o->run.cwd},
    };
    // clang-format on
    for (unsigned k = 0; k < ARRAY_SIZE(texts); k++)
        if (!strcmp(texts[k].name, name))
            *texts[k].to = argument;
    return PARSE_OK;
}

enum parse_result option_run_flag(struct options *o, const char *name, const char *argument)
{
    // clang-format off
    const struct { const char *name; bool *to; } flags[] = {
        {"stdin", &o->run.input}, {"verbose", &o->run.verbose}, {"quiet", &o->run.quiet},
    };
    // clang-format on
    (void)argument;
    for (unsigned k = 0; k < ARRAY_SIZE(flags); k++)
        if (!strcmp(flags[k].name, name))
            *flags[k].to = true;
    return PARSE_OK;
}

/* After all options. */
enum parse_result option_check_run(struct options *o)
{
    const struct run_options *r = &o->run;
    // clang-format off
    const struct { bool given; const char *name; } needs[] = {
        {r->root != NULL, "root"}, {r->modules != NULL, "modules"}, {r->cwd != NULL, "cwd"},
        {r->env_count != 0, "env"}, {r->timeout_s != 0, "timeout"},
        {r->boot_timeout_s != 0, "boot-timeout"}, {r->input, "stdin"}, {r->verbose, "verbose"},
        {r->quiet, "quiet"},
    };
    // clang-format on
    for (unsigned k = 0; !r->exec && k < ARRAY_SIZE(needs); k++)
        if (needs[k].given)
            return option_fail(o, "-%s needs -exec", needs[k].name);
    if (!r->exec)
        return PARSE_OK;
    if (o->check.on)
        return option_fail(o, "-exec does not go with -accel check");
    if (r->cwd && *r->cwd != '/')
        return option_fail(o, "-cwd %s: an absolute path (in the guest) is needed", r->cwd);
    if (!r->memory_given)
        o->config.ram_bytes = 1ull << 30;
    o->no_reboot = true;
    return PARSE_OK;
}
