/* SPDX-License-Identifier: MIT */
/*
 * init.c - process 1 of `weir run -exec`: makes the root directory and the mounts that the
 * configuration asks for, runs the command, passes its output to the host, and ends the machine
 * with its status. 125: it could not be run at all.
 */
#include "program.h"
#include "weirfs.h"

#include "runservice.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SERVER_MAX = 64, CHUNK = 65536, STATUS_FAILED = 125 };

struct config {
    char *text, *end;
};
struct run {
    struct config config;
    const char *root; /* where the new root is, "" if it stays */
    pid_t servers[SERVER_MAX];
    char *mounts[SERVER_MAX];
    unsigned server_count;
    pid_t command;
    int status; /* of the command, -1 while it runs */
    int output[2], input;
    bool want_input;
    char buffer[CHUNK], pending[4096];
    size_t pending_at, pending_bytes;
};

/* ---- telling ---- */

static void stage(enum run_stage stage, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    host_run_bytes(RUN_STAGE, stage, text, strlen(text));
}

static void end_machine(unsigned status)
{
    for (;;) {
        host_exit(status);
        sleep(1);
    }
}

__attribute__((noreturn)) static void fail(const char *what, const char *why)
{
    stage(RUN_STAGE_FAILED, "%s: %s", what, why);
    end_machine(STATUS_FAILED);
    __builtin_unreachable();
}

/* ---- configuration ---- */

static void read_config(struct config *c)
{
    struct stat st;
    int fd = open(RUN_CONFIG, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        fail(RUN_CONFIG, strerror(errno));
    c->text = calloc(1, (size_t)st.st_size + 1);
    if (!c->text || read(fd, c->text, (size_t)st.st_size) != st.st_size)
        fail(RUN_CONFIG, "cannot be read");
    c->end = c->text + st.st_size;
    close(fd);
}

/* The value of the next setting of this key behind `after` (NULL: the first). */
static char *setting(const struct config *c, const char *key, char *after)
{
    size_t length = strlen(key);
    for (char *s = after ? after + strlen(after) + 1 : c->text; s < c->end; s += strlen(s) + 1)
        if (!strncmp(s, key, length) && s[length] == '=')
            return s + length + 1;
    return NULL;
}

/* ---- the kernel ---- */

static void make_directories(const char *path)
{
    char part[FUSE_PATH_BYTES];
    for (size_t k = 1; path[k - 1] && k < sizeof(part); k++)
        if (path[k] == '/' || !path[k]) {
            snprintf(part, sizeof(part), "%.*s", (int)k, path);
            mkdir(part, 0755);
        }
}

static bool try_mount(const char *source, const char *root, const char *path, const char *type,
                      unsigned long flags, const char *data)
{
    char target[FUSE_PATH_BYTES];
    snprintf(target, sizeof(target), "%s%s", root, path);
    make_directories(target);
    return mount(source, target, type, flags, data) == 0;
}

static void load_modules(const struct config *c)
{
    enum { COMPRESSED = 4 };
    for (char *file = NULL; (file = setting(c, "module", file));) {
        size_t length = strlen(file);
        int flags = length > 3 && strcmp(file + length - 3, ".ko") ? COMPRESSED : 0;
        int fd = open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            fail(file, strerror(errno));
        if (syscall(SYS_finit_module, fd, "", flags) < 0 && errno != EEXIST)
            stage(RUN_STAGE_NOTE, "%s: %s", file, strerror(errno));
        close(fd);
    }
}

static void bring_up_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
}

/* ---- root and mounts ---- */

static void mount_share(struct run *r, const char *name, char *options, const char *target)
{
    struct mount_options o = {.share = name,
                              .target = target,
                              .timeout_s = 1,
                              .read_ahead_kib = 1024,
                              .server = &r->servers[r->server_count]};
    for (char *word; (word = strsep(&options, ","));) {
        o.read_only |= !strcmp(word, "ro");
        o.writeback |= !strcmp(word, "writeback");
        if (!strcmp(word, "always"))
            o.timeout_s = 86400;
    }
    if (r->server_count == SERVER_MAX)
        fail(target, "too many shares");
    make_directories(target);
    if (weirfs_run(&o) != 0)
        fail(target, "the share cannot be mounted; the messages before say why");
    r->mounts[r->server_count++] = strdup(target);
}

