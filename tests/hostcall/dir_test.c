/* SPDX-License-Identifier: MIT */
/*
 * dir_test.c - directories: READDIR's cookies, DOS's names and searches, and both while the
 * directory changes.
 */
#include "rig.h"

#include "hostcall/dosname.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void start(struct rig *r)
{
    rig_open(r, "jit", 32, true, "share=s,path=%s,share=docs,path=/usr/share,ro");
}
static void on_host(struct rig *r, const char *text)
{
    char command[800];
    snprintf(command, sizeof(command), "cd %s && %s", r->dir, text);
    assert_int_equal(system(command), 0);
}

/* ---- names alone ---- */

static void short_names(void **state)
{
    static const struct {
        const char *name;
        bool is_short;
    } cases[] = {
        {"README", true},
        {"README.TXT", true},
        {"A.B", true},
        {"12345678.ABC", true},
        {"123456789", false},
        {"A.TEXT", false},
        {"A.B.C", false},
        {".PROFILE", false},
        {"A.", false},
        {"", false},
        {"A B", false},
        {"A+B", false},
        {"CON", false},
        {"NUL.TXT", false},
        {"COM1", false},
        {"COMET", true},
        {"$~!#%&-{}()@'`^_", false},
        {"$~!#%&-", true},
        {"\x9a.TXT", true},
        {"a", false},
    };
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++)
        if (dosname_is_short(cases[k].name) != cases[k].is_short)
            fail_msg("%s", cases[k].name);
}

static void mangled(void **state)
{
    static const char *const names[] = {"long file name.text",
                                        ".profile",
                                        "a.b.c.d",
                                        "nul",
                                        "Aux.c",
                                        "\xff\xfe\xfd",
                                        "   ",
                                        "...",
                                        "x y",
                                        "\xe6\x97\xa5\xe6\x9c\xac.txt",
                                        "+",
                                        "name.",
                                        "\\..\\x",
                                        "a:b"};
    char alias[13], again[13];
    uint8_t fcb[11];
    for (unsigned k = 0; k < ARRAY_SIZE(names); k++) {
        dosname_mangle(names[k], 0, alias);
        dosname_mangle(names[k], 0, again);
        assert_string_equal(alias, again);
        if (!dosname_is_short(alias) || !dosname_to_fcb(alias, fcb))
            fail_msg("%s: %s", names[k], alias);
        dosname_mangle(names[k], 1, again);
        assert_string_not_equal(alias, again);
    }
    dosname_mangle("long file name.text", 0, alias);
    assert_memory_equal(alias, "LONG~", 5);
    assert_string_equal(alias + 8, ".TEX");
}

static void code_page(void **state)
{
    char text[64], back[64];
    assert_true(cp437_from_utf8("\xc3\xa4\xc3\xb6.\xce\xb1", text, sizeof(text)));
    assert_string_equal(text, "\x84\x94.\xe0");
    cp437_to_utf8(text, back, sizeof(back));
    assert_string_equal(back, "\xc3\xa4\xc3\xb6.\xce\xb1");
    cp437_fold(text);
    assert_string_equal(text, "\x8e\x99.\xe0");
    assert_false(cp437_from_utf8("\xe6\x97\xa5", text, sizeof(text)));
    assert_false(cp437_from_utf8("\xff", text, sizeof(text)));
    assert_false(cp437_from_utf8("\xc3", text, sizeof(text)));
    dosname_to_host("README.TXT", text, sizeof(text));
    assert_string_equal(text, "readme.txt");
    dosname_to_host("ReadMe", text, sizeof(text));
    assert_string_equal(text, "ReadMe");
    dosname_to_host("\x8e", text, sizeof(text));
    assert_string_equal(text, "\xc3\xa4");
}

static void patterns(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"*", "A", true},         {"*.*", "A", true},
        {"*.*", "A.B", true},     {"*.TXT", "A.TXT", true},
        {"*.TXT", "A.TX", false}, {"A?C", "ABC", true},
        {"A?C", "AC", false},     {"A??", "A", true},
        {"*A*", "BAB", true},     {"*A*B", "XAYAB", true},
        {"*A*B", "XAYAC", false}, {"", "", true},
        {"A*", "A.B.C", true},    {"*.C", "A.B.C", true},
        {"*****", "", true},      {"LONG NAME.*", "LONG NAME", true},
        {"A.*", "AB", false},
    };
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++)
        if (dosname_match(cases[k].pattern, cases[k].name) != cases[k].matches)
            fail_msg("%s %s", cases[k].pattern, cases[k].name);
}

