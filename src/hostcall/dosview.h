/* SPDX-License-Identifier: MIT */
/*
 * dosview.h - a directory of the host as DOS sees it: every entry has an 8.3 name and a slot, which
 * it keeps as long as the machine runs, whatever else comes and goes. A search's cursor is the
 * directory's number and a slot, so a search costs nothing and survives changes.
 */
#ifndef HOSTCALL_DOSVIEW_H
#define HOSTCALL_DOSVIEW_H

#include "hostcall/share.h"

/* A DOS path below the host path `from` (of the share) to a host path. The last name need not
 * exist: then it is what a file of that name would be called on the host. */
unsigned dosview_resolve(weir_call *call, struct share *share, const char *from,
                         const char *dos, char *out);
/* A host path of the share as "\NAME\NAME", in 8.3 or long names, code page 437. */
unsigned dosview_fullname(weir_call *call, struct share *share, const char *path, bool is_short,
                          char *out, size_t room);
void dosviews_free(struct hostcall *h);

struct view;
struct view_entry {
    char *name;     /* on the host */
    char *folded;   /* code page 437, upper case; NULL if the name cannot be said in it */
    char alias[13]; /* "NAME.EXT" */
    bool gone, seen;
    uint32_t next_name, next_alias, next_folded; /* chains of hash tables; slot + 1 */
};
/* The view of a directory of a share, up to date; NULL: *error. */
struct view *dosview_get(struct hostcall *h, struct share *share, const char *path,
                         unsigned *error);
/* The one with this number, as it was last seen; NULL: forgotten. */
struct view *dosview_number(struct hostcall *h, uint32_t number);
uint32_t dosview_id(const struct view *v);
const char *dosview_path(const struct view *v);
struct share *dosview_share(const struct view *v);
/* Slots 0, 1, ...; NULL behind the last. */
const struct view_entry *dosview_entry(const struct view *v, uint32_t slot);

#endif
