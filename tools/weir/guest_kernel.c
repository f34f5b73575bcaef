/* SPDX-License-Identifier: MIT */
/*
 * guest_kernel.c - the kernel that -exec boots, and the directory of its modules. What a bzImage
 * says of itself: Documentation/x86/boot.rst of Linux (protocol 2.00: kernel_version, 2.12:
 * xloadflags).
 */
#include "guestrun.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { HEADER_BYTES = 32768, MAGIC_AT = 0x202, VERSION_AT = 0x20e, XLOADFLAGS_AT = 0x236 };

static bool fail(struct strbuf *error, const char *format, ...) WEIR_PRINTF(2, 3);
static bool fail(struct strbuf *error, const char *format, ...)
{
    char text[8192];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    strbuf_printf(error, "%s", text);
    return false;
}

static unsigned word_at(const unsigned char *data, size_t at)
{
    return data[at] | (unsigned)data[at + 1] << 8;
}

static bool read_header(struct guest_kernel *k, struct strbuf *error)
{
    static const char how[] =
        "\nweir: it must be a Linux bzImage, as Debian's /boot/vmlinuz-* are";
    unsigned char header[HEADER_BYTES] = {0};
    FILE *file = fopen(k->path, "re");
    if (!file)
        return fail(error, "%s: %s%s", k->path, strerror(errno),
                    errno == EACCES
                        ? "\nweir: some systems let only root read kernels; copy it, or "
                          "sudo chmod +r it"
                        : "");
    size_t bytes = fread(header, 1, sizeof(header), file);
    fclose(file);
    if (bytes < 0x400 || memcmp(header + MAGIC_AT, "HdrS", 4))
        return fail(error, "%s: no Linux kernel%s", k->path, how);
    size_t at = word_at(header, VERSION_AT) + 0x200u;
    k->is_64bit = word_at(header, XLOADFLAGS_AT) & 1;
    if (at + sizeof(k->version) > bytes || at == 0x200)
        return fail(error, "%s: the kernel does not tell its version%s", k->path, how);
    snprintf(k->version, sizeof(k->version), "%.*s", (int)strcspn((char *)header + at, " "),
             (char *)header + at);
    return true;
}

/* ---- modules ---- */

static bool is_directory(const char *path)
{
    return access(path, X_OK) == 0;
}

/* Beside the kernel, as in an unpacked package, or where this system has them. */
static void find_modules(struct guest_kernel *k)
{
    static const char *const places[] = {"../lib/modules", "lib/modules", "kernel/lib/modules",
                                         "modules"};
    const char *slash = strrchr(k->path, '/');
    const char *folder = slash ? k->path : ".";
    int length = slash ? (int)(slash - k->path) : 1;
    for (unsigned n = 0; n < ARRAY_SIZE(places); n++) {
        snprintf(k->modules, sizeof(k->modules), "%.*s/%s/%s", length, folder, places[n],
                 k->version);
        if (is_directory(k->modules))
            return;
    }
    snprintf(k->modules, sizeof(k->modules), "/lib/modules/%s", k->version);
    if (is_directory(k->modules))
        return;
    k->modules[0] = 0;
}

/* ---- which kernel ---- */

/* The newest in a folder, of names that begin with `prefix`, or of folders with a file `inside`. */
static void newest(const char *folder, const char *prefix, const char *inside, char *best,
                   char *path, size_t bytes)
{
    char candidate[4096];
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        size_t length = strlen(prefix);
        if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, length) ||
            strverscmp(e->d_name + length, best) <= 0)
            continue;
        snprintf(candidate, sizeof(candidate), "%s/%s%s", folder, e->d_name, inside);
        if (access(candidate, F_OK) < 0)
            continue;
        snprintf(best, 256, "%s", e->d_name + length);
        snprintf(path, bytes, "%s", candidate);
    }
    if (dir)
        closedir(dir);
}

static bool choose(struct guest_kernel *k, struct strbuf *error)
{
    char best[256] = "";
    newest("/boot", "vmlinuz-", "", best, k->path, sizeof(k->path));
    if (!*best)
        newest("/lib/modules", "", "/vmlinuz", best, k->path, sizeof(k->path));
    if (*best)
        return true;
    return fail(
        error, "no kernel: there is no /boot/vmlinuz-*\n"
               "weir: name one with -kernel FILE (and -modules DIR), or install one; it is not "
               "booted here:\n"
               "weir:   apt-get install linux-image-cloud-amd64     (Debian)\n"
               "weir:   apt-get install linux-image-virtual         (Ubuntu)\n"
               "weir: WEIR_KERNEL in the environment does the same as -kernel");
}

bool guest_kernel_find(struct guest_kernel *k, const char *kernel, const char *modules,
                       struct strbuf *error)
{
    *k = (struct guest_kernel){.is_64bit = false};
    if (!kernel)
        kernel = getenv("WEIR_KERNEL");
    if (kernel && *kernel)
        snprintf(k->path, sizeof(k->path), "%s", kernel);
    else if (!choose(k, error))
        return false;
    if (!read_header(k, error))
        return false;
    if (modules)
        snprintf(k->modules, sizeof(k->modules), "%s", modules);
    else
        find_modules(k);
    if (modules && !is_directory(modules))
        return fail(error, "-modules %s: %s", modules, strerror(errno));
    return true;
}
