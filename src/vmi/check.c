/* SPDX-License-Identifier: MIT */
/*
 * check.c - any VMI ROM, from a file: what a kernel looks at before it uses one, in its order, and
 * what makes an option ROM of it. The image is hostile: every offset in it is checked against the
 * ROM's own length, which is checked against the image.
 */
#include "vmi/check.h"
#include "vmi/rom.h"
#include "base/bits.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PCI_BYTES = 24, PNP_BYTES = 32, OWN_BYTES = 16, TEXT_MAX = 64 };

struct rom {
    const uint8_t *image;
    uint32_t bytes; /* by its own word, at most those of the image */
    unsigned major;
    unsigned errors;
    struct weir_text *out;
};

static void WEIR_PRINTF(2, 3) error(struct rom *r, const char *format, ...)
{
    char line[200];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    weir_textf(r->out, "error: %s\n", line);
    r->errors++;
}

static uint32_t get(const struct rom *r, uint32_t at, unsigned bytes)
{
    return at <= r->bytes && bytes <= r->bytes - at ? (uint32_t)load_le(r->image + at, bytes)
                                                    : 0;
}

/* A string in the ROM, printable; NULL if it does not end there or is too long. */
static const char *text_at(const struct rom *r, uint32_t at, char text[TEXT_MAX])
{
    for (unsigned n = 0; n < TEXT_MAX && at + n < r->bytes; n++) {
        uint8_t b = r->image[at + n];
        text[n] = (char)(b == 0 || (b >= ' ' && b < 0x7f) ? b : '?');
        if (!b)
            return text;
    }
    return NULL;
}

/* ---- headers ---- */

/* False, with one error: no VMI ROM at all. */
static bool check_header(struct rom *r, size_t bytes)
{
    if (bytes < VMI_AT_QUERY + 8) {
        error(r, "no VMI ROM: %zu bytes are less than a VMI header has", bytes);
        return false;
    }
    r->bytes = r->image[2] * 512u;
    if (load_le(r->image, 2) != 0xaa55) {
        error(r, "no option ROM: it does not begin with 55 AA");
        return false;
    }
    if (r->bytes < VMI_AT_QUERY + 8 || r->bytes > bytes) {
        error(r, "its length, %u bytes, does not fit the file's %zu", r->bytes, bytes);
        return false;
    }
    if (get(r, 8, 4) != VMI_SIGNATURE) {
        error(r, "no VMI ROM: 'cVmi' is missing at 8");
        return false;
    }
    r->major = r->image[0x0d];
    weir_textf(r->out, "API %u.%u, %u bytes\n", r->major, r->image[0x0c], r->bytes);
    if (r->major != 3 && r->major != 13)
        error(r, "API major %u: kernels use 3, or 13", r->major);
    return true;
}

static void check_sum(struct rom *r)
{
    uint8_t sum = 0;
    for (uint32_t i = 0; i < r->bytes; i++)
        sum = (uint8_t)(sum + r->image[i]);
    if (sum)
        error(r, "the sum of all bytes is 0x%02x, not 0", sum);
}

static void check_pci(struct rom *r)
{
    uint32_t at = get(r, VMI_AT_PCI, 2);
    if (!at) {
        if (r->major == 3)
            error(r, "no PCI header: kernels do not accept the ROM");
        return;
    }
    if (at + PCI_BYTES > r->bytes || memcmp(r->image + at, "PCIR", 4)) {
        error(r, "no PCI header at 0x%x", at);
        return;
    }
    uint32_t vendor = get(r, at + 4, 2), device = get(r, at + 6, 2);
    uint32_t length = get(r, at + 10, 2), chunks = get(r, at + 16, 2);
    weir_textf(r->out, "PCI header at 0x%x: vendor %04x, device %04x, ROM version %u.%u\n", at,
               vendor, device, r->image[at + 19], r->image[at + 18]);
    if (vendor != VMI_PCI_VENDOR || device != VMI_PCI_DEVICE)
        weir_textf(r->out, "note: Linux calls this a ROM from an unknown manufacturer\n");
    if (length < PCI_BYTES)
        error(r, "the PCI header's length is %u", length);
    if (chunks * 512 != r->bytes)
        error(r, "the PCI header gives %u bytes", chunks * 512);
    if (!(r->image[at + 21] & 0x80))
        weir_textf(r->out, "note: another image is said to follow\n");
}

static void check_name(struct rom *r, uint32_t at, const char *what)
{
    char text[TEXT_MAX];
    if (!at)
        return;
    if (text_at(r, at, text))
        weir_textf(r->out, "%s: %s\n", what, text);
    else
        error(r, "%s: no string at 0x%x", what, at);
}

