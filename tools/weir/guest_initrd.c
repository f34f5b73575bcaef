/* SPDX-License-Identifier: MIT */
/*
 * guest_initrd.c - the initramfs of -exec, in cpio's "newc" form (Documentation/driver-api/
 * early-userspace/buffer-format.rst of Linux). Archives may follow each other, compressed or not,
 * and of files with one name the last one counts. So a given initrd stays as it is and ours
 * follows.
 */
#include "guestrun.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

extern const unsigned char guest_weirctl_amd64[], guest_weirctl_amd64_end[];
extern const unsigned char guest_weirctl_i386[], guest_weirctl_i386_end[];

struct archive {
    FILE *file;
    unsigned inode;
};

static void pad(struct archive *a)
{
    while (ftell(a->file) & 3)
        putc(0, a->file);
}

static void entry(struct archive *a, const char *name, unsigned mode, const void *data,
                  size_t bytes, unsigned major, unsigned minor)
{
    fprintf(a->file, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ++a->inode,
            mode, 0u, 0u, 1u, 0u, (unsigned)bytes, 0u, 0u, major, minor,
            (unsigned)strlen(name) + 1, 0u);
    fwrite(name, 1, strlen(name) + 1, a->file);
    pad(a);
    if (bytes)
        fwrite(data, 1, bytes, a->file);
    pad(a);
}

static void *read_file(const char *path, size_t *bytes)
{
    struct stat st;
    void *data = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (data = malloc((size_t)st.st_size + 1))) {
        size_t at = 0;
        for (ssize_t n; (n = read(fd, (char *)data + at, (size_t)st.st_size - at)) > 0;)
            at += (size_t)n;
        *bytes = at;
    }
    close(fd);
    return data;
}

static bool copy_file(struct archive *a, const char *from, const char *name, unsigned mode,
                      struct strbuf *error)
{
    size_t bytes = 0;
    void *data = read_file(from, &bytes);
    if (!data) {
        strbuf_printf(error, "%s: %s", from, strerror(errno));
        return false;
    }
    if (name)
        entry(a, name, S_IFREG | mode, data, bytes, 0, 0);
    else
        fwrite(data, 1, bytes, a->file);
    free(data);
    return true;
}

static void add_programs(struct archive *a, const struct guest_kernel *kernel)
{
    const unsigned char *start = guest_weirctl_i386, *end = guest_weirctl_i386_end;
    if (kernel->is_64bit) {
        start = guest_weirctl_amd64;
        end = guest_weirctl_amd64_end;
    }
    entry(a, "weir/weirctl", S_IFREG | 0755, start, (size_t)(end - start), 0, 0);
    entry(a, "weir/weirfs", S_IFLNK | 0777, "weirctl", 7, 0, 0);
    entry(a, "init", S_IFLNK | 0777, "weir/weirctl", 12, 0, 0);
}

static bool add_modules(struct archive *a, const struct module_list *modules,
                        struct strbuf *config, struct strbuf *error)
{
    for (unsigned k = 0; k < modules->count; k++) {
        const char *slash = strrchr(modules->paths[k], '/');
        char name[300];
        snprintf(name, sizeof(name), "weir/modules/%s", slash ? slash + 1 : modules->paths[k]);
        if (!copy_file(a, modules->paths[k], name, 0644, error))
            return false;
        strbuf_printf(config, "module=/%s", name);
        strbuf_add(config, "", 1);
    }
    return true;
}

static bool write_archive(struct archive *a, const char *base,
                          const struct guest_kernel *kernel, const struct module_list *modules,
                          const struct strbuf *config, struct strbuf *error)
{
    static const char *const folders[] = {"dev", "proc", "sys",  "tmp",
                                          "run", "mnt",  "weir", "weir/modules"};
    struct strbuf all;
    if (base && !copy_file(a, base, NULL, 0, error))
        return false;
    pad(a);
    for (unsigned k = 0; k < ARRAY_SIZE(folders); k++)
        entry(a, folders[k], S_IFDIR | (!strcmp(folders[k], "tmp") ? 01777 : 0755), NULL, 0, 0,
              0);
    entry(a, "dev/console", S_IFCHR | 0600, NULL, 0, 5, 1);
    add_programs(a, kernel);
    strbuf_init(&all);
    strbuf_add(&all, config->data, config->length);
    bool good = add_modules(a, modules, &all, error);
    entry(a, &RUN_CONFIG[1], S_IFREG | 0600, all.data, all.length, 0, 0);
    strbuf_free(&all);
    entry(a, "TRAILER!!!", 0, NULL, 0, 0, 0);
    return good;
}

int guest_initrd_make(const char *base, const struct guest_kernel *kernel,
                      const struct module_list *modules, const struct strbuf *config,
                      struct strbuf *error)
{
    if (!kernel->is_64bit && &guest_weirctl_i386[0] == &guest_weirctl_i386_end[0]) {
        strbuf_printf(error,
                      "%s is a 32-bit kernel, and this weir was built without gcc-multilib, "
                      "so it has no program for it",
                      kernel->path);
        return -1;
    }
    int fd = memfd_create("initrd", MFD_CLOEXEC);
    struct archive a = {.file = fd < 0 ? NULL : fdopen(dup(fd), "w")};
    bool good = a.file && write_archive(&a, base, kernel, modules, config, error);
    if (a.file && fclose(a.file) != 0)
        good = false;
    if (good)
        return fd;
    if (!error->length)
        strbuf_printf(error, "the initramfs: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}
