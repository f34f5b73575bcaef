/* SPDX-License-Identifier: MIT */
/* fileattr.h - attributes of host files as guests see them. */
#ifndef HOSTCALL_FILEATTR_H
#define HOSTCALL_FILEATTR_H

#include "hostcall/share.h"

/* Of what a descriptor (O_PATH will do) refers to. 0 or errno. `name`: for HIDDEN; may be NULL. */
int fileattr_get(int fd, const char *name, struct weir_hc_stat *out);
/* Of a name in a directory; links are not followed. */
int fileattr_at(int dir, const char *name, struct weir_hc_stat *out);
/* Last name of a path. */
const char *last_name(const char *path);

#endif
