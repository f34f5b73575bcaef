/* SPDX-License-Identifier: MIT */
/*
 * fs_guard.c - SIGBUS in a window. A file that becomes shorter takes its pages out of whatever maps
 * it, and an access there is a SIGBUS of the thread that made it: translated code, a copy in C. The
 * handler puts zeros there and returns, so the access is made again; whoever owns the
 * window finds the slot marked.
 *
 * A signal belongs to the process, so this is the one place with state outside machines: a list of
 * ranges that the handler reads without a lock. It is installed with a range, if it is not there,
 * and stays; what is none of ours goes to the handler that was there before.
 */
#include "hostcall/fs_guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARDS 256
/* Pages that become zeros one by one. Each splits a mapping, and the host has only so many for a
 * process (65530): a guest that cuts its file could use them up. */
#define SINGLE_PAGES 1024u

struct fs_guard {
    _Atomic(uintptr_t) start; /* 0: free; set last */
    uint64_t bytes;
    uint8_t *lost;
    uint8_t single_pages; /* in a slot, before all behind becomes zeros, too */
    atomic_uint hits;
};

static struct fs_guard guards[GUARDS];
static pthread_mutex_t guards_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before;

static bool give_page(uintptr_t address)
{
    for (unsigned k = 0; k < GUARDS; k++) {
        struct fs_guard *g = &guards[k];
        uintptr_t start = atomic_load_explicit(&g->start, memory_order_acquire);
        if (!start || address < start || address - start >= g->bytes)
            continue;
        uintptr_t page = address & ~(uintptr_t)0xfff;
        uint8_t *lost = &g->lost[(address - start) >> FS_SLOT_LOG2];
        bool single = __atomic_load_n(lost, __ATOMIC_RELAXED) < g->single_pages;
        uintptr_t end = single ? page + 4096 : (page | (FS_SLOT_BYTES - 1)) + 1;
        if (mmap((void *)page, end - page, PROT_READ | PROT_WRITE,
                 MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) == MAP_FAILED)
            return false;
        if (single)
            __atomic_fetch_add(lost, 1, __ATOMIC_RELAXED);
        atomic_fetch_add(&g->hits, 1);
        return true;
    }
    return false;
}

/* Only what may be done in a signal handler. */
static void on_sigbus(int number, siginfo_t *info, void *context)
{
    int kept = errno;
    if (info->si_code > 0 && give_page((uintptr_t)info->si_addr)) {
        errno = kept;
        return;
    }
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    } else {
        signal(SIGBUS, SIG_DFL); /* it happens again at once, or was sent */
        if (info->si_code <= 0)
            kill(getpid(), SIGBUS);
    }
    errno = kept;
}

static bool install(void)
{
    struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    struct sigaction now;
    if (sigaction(SIGBUS, NULL, &now) < 0)
        return false;
    if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_sigbus)
        return true;
    before = now;
    return sigaction(SIGBUS, &action, NULL) == 0;
}

struct fs_guard *fs_guard_add(void *start, uint64_t bytes, uint8_t *lost)
{
    struct fs_guard *found = NULL;
    pthread_mutex_lock(&guards_lock);
    bool ready = install();
    for (unsigned k = 0; ready && k < GUARDS && !found; k++)
        if (!atomic_load(&guards[k].start))
            found = &guards[k];
    if (found) {
        found->bytes = bytes;
        found->lost = lost;
        uint64_t share = SINGLE_PAGES / (bytes >> FS_SLOT_LOG2);
        found->single_pages = (uint8_t)(share < 1 ? 1 : share > 100 ? 100 : share);
        atomic_store(&found->hits, 0);
        atomic_store_explicit(&found->start, (uintptr_t)start, memory_order_release);
    }
    pthread_mutex_unlock(&guards_lock);
    return found;
}

void fs_guard_remove(struct fs_guard *guard)
{
    if (guard)
        atomic_store(&guard->start, 0);
}

unsigned fs_guard_hits(const struct fs_guard *guard)
{
    return atomic_load(&guard->hits);
}