/* What is below stays as it is; changes go to memory. */
static void add_layer(const char *below)
{
    char data[256];
    if (!try_mount("tmpfs", "", "/weir/layer", "tmpfs", 0, "mode=755,size=90%"))
        fail("a layer in memory", strerror(errno));
    make_directories("/weir/layer/upper");
    make_directories("/weir/layer/work");
    snprintf(data, sizeof(data),
             "lowerdir=%s,upperdir=/weir/layer/upper,workdir=/weir/layer/work", below);
    if (!try_mount("overlay", "", "/weir/root", "overlay", 0, data))
        fail("overlay", errno == ENODEV ? "this kernel has no overlayfs" : strerror(errno));
}

static void mount_disk(const char *device)
{
    static const char *const writable[] = {"ext4", "xfs", "btrfs", "ext2"}, *const fixed[] = {
                                                                                "squashfs",
                                                                                "erofs",
                                                                                "iso9660"};
    for (unsigned tries = 0; access(device, F_OK) < 0; tries++) {
        if (tries == 100)
            fail(device, "the disk does not appear; the kernel needs virtio_blk");
        usleep(20000);
    }
    for (unsigned k = 0; k < sizeof(writable) / sizeof(*writable); k++)
        if (try_mount(device, "", "/weir/root", writable[k], 0, NULL))
            return;
    for (unsigned k = 0; k < sizeof(fixed) / sizeof(*fixed); k++)
        if (try_mount(device, "", "/weir/below", fixed[k], MS_RDONLY, NULL)) {
            add_layer("/weir/below");
            return;
        }
    fail(device, "no file system that this kernel knows (an image of one partition is needed)");
}

static void make_root(struct run *r)
{
    char options[] = "ro,always";
    const char *root = setting(&r->config, "root", NULL);
    r->root = "";
    if (!root || !strcmp(root, "none"))
        return;
    r->root = "/weir/root";
    if (!strncmp(root, "share:", 6)) {
        mount_share(r, root + 6, options, "/weir/below");
        add_layer("/weir/below");
    } else if (!strncmp(root, "disk:", 5)) {
        mount_disk(root + 5);
    }
}

static void mount_kernel_file_systems(const char *root)
{
    try_mount("proc", root, "/proc", "proc", 0, NULL);
    try_mount("sysfs", root, "/sys", "sysfs", 0, NULL);
    try_mount("dev", root, "/dev", "devtmpfs", 0, "mode=755");
    try_mount("devpts", root, "/dev/pts", "devpts", 0, "gid=5,mode=620,ptmxmode=666");
    try_mount("shm", root, "/dev/shm", "tmpfs", 0, "mode=1777");
}

/* Programs want these links; devtmpfs does not make them. */
static void make_links(const char *root)
{
    static const char *const links[][2] = {{"/proc/self/fd", "/dev/fd"},
                                           {"/proc/self/fd/0", "/dev/stdin"},
                                           {"/proc/self/fd/1", "/dev/stdout"},
                                           {"/proc/self/fd/2", "/dev/stderr"}};
    char path[64];
    for (unsigned k = 0; k < sizeof(links) / sizeof(*links); k++) {
        snprintf(path, sizeof(path), "%s%s", root, links[k][1]);
        (void)!symlink(links[k][0], path);
    }
}

/* A root directory of busybox alone need not have links to it. */
static void install_busybox(void)
{
    int status;
    if (access("/bin/busybox", X_OK) < 0)
        return;
    make_directories("/usr/bin");
    make_directories("/usr/sbin");
    make_directories("/sbin");
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/busybox", "busybox", "--install", "-s", (char *)NULL);
        _exit(1);
    }
    if (pid > 0)
        waitpid(pid, &status, 0);
}

