/* SPDX-License-Identifier: MIT */
/* dosname.c - see dosname.h. Code page 437 and its table of capitals as DOS uses it for names. */
#include "hostcall/dosname.h"

#include <string.h>

// clang-format off
static const uint16_t unicode[128] = {
    0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea, 0x00eb, 0x00e8, 0x00ef,
    0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6, 0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9,
    0x00ff, 0x00d6, 0x00dc, 0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa,
    0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc, 0x00a1, 0x00ab, 0x00bb,
    0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557,
    0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f,
    0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559,
    0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580,
    0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4,
    0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320, 0x2321, 0x00f7, 0x2248,
    0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0,
};
/* Capitals of 80h-A5h; some accents get lost. */
static const uint8_t capital[] = {
    0x80, 0x9a, 0x90, 'A',  0x8e, 'A',  0x8f, 0x80, 'E',  'E',  'E',  'I',  'I',  'I',  0x8e, 0x8f,
    0x90, 0x92, 0x92, 'O',  0x99, 'O',  'U',  'U',  'Y',  0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f,
    'A',  'I',  'O',  'U',  0xa5, 0xa5,
};
// clang-format on

/* ---- code page ---- */

/* One character; advances *p. -1: not UTF-8. */
static long utf8_next(const char **p)
{
    const uint8_t *s = (const uint8_t *)*p;
    unsigned more = s[0] < 0x80 ? 0 : s[0] >> 5 == 6 ? 1 : s[0] >> 4 == 14 ? 2 : 3;
    if ((more == 3 && s[0] >> 3 != 30) || (s[0] & 0xc0) == 0x80)
        return -1;
    long v = more ? s[0] & (0x3f >> more) : s[0];
    for (unsigned k = 1; k <= more; k++) {
        if ((s[k] & 0xc0) != 0x80)
            return -1;
        v = v << 6 | (s[k] & 0x3f);
    }
    *p += more + 1;
    return v;
}

static int byte_of(long character)
{
    if (character < 0x80)
        return (int)character;
    for (unsigned k = 0; k < 128; k++)
        if (unicode[k] == character)
            return (int)(0x80 + k);
    return -1;
}

bool cp437_from_utf8(const char *utf8, char *out, size_t room)
{
    size_t n = 0;
    while (*utf8) {
        long c = utf8_next(&utf8);
        int byte = c < 0 ? -1 : byte_of(c);
        if (byte < 0 || n + 1 >= room)
            return false;
        out[n++] = (char)byte;
    }
    out[n] = 0;
    return true;
}

void cp437_to_utf8(const char *bytes, char *out, size_t room)
{
    size_t n = 0;
    for (; *bytes && n + 4 < room; bytes++) {
        uint8_t byte = (uint8_t)*bytes;
        unsigned c = byte < 0x80 ? byte : unicode[byte - 0x80];
        if (c < 0x80) {
            out[n++] = (char)c;
        } else if (c < 0x800) {
            out[n++] = (char)(0xc0 | c >> 6);
            out[n++] = (char)(0x80 | (c & 0x3f));
        } else {
            out[n++] = (char)(0xe0 | c >> 12);
            out[n++] = (char)(0x80 | (c >> 6 & 0x3f));
            out[n++] = (char)(0x80 | (c & 0x3f));
        }
    }
    out[n] = 0;
}

uint8_t cp437_upper(uint8_t byte)
{
    if (byte >= 'a' && byte <= 'z')
        return (uint8_t)(byte - 32);
    return byte >= 0x80 && byte < 0x80 + sizeof(capital) ? capital[byte - 0x80] : byte;
}

static uint8_t cp437_lower(uint8_t byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return (uint8_t)(byte + 32);
    for (unsigned k = 0; k < sizeof(capital); k++)
        if (byte >= 0x80 && capital[k] == byte && k + 0x80 != byte)
            return (uint8_t)(0x80 + k);
    return byte;
}

void cp437_fold(char *text)
{
    for (; *text; text++)
        *text = (char)cp437_upper((uint8_t)*text);
}

/* ---- 8.3 ---- */

static bool is_plain(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80 ||
           (c && strchr("!#$%&'()-@^_`{}~", c));
}

bool dosname_is_device(const char *name)
{
    static const char *const devices[] = {"CON", "PRN", "AUX", "NUL", "CLOCK$"};
    char base[9];
    size_t n = 0;
    for (; name[n] && name[n] != '.'; n++) {
        if (n >= sizeof(base) - 1)
            return false;
        base[n] = (char)cp437_upper((uint8_t)name[n]);
    }
    while (n && base[n - 1] == ' ')
        n--;
    base[n] = 0;
    for (unsigned k = 0; k < sizeof(devices) / sizeof(devices[0]); k++)
        if (!strcmp(base, devices[k]))
            return true;
    return n == 4 && (!strncmp(base, "COM", 3) || !strncmp(base, "LPT", 3)) && base[3] >= '1' &&
           base[3] <= '9';
}