/* ---- READDIR ---- */

static unsigned readdir_all(struct rig *r, uint32_t handle, uint32_t room, uint32_t flags,
                            char names[][64], uint64_t cookie)
{
    unsigned count = 0;
    for (;;) {
        struct weir_hc_readdir a = {.handle = handle,
                                    .flags = flags,
                                    .cookie = cookie,
                                    .region_count = 1,
                                    .regions = {rig_region(RIG_DATA, room)}};
        assert_int_equal(rig_call(r, &a, WEIR_HC_FILE_READDIR, sizeof(a)), 0);
        if (!a.done)
            return count;
        for (uint32_t at = 0; at < a.done;) {
            struct weir_hc_dirent e;
            memcpy(&e, rig_ram(r, RIG_DATA + at), sizeof(e));
            assert_true(e.record_length % 8 == 0 && e.record_length >= 32);
            memcpy(names[count], rig_ram(r, RIG_DATA + at + 24), e.name_length);
            names[count][e.name_length] = 0;
            if (flags) {
                struct weir_hc_stat st;
                uint32_t stat_at = at + e.record_length - (uint32_t)sizeof(st);
                memcpy(&st, rig_ram(r, RIG_DATA + stat_at), sizeof(st));
                assert_int_equal(st.mode & 0170000, e.type);
                assert_int_equal(st.ino, e.ino);
            }
            cookie = e.cookie;
            count++;
            at += e.record_length;
        }
    }
}

static void readdir_cookies(void **state)
{
    static char names[1100][64], seen[1000];
    struct rig r;
    struct weir_hc_open o;
    start(&r);
    on_host(&r, "for k in $(seq 0 999); do : >file-$k; done; mkdir dir");
    assert_int_equal(rig_open_file(&r, "/", 0, WEIR_HC_O_READ, &o), 0);
    for (unsigned round = 0; round < 3; round++) {
        unsigned n = readdir_all(&r, o.handle, round ? 65536 : 200, round == 2, names, 0);
        assert_int_equal(n, 1003); /* and dir, ., .. */
        memset(seen, 0, sizeof(seen));
        for (unsigned k = 0; k < n; k++) {
            int number = -1;
            if (sscanf(names[k], "file-%d", &number) == 1)
                seen[number]++;
        }
        for (unsigned k = 0; k < 1000; k++)
            assert_int_equal(seen[k], 1);
    }
    struct weir_hc_readdir a = {
        .handle = o.handle, .region_count = 1, .regions = {rig_region(RIG_DATA, 16)}};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_READDIR, sizeof(a)), WEIR_HC_ERANGE);
    rig_close(&r);
}

/* ---- FIND ---- */

static unsigned find_first(struct rig *r, const char *pattern, unsigned flags, unsigned attr,
                           struct weir_hc_find *a)
{
    memset(a, 0, sizeof(*a));
    a->path = rig_text(r, pattern, WEIR_HC_DOS);
    a->flags = (uint16_t)flags;
    a->attr = (uint8_t)attr;
    a->long_name = (struct weir_hc_text){RIG_DATA, 256, WEIR_HC_LINEAR, 0};
    return rig_call(r, a, WEIR_HC_FILE_FIND, sizeof(*a));
}
/* With what DOS would have kept, and nothing else. */
static unsigned find_next(struct rig *r, struct weir_hc_find *a)
{
    struct weir_hc_find b = {.cursor = a->cursor, .flags = WEIR_HC_FIND_NEXT, .attr = a->attr};
    memcpy(b.pattern, a->pattern, 11);
    *a = b;
    return rig_call(r, a, WEIR_HC_FILE_FIND, sizeof(*a));
}
/* Names found, with blanks between. */
static const char *find_all(struct rig *r, const char *pattern, unsigned attr)
{
    static char all[4096];
    struct weir_hc_find a;
    all[0] = 0;
    unsigned error = find_first(r, pattern, 0, attr, &a);
    while (!error) {
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s ", a.short_name);
        error = find_next(r, &a);
    }
    assert_int_equal(error, WEIR_HC_ENODATA);
    assert_int_equal(a.header.dos, 0x12);
    return all;
}

