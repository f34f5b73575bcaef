/* SPDX-License-Identifier: MIT */
/*
 * tool_test.c - the parts of the command that need no machine: properties, suggestions, the
 * option table, expressions and formats of the monitor, the splitter of JSON streams.
 */
#include "../../tools/weir/disas.h"
#include "../../tools/weir/expr.h"
#include "../../tools/weir/option_parse.h"
#include "../../tools/weir/qmp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ---- text and properties ---- */

static void suggestions(void **state)
{
    static const char *const names[] = {"file", "format", "snapshot", "readonly", NULL};
    static const struct {
        const char *word, *nearest;
    } cases[] = {{"fiel", "file"},     {"fil", "file"},           {"FORMAT", "format"},
                 {"snap", "snapshot"}, {"read-only", "readonly"}, {"x", "file"}};
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++)
        assert_string_equal(suggest_from(cases[k].word, names), cases[k].nearest);
    char giant[500];
    memset(giant, 'a', sizeof(giant) - 1);
    giant[499] = 0;
    assert_non_null(suggest_from(giant, names));
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } cases[] = {{"512", true, 512ull << 20},
                 {"1G", true, 1ull << 30},
                 {"64k", true, 65536},
                 {"0x10", true, 16ull << 20},
                 {"3b", true, 3},
                 {"1T", true, 1ull << 40},
                 {"", false, 0},
                 {"M", false, 0},
                 {"1x", false, 0},
                 {"-1", false, 0},
                 {"1GG", false, 0},
                 {"99999999999999T", false, 0},
                 {"99999999999999999999", false, 0}};
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        uint64_t value = 0;
        assert_int_equal(parse_size(cases[k].text, 1 << 20, &value), cases[k].good);
        if (cases[k].good)
            assert_int_equal(value, cases[k].value);
    }
}

static void properties(void **state)
{
    struct props p;
    const char *error;
    assert_true(props_parse(&p, "disk,,1.img,if=ide,id=a,,b,flag,id=last", "file", &error));
    assert_int_equal(p.count, 5);
    assert_string_equal(props_get(&p, "file"), "disk,1.img");
    assert_string_equal(props_get(&p, "if"), "ide");
    assert_string_equal(props_get(&p, "id"), "last");
    assert_string_equal(props_get(&p, "flag"), "on");
    assert_null(props_get(&p, "none"));
    static const char *const names[] = {"file", "if", "id", NULL};
    assert_string_equal(props_unknown(&p, names), "flag");
    props_free(&p);
    assert_false(props_parse(&p, "=x", NULL, &error));
    props_free(&p);
    assert_true(props_parse(&p, "", NULL, &error));
    assert_int_equal(p.count, 0);
    props_free(&p);
}

/* ---- options ---- */

static enum parse_result parse(struct options *o, const char *line)
{
    char *copy = strdup(line), *argv[40] = {(char *)"weir"}, *save;
    int argc = 1;
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save))
        argv[argc++] = strdup(word);
    enum parse_result result = options_parse(o, argc, argv);
    for (int k = 1; k < argc; k++)
        option_keep(o, argv[k]); /* the options point into them */
    free(copy);
    return result;
}

