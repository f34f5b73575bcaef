/* SPDX-License-Identifier: MIT */
/*
 * node.h - what the kernel knows of the share: one node per host file (device and inode number),
 * with the names it was found under. The services take paths, so a node's path is made of its
 * names up to the root; a renamed directory moves all below it by itself.
 *
 * A node lives while the kernel counts it (lookups), while it has nodes below it, or is open.
 * The kernel knows it by a number that is never given again while somebody could mean the old one.
 */
#ifndef FUSE_NODE_H
#define FUSE_NODE_H

#include "fuse/host.h"
#include "fuse/ids.h"

struct node;

/* One name of a node in one directory. */
struct name {
    struct node *parent, *node;
    struct name *next_of_node, *next_in_bucket;
    uint32_t hash;
    char text[];
};

/* An open file or directory. All that only read a file share one: the host has few handles, and
 * every program that runs holds its libraries open. */
struct open_file {
    uint64_t id;
    uint32_t handle, users;
    bool writable, mtime_set; /* mtime_set: a program has said what the time shall be */
    struct node *node;
    struct open_file *next_of_node;
};

struct node {
    uint64_t id, dev, ino;
    uint64_t lookups;
    uint32_t children, hash;
    uint32_t type;                /* S_IFMT bits */
    bool is_root;                 /* has no name and is never forgotten */
    bool large;                   /* the kernel was told to map it */
    bool mapped, mapped_writable; /* since it is known, some of it was, in a window */
    bool doomed;                  /* in table.doomed */
    struct name *names;
    struct open_file *files;
    struct node *next_in_bucket, *next_doomed;
    struct host_time mtime; /* when the kernel was told last, to keep or drop its cache */
    uint64_t size;
};

#define TABLE_NODES_MAX (1u << 22) /* each is a file that exists, or did */
#define TABLE_NAMES_MAX (1u << 23)

struct table {
    struct node **nodes;
    struct name **names;
    uint32_t node_mask, name_mask, node_count, name_count;
    uint32_t nodes_alive, nodes_max; /* with those that are out of reach */
    struct ids ids;
    struct node *doomed;
    struct node root;
};

bool table_init(struct table *t);
void table_fini(struct table *t); /* whatever the kernel still counts */
/* NULL: there is none. */
struct node *table_node(struct table *t, uint64_t id);
/* The node of (dev, ino), made if there is none; `parent` and `text` become one of its names. */
struct node *table_enter(struct table *t, struct node *parent, const char *text,
                         const struct host_stat *st);
struct node *table_find(struct table *t, struct node *parent, const char *text);
/* The name is gone; a node without names is out of reach for later look-ups. */
void table_remove_name(struct table *t, struct node *parent, const char *text);
void table_rename(struct table *t, struct node *from, const char *from_text, struct node *to,
                  const char *to_text, bool exchange);
/* The kernel forgets `count` look-ups. */
void table_forget(struct table *t, struct node *node, uint64_t count);
/* After `files` or `children` became less. */
void table_drop(struct table *t, struct node *node);
/* The path of `text` below `node` (NULL: of the node itself). 0, -ESTALE or -ENAMETOOLONG. */
int node_path(const struct node *node, const char *text, char *path, size_t bytes);

#endif
