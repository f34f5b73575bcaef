/* SPDX-License-Identifier: MIT */
/*
 * multiboot_layout.c - the multiboot-1 header and the segments of ELF and flat kernels: pure,
 * see boot_kernel.h. Multiboot Specification 0.6.96, section 3.1.
 */
#include "board/boot_kernel.h"

#include <elf.h>
#include <stdio.h>

#define HEADER_MAGIC         0x1badb002u
#define HEADER_WINDOW        8192u
#define HEADER_BYTES         12u
#define ADDRESS_HEADER_BYTES 32u
#define FLAG_ADDRESSES       (1u << 16)
#define FLAGS_KNOWN          7u /* of the mandatory ones: page-aligned modules, memory, video */

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)load_le(p, 4);
}

static const uint8_t *find_header(const uint8_t *image, uint32_t length)
{
    uint32_t window = length < HEADER_WINDOW ? length : HEADER_WINDOW;
    for (uint32_t at = 0; at + HEADER_BYTES <= window; at += 4) {
        const uint8_t *h = image + at;
        if (le32(h) == HEADER_MAGIC && le32(h) + le32(h + 4) + le32(h + 8) == 0)
            return h;
    }
    return NULL;
}

bool multiboot_detect(const uint8_t *image, uint32_t length)
{
    return find_header(image, length) != NULL;
}

static int refuse(char why[160], enum weir_error code, const char *text)
{
    snprintf(why, 160, "%s", text);
    return -(int)code;
}

/* What a linker puts just below 1 MiB (ELF headers before a kernel at 1 MiB) is let through:
 * there is ROM, and it is lost as on other machines.
 *
 * Everything of a segment is checked here, whatever format it came from. */
static int add_segment(struct multiboot_layout *l, uint32_t length, uint64_t ram_end,
                       const uint64_t segment[4], char why[160])
{
    uint64_t offset = segment[0], file_bytes = segment[1], gpa = segment[2], bytes = segment[3];
    if (!bytes)
        return 0;
    if (offset > length || file_bytes > length - offset || file_bytes > bytes)
        return refuse(why, WEIR_EFORMAT, "a segment lies outside the file");
    bool is_low =
        gpa >= BOOT_LOW_FREE_GPA && gpa <= BOOT_LOW_END && bytes <= BOOT_LOW_END - gpa;
    if (gpa < BOOT_ROM_GPA && !is_low)
        return refuse(why, WEIR_EUNSUPPORTED,
                      "a segment loads where the machine has its own data");
    if (gpa > ram_end || bytes > ram_end - gpa)
        return refuse(why, WEIR_ERANGE, "a segment does not fit in RAM");
    if (l->segment_count == MULTIBOOT_SEGMENTS)
        return refuse(why, WEIR_EUNSUPPORTED, "too many segments");
    unsigned n = l->segment_count++;
    l->segment[n].offset = (uint32_t)offset;
    l->segment[n].file_bytes = (uint32_t)file_bytes;
    l->segment[n].gpa = (uint32_t)gpa;
    l->segment[n].bytes = (uint32_t)bytes;
    if (gpa + bytes > l->end)
        l->end = (uint32_t)(gpa + bytes);
    return 0;
}

static int flat_layout(const uint8_t *image, uint32_t length, const uint8_t *header,
                       uint64_t ram_end, struct multiboot_layout *l, char why[160])
{
    uint32_t at = (uint32_t)(header - image);
    if (length - at < ADDRESS_HEADER_BYTES)
        return refuse(why, WEIR_EFORMAT, "the file ends inside the multiboot header");
    uint32_t header_gpa = le32(header + 12), load = le32(header + 16);
    uint32_t load_end = le32(header + 20), bss_end = le32(header + 24);
    l->entry = le32(header + 28);
    if (load > header_gpa || header_gpa - load > at)
        return refuse(why, WEIR_EFORMAT, "bad load address in the multiboot header");
    uint32_t offset = at - (header_gpa - load);
    uint32_t file_bytes = load_end ? load_end - load : length - offset;
    if (load_end && load_end < load)
        return refuse(why, WEIR_EFORMAT, "bad load end in the multiboot header");
    uint32_t bytes =
        bss_end > load && bss_end - load > file_bytes ? bss_end - load : file_bytes;
    return add_segment(l, length, ram_end, (uint64_t[]){offset, file_bytes, load, bytes}, why);
}

