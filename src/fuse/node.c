/* SPDX-License-Identifier: MIT */
/* node.c - two hash tables, of nodes by host file and of names by directory, both growing. */
#include "fuse/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BUCKETS = 256, ROOT_ID = 1 };

static uint32_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdull;
    x ^= x >> 29;
    return (uint32_t)x;
}

static uint32_t node_hash(uint64_t dev, uint64_t ino)
{
    return mix(ino + (dev << 40) + (dev >> 24));
}

static uint32_t name_hash(const struct node *parent, const char *text)
{
    uint64_t h = (uintptr_t)parent;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
    return mix(h);
}

bool table_init(struct table *t)
{
    t->nodes = calloc(FIRST_BUCKETS, sizeof(*t->nodes));
    t->names = calloc(FIRST_BUCKETS, sizeof(*t->names));
    t->node_mask = t->name_mask = FIRST_BUCKETS - 1;
    t->nodes_max = TABLE_NODES_MAX;
    t->root.is_root = true;
    t->root.id = ROOT_ID;
    return t->nodes && t->names;
}

struct node *table_node(struct table *t, uint64_t id)
{
    return id == ROOT_ID ? &t->root : ids_find(&t->ids, id);
}

/* A table that cannot grow is slower, not wrong. */
static void grow_nodes(struct table *t)
{
    uint32_t count = (t->node_mask + 1) * 2;
    struct node **bigger = calloc(count, sizeof(*bigger));
    if (!bigger)
        return;
    for (uint32_t k = 0; k <= t->node_mask; k++)
        for (struct node *n = t->nodes[k], *next; n; n = next) {
            next = n->next_in_bucket;
            n->next_in_bucket = bigger[n->hash & (count - 1)];
            bigger[n->hash & (count - 1)] = n;
        }
    free(t->nodes);
    t->nodes = bigger;
    t->node_mask = count - 1;
}

static void grow_names(struct table *t)
{
    uint32_t count = (t->name_mask + 1) * 2;
    struct name **bigger = calloc(count, sizeof(*bigger));
    if (!bigger)
        return;
    for (uint32_t k = 0; k <= t->name_mask; k++)
        for (struct name *n = t->names[k], *next; n; n = next) {
            next = n->next_in_bucket;
            n->next_in_bucket = bigger[n->hash & (count - 1)];
            bigger[n->hash & (count - 1)] = n;
        }
    free(t->names);
    t->names = bigger;
    t->name_mask = count - 1;
}

/* ---- nodes ---- */

static struct node *node_of_file(struct table *t, const struct host_stat *st)
{
    uint32_t hash = node_hash(st->dev, st->ino);
    for (struct node *n = t->nodes[hash & t->node_mask]; n; n = n->next_in_bucket)
        if (n->ino == st->ino && n->dev == st->dev)
            return n;
    return NULL;
}

static void unhash_node(struct table *t, struct node *node)
{
    struct node **at = &t->nodes[node->hash & t->node_mask];
    while (*at && *at != node)
        at = &(*at)->next_in_bucket;
    if (!*at)
        return; /* out of reach already */
    *at = node->next_in_bucket;
    t->node_count--;
}

/* Again, if it is not: it was without a name for a moment. */
static void hash_node(struct table *t, struct node *n)
{
    struct node **bucket = &t->nodes[n->hash & t->node_mask];
    for (const struct node *other = *bucket; other; other = other->next_in_bucket)
        if (other == n)
            return;
    n->next_in_bucket = *bucket;
    *bucket = n;
    t->node_count++;
}

static struct node *new_node(struct table *t, const struct host_stat *st)
{
    struct node *n = t->nodes_alive < t->nodes_max ? calloc(1, sizeof(*n)) : NULL;
    if (n && !(n->id = ids_add(&t->ids, n))) {
        free(n);
        n = NULL;
    }
    if (!n)
        return NULL;
    t->nodes_alive++;
    if (t->node_count > t->node_mask)
        grow_nodes(t);
    n->dev = st->dev;
    n->ino = st->ino;
    n->type = st->mode & 0170000;
    n->hash = node_hash(st->dev, st->ino);
    hash_node(t, n);
    return n;
}

/* ---- names ---- */

static struct name **find_name(struct table *t, const struct node *parent, const char *text)
{
    uint32_t hash = name_hash(parent, text);
    struct name **at = &t->names[hash & t->name_mask];
    while (*at && ((*at)->hash != hash || (*at)->parent != parent || strcmp((*at)->text, text)))
        at = &(*at)->next_in_bucket;
    return at;
}

static bool add_name(struct table *t, struct node *parent, const char *text, struct node *node)
{
    size_t length = strlen(text) + 1;
    struct name *n = t->name_count < TABLE_NAMES_MAX ? malloc(sizeof(*n) + length) : NULL;
    if (!n)
        return false;
    if (t->name_count > t->name_mask)
        grow_names(t);
    memcpy(n->text, text, length);
    n->parent = parent;
    n->node = node;
    n->hash = name_hash(parent, text);
    n->next_in_bucket = t->names[n->hash & t->name_mask];
    t->names[n->hash & t->name_mask] = n;
    n->next_of_node = node->names;
    node->names = n;
    parent->children++;
    t->name_count++;
    return true;
}

