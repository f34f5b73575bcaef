/* SPDX-License-Identifier: MIT */
/* mount.c - the command lines of weirfs and mount.weirfs. */
#include "program.h"
#include "weirfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static const char usage[] =
    "usage: weirfs [-f] [-s SHARE] [-o OPTION[,OPTION...]] MOUNTPOINT\n"
    "Mounts a directory that the host shares (weir -hostcall share=NAME,path=DIR).\n"
    "  -s SHARE  its name; without it the first share\n"
    "  -f        stay in the foreground\n"
    "  -o ro                   read-only\n"
    "     cache=auto           names and attributes are believed for a second (default)\n"
    "     cache=always         for a day: nobody else changes the share\n"
    "     cache=none           never; and no data is kept\n"
    "     direct               no data is kept (no shared mappings then)\n"
    "     writeback            writes go to the host later; nobody else changes the share\n"
    "     dax=auto             by the kernel's virtiofs where that can be (default)\n"
    "     dax=never            by host calls only\n"
    "     dax=always           by virtiofs or not at all\n"
    "     uid=N,gid=N          as whose the host user's files appear (default: yours)\n"
    "     readahead=KIB        how far the kernel reads ahead (default 1024)\n"
    "     noexec,noatime,sync  as mount(8) knows them\n";

static const struct {
    const char *name;
    unsigned long set, clear;
} mount_flags[] = {
    {"ro", MS_RDONLY, 0},
    {"rw", 0, MS_RDONLY},
    {"noexec", MS_NOEXEC, 0},
    {"exec", 0, MS_NOEXEC},
    {"noatime", MS_NOATIME, 0},
    {"atime", 0, MS_NOATIME},
    {"relatime", MS_RELATIME, 0},
    {"sync", MS_SYNCHRONOUS, 0},
    {"async", 0, MS_SYNCHRONOUS},
    {"nodev", 0, 0},
    {"nosuid", 0, 0},
    {"defaults", 0, 0},
    {"auto", 0, 0},
    {"noauto", 0, 0},
    {"nofail", 0, 0},
    {"_netdev", 0, 0},
    {"user", 0, 0},
    {"nouser", 0, 0},
};

static bool take_number(const char *text, unsigned *number)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *number = (unsigned)value;
    return *text && !*end && value <= UINT32_MAX;
}

static bool take_cache(struct mount_options *o, const char *value)
{
    static const struct {
        const char *name;
        unsigned timeout_s;
    } modes[] = {{"auto", 1}, {"always", 86400}, {"none", 0}};
    for (unsigned k = 0; k < sizeof(modes) / sizeof(*modes); k++)
        if (!strcmp(value, modes[k].name)) {
            o->timeout_s = modes[k].timeout_s;
            o->direct |= k == 2;
            return true;
        }
    return false;
}

static bool take_dax(struct mount_options *o, const char *value)
{
    static const char *const names[] = {
        [DAX_AUTO] = "auto", [DAX_NEVER] = "never", [DAX_ALWAYS] = "always"};
    for (unsigned k = 0; k < sizeof(names) / sizeof(*names); k++)
        if (!strcmp(value, names[k])) {
            o->dax = k;
            return true;
        }
    return false;
}

static bool take_flag(struct mount_options *o, const char *word)
{
    for (unsigned k = 0; k < sizeof(mount_flags) / sizeof(*mount_flags); k++)
        if (!strcmp(word, mount_flags[k].name)) {
            o->flags = (o->flags | mount_flags[k].set) & ~mount_flags[k].clear;
            return true;
        }
    return false;
}

static bool take_option(struct mount_options *o, const char *word)
{
    if (!strncmp(word, "cache=", 6))
        return take_cache(o, word + 6);
    if (!strncmp(word, "uid=", 4))
        return take_number(word + 4, &o->uid);
    if (!strncmp(word, "gid=", 4))
        return take_number(word + 4, &o->gid);
    if (!strncmp(word, "readahead=", 10))
        return take_number(word + 10, &o->read_ahead_kib);
    if (!strncmp(word, "dax=", 4))
        return take_dax(o, word + 4);
    if (!strcmp(word, "direct"))
        return o->direct = true;
    if (!strcmp(word, "writeback"))
        return o->writeback = true;
    return take_flag(o, word);
}

static bool take_options(struct mount_options *o, char *list)
{
    char *rest = list;
    for (char *word; (word = strsep(&rest, ","));)
        if (*word && !take_option(o, word)) {
            fprintf(stderr, "weirfs: unknown option '%s'\n%s", word, usage);
            return false;
        }
    return true;
}

static struct mount_options defaults(void)
{
    return (struct mount_options){
        .timeout_s = 1, .read_ahead_kib = 1024, .uid = getuid(), .gid = getgid()};
}

static int run(struct mount_options *o)
{
    return host_ready() ? weirfs_run(o) : 1;
}

int weirfs_main(int argc, char **argv)
{
    struct mount_options o = defaults();
    for (int c; (c = getopt(argc, argv, "fhs:o:")) != -1;) {
        if (c == 'f') {
            o.foreground = true;
        } else if (c == 's') {
            o.share = optarg;
        } else if (c == 'h') {
            fputs(usage, stdout);
            return 0;
        } else if (c != 'o' || !take_options(&o, optarg)) {
            if (c != 'o')
                fputs(usage, stderr);
            return 2;
        }
    }
    if (optind != argc - 1) {
        fputs(usage, stderr);
        return 2;
    }
    o.target = argv[optind];
    return run(&o);
}

/* mount(8) puts -o and flags of its own (-n, -v, -s) behind the names. */
int mount_main(int argc, char **argv)
{
    struct mount_options o = defaults();
    for (int c; (c = getopt(argc, argv, "fnsvwro:t:")) != -1;) {
        if (c == 'r')
            o.flags |= MS_RDONLY;
        else if (c == 'o' && !take_options(&o, optarg))
            return 1;
    }
    if (argc - optind < 2) {
        fprintf(stderr, "usage: mount.weirfs SHARE MOUNTPOINT [-o OPTIONS]\n");
        return 1;
    }
    o.share = argv[optind];
    o.target = argv[optind + 1];
    return run(&o);
}
