/* SPDX-License-Identifier: MIT */
/*
 * symbols.c - names of addresses, from ELF files and from lists as System.map. A file is somebody
 * else's: every offset and size in it is checked against its length.
 */
#include "introspect/introspect.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEAR_BYTES (16ull << 20) /* behind a symbol without size, it is not its any more */

struct symbol {
    uint64_t at, size;
    char *name;
};

struct symbol_table {
    struct symbol *symbol; /* ascending */
    size_t count, size;
};

static void table_free(struct symbol_table *t)
{
    for (size_t n = 0; t && n < t->count; n++)
        free(t->symbol[n].name);
    if (t)
        free(t->symbol);
    free(t);
}

void symbols_free(struct introspect *ix)
{
    table_free(ix->symbols);
    ix->symbols = NULL;
}

static bool add(struct symbol_table *t, const char *name, size_t length, uint64_t at,
                uint64_t size)
{
    if (!length)
        return true;
    if (t->count == t->size) {
        size_t bigger = t->size ? t->size * 2 : 1024;
        void *p = realloc(t->symbol, bigger * sizeof(*t->symbol));
        if (!p)
            return false;
        t->symbol = p;
        t->size = bigger;
    }
    char *copy = strndup(name, length);
    if (copy)
        t->symbol[t->count++] = (struct symbol){at, size, copy};
    return copy;
}

/* ---- ELF ---- */

struct file {
    const uint8_t *data;
    size_t bytes;
};

static bool inside(const struct file *f, uint64_t offset, uint64_t bytes)
{
    return offset <= f->bytes && bytes <= f->bytes - offset;
}

struct section {
    uint64_t offset, bytes, entry_bytes;
    uint32_t type, link;
};

static bool section_get(const struct file *f, bool wide, uint64_t table, unsigned n,
                        struct section *s)
{
    uint64_t at = table + (uint64_t)n * (wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr));
    if (!inside(f, at, wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)))
        return false;
    if (wide) {
        Elf64_Shdr h;
        memcpy(&h, f->data + at, sizeof(h));
        *s = (struct section){h.sh_offset, h.sh_size, h.sh_entsize, h.sh_type, h.sh_link};
    } else {
        Elf32_Shdr h;
        memcpy(&h, f->data + at, sizeof(h));
        *s = (struct section){h.sh_offset, h.sh_size, h.sh_entsize, h.sh_type, h.sh_link};
    }
    return inside(f, s->offset, s->type == SHT_NOBITS ? 0 : s->bytes);
}

static bool symbol_add(const struct file *f, bool wide, const uint8_t *raw,
                       const struct section *names, int64_t offset, struct symbol_table *t)
{
    Elf64_Sym s;
    if (wide) {
        memcpy(&s, raw, sizeof(s));
    } else {
        Elf32_Sym n;
        memcpy(&n, raw, sizeof(n));
        s = (Elf64_Sym){n.st_name, n.st_info, n.st_other, n.st_shndx, n.st_value, n.st_size};
    }
    unsigned type = ELF64_ST_TYPE(s.st_info);
    if (s.st_shndx == SHN_UNDEF || type > STT_FUNC || s.st_name >= names->bytes)
        return true;
    const char *name = (const char *)f->data + names->offset + s.st_name;
    size_t length = strnlen(name, names->bytes - s.st_name);
    return add(t, name, length, s.st_value + (uint64_t)offset, s.st_size);
}

static bool load_elf(const struct file *f, int64_t offset, struct symbol_table *t)
{
    bool wide = f->data[EI_CLASS] == ELFCLASS64;
    Elf64_Ehdr e = {0};
    if (wide) {
        if (!inside(f, 0, sizeof(e)))
            return true;
        memcpy(&e, f->data, sizeof(e));
    } else {
        Elf32_Ehdr h;
        if (!inside(f, 0, sizeof(h)))
            return true;
        memcpy(&h, f->data, sizeof(h));
        e.e_shoff = h.e_shoff;
        e.e_shnum = h.e_shnum;
    }
    size_t size = wide ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
    for (unsigned n = 0; n < e.e_shnum; n++) {
        struct section s, names;
        if (!section_get(f, wide, e.e_shoff, n, &s) ||
            (s.type != SHT_SYMTAB && s.type != SHT_DYNSYM) ||
            !section_get(f, wide, e.e_shoff, s.link, &names) || names.type == SHT_NOBITS)
            continue;
        for (uint64_t at = 0; at + size <= s.bytes; at += size)
            if (!symbol_add(f, wide, f->data + s.offset + at, &names, offset, t))
                return false;
    }
    return true;
}

