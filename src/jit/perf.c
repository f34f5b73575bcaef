/* SPDX-License-Identifier: MIT */
/*
 * perf.c - names of translated code for perf(1).
 *
 *   map    /tmp/perf-PID.map: "START SIZE NAME" lines, all hexadecimal; perf report reads it
 *   dump   jit-PID.dump: records with the code itself and the time it was made, for
 *          `perf record -k 1` and `perf inject -j`; also right when addresses are used again
 *
 * Layout of the dump: tools/perf/Documentation/jitdump-specification.txt of Linux. perf learns of
 * the file because a page of it is mapped executable.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "jit/view.h"

#define DUMP_MAGIC   0x4a695444u
#define DUMP_VERSION 1u
#define DUMP_LOAD    0u
#define ELF_X86_64   62u
#define FIRST_MISS   16u /* number of the first stub that is a slow path of a memory operand */

typedef void tell_fn(struct perf_files *p, uint64_t code, size_t bytes, const char *name);

struct dump_header {
    uint32_t magic, version, bytes, machine, pad, pid;
    uint64_t time_ns, flags;
};
struct dump_load {
    uint32_t id, bytes;
    uint64_t time_ns;
    uint32_t pid, tid;
    uint64_t vma, address, code_bytes, index;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* All of it, or the file is given up: a torn record would spoil what follows. */
static void write_all(int *fd, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    while (bytes && *fd >= 0) {
        ssize_t n = write(*fd, p, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            close(*fd);
            *fd = -1;
            return;
        }
        p += n;
        bytes -= (size_t)n;
    }
}

void perf_init(struct perf_files *p)
{
    *p = (struct perf_files){.map = -1, .dump = -1};
}

void perf_fini(struct perf_files *p)
{
    if (p->map >= 0)
        close(p->map);
    if (p->dump >= 0)
        close(p->dump);
    if (p->mark)
        munmap(p->mark, 4096);
}

static void map_code(struct perf_files *p, uint64_t code, size_t bytes, const char *name)
{
    char line[128];
    int n =
        snprintf(line, sizeof(line), "%llx %zx %s\n", (unsigned long long)code, bytes, name);
    write_all(&p->map, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static void dump_code(struct perf_files *p, uint64_t code, size_t bytes, const char *name)
{
    size_t name_bytes = strlen(name) + 1;
    struct dump_load load = {.id = DUMP_LOAD,
                             .bytes = (uint32_t)(sizeof(load) + name_bytes + bytes),
                             .time_ns = now_ns(),
                             .pid = (uint32_t)getpid(),
                             .tid = (uint32_t)syscall(SYS_gettid),
                             .vma = code,
                             .address = code,
                             .code_bytes = bytes,
                             .index = p->blocks++};
    write_all(&p->dump, &load, sizeof(load));
    write_all(&p->dump, name, name_bytes);
    write_all(&p->dump, (const void *)(uintptr_t)code, bytes);
}

void perf_code(struct perf_files *p, uint64_t code, size_t bytes, const char *name)
{
    if (p->map >= 0)
        map_code(p, code, bytes, name);
    if (p->dump >= 0)
        dump_code(p, code, bytes, name);
}

/* ---- opening ---- */

/* Both names can be guessed: what somebody else has put there is not written to. */
static int open_own(const char *path, int flags)
{
    struct stat st;
    int fd = open(path, flags | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
        st.st_nlink == 1)
        return fd;
    close(fd);
    errno = EPERM;
    return -1;
}

/* ---- stubs ---- */

static bool stub_of(const struct jit *jit, unsigned n, uint64_t *code, const char **name)
{
    static const char *const sets[] = {"user", "supervisor_ac", "supervisor"};
    _Static_assert(ARRAY_SIZE(sets) == SET_COUNT && SET_SUPER == 2, "in their order");
    const struct {
        uint64_t code;
        const char *name;
    } one[] = {{jit->enter, "enter"},
               {jit->leave, "leave"},
               {jit->site_call, "call"},
               {jit->exit_live, "exit_live"},
               {jit->exit_saved, "exit_saved"},
               {jit->exit_indirect, "exit_indirect"},
               {jit->fpu_load, "fpu_load"},
               {jit->fpu_save, "fpu_save"},
               {jit->fpu_need[0][FPU_SSE], "fpu_need_sse"},
               {jit->fpu_need[0][FPU_AVX], "fpu_need_avx"},
               {jit->fpu_need[0][FPU_AVX512], "fpu_need_avx512"},
               {jit->fpu_need[1][FPU_NONE], "fpu_need_x87"},
               {jit->jump_second, "jump_second"},
               {jit->strings[0][0][0], "strings"},
               {jit->write_miss, "write_miss"},
               {jit->read_miss, "read_miss"}};
    _Static_assert(ARRAY_SIZE(one) == FIRST_MISS, "then come the slow paths");
    if (n < ARRAY_SIZE(one)) {
        *code = one[n].code;
        *name = one[n].name;
        return true;
    }
    n -= ARRAY_SIZE(one);
    if (n >= 2 * SET_COUNT)
        return false;
    *code = jit->slot_miss[n / 2][n & 1];
    *name = sets[n / 2];
    return true;
}

static void stubs_tell(struct jit *jit, struct perf_files *p, tell_fn *tell)
{
    uint64_t code, other, end = (uint64_t)(uintptr_t)jit->code_rx + jit->stub_bytes;
    const char *name, *ignored;
    char text[64];
    for (unsigned n = 0; stub_of(jit, n, &code, &name); n++) {
        uint64_t next = end;
        for (unsigned k = 0; stub_of(jit, k, &other, &ignored); k++)
            if (other > code && other < next)
                next = other;
        unsigned miss = n - FIRST_MISS;
        if (n >= FIRST_MISS)
            snprintf(text, sizeof(text), "weir slot_miss %s %s", miss & 1 ? "write" : "read",
                     name);
        else
            snprintf(text, sizeof(text), "weir %s", name);
        tell(p, code, next - code, text);
    }
}

int jit_perf_map(struct vcpu *c, const char *path, struct err *err)
{
    struct perf_files *p = &c->jit->view->perf;
    if (p->map >= 0)
        return 0;
    p->map = open_own(path, O_WRONLY | O_APPEND);
    if (p->map < 0)
        return err_errno(err, "%s", path);
    stubs_tell(c->jit, p, map_code);
    return 0;
}

int jit_perf_dump(struct vcpu *c, const char *path, struct err *err)
{
    struct perf_files *p = &c->jit->view->perf;
    if (p->dump >= 0)
        return 0;
    p->dump = open_own(path, O_RDWR | O_TRUNC);
    if (p->dump < 0)
        return err_errno(err, "%s", path);
    p->mark = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, p->dump, 0);
    if (p->mark == MAP_FAILED)
        p->mark = NULL;
    struct dump_header head = {.magic = DUMP_MAGIC,
                               .version = DUMP_VERSION,
                               .bytes = sizeof(head),
                               .machine = ELF_X86_64,
                               .pid = (uint32_t)getpid(),
                               .time_ns = now_ns()};
    write_all(&p->dump, &head, sizeof(head));
    stubs_tell(c->jit, p, dump_code);
    return 0;
}
