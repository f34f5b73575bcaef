/* SPDX-License-Identifier: MIT */
/*
 * plugin.h - programs over weir/introspect.h that are loaded into any machine (`weir -plugin`).
 *
 * A plugin is a shared object that exports the three names below. It is not linked with the
 * library: what it calls is found in the program that loads it.
 */
#ifndef WEIR_PLUGIN_H
#define WEIR_PLUGIN_H

#include "inspect.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_PLUGIN_VERSION 1

/* Exported by the plugin: the version it was built for. */
WEIR_API extern const unsigned weir_plugin_version;
/* Called when it is loaded, before the machine runs: registers handlers. `options` is what
 * followed the file's name ("out=x,cr3=1000"), or "". *state is given to weir_plugin_end.
 * Negative: it cannot work; *error may be set to a constant text that says why. */
WEIR_API int weir_plugin_start(weir *vm, const char *options, void **state, const char **error);
/* Called before the machine is destroyed; nothing of it runs any more. May be missing. */
WEIR_API void weir_plugin_end(weir *vm, void *state);

/* Exported by the library: loads one. Before the first weir_run, or while stopped. */
WEIR_API int weir_plugin_load(weir *vm, const char *path, const char *options);

#ifdef __cplusplus
}
#endif
#endif
