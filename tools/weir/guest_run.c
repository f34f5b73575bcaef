/* SPDX-License-Identifier: MIT */
/* guest_run.c - see guestrun.h. */
#include "guestrun.h"

#include <errno.h>
#include <stdarg.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/hostservice.h>

enum { BOOT_TIMEOUT_S = 120, CONSOLE_KEPT = 16384, PROGRESS_MS = 100 };

/* What the vCPU's thread writes, `stage` and the console, the loop's thread reads: under lock. */
struct guest_run {
    struct tool *tool;
    struct guest_kernel kernel;
    int initrd_fd;
    bool is_tty, line_shown;
    pthread_mutex_t lock;
    int64_t start_ms, command_ms;
    enum run_stage stage;
    bool failed, timed_out;
    char console[CONSOLE_KEPT]; /* the last of what the kernel has written, a ring */
    size_t console_bytes;       /* ever */
};

/* ---- telling people ---- */

static void clear_line(struct guest_run *g)
{
    if (g->line_shown)
        fputs("\r\033[K", stderr);
    g->line_shown = false;
}

static double seconds_since(int64_t ms)
{
    return (double)(host_time_ms() - ms) / 1000;
}

static char console_at(const struct guest_run *g, size_t at)
{
    return g->console[at % CONSOLE_KEPT];
}

/* The last whole line of the console, without control characters. */
static void last_line(const struct guest_run *g, char *line, size_t bytes)
{
    size_t end = g->console_bytes, least = end > 400 ? end - 400 : 0, n = 0;
    while (end > least && (unsigned char)console_at(g, end - 1) < ' ')
        end--;
    size_t start = end;
    while (start > least && console_at(g, start - 1) != '\n')
        start--;
    for (; start < end && n + 1 < bytes; start++)
        if ((unsigned char)console_at(g, start) >= ' ')
            line[n++] = console_at(g, start);
    line[n] = 0;
}

static void show_progress(struct guest_run *g)
{
    char line[60];
    last_line(g, line, sizeof(line));
    fprintf(stderr, "\r\033[Kweir: booting Linux %s: %.1f s  %s", g->kernel.version,
            seconds_since(g->start_ms), line);
    fflush(stderr);
    g->line_shown = true;
}

static void show_console(struct guest_run *g)
{
    size_t at = g->console_bytes > CONSOLE_KEPT ? g->console_bytes - CONSOLE_KEPT : 0;
    unsigned lines = 0;
    size_t start = g->console_bytes;
    while (start > at && lines < 30)
        lines += console_at(g, --start) == '\n';
    fprintf(stderr, "weir: the last that the kernel wrote:\n");
    for (; start < g->console_bytes; start++)
        if (console_at(g, start) != '\r')
            fputc(console_at(g, start), stderr);
    if (g->console_bytes && console_at(g, g->console_bytes - 1) != '\n')
        fputc('\n', stderr);
}

/* ---- what the guest says ---- */

static void console_output(void *ctx, const uint8_t *data, size_t length)
{
    struct guest_run *g = ctx;
    pthread_mutex_lock(&g->lock);
    for (size_t k = 0; k < length; k++)
        g->console[g->console_bytes++ % CONSOLE_KEPT] = (char)data[k];
    if (g->tool->options.run.verbose)
        fwrite(data, 1, length, stderr);
    pthread_mutex_unlock(&g->lock);
}

/* A reader that waits makes the guest wait; one that has gone makes it write into the void. */
static void write_out(int fd, const char *data, size_t length)
{
    while (length) {
        ssize_t done = write(fd, data, length);
        if (done < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, 1000);
            continue;
        }
        if (done < 0 && errno != EINTR)
            return;
        data += done > 0 ? done : 0;
        length -= done > 0 ? (size_t)done : 0;
    }
}

