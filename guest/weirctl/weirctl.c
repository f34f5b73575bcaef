/* SPDX-License-Identifier: MIT */
/* weirctl.c - the command: one host service each. */
#include "host.h"
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 20, TEXT_MAX = 65536 };

// clang-format off
static const char usage[] =
    "usage: weirctl COMMAND [ARGUMENTS]\n"
    "  exit [N]                      end the machine; weir's exit status is N\n"
    "  shares                        list the directories that the host shares\n"
    "  ls [-s SHARE] [PATH]          list a directory of a share\n"
    "  get [-s SHARE] PATH [FILE|-]  copy a file from a share (-: to standard output)\n"
    "  put [-s SHARE] FILE|- [PATH]  copy a file, or standard input, to a share\n"
    "  run-args [COMMAND...]         run what weir's command line gives (-hostcall arg=...),\n"
    "                                behind COMMAND if there is one; env= in the environment\n"
    "  clip get|put [TEXT]           the host's clipboard; put without TEXT reads it\n"
    "  log [-l LEVEL] [TEXT]         write to weir's messages TEXT, or each line that is read\n"
    "  print [TEXT]                  write to weir's standard output\n"
    "  screenshot [-s SHARE] PATH    picture of the screen, as a file of a share (PPM)\n"
    "  mount ...                     same as weirfs\n"
    "Share: the first one unless -s names another.\n";
// clang-format on

static int complain(const char *what, int error)
{
    fprintf(stderr, "weirctl: %s: %s\n", what, strerror(-error));
    return 1;
}

static int wrong_usage(void)
{
    fputs(usage, stderr);
    return 2;
}

/* Takes "-s NAME" at the front; the share's number, or a negative status. */
static int take_share(int *argc, char ***argv, struct host *host)
{
    struct host_share share;
    const char *name = NULL;
    if (*argc > 2 && !strcmp((*argv)[1], "-s")) {
        name = (*argv)[2];
        *argc -= 2;
        *argv += 2;
    }
    int number = host_share(name, &share);
    if (number < 0)
        fprintf(stderr,
                name ? "weirctl: the host has no share '%s'\n"
                     : "weirctl: the host shares nothing (weir -hostcall "
                       "share=NAME,path=DIR)%.0s\n",
                name);
    *host = host_of(number);
    return number;
}

/* Shares know paths below their root. */
static const char *relative(const char *path)
{
    while (*path == '/')
        path++;
    return !strcmp(path, ".") ? "" : path;
}

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- files ---- */

static bool write_all(int fd, const char *data, size_t bytes)
{
    while (bytes) {
        ssize_t done = write(fd, data, bytes);
        if (done < 0)
            return false;
        data += done;
        bytes -= (size_t)done;
    }
    return true;
}

static int copy_out(struct host *host, uint32_t handle, int fd, char *buffer, const char *from,
                    const char *to)
{
    for (uint64_t at = 0;;) {
        long bytes = host_read(host, handle, at, buffer, CHUNK);
        if (bytes < 0)
            return complain(from, (int)bytes);
        if (!bytes)
            return 0;
        if (!write_all(fd, buffer, (size_t)bytes))
            return complain(to, -errno);
        at += (uint64_t)bytes;
    }
}

static int command_get(int argc, char **argv)
{
    struct host_stat st;
    uint32_t handle;
    struct host place, *host = &place;
    int share = take_share(&argc, &argv, host);
    if (share < 0 || argc < 2 || argc > 3)
        return share < 0 ? 1 : wrong_usage();
    const char *from = relative(argv[1]), *to = argc == 3 ? argv[2] : last_name(from);
    char *buffer = malloc(CHUNK);
    int error = buffer ? host_open(host, from, O_RDONLY, 0, &handle, &st) : -ENOMEM;
    if (error == 0 && S_ISDIR(st.mode))
        error = -EISDIR;
    if (error < 0)
        return complain(from, error);
    bool standard = !strcmp(to, "-");
    int fd = standard ? STDOUT_FILENO
                      : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, st.mode & 0777);
    if (fd < 0)
        return complain(to, -errno);
    int status = copy_out(host, handle, fd, buffer, from, to);
    if (!standard && close(fd) < 0)
        status = complain(to, -errno);
    return status;
}

static int copy_in(struct host *host, int fd, uint32_t handle, char *buffer, const char *from,
                   const char *to)
{
    for (uint64_t at = 0;;) {
        ssize_t bytes = read(fd, buffer, CHUNK);
        if (bytes < 0)
            return complain(from, -errno);
        if (!bytes)
            return 0;
        long done = host_write(host, handle, at, buffer, (size_t)bytes);
        if (done != bytes)
            return complain(to, done < 0 ? (int)done : -ENOSPC);
        at += (uint64_t)bytes;
    }
}