/* weirctl in the new root, which need not have it. */
static void add_program(const char *root)
{
    char folder[64], path[80];
    snprintf(folder, sizeof(folder), "%s/run/weir", root);
    make_directories(folder);
    snprintf(path, sizeof(path), "%s/weirctl", folder);
    int from = open("/weir/weirctl", O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    while (from >= 0 && to >= 0 && sendfile(to, from, NULL, 1 << 20) > 0)
        ;
    if (from >= 0)
        close(from);
    if (to >= 0)
        close(to);
    snprintf(path, sizeof(path), "%s/weirfs", folder);
    (void)!symlink("weirctl", path);
}

static void mount_all(struct run *r)
{
    make_root(r);
    if (*r->root) {
        mount_kernel_file_systems(r->root);
        try_mount("tmpfs", r->root, "/tmp", "tmpfs", MS_NODEV | MS_NOSUID, "mode=1777");
        try_mount("tmpfs", r->root, "/run", "tmpfs", MS_NODEV | MS_NOSUID, "mode=755");
        /* The host's user may not be able to read root's home, which programs do not expect. */
        try_mount("tmpfs", r->root, "/root", "tmpfs", MS_NODEV | MS_NOSUID, "mode=700");
        add_program(r->root);
    } else {
        install_busybox();
    }
    make_links(r->root);
    for (char *s = NULL; (s = setting(&r->config, "mount", s));) {
        char *copy = strdup(s), *rest = copy, target[FUSE_PATH_BYTES];
        const char *name = strsep(&rest, ":");
        char *options = strsep(&rest, ":");
        snprintf(target, sizeof(target), "%s%s", r->root, rest ? rest : "/mnt");
        mount_share(r, name, options, target);
        free(copy);
    }
}

/* ---- the command ---- */

static void set_environment(const struct config *c)
{
    clearenv();
    putenv("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:"
           "/run/weir:/weir");
    putenv("HOME=/root");
    putenv("USER=root");
    putenv("LOGNAME=root");
    putenv("SHELL=/bin/sh");
    putenv("TERM=dumb");
    for (char *s = NULL; (s = setting(c, "env", s));)
        putenv(s);
}

__attribute__((noreturn)) static void become_command(struct run *r, int in, int out, int err)
{
    static char text[512];
    const char *cwd = setting(&r->config, "cwd", NULL);
    char *command = setting(&r->config, "exec", NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    dup2(in, 0);
    dup2(out, 1);
    dup2(err, 2);
    set_environment(&r->config);
    int status = STATUS_FAILED;
    if (*r->root && (chroot(r->root) < 0 || chdir("/") < 0)) {
        snprintf(text, sizeof(text), "weir: chroot: %s\n", strerror(errno));
    } else if (cwd && chdir(cwd) < 0) {
        snprintf(text, sizeof(text), "weir: %s: %s\n", cwd, strerror(errno));
    } else {
        execl("/bin/sh", "sh", "-c", command ? command : "true", (char *)NULL);
        int error = errno;
        snprintf(text, sizeof(text), "weir: /bin/sh: %s (%s)\n", strerror(error),
                 error == ENOEXEC ? "the programs below -root are not for this kernel"
                                  : "the guest's root directory needs a shell");
        status = error == ENOENT ? 127 : 126;
    }
    (void)!write(2, text, strlen(text));
    _exit(status);
}

static void start_command(struct run *r)
{
    int in[2], out[2], err[2];
    r->want_input = setting(&r->config, "stdin", NULL) != NULL;
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || pipe2(in, O_CLOEXEC) < 0)
        fail("pipe", strerror(errno));
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    r->command = fork();
    if (r->command < 0)
        fail("fork", strerror(errno));
    if (r->command == 0)
        become_command(r, r->want_input ? in[0] : null, out[1], err[1]);
    close(null);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    r->output[0] = out[0];
    r->output[1] = err[0];
    r->input = in[1];
    fcntl(r->input, F_SETFL, O_NONBLOCK);
    for (unsigned k = 0; k < 2; k++)
        fcntl(r->output[k], F_SETFL, O_NONBLOCK);
}

static void pass_output(struct run *r, unsigned which)
{
    ssize_t bytes;
    while (r->output[which] >= 0 &&
           (bytes = read(r->output[which], r->buffer, sizeof(r->buffer))) != 0) {
        if (bytes < 0)
            return;
        host_run_bytes(RUN_OUTPUT, which + 1, r->buffer, (size_t)bytes);
    }
    if (r->output[which] >= 0)
        close(r->output[which]);
    r->output[which] = -1;
}

/* The host does not tell when there is input: it is asked now and then. */
static void pass_input(struct run *r)
{
    if (r->input < 0 || !r->want_input)
        return;
    if (r->pending_at == r->pending_bytes) {
        long bytes = host_run_bytes(RUN_INPUT, 0, r->pending, sizeof(r->pending));
        if (bytes == -EAGAIN)
            return;
        r->pending_at = 0;
        r->pending_bytes = bytes > 0 ? (size_t)bytes : 0;
        if (bytes <= 0) {
            close(r->input);
            r->input = -1;
            return;
        }
    }
    ssize_t done =
        write(r->input, r->pending + r->pending_at, r->pending_bytes - r->pending_at);
    if (done > 0)
        r->pending_at += (size_t)done;
    else if (done < 0 && errno == EPIPE)
        r->want_input = false;
}

static void reap(struct run *r)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == r->command)
            r->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void follow_command(struct run *r, int signals)
{
    struct signalfd_siginfo info;
    r->status = -1;
    while (r->status < 0) {
        struct pollfd polled[] = {{.fd = signals, .events = POLLIN},
                                  {.fd = r->output[0], .events = POLLIN},
                                  {.fd = r->output[1], .events = POLLIN}};
        poll(polled, 3, r->want_input && r->input >= 0 ? 20 : -1);
        while (read(signals, &info, sizeof(info)) > 0)
            ;
        pass_output(r, 0);
        pass_output(r, 1);
        pass_input(r);
        reap(r);
    }
    pass_output(r, 0);
    pass_output(r, 1);
}