static unsigned serve_output(weir_call *call, void *block, void *ctx)
{
    struct run_bytes *b = block;
    struct guest_run *g = ctx;
    char buffer[65536];
    pthread_mutex_lock(&g->lock);
    clear_line(g);
    pthread_mutex_unlock(&g->lock);
    for (uint64_t at = 0, n; (n = weir_call_read(call, at, buffer, sizeof(buffer))) > 0;
         at += n) {
        write_out(b->stream == 2 ? STDERR_FILENO : STDOUT_FILENO, buffer, (size_t)n);
        b->done = (uint32_t)(at + n);
    }
    return 0;
}

static unsigned serve_input(weir_call *call, void *block, void *ctx)
{
    struct run_bytes *b = block;
    char buffer[4096];
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    uint64_t room = weir_call_bytes(call);
    (void)ctx;
    if (poll(&p, 1, 0) == 0)
        return WEIR_HC_EAGAIN;
    ssize_t n =
        read(STDIN_FILENO, buffer, room < sizeof(buffer) ? (size_t)room : sizeof(buffer));
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? WEIR_HC_EAGAIN : WEIR_HC_EIO;
    b->done = (uint32_t)weir_call_write(call, 0, buffer, (uint64_t)n);
    return 0;
}

static void announce_command(struct guest_run *g)
{
    const struct options *o = &g->tool->options;
    g->command_ms = host_time_ms();
    if (!o->run.quiet)
        fprintf(stderr, "weir: Linux %s is up after %.1f s; running: %s\n", g->kernel.version,
                seconds_since(g->start_ms), o->run.exec);
}

static unsigned serve_stage(weir_call *call, void *block, void *ctx)
{
    struct run_bytes *b = block;
    struct guest_run *g = ctx;
    char text[513];
    uint64_t length = weir_call_read(call, 0, text, sizeof(text) - 1);
    text[length] = 0;
    for (char *c = text; *c; c++)
        *c = (unsigned char)*c < ' ' ? '?' : *c;
    pthread_mutex_lock(&g->lock);
    clear_line(g);
    if (b->stream == RUN_STAGE_COMMAND && !g->command_ms)
        announce_command(g);
    else if ((b->stream == RUN_STAGE_FAILED && !g->failed) ||
             (b->stream == RUN_STAGE_NOTE && !g->command_ms))
        fprintf(stderr, "weir: in the guest: %s\n", text);
    g->failed |= b->stream == RUN_STAGE_FAILED;
    if (b->stream <= RUN_STAGE_FAILED)
        g->stage = (enum run_stage)b->stream;
    pthread_mutex_unlock(&g->lock);
    return 0;
}

/* ---- before the machine: what to boot ---- */

static bool complain(const char *text)
{
    fprintf(stderr, "weir: %s\n", text);
    return false;
}

static void set(struct strbuf *config, const char *format, ...) WEIR_PRINTF(2, 3);
static void set(struct strbuf *config, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        return;
    strbuf_add(config, text, (size_t)n + 1);
    free(text);
}

enum root_kind { ROOT_NONE, ROOT_SHARE, ROOT_DISK };

/* -root: a directory, a disk's image, "none"; without it this machine's own root directory,
 * unless an initrd was given. */
static int root_kind(struct options *o)
{
    struct stat st;
    if (!o->run.root)
        o->run.root = o->initrd ? "none" : "/";
    if (!strcmp(o->run.root, "none"))
        return ROOT_NONE;
    if (stat(o->run.root, &st) == 0)
        return S_ISDIR(st.st_mode) ? ROOT_SHARE : ROOT_DISK;
    fprintf(stderr, "weir: -root %s: %s\n", o->run.root, strerror(errno));
    return -1;
}

static bool add_root_disk(struct tool *t)
{
    struct drive_option *d = calloc(1, sizeof(*d));
    if (!d)
        return complain("out of memory");
    d->drive = (struct weir_drive){.size = sizeof(d->drive),
                                   .format = "raw",
                                   .interface_ = "virtio",
                                   .index = 0,
                                   .snapshot = true,
                                   .file = t->options.run.root};
    d->next = t->options.drives;
    t->options.drives = d;
    return true;
}

