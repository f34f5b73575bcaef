/* SPDX-License-Identifier: MIT */
/* export.h - the machine's side of include/weir/export.h. Everything is NULL-safe before
 * weir_mem_export. */
#ifndef HOSTCALL_EXPORT_H
#define HOSTCALL_EXPORT_H

#include "hostcall/hostcall.h"

int extern_listen(struct hostcall *h, const char *path);
void extern_reset(struct hostcall *h); /* forgets requests */
void extern_fini(struct hostcall *h);
void extern_info(const struct hostcall *h, struct weir_text *out);

#endif