/* ---- lists: "ffffffff81000000 T _text" ---- */

static bool load_list(const struct file *f, int64_t offset, struct symbol_table *t)
{
    const char *p = (const char *)f->data, *end = p + f->bytes;
    while (p < end) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        if (!line_end)
            line_end = end;
        char line[512], name[400], type;
        unsigned long long at;
        size_t length = (size_t)(line_end - p);
        if (length < sizeof(line)) {
            memcpy(line, p, length);
            line[length] = 0;
            if (sscanf(line, "%llx %c %399s", &at, &type, name) == 3 &&
                !add(t, name, strlen(name), at + (uint64_t)offset, 0))
                return false;
        }
        p = line_end + 1;
    }
    return true;
}

/* ---- loading ---- */

static int compare(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

int weir_symbols_load(weir *vm, const char *path, int64_t offset)
{
    struct introspect *ix = vm->introspect;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        if (fd >= 0)
            close(fd);
        return err_errno(&vm->err, "%s", path);
    }
    struct file f = {.bytes = (size_t)st.st_size};
    void *map = f.bytes ? mmap(NULL, f.bytes, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (map == MAP_FAILED)
        return err_set(&vm->err, WEIR_EFORMAT, "%s: no symbols", path);
    f.data = map;
    if (!ix->symbols)
        ix->symbols = calloc(1, sizeof(*ix->symbols));
    size_t before = ix->symbols ? ix->symbols->count : 0;
    bool elf = f.bytes > EI_NIDENT && !memcmp(f.data, ELFMAG, SELFMAG);
    bool ok = ix->symbols &&
              (elf ? load_elf(&f, offset, ix->symbols) : load_list(&f, offset, ix->symbols));
    munmap(map, f.bytes);
    if (!ok)
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    if (ix->symbols->count == before)
        return err_set(&vm->err, WEIR_EFORMAT, "%s: no symbols", path);
    qsort(ix->symbols->symbol, ix->symbols->count, sizeof(struct symbol), compare);
    return 0;
}

void weir_symbols_clear(weir *vm)
{
    symbols_free(vm->introspect);
}

int weir_symbol_find(weir *vm, const char *name, weir_gva *gva, uint64_t *size_bytes)
{
    const struct symbol_table *t = vm->introspect->symbols;
    for (size_t n = 0; t && n < t->count; n++)
        if (!strcmp(t->symbol[n].name, name)) {
            *gva = t->symbol[n].at;
            if (size_bytes) { /* a list does not say: up to the next one */
                size_t next = n + 1;
                while (next < t->count && t->symbol[next].at == *gva)
                    next++;
                *size_bytes = t->symbol[n].size;
                if (!*size_bytes && next < t->count)
                    *size_bytes = t->symbol[next].at - *gva;
            }
            return 0;
        }
    return err_set(&vm->err, WEIR_ENOENT, "symbol '%s': there is none", name);
}

const char *weir_symbol_at(weir *vm, weir_gva gva, uint64_t *offset)
{
    const struct symbol_table *t = vm->introspect->symbols;
    size_t low = 0, high = t ? t->count : 0;
    while (low < high) { /* the first one behind gva */
        size_t middle = low + (high - low) / 2;
        if (t->symbol[middle].at <= gva)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low)
        return NULL;
    const struct symbol *s = &t->symbol[low - 1];
    uint64_t distance = gva - s->at;
    if (distance >= (s->size ? s->size : NEAR_BYTES) && distance)
        return NULL;
    if (offset)
        *offset = distance;
    return s->name;
}