static void make_config(struct tool *t, enum root_kind root, bool has_modules,
                        struct strbuf *config)
{
    const struct options *o = &t->options;
    const struct guest_run *g = t->guest;
    set(config, "root=%s",
        root == ROOT_SHARE  ? "share:root"
        : root == ROOT_DISK ? "disk:/dev/vda"
                            : "none");
    if (root != ROOT_NONE && has_modules)
        set(config, "mount=modules:ro,always:/lib/modules/%s", g->kernel.version);
    for (const struct share_option *s = o->run.shares; s; s = s->next)
        set(config, "mount=%s:%s%s:%s", s->name, s->read_only ? "ro," : "",
            s->writeback ? "writeback" : "", s->at);
    for (unsigned k = 0; k < o->run.env_count; k++)
        set(config, "env=%s", o->run.env[k]);
    if (o->run.cwd || o->run.shares)
        set(config, "cwd=%s", o->run.cwd ? o->run.cwd : o->run.shares->at);
    if (o->run.input)
        set(config, "stdin=1");
    set(config, "exec=%s", o->run.exec);
}

/* Needed ones must be there; wanted ones may be missing. */
static bool find_modules(const struct guest_kernel *k, enum root_kind root,
                         struct module_list *list)
{
    static const struct {
        const char *name;
        enum root_kind least, most;
        bool needed;
    } wanted[] = {
        {"fuse", ROOT_NONE, ROOT_DISK, true},
        {"virtio_pci", ROOT_NONE, ROOT_SHARE, false},
        {"virtiofs", ROOT_NONE, ROOT_DISK, false},
        {"overlay", ROOT_SHARE, ROOT_SHARE, true},
        {"overlay", ROOT_DISK, ROOT_DISK, false},
        {"virtio_pci", ROOT_DISK, ROOT_DISK, true},
        {"virtio_blk", ROOT_DISK, ROOT_DISK, true},
        {"crc32c_generic", ROOT_DISK, ROOT_DISK, false},
        {"ext4", ROOT_DISK, ROOT_DISK, false},
        {"squashfs", ROOT_DISK, ROOT_DISK, false},
    };
    for (unsigned n = 0; *k->modules && n < ARRAY_SIZE(wanted); n++) {
        if (root < wanted[n].least || root > wanted[n].most ||
            guest_module_add(list, k->modules, wanted[n].name) || !wanted[n].needed)
            continue;
        fprintf(stderr,
                "weir: %s: no module '%s' for Linux %s there\n"
                "weir: -modules DIR names the directory lib/modules/VERSION of this kernel\n",
                k->modules, wanted[n].name, k->version);
        return false;
    }
    if (!*k->modules)
        fprintf(stderr,
                "weir: warning: no modules of Linux %s found; unless FUSE is built in, give "
                "-modules DIR\n",
                k->version);
    return true;
}

static bool make_initrd(struct tool *t, enum root_kind root, struct strbuf *error)
{
    struct guest_run *g = t->guest;
    struct module_list modules = {.count = 0};
    struct strbuf config;
    strbuf_init(&config);
    bool good = find_modules(&g->kernel, root, &modules);
    make_config(t, root, *g->kernel.modules, &config);
    if (good)
        g->initrd_fd =
            guest_initrd_make(t->options.initrd, &g->kernel, &modules, &config, error);
    guest_modules_free(&modules);
    strbuf_free(&config);
    return good && g->initrd_fd >= 0;
}

static bool prepare(struct tool *t, struct strbuf *error)
{
    struct options *o = &t->options;
    struct guest_run *g = t->guest;
    if (!guest_kernel_find(&g->kernel, o->kernel, o->run.modules, error))
        return false;
    int root = root_kind(o);
    if (root < 0 || (root == ROOT_DISK && !add_root_disk(t)) ||
        !make_initrd(t, (enum root_kind)root, error))
        return false;
    snprintf(o->run.initrd_path, sizeof(o->run.initrd_path), "/proc/self/fd/%d", g->initrd_fd);
    o->kernel = g->kernel.path;
    o->initrd = o->run.initrd_path;
    snprintf(o->run.append, sizeof(o->run.append),
             "console=ttyS0 %s panic=-1 no_timer_check mitigations=off rdinit=/init %s",
             o->run.verbose ? "" : "quiet", o->append ? o->append : "");
    o->append = o->run.append;
    return true;
}