static void searches(void **state)
{
    struct rig r;
    struct weir_hc_find a;
    start(&r);
    on_host(&r,
            "echo hello >readme.txt; : >b.txt; : >Makefile; mkdir sub; : >sub/x; : >.hidden;"
            "chmod 444 b.txt; mkfifo p; ln -s b.txt l; ln -s /etc/passwd out; ln -s sub ls");
    assert_string_equal(find_all(&r, "\\*.*", 0), "MAKEFILE B.TXT L README.TXT ");
    assert_string_equal(find_all(&r, "X:\\????????.TXT", 0), "B.TXT README.TXT ");
    assert_string_equal(find_all(&r, "*.*", WEIR_HC_ATTR_DIR),
                        "MAKEFILE B.TXT L LS README.TXT SUB ");
    assert_string_equal(find_all(&r, "SUB\\*.*", WEIR_HC_ATTR_DIR), ". .. X ");
    assert_string_equal(find_all(&r, "sub/*.*", 0), "X ");
    assert_string_equal(find_all(&r, "MAKE*", 0), "MAKEFILE ");
    assert_string_equal(find_all(&r, "*.", 0), "MAKEFILE L ");
    assert_string_equal(find_all(&r, "NONE.*", 0), "");
    assert_int_equal(find_first(&r, "NODIR\\*.*", 0, 0, &a), WEIR_HC_ENOENT);
    assert_int_equal(a.header.dos, 3);
    assert_int_equal(find_first(&r, "README.TXT", 0, 0, &a), 0);
    assert_int_equal(a.entry_size, 6);
    assert_int_equal(a.entry_attr, WEIR_HC_ATTR_ARCHIVE);
    assert_memory_equal(a.entry_name, "README  TXT", 11);
    assert_string_equal(rig_ram(&r, RIG_DATA), "readme.txt");
    assert_int_equal(a.long_length, 10);
    assert_int_equal(find_first(&r, "B.TXT", 0, 0, &a), 0);
    assert_int_equal(a.entry_attr, WEIR_HC_ATTR_ARCHIVE | WEIR_HC_ATTR_RO);
    assert_int_equal(find_first(&r, "*.*", 0, WEIR_HC_ATTR_HIDDEN, &a), 0);
    assert_string_equal(rig_ram(&r, RIG_DATA), "Makefile");
    /* LFN: CH says what must be set. */
    memset(&a, 0, sizeof(a));
    a.path = rig_text(&r, "*.*", WEIR_HC_DOS);
    a.attr = 0x37;
    a.must = WEIR_HC_ATTR_DIR;
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_FIND, sizeof(a)), 0);
    assert_string_equal(a.short_name, "LS");
    /* The label. */
    assert_int_equal(find_first(&r, "\\*.*", 0, WEIR_HC_ATTR_LABEL, &a), 0);
    assert_memory_equal(a.entry_name, "S          ", 11);
    assert_int_equal(find_next(&r, &a), WEIR_HC_ENODATA);
    rig_close(&r);
}

/* Every file can be reached by its 8.3 name, which stays the same. */
static void collisions(void **state)
{
    struct rig r;
    struct weir_hc_find a;
    struct weir_hc_open o;
    char first[16][16] = {0};
    unsigned count = 0;
    uint32_t done;
    start(&r);
    on_host(
        &r,
        "for n in readme README ReadMe 'long name one' 'long name two' nul con.c '..x' "
        "'a+b' '日本' $(printf '\\377bad') 'LONG NAME ONE'; do printf \"$n\" >\"$n\"; done");
    unsigned error = find_first(&r, "*.*", 0, WEIR_HC_ATTR_HIDDEN, &a);
    for (; !error; error = find_next(&r, &a))
        memcpy(first[count++], a.short_name, 13);
    assert_int_equal(count, 12);
    on_host(&r, ": >'long name zero'; : >'a first'; rm 'long name two'");
    for (unsigned k = 0; k < count; k++) {
        for (unsigned n = 0; n < k; n++)
            assert_string_not_equal(first[k], first[n]);
        error = rig_open_file(&r, first[k], WEIR_HC_DOS, WEIR_HC_O_READ, &o);
        if (error) { /* the one that was removed */
            assert_int_equal(error, WEIR_HC_ENOENT);
            continue;
        }
        assert_int_equal(rig_read(&r, o.handle, 0, 64, &done), 0);
        assert_true(done >= 3);
        rig_close_file(&r, o.handle);
    }
    assert_int_equal(find_first(&r, "README", 0, 0, &a), 0);
    assert_int_equal(rig_open_file(&r, "README", WEIR_HC_DOS, WEIR_HC_O_READ, &o), 0);
    assert_int_equal(rig_read(&r, o.handle, 0, 64, &done), 0);
    assert_memory_equal(rig_ram(&r, RIG_DATA), "README", 6);
    /* Long names in any case. */
    assert_int_equal(rig_open_file(&r, "\\Long Name Zero", WEIR_HC_DOS, WEIR_HC_O_READ, &o), 0);
    assert_int_equal(find_first(&r, "*NAME Z*", WEIR_HC_FIND_LONG, 0, &a), 0);
    assert_string_equal(rig_ram(&r, RIG_DATA), "long name zero");
    struct weir_hc_link l = {.path = rig_text(&r, "LONG NAME ZERO", WEIR_HC_DOS),
                             .text = {RIG_DATA, 100, WEIR_HC_LINEAR, 0},
                             .flags = 1};
    assert_int_equal(rig_call(&r, &l, WEIR_HC_FILE_FULLNAME, sizeof(l)), 0);
    assert_memory_equal(rig_ram(&r, RIG_DATA), "\\LONG~", 6);
    rig_close(&r);
}