struct elf_segment {
    uint32_t type;
    uint64_t offset, vaddr, paddr, file_bytes, bytes;
};

static struct elf_segment elf_segment(const uint8_t *p, bool is_64bit)
{
    if (is_64bit) {
        Elf64_Phdr h;
        memcpy(&h, p, sizeof(h));
        return (struct elf_segment){h.p_type,  h.p_offset, h.p_vaddr,
                                    h.p_paddr, h.p_filesz, h.p_memsz};
    }
    Elf32_Phdr h;
    memcpy(&h, p, sizeof(h));
    return (struct elf_segment){h.p_type,  h.p_offset, h.p_vaddr,
                                h.p_paddr, h.p_filesz, h.p_memsz};
}

/* Header fields of both classes. False if it is no x86 ELF executable. */
static bool elf_header(const uint8_t *image, uint32_t length, bool *is_64bit, uint64_t *entry,
                       uint64_t *table, unsigned *entry_bytes, unsigned *count)
{
    if (length < sizeof(Elf64_Ehdr) || memcmp(image, ELFMAG, SELFMAG) ||
        image[EI_DATA] != ELFDATA2LSB)
        return false;
    *is_64bit = image[EI_CLASS] == ELFCLASS64;
    if (*is_64bit) {
        Elf64_Ehdr h;
        memcpy(&h, image, sizeof(h));
        *entry = h.e_entry;
        *table = h.e_phoff;
        *entry_bytes = h.e_phentsize;
        *count = h.e_phnum;
        return h.e_machine == EM_X86_64 && *entry_bytes >= sizeof(Elf64_Phdr);
    }
    Elf32_Ehdr h;
    memcpy(&h, image, sizeof(h));
    *entry = h.e_entry;
    *table = h.e_phoff;
    *entry_bytes = h.e_phentsize;
    *count = h.e_phnum;
    return h.e_machine == EM_386 && *entry_bytes >= sizeof(Elf32_Phdr);
}

static int elf_layout(const uint8_t *image, uint32_t length, uint64_t ram_end,
                      struct multiboot_layout *l, char why[160])
{
    bool is_64bit;
    uint64_t entry, table;
    unsigned entry_bytes, count;
    if (!elf_header(image, length, &is_64bit, &entry, &table, &entry_bytes, &count))
        return refuse(why, WEIR_EFORMAT, "multiboot kernel is neither flat nor x86 ELF");
    if (table > length || (uint64_t)count * entry_bytes > length - table)
        return refuse(why, WEIR_EFORMAT, "program headers lie outside the file");
    uint64_t start = entry;
    for (unsigned i = 0; i < count; i++) {
        struct elf_segment s = elf_segment(image + table + (uint64_t)i * entry_bytes, is_64bit);
        if (s.type != PT_LOAD)
            continue;
        int rc = add_segment(l, length, ram_end,
                             (uint64_t[]){s.offset, s.file_bytes, s.paddr, s.bytes}, why);
        if (rc < 0)
            return rc;
        /* The entry may be given by its linked address; the CPU starts without paging. */
        if (entry >= s.vaddr && entry - s.vaddr < s.bytes)
            start = entry - s.vaddr + s.paddr;
    }
    l->entry = (uint32_t)start;
    return start > UINT32_MAX ? refuse(why, WEIR_EFORMAT, "entry point above 4 GiB") : 0;
}

int multiboot_layout(const uint8_t *image, uint32_t length, uint64_t ram_end,
                     struct multiboot_layout *out, char why[160])
{
    *out = (struct multiboot_layout){0};
    const uint8_t *header = find_header(image, length);
    if (!header)
        return refuse(why, WEIR_EFORMAT, "no multiboot header");
    out->flags = le32(header + 4);
    if (out->flags & 0xffff & ~FLAGS_KNOWN)
        return refuse(why, WEIR_EUNSUPPORTED, "unknown multiboot requirement");
    int rc = out->flags & FLAG_ADDRESSES ? flat_layout(image, length, header, ram_end, out, why)
                                         : elf_layout(image, length, ram_end, out, why);
    if (rc == 0 && !out->segment_count)
        rc = refuse(why, WEIR_EFORMAT, "nothing to load");
    return rc;
}