/* Each file that is open in the guest's shares is one here. */
static void allow_many_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

bool guest_run_prepare(struct tool *t)
{
    struct strbuf error;
    if (!t->options.run.exec)
        return true;
    allow_many_files();
    t->guest = calloc(1, sizeof(*t->guest));
    if (!t->guest)
        return complain("out of memory");
    t->guest->tool = t;
    t->guest->initrd_fd = -1;
    t->guest->is_tty =
        isatty(STDERR_FILENO) && !t->options.run.quiet && !t->options.run.verbose;
    pthread_mutex_init(&t->guest->lock, NULL);
    strbuf_init(&error);
    bool good = prepare(t, &error);
    if (!good && error.length)
        complain(error.data);
    strbuf_free(&error);
    return good;
}

/* ---- with the machine ---- */

static bool checked(struct tool *t, int error)
{
    return error >= 0 ? true : complain(tool_error(t));
}

/* Commas in a path are doubled, as option lists want. */
static bool add_share(struct tool *t, const char *name, const char *path, const char *more)
{
    struct strbuf options;
    strbuf_init(&options);
    strbuf_printf(&options, "share=%s,path=", name);
    for (const char *c = path; *c; c++)
        strbuf_add(&options, *c == ',' ? ",," : c, *c == ',' ? 2 : 1);
    strbuf_printf(&options, "%s", more);
    bool good = checked(t, weir_hostcall_enable(t->vm, options.data));
    strbuf_free(&options);
    return good;
}

/* Linux for 32 bits has no use for a window, and no place for it in its addresses. */
static const char *usual_window(const struct tool *t)
{
    return t->options.run.exec && t->guest->kernel.is_64bit ? "on" : "off";
}

static bool add_named_share(struct tool *t, const struct share_option *s)
{
    char more[64];
    int at = snprintf(more, sizeof(more), "%s", s->read_only ? ",ro" : "");
    bool usual = t->options.run.exec && !s->writeback;
    if (!s->no_device && (s->device || s->window || usual))
        snprintf(more + at, sizeof(more) - (size_t)at, ",virtiofs,dax=%.20s",
                 s->window ? s->window : usual_window(t));
    return add_share(t, s->name, s->path, more);
}

static bool add_root_share(struct tool *t)
{
    char more[64];
    snprintf(more, sizeof(more), ",ro,virtiofs,cache=always,dax=%s", usual_window(t));
    return add_share(t, "root", t->options.run.root, more);
}

static bool add_shares(struct tool *t)
{
    const struct options *o = &t->options;
    struct stat st;
    if (!o->run.exec && !o->run.shares)
        return true;
    if (!checked(t, weir_hostcall_enable(t->vm, "fs=on,console=on,control=on,time=on,args=on,"
                                                "random=on,log=on")))
        return false;
    for (const struct share_option *s = o->run.shares; s; s = s->next)
        if (!add_named_share(t, s))
            return false;
    if (!o->run.exec)
        return true;
    bool has_root = strcmp(o->run.root, "none") && stat(o->run.root, &st) == 0;
    if (has_root && S_ISDIR(st.st_mode) && !add_root_share(t))
        return false;
    return !has_root || !*t->guest->kernel.modules ||
           add_share(t, "modules", t->guest->kernel.modules, ",ro");
}

static bool add_services(struct tool *t)
{
    struct weir_service service = {.size = sizeof(service),
                                   .block_bytes = offsetof(struct run_bytes, regions),
                                   .count_at = offsetof(struct run_bytes, region_count),
                                   .ctx = t->guest};
    // clang-format off
    const struct { uint16_t number; const char *name; weir_service_fn *fn; bool writes; } all[] = {
        {RUN_OUTPUT, "run-output", serve_output, false},
        {RUN_INPUT, "run-input", serve_input, true},
        {RUN_STAGE, "run-stage", serve_stage, false},
    };
    // clang-format on
    for (unsigned k = 0; k < ARRAY_SIZE(all); k++) {
        service.number = all[k].number;
        service.name = all[k].name;
        service.fn = all[k].fn;
        service.writes_regions = all[k].writes;
        if (!checked(t, weir_service_add(t->vm, &service)))
            return false;
    }
    return true;
}