/* A search goes on where it was although files come and go: what is there all the time comes
 * exactly once. */
static void search_while_changing(void **state)
{
    struct rig r;
    struct weir_hc_find a;
    unsigned seen[100] = {0}, removed = 0;
    start(&r);
    on_host(&r, "for k in $(seq 10 99); do : >f$k; done");
    unsigned error = find_first(&r, "F*", 0, 0, &a);
    for (unsigned turn = 0; !error; turn++) {
        char text[64];
        unsigned number = (unsigned)atoi(a.short_name + 1);
        if (number < 100)
            seen[number]++;
        struct weir_hc_find keep = a;
        if (turn % 3 == 0) { /* as DEL does */
            snprintf(text, sizeof(text), "%s", a.short_name);
            assert_int_equal(rig_name(&r, WEIR_HC_FILE_UNLINK, text, WEIR_HC_DOS), 0);
            removed++;
        } else if (turn % 10 == 1) {
            snprintf(text, sizeof(text), "a%u", turn);
            rig_put(&r, text, "");
            struct weir_hc_find other;
            find_first(&r, "A*", 0, 0, &other); /* reads the directory again */
        }
        a = keep;
        error = find_next(&r, &a);
    }
    for (unsigned k = 10; k < 100; k++)
        assert_int_equal(seen[k], 1);
    assert_int_equal(removed, 30);
    /* The directory goes in the middle of a search. */
    on_host(&r, "mkdir d; : >d/a; : >d/b");
    assert_int_equal(find_first(&r, "D\\*.*", 0, 0, &a), 0);
    on_host(&r, "rm -r d");
    assert_int_equal(find_next(&r, &a), WEIR_HC_ENODATA);
    a.cursor = 0xdeadbeefdeadbeef; /* a guest's invention */
    assert_int_equal(find_next(&r, &a), WEIR_HC_ENODATA);
    rig_close(&r);
}

static void kept_searches(void **state)
{
    struct rig r;
    struct weir_hc_find a;
    uint32_t numbers[200];
    start(&r);
    on_host(&r, ": >one; : >two; : >'three is long'");
    for (unsigned k = 0; k < 200; k++) { /* more than are kept: the oldest are given up */
        memset(&a, 0, sizeof(a));
        a.path = rig_text(&r, "*", WEIR_HC_DOS);
        a.flags = WEIR_HC_FIND_KEEP | WEIR_HC_FIND_LONG;
        a.cursor = 5; /* owner */
        assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_FIND, sizeof(a)), 0);
        numbers[k] = a.dir;
        assert_in_range(a.dir, 1, 0xffff);
    }
    a = (struct weir_hc_find){.dir = numbers[0], .flags = WEIR_HC_FIND_KEEP | 1};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_FIND, sizeof(a)), WEIR_HC_EBADF);
    for (unsigned k = 0; k < 3; k++) {
        a = (struct weir_hc_find){.dir = numbers[199], .flags = WEIR_HC_FIND_KEEP | 1};
        assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_FIND, sizeof(a)),
                         k < 2 ? 0 : WEIR_HC_ENODATA);
    }
    a = (struct weir_hc_find){.dir = numbers[199], .flags = WEIR_HC_FIND_CLOSE};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_FIND, sizeof(a)), 0);
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_FIND, sizeof(a)), WEIR_HC_EBADF);
    struct weir_hc_close_owner c = {.owner = 5};
    assert_int_equal(rig_call(&r, &c, WEIR_HC_FILE_CLOSE_OWNER, sizeof(c)), 0);
    a = (struct weir_hc_find){.dir = numbers[198], .flags = WEIR_HC_FIND_CLOSE};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_FIND, sizeof(a)), WEIR_HC_EBADF);
    rig_close(&r);
}