/* ---- the end ---- */

static bool is_server(const struct run *r, pid_t pid)
{
    for (unsigned k = 0; k < r->server_count; k++)
        if (r->servers[k] == pid)
            return true;
    return false;
}

/* What the command left running would keep the shares busy. Kernel threads do not mind. */
static void kill_rest(const struct run *r)
{
    DIR *dir = opendir("/proc");
    for (struct dirent *e; dir && (e = readdir(dir));) {
        pid_t pid = (pid_t)atoi(e->d_name);
        if (pid > 1 && !is_server(r, pid))
            kill(pid, SIGKILL);
    }
    if (dir)
        closedir(dir);
}

/* Unmounting writes what programs have changed in mapped memory. */
static void unmount_all(struct run *r)
{
    sync();
    for (unsigned k = r->server_count; k-- > 0;)
        for (unsigned tries = 0; umount(r->mounts[k]) < 0 && errno == EBUSY && tries < 50;
             tries++) {
            kill_rest(r);
            usleep(10000);
            reap(r);
        }
    sync();
}

int init_main(void)
{
    static struct run run;
    struct run *r = &run;
    sigset_t set;
    mount_kernel_file_systems("");
    int console = open("/dev/console", O_RDWR | O_NOCTTY);
    for (int k = 0; k < 3 && console >= 0; k++)
        dup2(console, k);
    if (!host_ready()) {
        sleep(1);
        return 1; /* the kernel says that init has ended */
    }
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    stage(RUN_STAGE_INIT, "the kernel is up");
    read_config(&r->config);
    load_modules(&r->config);
    bring_up_loopback();
    sethostname("weir", 4);
    stage(RUN_STAGE_MOUNT, "mounting");
    mount_all(r);
    const char *command = setting(&r->config, "exec", NULL);
    stage(RUN_STAGE_COMMAND, "%s", command ? command : "");
    start_command(r);
    follow_command(r, signals);
    int status = r->status;
    unmount_all(r);
    end_machine((unsigned)status);
    return 0;
}
