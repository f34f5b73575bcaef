/* SPDX-License-Identifier: MIT */
/*
 * structures.c - kernels about data structures: pointer chasing in and out of the caches, sort,
 * hash table, binary tree, sieve.
 */
#include <stdlib.h>
#include <string.h>
#include "kernels.h"

/* ---- pointer chase: one random cycle through nodes of a cache line -------------------- */

struct node {
    struct node *next;
    uint32_t value;
} __attribute__((aligned(64)));

static struct node *nodes;

static void make_cycle(uint32_t count)
{
    uint32_t seed = 12345;
    uint32_t *order = malloc(count * sizeof(*order));
    free(nodes);
    nodes = aligned_alloc(64, count * sizeof(*nodes));
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    for (uint32_t i = count - 1; i; i--) {
        uint32_t j = next_random(&seed) % i, swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (uint32_t i = 0; i < count; i++) {
        nodes[order[i]].next = &nodes[order[i + 1 == count ? 0 : i + 1]];
        nodes[order[i]].value = i;
    }
    free(order);
}

static void setup_small_cycle(void)
{
    make_cycle(16384 / sizeof(struct node));
}

static void setup_large_cycle(void)
{
    make_cycle((16 << 20) / sizeof(struct node));
}

static uint64_t run_chase(uint64_t n)
{
    const struct node *p = nodes;
    for (; n; n--)
        p = p->next;
    return p->value;
}

/* ---- sort: quicksort by the middle of three, insertion for short parts ---------------- */

enum { SORTED = 1024 };
static uint32_t unsorted[SORTED], work[SORTED];

static void setup_sort(void)
{
    uint32_t seed = 99;
    for (int i = 0; i < SORTED; i++)
        unsorted[i] = next_random(&seed) >> 3;
}

static void insertion_sort(uint32_t *a, int count)
{
    for (int i = 1; i < count; i++) {
        uint32_t value = a[i];
        int j = i;
        for (; j > 0 && a[j - 1] > value; j--)
            a[j] = a[j - 1];
        a[j] = value;
    }
}

static uint32_t middle(uint32_t a, uint32_t b, uint32_t c)
{
    if (a > b) {
        uint32_t t = a;
        a = b;
        b = t;
    }
    return c < a ? a : c > b ? b : c;
}

static NOINLINE void quick_sort(uint32_t *a, int count)
{
    while (count > 12) {
        uint32_t pivot = middle(a[0], a[count / 2], a[count - 1]);
        int i = -1, j = count;
        for (;;) {
            while (a[++i] < pivot)
                ;
            while (a[--j] > pivot)
                ;
            if (i >= j)
                break;
            uint32_t t = a[i];
            a[i] = a[j];
            a[j] = t;
        }
        quick_sort(a + j + 1, count - j - 1);
        count = j + 1;
    }
    insertion_sort(a, count);
}

static uint64_t run_sort(uint64_t n)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        memcpy(work, unsorted, sizeof(work));
        work[i % SORTED] ^= (uint32_t)i;
        quick_sort(work, SORTED);
        sum = mix(sum, work[(i * 37) % SORTED]);
    }
    return sum;
}

/* ---- hash table with open addressing: insertion, lookup and removal ------------------- */

enum { SLOTS = 1 << 14 };
static struct slot {
    uint32_t key, value;
} slots[SLOTS];

static NOINLINE struct slot *find_slot(uint32_t key)
{
    uint32_t i = (key * 2654435769u) >> 18;
    while (slots[i].key && slots[i].key != key)
        i = (i + 1) & (SLOTS - 1);
    return &slots[i];
}

static uint64_t run_hash(uint64_t n)
{
    uint32_t seed = 7;
    uint64_t sum = 0;
    memset(slots, 0, sizeof(slots));
    for (uint64_t i = 0; i < n; i++) {
        uint32_t key = next_random(&seed) % 10000 + 1;
        struct slot *s = find_slot(key);
        if (s->key)
            sum += s->value++;
        else
            s->key = key;
    }
    return sum;
}

/* ---- binary search tree: built from a pool, walked by recursion ----------------------- */

enum { TREE_NODES = 1000 };
struct tree {
    struct tree *child[2];
    uint32_t key;
};
static struct tree pool[TREE_NODES];

static NOINLINE uint32_t walk(const struct tree *t, uint32_t depth)
{
    return t ? t->key % 97 * depth + walk(t->child[0], depth + 1) + walk(t->child[1], depth + 1)
             : 0;
}

static uint64_t run_tree(uint64_t n)
{
    uint64_t sum = 0;
    uint32_t seed = 4711;
    while (n--) {
        struct tree *root = NULL;
        for (uint32_t i = 0; i < TREE_NODES; i++) {
            struct tree **place = &root, *t = &pool[i];
            t->child[0] = t->child[1] = NULL;
            t->key = next_random(&seed);
            while (*place)
                place = &(*place)->child[t->key > (*place)->key];
            *place = t;
        }
        sum = mix(sum, walk(root, 1));
    }
    return sum;
}

/* ---- sieve of Eratosthenes ------------------------------------------------------------ */

enum { SIEVE = 32768 };
static uint8_t composite[SIEVE];

static uint64_t run_sieve(uint64_t n)
{
    uint64_t sum = 0;
    while (n--) {
        uint32_t primes = 0;
        memset(composite, 0, sizeof(composite));
        for (uint32_t i = 2; i < SIEVE; i++) {
            if (composite[i])
                continue;
            primes++;
            for (uint32_t j = i * 2; j < SIEVE; j += i)
                composite[j] = 1;
        }
        sum = mix(sum, primes);
    }
    return sum;
}

const struct kernel structure_kernels[] = {
    {"chase16k", GROUP_C, setup_small_cycle, run_chase, 1000, 0xa6, NULL},
    {"chase16m", GROUP_C, setup_large_cycle, run_chase, 1000, 0x3f80e, NULL},
    {"sort", GROUP_C, setup_sort, run_sort, 10, 0xc345053362866d02, NULL},
    {"hash", GROUP_C, NULL, run_hash, 20000, 0x21d6, NULL},
    {"tree", GROUP_C, NULL, run_tree, 4, 0x7d5f4f9a883d2eba, NULL},
    {"sieve", GROUP_C, NULL, run_sieve, 3, 0xa6e89b4327821e0c, NULL},
    {0},
};