static void good_options(void **state)
{
    struct options o = {0};
    assert_int_equal(
        parse(&o, "run-is-an-image.img -m 64 -nographic -hdb b.img -cdrom c.iso "
                  "-drive file=d.img,if=virtio,readonly=on,serial=S1 -boot once=d,menu=on "
                  "-no-reboot -S -d int,cpu -name guest --uuid "
                  "00112233-4455-6677-8899-aabbccddeeff"),
        PARSE_OK);
    assert_int_equal(o.config.ram_bytes, 64 << 20);
    assert_true(o.nographic && o.no_reboot && o.start_stopped && o.config.boot_menu);
    assert_string_equal(o.config.boot_order, "d");
    assert_int_equal(o.config.uuid[15], 0xff);
    assert_int_equal(o.log_items, WEIR_LOG_INT | WEIR_LOG_CPU);
    static const struct {
        const char *file, *interface;
        int index;
        bool cdrom, read_only;
    } drives[] = {{"run-is-an-image.img", "ide", 0, false, false},
                  {"b.img", "ide", 1, false, false},
                  {"c.iso", "ide", 2, true, true},
                  {"d.img", "virtio", -1, false, true}};
    struct drive_option *d = o.drives;
    for (unsigned k = 0; k < ARRAY_SIZE(drives); k++, d = d->next) {
        assert_non_null(d);
        assert_string_equal(d->drive.file, drives[k].file);
        assert_string_equal(d->drive.interface_, drives[k].interface);
        assert_int_equal(d->drive.index, drives[k].index);
        assert_int_equal(d->drive.is_cdrom, drives[k].cdrom);
        assert_int_equal(d->drive.read_only, drives[k].read_only);
    }
    /* -nographic: one terminal, shared, Ctrl-C for the guest. */
    assert_non_null(o.chardevs);
    assert_string_equal(o.chardevs->spec, "stdio");
    assert_true(o.chardevs->mux && !o.chardevs->signals);
    assert_int_equal(o.chardevs->user_count, 2);
    options_free(&o);
}

static void consoles(void **state)
{
    struct options o = {0};
    /* Nothing said: as -nographic. */
    assert_int_equal(parse(&o, "-m 16"), PARSE_OK);
    assert_true(o.chardevs && o.chardevs->mux);
    options_free(&o);
    assert_int_equal(parse(&o, "-display none"), PARSE_OK);
    assert_null(o.chardevs);
    options_free(&o);
    assert_int_equal(parse(&o, "-monitor stdio"), PARSE_OK);
    assert_true(o.chardevs && !o.chardevs->mux && o.chardevs->signals && !o.chardevs->next);
    options_free(&o);
    assert_int_equal(parse(&o, "-nographic -serial file:log"), PARSE_OK);
    assert_string_equal(o.chardevs->spec, "file:log");
    assert_string_equal(o.chardevs->next->spec, "stdio");
    assert_int_equal(o.chardevs->next->users[0].role, USER_MONITOR);
    options_free(&o);
    assert_int_equal(parse(&o, "-chardev stdio,id=c,mux=on -serial chardev:c -mon c"),
                     PARSE_OK);
    assert_int_equal(o.chardevs->user_count, 2);
    options_free(&o);
    assert_int_equal(parse(&o, "-chardev socket,id=q,path=/tmp/q,server=on,wait=off -mon "
                               "chardev=q,mode=control,pretty=on"),
                     PARSE_OK);
    assert_string_equal(o.chardevs->spec, "unix:/tmp/q,server=on,wait=off");
    assert_true(o.chardevs->users[0].role == USER_QMP && o.chardevs->users[0].pretty);
    options_free(&o);
    assert_int_equal(parse(&o, "-device isa-serial,iobase=0x2f8,id=s,chardev=c"), PARSE_OK);
    assert_string_equal(o.devices->props, "iobase=0x2f8,chardev=c");
    assert_string_equal(o.devices->id, "s");
    options_free(&o);
    assert_int_equal(parse(&o, "-dfilter 0x1000+0x100,0x2000-0x10,5..9"), PARSE_OK);
    assert_int_equal(o.log_range_count, 3);
    assert_int_equal(o.log_ranges[0][1], 0x10ff);
    assert_int_equal(o.log_ranges[1][0], 0x1ff1);
    assert_int_equal(o.log_ranges[1][1], 0x2000);
    assert_int_equal(o.log_ranges[2][1], 9);
    options_free(&o);
}

