/* SPDX-License-Identifier: MIT */
/*
 * guest_modules.c - a kernel's modules and what they need, from modules.dep if depmod has made one,
 * else from what each module says of itself. Names are equal whether written with - or _.
 */
#include "guestrun.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 16 };

/* The module's name in a path: up to ".ko", with _ for -. */
static void name_of(const char *path, char *name, size_t bytes)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const char *end = strstr(base, ".ko");
    snprintf(name, bytes, "%.*s", (int)(end ? end - base : (long)strlen(base)), base);
    for (char *c = name; *c; c++)
        *c = *c == '-' ? '_' : *c;
}

static bool same_name(const char *path, const char *name)
{
    char a[128], b[128];
    name_of(path, a, sizeof(a));
    name_of(name, b, sizeof(b));
    return !strcmp(a, b);
}

/* Finds NAME.ko below a directory. */
static bool search(const char *directory, const char *name, unsigned depth, char *path,
                   size_t bytes)
{
    DIR *dir = depth < DEPTH_MAX ? opendir(directory) : NULL;
    bool found = false;
    for (struct dirent *e; !found && dir && (e = readdir(dir));) {
        char inner[4096];
        if (e->d_name[0] == '.')
            continue;
        int n = snprintf(inner, sizeof(inner), "%s/%s", directory, e->d_name);
        if (n < 0 || (size_t)n >= sizeof(inner))
            continue;
        if (strstr(e->d_name, ".ko") && same_name(e->d_name, name)) {
            snprintf(path, bytes, "%s", inner);
            found = true;
        } else if (e->d_type == DT_DIR && strcmp(e->d_name, "build") &&
                   strcmp(e->d_name, "source")) {
            found = search(inner, name, depth + 1, path, bytes);
        }
    }
    if (dir)
        closedir(dir);
    return found;
}

static bool is_builtin(const char *directory, const char *name)
{
    char path[4200], line[512];
    bool found = false;
    snprintf(path, sizeof(path), "%s/modules.builtin", directory);
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof(line), file))
        found = same_name(line, name);
    if (file)
        fclose(file);
    return found;
}

static bool has(const struct module_list *list, const char *path)
{
    for (unsigned k = 0; k < list->count; k++)
        if (same_name(list->paths[k], path))
            return true;
    return false;
}

static bool append(struct module_list *list, const char *path)
{
    char **bigger = realloc(list->paths, (list->count + 1) * sizeof(*bigger));
    if (!bigger)
        return false;
    list->paths = bigger;
    list->paths[list->count] = strdup(path);
    return list->paths[list->count++] != NULL;
}

static bool add(struct module_list *list, const char *directory, const char *name,
                unsigned depth);

/* "depends=a,b" in the module's own text; of a compressed one nothing can be read. */
static bool add_by_text(struct module_list *list, const char *directory, const char *path,
                        unsigned depth)
{
    static const char key[] = "\0depends=";
    struct stat st;
    char names[1024] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *data = fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0
                     ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                     : MAP_FAILED;
    if (fd >= 0)
        close(fd);
    if (data == MAP_FAILED)
        return false;
    const char *found = memmem(data, (size_t)st.st_size, key, sizeof(key) - 1);
    if (found) {
        size_t left = (size_t)((char *)data + st.st_size - found) - (sizeof(key) - 1);
        snprintf(names, sizeof(names), "%.*s", (int)(left < 1023 ? left : 1023),
                 found + sizeof(key) - 1);
    }
    munmap(data, (size_t)st.st_size);
    char *rest = names;
    for (char *word; (word = strsep(&rest, ","));)
        if (*word && !add(list, directory, word, depth + 1))
            return false;
    return true;
}

/* A line of modules.dep: "kernel/a.ko: kernel/b.ko kernel/c.ko". False: there is none. */
static bool add_by_list(struct module_list *list, const char *directory, const char *name,
                        unsigned depth, bool *complete)
{
    char path[4200], line[8192];
    bool found = false;
    *complete = true;
    snprintf(path, sizeof(path), "%s/modules.dep", directory);
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof(line), file)) {
        char *colon = strchr(line, ':');
        if (!colon)
            continue;
        *colon = 0;
        if (!(found = same_name(line, name)))
            continue;
        char *rest = colon + 1;
        rest[strcspn(rest, "\n")] = 0;
        for (char *word; (word = strsep(&rest, " "));)
            if (*word)
                *complete &= add(list, directory, word, depth + 1);
    }
    if (file)
        fclose(file);
    return found;
}

static bool add(struct module_list *list, const char *directory, const char *name,
                unsigned depth)
{
    char path[4096];
    bool complete;
    if (has(list, name) || is_builtin(directory, name))
        return true;
    if (depth > DEPTH_MAX || !search(directory, name, 0, path, sizeof(path)))
        return false;
    if (add_by_list(list, directory, name, depth, &complete)) {
        if (!complete)
            return false;
    } else if (!add_by_text(list, directory, path, depth)) {
        return false;
    }
    return append(list, path);
}

bool guest_module_add(struct module_list *list, const char *directory, const char *name)
{
    return add(list, directory, name, 0);
}

void guest_modules_free(struct module_list *list)
{
    for (unsigned k = 0; k < list->count; k++)
        free(list->paths[k]);
    free(list->paths);
    *list = (struct module_list){.count = 0};
}
