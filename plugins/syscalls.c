/* SPDX-License-Identifier: MIT */
/*
 * syscalls.c - traces the system calls of a Linux guest, as strace prints them.
 *
 *   weir -plugin syscalls.so[,out=FILE][,exe=NAME][,cr3=N][,counts]
 *
 * exe=NAME: only of programs whose file has that name, from their execve on. A program is known by
 * its address space: the next one from which a first call comes. counts: a table at the end instead
 * of lines.
 */
#include "options.h"

#include <weir/plugin.h>

const unsigned weir_plugin_version = WEIR_PLUGIN_VERSION;

#include "syscall_names.h"

#define SPACES_MAX 4096u
#define MINE_MAX   64u

struct tracer {
    weir *vm;
    FILE *out;
    char exe[256];
    bool counts, awaited;    /* awaited: an execve of `exe` is on its way */
    uint64_t mine[MINE_MAX]; /* address spaces of `exe` */
    unsigned mine_count;
    uint64_t known[SPACES_MAX]; /* whose program has made calls, and is not at its end */
    unsigned known_count;
    unsigned long long count[2][512], errors[2][512];
};

/* Without the half that page-table isolation switches by. */
static uint64_t space_of(uint64_t cr3)
{
    return cr3 >> 13 << 13 & 0x000fffffffffffffull;
}

static bool is_among(const uint64_t *list, unsigned count, uint64_t space)
{
    for (unsigned k = 0; k < count; k++)
        if (list[k] == space)
            return true;
    return false;
}

static void add(uint64_t *list, unsigned *count, unsigned most, uint64_t space)
{
    if (is_among(list, *count, space))
        return;
    for (unsigned k = 0; k < *count; k++)
        if (list[k] == UINT64_MAX) { /* forgotten */
            list[k] = space;
            return;
        }
    if (*count < most)
        list[(*count)++] = space;
    else
        list[space >> 13 & (most - 1)] = space;
}

static void forget(uint64_t *list, unsigned count, uint64_t space)
{
    for (unsigned k = 0; k < count; k++)
        if (list[k] == space)
            list[k] = UINT64_MAX;
}

static bool wanted(const struct tracer *t, uint64_t cr3)
{
    return !t->exe[0] || is_among(t->mine, t->mine_count, space_of(cr3));
}

static const char *name_of(bool wide, uint64_t number)
{
    const char *name = number < 512 ? (wide ? names_64 : names_32)[number] : NULL;
    return name ? name : "?";
}

/* ---- arguments ---- */

/* Which arguments are paths (bits), and how many there are. */
static const struct shape {
    const char *name;
    uint8_t paths, count;
} shapes[] = {
    {"execve", 1, 3},
    {"open", 1, 3},
    {"openat", 2, 4},
    {"stat", 1, 2},
    {"lstat", 1, 2},
    {"newfstatat", 2, 4},
    {"access", 1, 2},
    {"faccessat", 2, 3},
    {"faccessat2", 2, 4},
    {"readlink", 1, 3},
    {"readlinkat", 2, 4},
    {"unlink", 1, 1},
    {"unlinkat", 2, 3},
    {"mkdir", 1, 2},
    {"mkdirat", 2, 3},
    {"chdir", 1, 1},
    {"mount", 3, 5},
    {"statx", 2, 5},
    {"rename", 3, 2},
    {"read", 0, 3},
    {"write", 0, 3},
    {"close", 0, 1},
    {"exit", 0, 1},
    {"exit_group", 0, 1},
    {"brk", 0, 1},
    {"mmap", 0, 6},
    {"munmap", 0, 2},
    {"mprotect", 0, 3},
    {"getpid", 0, 0},
    {"ioctl", 0, 3},
    {"dup2", 0, 2},
    {"pipe2", 0, 2},
    {"wait4", 0, 4},
    {"getuid", 0, 0},
    {"geteuid", 0, 0},
    {"uname", 0, 1},
    {"vfork", 0, 0},
    {"fork", 0, 0},
    {"getppid", 0, 0},
    {"fstat", 0, 2},
    {"lseek", 0, 3},
    {"rt_sigaction", 0, 4},
    {"rt_sigprocmask", 0, 4},
    {"set_tid_address", 0, 1},
};

static const struct shape *shape_of(const char *name)
{
    for (unsigned k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++)
        if (!strcmp(shapes[k].name, name))
            return &shapes[k];
    return NULL;
}

static bool guest_text(weir_vcpu *cpu, uint64_t at, char *text, size_t bytes)
{
    size_t n = 0;
    for (; n + 1 < bytes; n++)
        if (weir_virt_read(cpu, at + n, text + n, 1) < 0 || !text[n])
            break;
    text[n] = 0;
    return n || at;
}

static void print_call(struct tracer *t, weir_vcpu *cpu, bool wide, uint64_t number,
                       const uint64_t argument[6])
{
    const char *name = name_of(wide, number);
    const struct shape *s = shape_of(name);
    unsigned count = s ? s->count : 6;
    fprintf(t->out, "[%llx] %s(", (unsigned long long)weir_reg_get_u64(cpu, WEIR_CR3) >> 12,
            name);
    for (unsigned k = 0; k < count; k++) {
        char text[256];
        if (s && s->paths >> k & 1 && guest_text(cpu, argument[k], text, sizeof(text)))
            fprintf(t->out, "%s\"%s\"", k ? ", " : "", text);
        else
            fprintf(t->out, "%s%#llx", k ? ", " : "", (unsigned long long)argument[k]);
    }
    fprintf(t->out, ")");
}

