/* SPDX-License-Identifier: MIT */
/* faults.c - see faults.h. */
#include "jit/faults.h"

#include <asm/hwcap2.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <ucontext.h>
#include <unistd.h>

#define SITE_UNIT   16u
#define SEARCH_MAX  16u /* granules back to where a site begins */
#define SITE_LENGTH 128u

static _Thread_local const struct fault_map *running;
static struct sigaction before;
static pthread_mutex_t install_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- which site ---- */

static const struct fault_site *site_at(const struct fault_map *m, uint32_t number)
{
    size_t at = (size_t)(number - 1) * SITE_UNIT;
    return number ? (const struct fault_site *)(m->arena + at) : NULL;
}

void fault_site_add(struct fault_map *m, struct fault_site *site)
{
    uint32_t *of = &m->newest[(site->begin - m->code) / FAULT_GRANULE];
    site->before = *of;
    *of = (uint32_t)((size_t)((const uint8_t *)site - m->arena) / SITE_UNIT) + 1;
}

/* The last one that begins at or before `rip`. */
static const struct fault_site *find_site(const struct fault_map *m, uint64_t rip)
{
    uint64_t granule = (rip - m->code) / FAULT_GRANULE;
    for (unsigned k = 0; k < SEARCH_MAX && k <= granule; k++) {
        const struct fault_site *s = site_at(m, m->newest[granule - k]);
        while (s && s->begin > rip)
            s = site_at(m, s->before);
        if (s)
            return rip - s->begin < SITE_LENGTH ? s : NULL;
    }
    return NULL;
}

/* ---- the signal ---- */

static bool resolve(ucontext_t *u)
{
    const struct fault_map *m = running;
    uint64_t rip = (uint64_t)u->uc_mcontext.gregs[REG_RIP];
    const struct fault_site *site =
        m && rip - m->code < m->code_bytes ? find_site(m, rip) : NULL;
    if (!site)
        return false;
    u->uc_mcontext.gregs[REG_RIP] = (greg_t)site->lead;
    return true;
}

/* Only what may be done in a signal handler. */
static void on_sigsegv(int number, siginfo_t *info, void *context)
{
    if (info->si_code > 0 && resolve(context))
        return;
    int kept = errno;
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    } else {
        signal(SIGSEGV, SIG_DFL); /* it happens again at once, or was sent */
        if (info->si_code <= 0)
            kill(getpid(), SIGSEGV);
    }
    errno = kept;
}

void faults_install(void)
{
    struct sigaction now;
    struct sigaction action = {.sa_sigaction = on_sigsegv, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    pthread_mutex_lock(&install_lock);
    if (sigaction(SIGSEGV, NULL, &now) == 0 &&
        !(now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_sigsegv)) {
        before = now;
        sigaction(SIGSEGV, &action, NULL);
    }
    pthread_mutex_unlock(&install_lock);
}

/* ---- GS ---- */

bool faults_have_gs(void)
{
    return getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
}

void faults_set_gs(uint64_t base)
{
    __asm__ volatile("wrgsbase %0" : : "r"(base) : "memory");
}

void faults_enter(const struct fault_map *map, uint64_t gs, struct faults_scope *scope)
{
    scope->before = running;
    __asm__ volatile("rdgsbase %0" : "=r"(scope->gs));
    running = map;
    faults_set_gs(gs);
}

void faults_leave(const struct faults_scope *scope)
{
    faults_set_gs(scope->gs);
    running = scope->before;
}