static int command_put(int argc, char **argv)
{
    struct stat local = {.st_mode = 0644};
    struct host_stat st;
    uint32_t handle;
    struct host place, *host = &place;
    int share = take_share(&argc, &argv, host);
    if (share < 0 || argc < 2 || argc > 3)
        return share < 0 ? 1 : wrong_usage();
    bool standard = !strcmp(argv[1], "-");
    if (standard && argc < 3)
        return wrong_usage();
    const char *to = relative(argc == 3 ? argv[2] : last_name(argv[1]));
    int fd = standard ? STDIN_FILENO : open(argv[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0 || (!standard && fstat(fd, &local) < 0))
        return complain(argv[1], -errno);
    char *buffer = malloc(CHUNK);
    int error = buffer ? host_open(host, to, O_WRONLY | O_CREAT | O_TRUNC, local.st_mode & 0777,
                                   &handle, &st)
                       : -ENOMEM;
    if (error < 0)
        return complain(to, error);
    int status = copy_in(host, fd, handle, buffer, argv[1], to);
    error = host_close(host, handle);
    return error < 0 ? complain(to, error) : status;
}

static void print_entry(const struct host_entry *e)
{
    static const char kinds[] = "?pc?d?b?-?l?s???";
    char when[32] = "";
    time_t mtime = (time_t)e->st.mtime.s;
    struct tm tm;
    if (localtime_r(&mtime, &tm))
        strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &tm);
    printf("%c%03o %12llu %s %s\n", kinds[e->type >> 12 & 15], (unsigned)(e->st.mode & 0777),
           (unsigned long long)e->st.size, when, e->name);
}

static int list(struct host *host, uint32_t handle, const char *path)
{
    static char records[65536];
    struct host_entry entry;
    uint64_t cookie = 0;
    long bytes;
    while ((bytes = host_read_directory(host, handle, cookie, true, records, sizeof(records))) >
           0)
        for (size_t at = 0; host_next_entry(records, (size_t)bytes, &at, true, &entry);) {
            cookie = entry.cookie;
            if (strcmp(entry.name, ".") && strcmp(entry.name, ".."))
                print_entry(&entry);
        }
    return bytes < 0 ? complain(path, (int)bytes) : 0;
}

static int command_ls(int argc, char **argv)
{
    struct host_stat st;
    uint32_t handle;
    struct host place, *host = &place;
    int share = take_share(&argc, &argv, host);
    if (share < 0 || argc > 2)
        return share < 0 ? 1 : wrong_usage();
    const char *path = argc == 2 ? relative(argv[1]) : "";
    int error = host_stat(host, path, &st);
    if (error == 0 && !S_ISDIR(st.mode)) {
        struct host_entry entry = {.type = st.mode, .st = st};
        snprintf(entry.name, sizeof(entry.name), "%s", last_name(path));
        print_entry(&entry);
        return 0;
    }
    if (error == 0)
        error = host_open(host, path, O_RDONLY | O_DIRECTORY, 0, &handle, &st);
    return error < 0 ? complain(*path ? path : "/", error) : list(host, handle, path);
}

static int command_shares(int argc, char **argv)
{
    struct host_share share;
    (void)argv;
    if (argc > 1)
        return wrong_usage();
    for (unsigned k = 0; host_share_at(k, &share) == 0; k++)
        printf("%s%s\n", share.name, share.read_only ? " (read-only)" : "");
    return 0;
}

static int command_screenshot(int argc, char **argv)
{
    struct host_stat st;
    uint32_t handle;
    struct host place, *host = &place;
    int share = take_share(&argc, &argv, host);
    if (share < 0 || argc != 2)
        return share < 0 ? 1 : wrong_usage();
    const char *path = relative(argv[1]);
    int error = host_open(host, path, O_WRONLY | O_CREAT | O_TRUNC, 0644, &handle, &st);
    if (error < 0)
        return complain(path, error);
    error = host_screenshot(handle);
    return error < 0 ? complain("screenshot", error) : 0;
}

/* ---- text ---- */

/* The arguments as one text, or standard input. */
static char *text_of(int argc, char **argv, size_t *bytes)
{
    size_t room = TEXT_MAX, at = 0;
    char *text = malloc(room);
    if (!text)
        return NULL;
    for (int k = 0; k < argc; k++) {
        int n = snprintf(text + at, room - at, "%s%s", k ? " " : "", argv[k]);
        at = at + (size_t)n < room ? at + (size_t)n : room - 1;
    }
    while (!argc) {
        if (at == room) {
            char *bigger = realloc(text, room *= 2);
            if (!bigger)
                break;
            text = bigger;
        }
        ssize_t more = read(STDIN_FILENO, text + at, room - at);
        if (more <= 0)
            break;
        at += (size_t)more;
    }
    *bytes = at;
    return text;
}

