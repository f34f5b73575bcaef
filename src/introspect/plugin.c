/* SPDX-License-Identifier: MIT */
/* plugin.c - weir/plugin.h: shared objects that watch a machine. */
#include "introspect/introspect.h"
#include <weir/plugin.h>

#include <dlfcn.h>
#include <stdlib.h>

typedef int start_fn(weir *vm, const char *options, void **state, const char **error);
typedef void end_fn(weir *vm, void *state);

struct plugin {
    struct plugin *next;
    void *object, *state;
    union {
        void *symbol;
        end_fn *call;
    } end;
};

static int refuse(weir *vm, void *object, const char *path, const char *why)
{
    int rc =
        err_set(&vm->err, WEIR_EFORMAT, "plugin %s: %s", path, why ? why : "refuses to start");
    if (object)
        dlclose(object);
    return rc;
}

int weir_plugin_load(weir *vm, const char *path, const char *options)
{
    struct introspect *ix = vm->introspect;
    const char *error = NULL;
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object)
        return err_set(&vm->err, WEIR_ENOENT, "plugin %s: %s", path, dlerror());
    const unsigned *version = dlsym(object, "weir_plugin_version");
    union {
        void *symbol;
        start_fn *call;
    } start = {dlsym(object, "weir_plugin_start")};
    if (!version || !start.symbol)
        return refuse(vm, object, path, "it exports no weir_plugin_version, weir_plugin_start");
    if (*version != WEIR_PLUGIN_VERSION)
        return refuse(vm, object, path, "it was built for another version of weir");
    struct plugin *p = calloc(1, sizeof(*p));
    if (!p)
        return refuse(vm, object, path, "out of memory");
    int rc = start.call(vm, options ? options : "", &p->state, &error);
    if (rc < 0) {
        free(p);
        return refuse(vm, object, path, error);
    }
    p->object = object;
    p->end.symbol = dlsym(object, "weir_plugin_end");
    p->next = ix->plugins;
    ix->plugins = p;
    return 0;
}

void plugins_end(struct introspect *ix)
{
    for (struct plugin *p = ix->plugins; p; p = p->next)
        if (p->end.symbol)
            p->end.call(ix->vm, p->state);
}

/* Behind the last of their handlers. */
void plugins_free(struct introspect *ix)
{
    while (ix->plugins) {
        struct plugin *p = ix->plugins;
        ix->plugins = p->next;
        dlclose(p->object);
        free(p);
    }
}