/* A device is found in a directory that exists, with any extension, and only by its whole name. */
static void devices(void **state)
{
    static const struct {
        const char *path;
        unsigned error;
    } cases[] = {{"NUL", 0},
                 {"\\D\\NUL", 0},
                 {"D\\con.txt", 0},
                 {"NODIR\\NUL", WEIR_HC_ENOENT},
                 {"NU*", WEIR_HC_ENODATA},
                 {"NULL", WEIR_HC_ENODATA}};
    struct rig r;
    start(&r);
    on_host(&r, "mkdir d");
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        struct weir_hc_find a = {.path = rig_text(&r, cases[k].path, WEIR_HC_DOS)};
        unsigned error = rig_call(&r, &a, WEIR_HC_FILE_FIND, sizeof(a));
        if (error != cases[k].error)
            fail_msg("%s: %u", cases[k].path, error);
        if (error)
            continue;
        assert_int_equal(a.entry_attr, WEIR_HC_ATTR_DEVICE);
        assert_int_equal(a.entry_size, 0);
        a.flags = WEIR_HC_FIND_NEXT;
        assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_FIND, sizeof(a)), WEIR_HC_ENODATA);
    }
    rig_close(&r);
}

/* Kernels that search by FCB keep 32 bits of the cursor. */
static void half_a_cursor(void **state)
{
    struct rig r;
    start(&r);
    on_host(&r, "touch a b c");
    struct weir_hc_find a = {.path = rig_text(&r, "?.*", WEIR_HC_DOS)};
    unsigned found = 0;
    while (rig_call(&r, &a, WEIR_HC_FILE_FIND, sizeof(a)) == 0) {
        found++;
        a.flags = WEIR_HC_FIND_NEXT;
        a.cursor = (uint32_t)a.cursor;
        assert_in_range(found, 1, 3);
    }
    assert_int_equal(found, 3);
    rig_close(&r);
}

static void times_by_themselves(void **state)
{
    struct rig r;
    start(&r);
    struct weir_hc_file_time a = {.to_windows = 1,
                                  .dos_time = 23 << 11 | 59 << 5 | 29,
                                  .dos_date = (2024 - 1980) << 9 | 2 << 5 | 29,
                                  .hundredths = 199};
    struct weir_hc_file_time b = a;
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_TIME, sizeof(a)), 0);
    struct tm tm = {.tm_year = 124,
                    .tm_mon = 1,
                    .tm_mday = 29,
                    .tm_hour = 23,
                    .tm_min = 59,
                    .tm_sec = 59,
                    .tm_isdst = -1};
    assert_int_equal(a.windows / 10000000 - 11644473600, mktime(&tm));
    assert_int_equal(a.windows % 10000000, 9900000);
    a = (struct weir_hc_file_time){.windows = a.windows};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_TIME, sizeof(a)), 0);
    assert_int_equal(a.dos_time, b.dos_time);
    assert_int_equal(a.dos_date, b.dos_date);
    assert_int_equal(a.hundredths, b.hundredths);
    a = (struct weir_hc_file_time){.to_windows = 1};
    assert_int_equal(rig_call(&r, &a, WEIR_HC_FILE_TIME, sizeof(a)), WEIR_HC_EINVAL);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_names),     cmocka_unit_test(mangled),
        cmocka_unit_test(code_page),       cmocka_unit_test(patterns),
        cmocka_unit_test(readdir_cookies), cmocka_unit_test(searches),
        cmocka_unit_test(collisions),      cmocka_unit_test(search_while_changing),
        cmocka_unit_test(kept_searches),   cmocka_unit_test(devices),
        cmocka_unit_test(half_a_cursor),   cmocka_unit_test(times_by_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