/* What is wrong must be named, in one line, with what was meant where one can guess. */
static void time_options(void **state)
{
    struct options o = {0};
    assert_int_equal(parse(&o, "-icount shift=4,sleep=off -rtc base=2001-09-09T01:46:40"),
                     PARSE_OK);
    assert_int_equal(o.config.icount_shift, 4);
    assert_false(o.config.icount_sleep);
    assert_int_equal(o.config.rtc_base_s, 1000000000);
    assert_false(o.check.on);
    options_free(&o);
    assert_int_equal(parse(&o, "-icount 0 -M pc,accel=check -nographic"), PARSE_OK);
    assert_int_equal(o.config.icount_shift, 0);
    assert_true(o.config.icount_sleep && o.check.on);
    options_free(&o);
    assert_int_equal(parse(&o, "-accel check,step=5,ram-step=6,limit=7,engine=interp"),
                     PARSE_OK);
    assert_int_equal(o.config.icount_shift, -1);
    assert_true(o.check.step == 5 && o.check.ram_step == 6 && o.check.limit == 7);
    options_free(&o);
}

static void bad_options(void **state)
{
    static const struct {
        const char *line, *first, *second;
    } cases[] = {
        {"-nografic", "-nografic", "-nographic"},
        {"-m", "-m needs", "SIZE"},
        {"-m 0", "-m 0", "size"},
        {"-m 12Q", "12Q", "size"},
        {"-m sise=1", "sise", "size"},
        {"-smp 2", "-smp 2", "one CPU"},
        {"-smp x", "-smp", "x"},
        {"-cpu qemu65", "qemu65", "qemu64"},
        {"-cpu qemu64,+axv", "axv", "avx"},
        {"-accel interq", "interq", "interp"},
        {"-machine pcc", "pcc", "pc"},
        {"-uuid 12", "-uuid 12", "form"},
        {"-rtc base=yesterday", "yesterday", "utc"},
        {"-rtc bass=utc", "bass", "base"},
        {"-icount 11", "11", "10"},
        {"-icount sleep=off", "shift", "missing"},
        {"-accel chek", "chek", "check"},
        {"-accel check,limt=3", "limt", "limit"},
        {"-accel check,step=0", "step", "number"},
        {"-accel check -S", "check", "-S"},
        {"-accel check -qmp unix:/tmp/x", "check", "QMP"},
        {"-icount shift=3,align=on", "align", "supported"},
        {"-boot order=z", "'z'", "letters"},
        {"-boot meun=on", "meun", "menu"},
        {"-device isa-seriel", "isa-seriel", "isa-serial"},
        {"-device internal", "internal", "nearest"},
        {"-device isa-serial,iobsae=1", "iobsae", "iobase"},
        {"-drive fiel=x", "fiel", "file"},
        {"-drive file=x,if=scsi", "scsi", "nearest"},
        {"-drive file=x,format=qcow2", "qcow2", "raw"},
        {"-drive file=x,index=9", "index=9", "drives"},
        {"-drive if=ide", "file=", "disk"},
        {"-drive file=x,readonly=perhaps", "perhaps", "on or off"},
        {"-serial sdtio", "sdtio", "stdio"},
        {"-serial unix:", "unix:", "address"},
        {"-serial unix:/x,sever", "sever", "server"},
        {"-serial chardev:x", "'x'", "-chardev"},
        {"-serial stdio -monitor stdio", "stdio", "already used"},
        {"-serial null -serial null -serial null -serial null -serial null", "-serial", "4"},
        {"-monitor file:x", "file:x", "no input"},
        {"-chardev soket,id=a", "soket", "socket"},
        {"-chardev socket,id=a", "path=", "port="},
        {"-chardev pty", "pty", "id="},
        {"-chardev pty,id=a,paht=x", "paht", "nearest"},
        {"-chardev stdio,id=c -serial chardev:c -mon c", "'c'", "mux=on"},
        {"-mon x,mode=controll", "controll", "control"},
        {"-d inn_asm", "inn_asm", "in_asm"},
        {"-D log%s", "log%s", "logfile"},
        {"-dfilter 1+", "1+", "right"},
        {"-dfilter 9..5", "9..5", "range"},
        {"-display gtk", "gtk", "none"},
        {"-vga cirrus", "cirrus", "nearest"},
        {"-net user", "user", "none"},
        {"-initrd x", "-initrd", "-kernel"},
        {"a.img b.img", "b.img", "second"},
    };
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        struct options o = {0};
        assert_int_equal(parse(&o, cases[k].line), PARSE_FAIL);
        if (!strstr(o.error, cases[k].first) || !strstr(o.error, cases[k].second))
            fail_msg("'%s' gives '%s'", cases[k].line, o.error);
        assert_null(strchr(o.error, '\n'));
        options_free(&o);
    }
}