static int clip_get(void)
{
    static char text[TEXT_MAX];
    uint64_t at = 0, size = 1;
    while (at < size) {
        long bytes = host_clipboard_get(text, sizeof(text), at, &size);
        if (bytes < 0)
            return complain("clip", (int)bytes);
        if (!bytes || !write_all(STDOUT_FILENO, text, (size_t)bytes))
            break;
        at += (uint64_t)bytes;
    }
    return 0;
}

static int command_clip(int argc, char **argv)
{
    size_t bytes = 0, at = 0;
    if (argc == 2 && !strcmp(argv[1], "get"))
        return clip_get();
    if (argc < 2 || strcmp(argv[1], "put"))
        return wrong_usage();
    char *text = text_of(argc - 2, argv + 2, &bytes);
    do {
        size_t now = bytes - at < TEXT_MAX ? bytes - at : TEXT_MAX;
        long done = text ? host_clipboard_put(text + at, now, at) : -ENOMEM;
        if (done < 0 || (now && !done))
            return complain("clip", done ? (int)done : -EIO);
        at += (size_t)done;
    } while (at < bytes);
    return 0;
}

static int command_log(int argc, char **argv)
{
    unsigned level = 6;
    size_t bytes;
    if (argc > 2 && !strcmp(argv[1], "-l")) {
        level = (unsigned)atoi(argv[2]);
        argc -= 2;
        argv += 2;
    }
    char *text = text_of(argc - 1, argv + 1, &bytes);
    if (!text || level > 7)
        return text ? wrong_usage() : complain("log", -ENOMEM);
    for (char *line = text, *end = text + bytes; line < end;) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((stop ? stop : end) - line);
        int error = host_log(level, line, length);
        if (error < 0)
            return complain("log", error);
        line += length + 1;
    }
    return 0;
}

static int command_print(int argc, char **argv)
{
    size_t bytes;
    char *text = text_of(argc - 1, argv + 1, &bytes);
    int error = text ? host_print(text, bytes) : -ENOMEM;
    if (error == 0 && argc > 1)
        error = host_print("\n", 1);
    return error < 0 ? complain("print", error) : 0;
}

/* ---- the machine ---- */

static int command_exit(int argc, char **argv)
{
    char *end = "";
    unsigned long status = argc > 1 ? strtoul(argv[1], &end, 0) : 0;
    if (argc > 2 || *end || status > 255)
        return wrong_usage();
    sync();
    int error = host_exit((unsigned)status);
    if (error < 0)
        return complain("exit", error);
    for (;;)
        pause(); /* the machine is about to end */
}

static int command_run_args(int argc, char **argv)
{
    static char text[TEXT_MAX];
    int count = argc - 1;
    char **words = calloc((size_t)argc + 1024 + 1, sizeof(*words));
    if (!words)
        return complain("run-args", -ENOMEM);
    memcpy(words, argv + 1, (size_t)count * sizeof(*words));
    for (unsigned k = 0; k < 1024; k++) {
        long bytes = host_argument(k, text, sizeof(text) - 1);
        if (bytes < 0)
            break;
        words[count++] = strndup(text, (size_t)bytes);
    }
    for (unsigned k = 0; k < 1024; k++) {
        long bytes = host_environment(k, text, sizeof(text) - 1);
        if (bytes < 0)
            break;
        text[bytes] = 0;
        putenv(strdup(text));
    }
    if (!count) {
        fprintf(stderr, "weirctl: weir's command line gives no arguments (-hostcall arg=)\n");
        return 127;
    }
    execvp(words[0], words);
    int error = errno;
    complain(words[0], -error);
    return error == ENOENT ? 127 : 126;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"exit", command_exit},   {"shares", command_shares},
    {"ls", command_ls},       {"get", command_get},
    {"put", command_put},     {"run-args", command_run_args},
    {"clip", command_clip},   {"log", command_log},
    {"print", command_print}, {"screenshot", command_screenshot},
};

int weirctl_main(int argc, char **argv)
{
    if (argc > 1 && (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help"))) {
        fputs(usage, stdout);
        return 0;
    }
    for (unsigned k = 0; argc > 1 && k < sizeof(commands) / sizeof(*commands); k++)
        if (!strcmp(argv[1], commands[k].name))
            return host_ready() ? commands[k].run(argc - 1, argv + 1) : 1;
    return wrong_usage();
}