bool dosname_is_short(const char *folded)
{
    size_t base = strcspn(folded, "."), ext = 0;
    if (folded[base] == '.') {
        ext = strlen(folded + base + 1);
        if (!ext)
            return false;
    }
    if (!base || base > 8 || ext > 3 || dosname_is_device(folded))
        return false;
    for (size_t k = 0; folded[k]; k++)
        if (k != base && !is_plain((uint8_t)folded[k]))
            return false;
    return true;
}

void dosname_to_host(const char *name, char *out, size_t room)
{
    char folded[WEIR_NAME_ROOM];
    size_t length = strlen(name);
    bool fits = length < sizeof(folded);
    if (fits) {
        memcpy(folded, name, length + 1);
        cp437_fold(folded);
    }
    if (!fits || strcmp(folded, name) || !dosname_is_short(name)) {
        cp437_to_utf8(name, out, room);
        return;
    }
    for (size_t k = 0; k < length; k++)
        folded[k] = (char)cp437_lower((uint8_t)name[k]);
    cp437_to_utf8(folded, out, room);
}

/* Up to `most` characters that DOS takes; returns how many. */
static unsigned take_plain(const char *from, const char *end, char *to, unsigned most)
{
    unsigned n = 0;
    for (; from < end && n < most; from++) {
        uint8_t c = cp437_upper((uint8_t)*from);
        if (c == ' ' || c == '.')
            continue;
        to[n++] = (char)(is_plain(c) ? c : '_');
    }
    return n;
}

void dosname_mangle(const char *host_name, unsigned n, char alias[13])
{
    char text[WEIR_NAME_ROOM];
    uint32_t hash = 2166136261u;
    for (const char *p = host_name; *p; p++)
        hash = (hash ^ (uint8_t)*p) * 16777619u;
    hash = (hash ^ hash >> 16) + n;
    if (!cp437_from_utf8(host_name, text, sizeof(text))) {
        size_t k = 0;
        for (; host_name[k] && k + 1 < sizeof(text); k++)
            text[k] = (char)((uint8_t)host_name[k] < 0x80 ? host_name[k] : '_');
        text[k] = 0;
    }
    const char *start = text + strspn(text, ". "), *end = text + strlen(text);
    const char *dot = strrchr(start, '.');
    unsigned at = take_plain(start, dot ? dot : end, alias, 4);
    if (!at)
        alias[at++] = '_';
    alias[at++] = '~';
    for (unsigned k = 0; k < 3; k++, hash /= 36)
        alias[at++] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[hash % 36];
    if (dot) {
        unsigned ext = take_plain(dot + 1, end, alias + at + 1, 3);
        if (ext) {
            alias[at] = '.';
            at += 1 + ext;
        }
    }
    alias[at] = 0;
}

/* ---- patterns ---- */

static bool fill(const char *from, size_t length, uint8_t *to, size_t room)
{
    for (size_t k = 0; k < room; k++) {
        if (length && *from == '*') {
            to[k] = '?';
            if (k + 1 == room)
                return true;
            continue;
        }
        to[k] = length ? cp437_upper((uint8_t)*from) : ' ';
        from += length != 0;
        length -= length != 0;
    }
    return length == 0 || *from == '*';
}

bool dosname_to_fcb(const char *name, uint8_t fcb[11])
{
    size_t base = strspn(name, ".");
    if (name[base] || base > 2 || !base) /* "." and ".." are names, others have a base */
        base = strcspn(name, ".");
    const char *ext = name[base] ? name + base + 1 : "";
    return fill(name, base, fcb, 8) && fill(ext, strlen(ext), fcb + 8, 3);
}

bool dosname_match_fcb(const uint8_t pattern[11], const char *alias)
{
    uint8_t fcb[11];
    if (!dosname_to_fcb(alias, fcb))
        return false;
    for (unsigned k = 0; k < 11; k++)
        if (pattern[k] != '?' && cp437_upper(pattern[k]) != fcb[k])
            return false;
    return true;
}

static bool match(const char *p, const char *p_end, const char *s)
{
    const char *star = NULL, *from = NULL;
    for (;;) {
        if (p < p_end && *p == '*') {
            star = ++p;
            from = s;
        } else if (*s && p < p_end && (*p == '?' || *p == *s)) {
            p++;
            s++;
        } else if (!*s) {
            while (p < p_end && (*p == '*' || *p == '?'))
                p++;
            return p == p_end;
        } else if (star) {
            p = star;
            s = ++from;
        } else {
            return false;
        }
    }
}

bool dosname_match(const char *pattern, const char *name)
{
    size_t length = strlen(pattern);
    if (match(pattern, pattern + length, name))
        return true;
    bool any_ext = length >= 2 && !strcmp(pattern + length - 2, ".*");
    return any_ext && !strchr(name, '.') && match(pattern, pattern + length - 2, name);
}