static void help_options(void **state)
{
    static const struct {
        const char *line, *part;
    } cases[] = {{"-help", "-nographic"},
                 {"-version", "9.8.7"},
                 {"-cpu help", "qemu64"},
                 {"-machine help", "i440FX"},
                 {"-accel help", "interp"},
                 {"-device help", "isa-serial"},
                 {"-device isa-serial,help", "iobase"},
                 {"-d help", "in_asm"},
                 {"-chardev help", "socket"}};
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        struct options o = {0};
        assert_int_equal(parse(&o, cases[k].line), PARSE_DONE);
        if (!strstr(o.help.data, cases[k].part))
            fail_msg("'%s' does not show '%s'", cases[k].line, cases[k].part);
        assert_null(strstr(o.help.data, "internal"));
        options_free(&o);
    }
}

/* ---- expressions ---- */

static bool read_register(void *ctx, const char *name, uint64_t *value)
{
    return register_value(NULL, name, value);
}

static void expressions(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
        const char *rest;
    } good[] = {
        {"1+2*3", 7, ""},
        {"(1+2)*3", 9, ""},
        {" 0x10 | 1 ", 17, ""},
        {"10-4-3", 3, ""},
        {"7%4", 3, ""},
        {"-1/2", 0, ""},
        {"~0", -1, ""},
        {"- -5", 5, ""},
        {"6^3&2", 0, ""}, /* one level, from the left */
        {"1+2|4", 7, ""}, /* | binds tighter than + : 1+(2|4) */
        {"'A'", 65, ""},
        {"0x80 1", 0x80, "1"},
        {"0xffffffffffffffff", -1, ""},
        {"-9223372036854775807-1", INT64_MIN, ""},
        {"(-9223372036854775807-1)/-1", INT64_MIN, ""},
        {"(-9223372036854775807-1)%-1", 0, ""},
        {"$eax", 0x55667788, ""},
        {"$rax", 0x1122334455667788, ""},
        {"$ax", 0x7788, ""},
        {"$al+1", 0x89, ""},
        {"$ah", 0x77, ""},
        {"$sil", 0x8e, ""},
        {"$r8d", 0x55667790, ""},
        {"$cs", 0xf000, ""},
        {"$pc", 0xffff0, ""},
        {"$eip", 0xfff0, ""},
    };
    static const char *const bad[] = {
        "", "1+", "(1", "1/0", "1%0", "$xyz", "0xg", "12abc", "*", "@", "99999999999999999999"};
    struct expr_env env = {.reg = read_register};
    for (unsigned k = 0; k < ARRAY_SIZE(good); k++) {
        const char *s = good[k].text;
        int64_t value = 0;
        const char *error = expr_parse(&s, &env, &value);
        if (error || value != good[k].value || strcmp(s, good[k].rest))
            fail_msg("'%s' gives %lld, %s, rest '%s'", good[k].text, (long long)value,
                     error ? error : "", s);
    }
    for (unsigned k = 0; k < ARRAY_SIZE(bad); k++) {
        const char *s = bad[k];
        int64_t value;
        if (!expr_parse(&s, &env, &value))
            fail_msg("'%s' is no error", bad[k]);
    }
    env.path_follows = true;
    const char *s = "8/2 /4";
    int64_t value;
    assert_null(expr_parse(&s, &env, &value));
    assert_int_equal(value, 4);
    assert_string_equal(s, "/4");
    char deep[1000];
    memset(deep, '(', sizeof(deep) - 1);
    deep[999] = 0;
    s = deep;
    assert_non_null(expr_parse(&s, &env, &value));
}