static bool add_console(struct tool *t)
{
    weir_char *chr;
    if (t->options.serial_given || t->options.nographic)
        return true; /* the user has it */
    return checked(t, weir_char_new(t->vm, "run-console", console_output, t->guest, &chr)) &&
           checked(t, weir_serial_set(t->vm, 0, chr));
}

bool guest_run_setup(struct tool *t)
{
    struct guest_run *g = t->guest;
    if (!add_shares(t))
        return false;
    if (!g)
        return true;
    if (!add_services(t) || !add_console(t))
        return false;
    g->start_ms = host_time_ms();
    if (!g->is_tty && !t->options.run.quiet)
        fprintf(stderr, "weir: booting Linux %s\n", g->kernel.version);
    return true;
}

/* ---- while it runs ---- */

/* The first limit that is over; NULL: none. */
static const char *over_limit(const struct guest_run *g, char *text, size_t bytes)
{
    const struct run_options *r = &g->tool->options.run;
    unsigned boot_s = r->boot_timeout_s ? r->boot_timeout_s : BOOT_TIMEOUT_S;
    if (!g->command_ms && seconds_since(g->start_ms) > boot_s) {
        snprintf(text, bytes, "the guest is not up after %u s (-boot-timeout)", boot_s);
        return text;
    }
    if (r->timeout_s && g->command_ms && seconds_since(g->command_ms) > r->timeout_s) {
        snprintf(text, bytes, "the command has not ended after %u s (-timeout)", r->timeout_s);
        return text;
    }
    return NULL;
}

static void end_early(struct tool *t)
{
    pthread_mutex_lock(&t->lock);
    t->quitting = true;
    if (t->vm)
        weir_quit(t->vm);
    pthread_mutex_unlock(&t->lock);
}

int guest_run_idle(struct tool *t)
{
    struct guest_run *g = t->guest;
    char text[128];
    if (!g || t->quitting)
        return -1;
    pthread_mutex_lock(&g->lock);
    const char *over = over_limit(g, text, sizeof(text));
    if (over) {
        clear_line(g);
        fprintf(stderr, "weir: %s\n", over);
        g->timed_out = true;
    } else if (g->is_tty && !g->command_ms && !g->failed) {
        show_progress(g);
    }
    bool quick = g->is_tty && !g->command_ms;
    pthread_mutex_unlock(&g->lock);
    if (over)
        end_early(t);
    return quick ? PROGRESS_MS : 500;
}

int guest_run_end(struct tool *t, int status)
{
    struct guest_run *g = t->guest;
    if (!g)
        return status;
    clear_line(g);
    if (!t->loop_started)
        return STATUS_NOT_RUN; /* there was no machine; why has been said */
    if (t->signal_count)
        return 130;
    if (g->timed_out && g->command_ms)
        return STATUS_TIMEOUT;
    if (g->failed) {
        show_console(g);
        return STATUS_NOT_RUN;
    }
    if (!t->guest_exited) {
        if (!g->timed_out && g->command_ms)
            fprintf(stderr, "weir: the guest ended before the command did\n");
        else if (!g->timed_out)
            fprintf(stderr, "weir: the guest ended before it ran the command\n");
        show_console(g);
        return STATUS_NOT_RUN;
    }
    if (status && !t->options.run.quiet)
        fprintf(stderr, "weir: the command ended with status %d after %.1f s\n", status,
                seconds_since(g->command_ms));
    return status;
}

void guest_run_free(struct tool *t)
{
    struct guest_run *g = t->guest;
    if (!g)
        return;
    if (g->initrd_fd >= 0)
        close(g->initrd_fd);
    pthread_mutex_destroy(&g->lock);
    free(g);
    t->guest = NULL;
}