/* Kept as a list, not by recursion: a guest decides how deep directories lie in each other. */
static void doom(struct table *t, struct node *node)
{
    if (node->doomed || node->is_root || node->lookups || node->children || node->files)
        return;
    node->doomed = true;
    node->next_doomed = t->doomed;
    t->doomed = node;
}

/* Its parent may be doomed by that. */
static void delete_name(struct table *t, struct name **at)
{
    struct name *n = *at, **of_node = &n->node->names;
    *at = n->next_in_bucket;
    while (*of_node != n)
        of_node = &(*of_node)->next_of_node;
    *of_node = n->next_of_node;
    /* The host may give the inode number to a new file. */
    if (!n->node->names)
        unhash_node(t, n->node);
    n->parent->children--;
    doom(t, n->parent);
    free(n);
    t->name_count--;
}

/* All that are doomed and still to go, and whatever that dooms. */
static void sweep(struct table *t)
{
    while (t->doomed) {
        struct node *node = t->doomed;
        t->doomed = node->next_doomed;
        node->doomed = false;
        if (node->lookups || node->children || node->files)
            continue;
        while (node->names)
            delete_name(t, find_name(t, node->names->parent, node->names->text));
        unhash_node(t, node);
        ids_remove(&t->ids, node->id);
        t->nodes_alive--;
        free(node);
    }
}

void table_drop(struct table *t, struct node *node)
{
    doom(t, node);
    sweep(t);
}

void table_fini(struct table *t)
{
    for (uint32_t k = 0; t->names && k <= t->name_mask; k++)
        for (struct name *n = t->names[k], *next; n; n = next) {
            next = n->next_in_bucket;
            free(n);
        }
    for (uint32_t k = 0; k < t->ids.count; k++)
        free(ids_at(&t->ids, k));
    ids_fini(&t->ids);
    free(t->names);
    free(t->nodes);
    *t = (struct table){0};
}

struct node *table_find(struct table *t, struct node *parent, const char *text)
{
    struct name *n = *find_name(t, parent, text);
    return n ? n->node : NULL;
}

void table_remove_name(struct table *t, struct node *parent, const char *text)
{
    struct name **at = find_name(t, parent, text);
    struct node *node = *at ? (*at)->node : NULL;
    if (!node)
        return;
    delete_name(t, at);
    table_drop(t, node);
}

/* Paths are made of a node's first name: the one seen last, since the host may move things. */
static void prefer(struct name *name)
{
    struct name **at = &name->node->names;
    while (*at != name)
        at = &(*at)->next_of_node;
    *at = name->next_of_node;
    name->next_of_node = name->node->names;
    name->node->names = name;
}

struct node *table_enter(struct table *t, struct node *parent, const char *text,
                         const struct host_stat *st)
{
    struct node *node = node_of_file(t, st);
    /* A number that the host has used again for something of another type. */
    if (node && node->type != (st->mode & 0170000)) {
        unhash_node(t, node);
        node = NULL;
    }
    struct name *name = *find_name(t, parent, text);
    struct node *known = name ? name->node : NULL;
    if (known && known == node) {
        prefer(name);
        return node;
    }
    if (!node && !(node = new_node(t, st)))
        return NULL;
    node->lookups++; /* stays while the old name goes */
    if (known)
        table_remove_name(t, parent, text);
    bool named = add_name(t, parent, text, node);
    node->lookups--;
    if (!named) {
        table_drop(t, node);
        return NULL;
    }
    return node;
}

void table_rename(struct table *t, struct node *from, const char *from_text, struct node *to,
                  const char *to_text, bool exchange)
{
    struct node *moved = table_find(t, from, from_text);
    struct node *other = exchange ? table_find(t, to, to_text) : NULL;
    struct node *kept[] = {moved, other, from, to};
    for (unsigned k = 0; k < 4; k++)
        if (kept[k])
            kept[k]->lookups++;
    struct name **target = find_name(t, to, to_text);
    if (*target && (*target)->node == moved)
        goto done; /* two links of one file: nothing happens */
    if (*target) {
        struct node *replaced = (*target)->node;
        delete_name(t, target);
        doom(t, replaced);
    }
    /* Its new name first: without any it would be out of reach. */
    if (moved)
        add_name(t, to, to_text, moved);
    struct name **source = find_name(t, from, from_text);
    if (*source)
        delete_name(t, source);
    if (other && add_name(t, from, from_text, other))
        hash_node(t, other);
done:
    for (unsigned k = 0; k < 4; k++)
        if (kept[k]) {
            kept[k]->lookups--;
            table_drop(t, kept[k]);
        }
}

void table_forget(struct table *t, struct node *node, uint64_t count)
{
    node->lookups -= count < node->lookups ? count : node->lookups;
    table_drop(t, node);
}

/* ---- paths ---- */

int node_path(const struct node *node, const char *text, char *path, size_t bytes)
{
    size_t at = bytes;
    path[--at] = 0;
    if (text) {
        size_t length = strlen(text);
        if (length + 1 > at)
            return -ENAMETOOLONG;
        memcpy(path + (at -= length), text, length);
    }
    while (!node->is_root) {
        const struct name *n = node->names;
        if (!n)
            return -ESTALE;
        size_t length = strlen(n->text), slash = path[at] != 0;
        if (length + slash > at)
            return -ENAMETOOLONG;
        if (slash)
            path[--at] = '/';
        memcpy(path + (at -= length), n->text, length);
        node = n->parent;
    }
    memmove(path, path + at, bytes - at);
    return 0;
}