/* Memory: byte n is n; nothing from 0x1000 on. */
static int read_memory(void *ctx, uint64_t address, void *buffer, size_t length)
{
    uint8_t *bytes = buffer;
    for (size_t k = 0; k < length; k++) {
        if (address + k >= 0x1000)
            return -WEIR_EFAULT;
        bytes[k] = (uint8_t)(address + k);
    }
    return 0;
}

static void dumps(void **state)
{
    static const struct {
        const char *format;
        uint64_t address;
        const char *text;
    } cases[] = {
        {"", 0x10, "0000000000000010: 0x13121110\n"},
        {"4", 0x10, "0000000000000010: 0x13121110 0x17161514 0x1b1a1918 0x1f1e1d1c\n"},
        {"2xg", 0x10, "0000000000000010: 0x1716151413121110 0x1f1e1d1c1b1a1918\n"},
        {"9xb", 0,
         "0000000000000000: 0x00 0x01 0x02 0x03 0x04 0x05 0x06 0x07\n"
         "0000000000000008: 0x08\n"},
        {"3hx", 0x20, "0000000000000020: 0x2120 0x2322 0x2524\n"},
        {"2db", 0xfe, "00000000000000fe:  -2  -1\n"},
        {"2ub", 0xfe, "00000000000000fe: 254 255\n"},
        {"1ob", 0x40, "0000000000000040: 0100\n"},
        {"2dw", 0xfc, "00000000000000fc:     -66052   50462976\n"},
        {"3c", 0x40, "0000000000000040: '@' 'A' 'B'\n"},
        {"2c", 0x0a, "000000000000000a: '\\n' '\\x0b'\n"},
        {"2c", 0x27, "0000000000000027: '\\'' '('\n"},
        {"2i", 0x30, "0x0000000000000030:  op30 /32\n0x0000000000000031:  op31 /32\n"},
        {"2i", 0xff, "0x00000000000000ff:  (bad)\n0x0000000000000100:  op00 /32\n"},
        {"2", 0xff8, "0000000000000ff8: 0xfbfaf9f8 0xfffefdfc\n"},
        {"8", 0xff0,
         "0000000000000ff0: 0xf3f2f1f0 0xf7f6f5f4 0xfbfaf9f8 0xfffefdfc\n"
         "0000000000001000: Cannot access memory\n"},
        {"1i", 0x2000, "0x0000000000002000: Cannot access memory\n"},
        {"0x", 0, ""},
    };
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        struct format defaults = {.letter = 'x', .size = 4};
        struct dump d = {.read = read_memory, .address = cases[k].address, .code_bits = 32};
        const char *s = cases[k].format;
        struct strbuf out;
        strbuf_init(&out);
        assert_null(format_parse(&s, &d.format, &defaults));
        dump_memory(&out.text, &d);
        if (strcmp(out.data, cases[k].text))
            fail_msg("x/%s: '%s' instead of '%s'", cases[k].format, out.data, cases[k].text);
        strbuf_free(&out);
    }
    struct format f, defaults = {.letter = 'x', .size = 4};
    const char *s = "4q";
    assert_non_null(format_parse(&s, &f, &defaults));
    s = "d 5";
    assert_null(format_parse(&s, &f, &defaults));
    assert_string_equal(s, "5");
    assert_int_equal(defaults.letter, 'd');
}

static void values(void **state)
{
    static const struct {
        char letter;
        int64_t value;
        const char *text;
    } cases[] = {{'x', 255, "0xff"}, {'d', -1, "-1"},   {'u', -1, "18446744073709551615"},
                 {'o', 8, "010"},    {'c', 'a', "'a'"}, {'x', 0, "0"}};
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        struct strbuf out;
        strbuf_init(&out);
        format_value(&out.text, cases[k].letter, cases[k].value);
        assert_string_equal(out.data, cases[k].text);
        strbuf_free(&out);
    }
}