static void print_result(struct tracer *t, bool wide, uint64_t result)
{
    long long value = wide ? (long long)result : (long long)(int32_t)result;
    if (value < 0 && value > -4096)
        fprintf(t->out, " = -1 %s\n",
                strerrorname_np((int)-value) ? strerrorname_np((int)-value) : "?");
    else
        fprintf(t->out, " = %#llx\n", (unsigned long long)value);
}

/* ---- events ---- */

static bool starts_exe(struct tracer *t, weir_vcpu *cpu, const struct weir_syscall_event *e)
{
    char path[1024], *base;
    if (!t->exe[0] || strcmp(name_of(e->is_64bit, e->number), "execve") ||
        !guest_text(cpu, e->argument[0], path, sizeof(path)))
        return false;
    base = strrchr(path, '/');
    return !strcmp(base ? base + 1 : path, t->exe);
}

static bool comes_back(bool wide, uint64_t number)
{
    const char *name = name_of(wide, number);
    return strcmp(name, "execve") && strcmp(name, "exit") && strcmp(name, "exit_group") &&
           strcmp(name, "rt_sigreturn") && strcmp(name, "sigreturn");
}

/* Lines are printed when a call returns; those that do not, at once. */
static unsigned called(void *ctx, weir_vcpu *cpu, struct weir_syscall_event *e)
{
    struct tracer *t = ctx;
    uint64_t space = space_of(e->head.cr3);
    const char *name = name_of(e->is_64bit, e->number);
    if (t->awaited && !is_among(t->known, t->known_count, space)) {
        t->awaited = false;
        add(t->mine, &t->mine_count, MINE_MAX, space);
    }
    add(t->known, &t->known_count, SPACES_MAX, space);
    bool starts = starts_exe(t, cpu, e), shown = starts || wanted(t, e->head.cr3);
    t->awaited |= starts;
    if (!strcmp(name, "exit_group") || !strcmp(name, "execve")) { /* others may get its pages */
        forget(t->mine, t->mine_count, space);
        forget(t->known, t->known_count, space);
    }
    if (!shown)
        return WEIR_CONTINUE;
    t->count[e->is_64bit][e->number & 511]++;
    if (!t->counts && !comes_back(e->is_64bit, e->number)) {
        print_call(t, cpu, e->is_64bit, e->number, e->argument);
        fprintf(t->out, "\n");
    }
    return WEIR_CONTINUE;
}

static unsigned returned(void *ctx, weir_vcpu *cpu, struct weir_sysret_event *e)
{
    struct tracer *t = ctx;
    if (t->awaited && !strcmp(name_of(e->is_64bit, e->number), "execve"))
        t->awaited = false; /* it failed */
    if (!wanted(t, e->head.cr3))
        return WEIR_CONTINUE;
    int64_t value = e->is_64bit ? (int64_t)e->result : (int32_t)e->result;
    t->errors[e->is_64bit][e->number & 511] += value < 0 && value > -4096;
    if (t->counts || !comes_back(e->is_64bit, e->number))
        return WEIR_CONTINUE;
    print_call(t, cpu, e->is_64bit, e->number, e->argument);
    print_result(t, e->is_64bit, e->result);
    return WEIR_CONTINUE;
}

int weir_plugin_start(weir *vm, const char *options, void **state, const char **error)
{
    struct weir_filter f = {.by = WEIR_BY_CPL, .cpls = 8};
    unsigned long long number;
    char text[8];
    if (!options_known(options, "out,exe,counts,cr3")) {
        *error = "unknown option; there are out=, exe=, counts, cr3=";
        return -1;
    }
    struct tracer *t = calloc(1, sizeof(*t));
    if (!t || !(t->out = option_out(options, NULL))) {
        *error = "cannot write to out=";
        free(t);
        return -1;
    }
    t->vm = vm;
    option_text(options, "exe", t->exe, sizeof(t->exe));
    t->counts = option_text(options, "counts", text, sizeof(text));
    if (option_number(options, "cr3", &number)) {
        f.by |= WEIR_BY_CR3;
        f.cr3 = number;
    }
    *state = t;
    int rc = weir_on_syscall(vm, &f, called, t, NULL);
    if (rc == 0)
        rc = weir_on_sysret(vm, &f, returned, t, NULL);
    return rc;
}

void weir_plugin_end(weir *vm, void *state)
{
    struct tracer *t = state;
    for (unsigned wide = 0; t->counts && wide < 2; wide++)
        for (unsigned n = 0; n < 512; n++)
            if (t->count[wide][n])
                fprintf(t->out, "%10llu calls %8llu errors  %s%s\n", t->count[wide][n],
                        t->errors[wide][n], name_of(wide, n), wide ? "" : " (32-bit)");
    if (t->out != stderr)
        fclose(t->out);
    free(t);
}