static void check_pnp(struct rom *r)
{
    uint32_t at = get(r, VMI_AT_PNP, 2);
    uint8_t sum = 0;
    if (!at) {
        weir_textf(r->out, "note: no PnP header, so no names\n");
        return;
    }
    uint32_t length = at + PNP_BYTES <= r->bytes ? r->image[at + 5] * 16u : 0;
    if (!length || at + length > r->bytes || memcmp(r->image + at, "$PnP", 4)) {
        error(r, "no PnP header at 0x%x", at);
        return;
    }
    for (uint32_t i = 0; i < length; i++)
        sum = (uint8_t)(sum + r->image[at + i]);
    if (sum)
        error(r, "the PnP header's sum is 0x%02x, not 0", sum);
    check_name(r, get(r, at + 14, 2), "manufacturer");
    check_name(r, get(r, at + 16, 2), "product");
}

static void check_licence(struct rom *r)
{
    char text[TEXT_MAX];
    uint32_t at = get(r, VMI_AT_LICENCE, 2);
    if (r->major != 3)
        return;
    if (!at || !text_at(r, at, text)) {
        error(r, "no licence string (offset 0x%x)", at);
        return;
    }
    weir_textf(r->out, "licence: %s\n", text);
    if (strcmp(text, "GPL") && strcmp(text, "GPL v2"))
        error(r, "Linux uses a ROM with the licence 'GPL' or 'GPL v2' only");
}

/* ---- code ---- */

/* Target of a CALL or JMP rel32, or JMP rel8, at `at`; false: it is none. */
static bool branch(const struct rom *r, uint32_t at, uint32_t *target)
{
    uint32_t op = get(r, at, 1);
    if (op == 0xe8 || op == 0xe9)
        *target = at + 5 + get(r, at + 1, 4);
    else if (op == 0xeb)
        *target = at + 2 + (uint32_t)(int8_t)get(r, at + 1, 1);
    else
        return false;
    return true;
}

/* Bytes that no code begins with: filling. */
static bool is_empty(const struct rom *r, uint32_t at)
{
    uint32_t word = get(r, at, 4);
    return word == 0 || word == 0xffffffff || word == 0xcccccccc;
}

static void check_entry(struct rom *r, uint32_t at, const char *name)
{
    uint32_t target;
    if (is_empty(r, at))
        error(r, "%s: there is no code at 0x%x", name, at);
    else if (branch(r, at, &target) && target >= r->bytes)
        error(r, "%s: leads out of the ROM", name);
}

static void check_slots(struct rom *r)
{
    unsigned empty = 0;
    if (r->bytes < VMI_SLOTS * VMI_SLOT_BYTES)
        error(r, "%u slots do not fit", VMI_SLOTS);
    for (unsigned row = 0; row < VMI_ROWS; row++) {
        int slot = vmi_calls[row].number[1];
        if (slot < 0 || (slot + 1) * VMI_SLOT_BYTES > (int)r->bytes)
            continue;
        if (is_empty(r, (uint32_t)slot * VMI_SLOT_BYTES)) {
            weir_textf(r->out, "note: slot %d, %s, is empty\n", slot, vmi_calls[row].name);
            empty++;
        }
    }
    if (empty == VMI_SLOTS - 5)
        error(r, "all slots are empty");
}

/* What our own ROMs say about themselves. */
static void check_own(struct rom *r)
{
    uint32_t table = get(r, VMI_AT_OWN + 4, 2), count = get(r, VMI_AT_OWN + 6, 2), last = 0;
    uint32_t counters = get(r, VMI_AT_OWN + 8, 2), rows = get(r, VMI_AT_OWN + 10, 2);
    if (memcmp(r->image + VMI_AT_OWN, "WEIR", 4))
        return;
    if (table + 2 * count > r->bytes || counters + 8 * rows > r->bytes) {
        error(r, "patch-ups or counters lie outside of the ROM");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        bool relative;
        uint32_t at = get(r, table + 2 * i, 2), target;
        unsigned field =
            at < r->bytes ? vmi_patch_field(r->image + at, r->bytes - at, &relative) : 0;
        if (!field || at <= last)
            error(r, "patch-up %u: Invalid VMI ROM instruction at 0x%x", i, at);
        else if (relative && branch(r, at, &target) && target >= r->bytes)
            error(r, "patch-up %u at 0x%x leads out of the ROM", i, at);
        last = at;
    }
    weir_textf(r->out, "patch-ups: %u; counters: %u\n", count, rows);
}

unsigned vmi_check(const uint8_t *image, size_t bytes, unsigned *major, struct weir_text *out)
{
    struct rom r = {.image = image, .out = out};
    *major = 0;
    if (!check_header(&r, bytes))
        return r.errors;
    check_sum(&r);
    check_pci(&r);
    check_pnp(&r);
    check_licence(&r);
    check_entry(&r, VMI_AT_INIT, "Init");
    if (r.major == 3)
        check_entry(&r, VMI_AT_QUERY, "GetRelocationInfo");
    if (r.major == 13)
        check_slots(&r);
    check_own(&r);
    *major = r.major;
    return r.errors;
}