/* ---- JSON streams ---- */

/* The values of a text, separated by '\n', when it comes in pieces of n bytes. */
static char *split(const char *text, size_t piece, unsigned *too_long)
{
    struct json_splitter s;
    struct strbuf all;
    splitter_init(&s);
    strbuf_init(&all);
    size_t length = strlen(text);
    for (size_t at = 0; at < length;) {
        bool complete;
        size_t n = length - at < piece ? length - at : piece;
        size_t taken = splitter_feed(&s, text + at, n, &complete);
        assert_true(taken > 0 && taken <= n);
        at += taken;
        if (complete) {
            *too_long += s.too_long;
            strbuf_printf(&all, "%s\n", s.too_long ? "LONG" : s.text.data);
            splitter_next(&s);
        }
    }
    splitter_free(&s);
    return all.data;
}

static void json_streams(void **state)
{
    static const struct {
        const char *text, *values;
    } cases[] = {
        {"{\"a\":1}{\"b\":[2,{}]}", "{\"a\":1}\n{\"b\":[2,{}]}\n"},
        {" \r\n {\"a\": \"}{\"}\r\n", "{\"a\": \"}{\"}\n"},
        {"{\"a\": \"\\\"}\"}", "{\"a\": \"\\\"}\"}\n"},
        {"{\"a\": \"\\\\\"}{}", "{\"a\": \"\\\\\"}\n{}\n"},
        {"12 true \"x y\" []", "12\ntrue\n\"x y\"\n[]\n"},
        {"} ] {}", "}\n]\n{}\n"},
        {"{\"unfinished\":", ""},
        {"garbage {\"a\":1}", "garbage\n{\"a\":1}\n"},
    };
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        for (size_t piece = 1; piece < 40; piece++) {
            unsigned too_long = 0;
            char *got = split(cases[k].text, piece, &too_long);
            assert_string_equal(got, cases[k].values);
            assert_int_equal(too_long, 0);
            free(got);
        }
    }
    /* Too deep, too long: skipped, and the next value is seen. */
    struct strbuf b;
    unsigned too_long = 0;
    strbuf_init(&b);
    for (unsigned k = 0; k < 1000; k++)
        strbuf_add(&b, "[", 1);
    for (unsigned k = 0; k < 1000; k++)
        strbuf_add(&b, "]", 1);
    strbuf_printf(&b, "{\"x\":\"");
    for (unsigned k = 0; k < QMP_MESSAGE_MAX; k++)
        strbuf_add(&b, "y", 1);
    strbuf_printf(&b, "\"}{}");
    char *got = split(b.data, 4096, &too_long);
    assert_string_equal(got, "LONG\nLONG\n{}\n");
    free(got);
    strbuf_free(&b);
}

static void hexadecimal(void **state)
{
    static const struct {
        const char *text;
        int length; /* -1: an error */
    } cases[] = {{"0f b9", 2}, {"0x0F,0xb9", 2}, {"0fb905", 3}, {"", 0},
                 {"9", -1},    {"zz", -1},       {"0x", -1}};
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        struct strbuf b;
        strbuf_init(&b);
        bool good = hex_parse(cases[k].text, &b);
        assert_int_equal(good, cases[k].length >= 0);
        if (good)
            assert_int_equal(b.length, cases[k].length);
        if (b.length >= 2)
            assert_memory_equal(b.data, "\x0f\xb9", 2);
        strbuf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suggestions), cmocka_unit_test(numbers),
        cmocka_unit_test(properties),  cmocka_unit_test(good_options),
        cmocka_unit_test(consoles),    cmocka_unit_test(time_options),
        cmocka_unit_test(bad_options), cmocka_unit_test(help_options),
        cmocka_unit_test(expressions), cmocka_unit_test(dumps),
        cmocka_unit_test(values),      cmocka_unit_test(json_streams),
        cmocka_unit_test(hexadecimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
