/* SPDX-License-Identifier: MIT */
/* guestrun_test.c - what `weir run -exec` finds and makes before there is a machine. */
#include "../../tools/weir/guestrun.h"
#include "../../tools/weir/option_parse.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* A new directory that the test works in. */
static int enter_folder(void **state)
{
    char name[] = "/tmp/weir-guestrun-XXXXXX";
    if (!mkdtemp(name) || chdir(name) < 0)
        return -1;
    *state = strdup(name);
    return 0;
}
static int leave_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", (char *)*state);
    free(*state);
    return chdir("/") < 0 ? -1 : system(command);
}

static void put(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}
#define PUT(path, text) put(path, text, sizeof(text) - 1)

/* ---- options ---- */

static enum parse_result parse(struct options *o, const char *const *words)
{
    char *argv[16] = {"weir"};
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    return options_parse(o, argc, argv);
}

static void shares(void **state)
{
    struct options o;
    char path[256];
    mkdir("one", 0755);
    mkdir("sub", 0755);
    mkdir("sub/one", 0755);
    mkdir("a,b=c d", 0755);
    const char *const words[] = {"--exec",  "true",
                                 "--share", "one",
                                 "-share",  "sub/one,ro",
                                 "-share",  "path=a,,b=c d,at=/x",
                                 "-share",  ".,name=here,ro=off",
                                 NULL};
    assert_int_equal(parse(&o, words), PARSE_OK);
    const struct share_option *s = o.run.shares;
    snprintf(path, sizeof(path), "%s/one", (char *)*state);
    assert_string_equal(s->path, path);
    assert_string_equal(s->at, path);
    assert_string_equal(s->name, "one");
    assert_false(s->read_only);
    s = s->next;
    assert_string_equal(s->name, "one2");
    assert_true(s->read_only);
    s = s->next;
    assert_string_equal(s->name, "abcd");
    assert_string_equal(s->at, "/x");
    s = s->next;
    assert_string_equal(s->name, "here");
    assert_string_equal(s->path, *state);
    assert_null(s->next);
    assert_int_equal(o.config.ram_bytes, 1ull << 30);
    options_free(&o);
}

static void refused(void **state)
{
    static const struct {
        const char *const words[6], *const error;
    } cases[] = {
        {{"-share", "none"}, "-share none: No such file"},
        {{"-share", "f"}, "-share f: not a directory"},
        {{"-share", ".,name=a/b"}, "-share: name=a/b:"},
        {{"-share", ".,name="}, "-share: name=:"},
        {{"-share", ".,name=root"}, "a second share called 'root'"},
        {{"-share", ".,name=x", "-share", ".,name=x"}, "a second share called 'x'"},
        {{"-share", "/"}, "-share /: it cannot be the guest's /"},
        {{"-share", ".,at=x"}, "-share: at=x: an absolute path"},
        {{"-share", ".,ro=perhaps"}, "-share: ro=perhaps"},
        {{"-share", ".,rw"}, "unknown property 'rw'"},
        {{"-root", "/"}, "-root needs -exec"},
        {{"-timeout", "9"}, "-timeout needs -exec"},
        {{"-exec", "x", "-timeout", "0"}, "-timeout 0: not a number"},
        {{"-exec", "x", "-cwd", "y"}, "-cwd y: an absolute path"},
        {{"-exec", "x", "-env", "=y"}, "-env =y:"},
        {{"-exec"}, "-exec needs an argument"},
    };
    PUT("f", "");
    for (unsigned k = 0; k < ARRAY_SIZE(cases); k++) {
        struct options o;
        assert_int_equal(parse(&o, cases[k].words), PARSE_FAIL);
        if (!strstr(o.error, cases[k].error))
            fail_msg("'%s' is not in '%s'", cases[k].error, o.error);
        options_free(&o);
    }
    (void)state;
}

static void environment(void **state)
{
    struct options o;
    setenv("WEIR_TEST_A", "b=c", 1);
    unsetenv("WEIR_TEST_B");
    const char *const words[] = {"-exec",       "x",    "-env", "WEIR_TEST_A", "-env",
                                 "WEIR_TEST_B", "-env", "N=",   NULL};
    assert_int_equal(parse(&o, words), PARSE_OK);
    assert_int_equal(o.run.env_count, 2);
    assert_string_equal(o.run.env[0], "WEIR_TEST_A=b=c");
    assert_string_equal(o.run.env[1], "N=");
    options_free(&o);
    (void)state;
}

/* ---- kernel ---- */

static void put_kernel(const char *path, bool is_64bit)
{
    unsigned char data[0x1000] = {0};
    memcpy(data + 0x202, "HdrS", 4);
    data[0x20e] = 0x00;
    data[0x20f] = 0x04; /* 600h in the file */
    data[0x236] = is_64bit;
    memcpy(data + 0x600, "9.8.7-test (someone) #1", 24);
    put(path, data, sizeof(data));
}

static void kernels(void **state)
{
    struct guest_kernel k;
    struct strbuf error;
    strbuf_init(&error);
    put_kernel("vmlinuz", true);
    assert_true(guest_kernel_find(&k, "./vmlinuz", NULL, &error));
    assert_string_equal(k.version, "9.8.7-test");
    assert_true(k.is_64bit);
    assert_string_equal(k.modules, "");
    assert_int_equal(system("mkdir -p boot lib/modules/9.8.7-test"), 0);
    put_kernel("boot/vmlinuz-9", false);
    setenv("WEIR_KERNEL", "boot/vmlinuz-9", 1);
    assert_true(guest_kernel_find(&k, NULL, NULL, &error));
    unsetenv("WEIR_KERNEL");
    assert_false(k.is_64bit);
    assert_string_equal(k.modules, "boot/../lib/modules/9.8.7-test");
    assert_true(guest_kernel_find(&k, "vmlinuz", "lib", &error));
    assert_string_equal(k.modules, "lib");
    assert_int_equal(error.length, 0);
    PUT("text", "not a kernel");
    static const char *const bad[][2] = {{"none", "none: No such file"},
                                         {"text", "text: no Linux kernel"}};
    for (unsigned n = 0; n < ARRAY_SIZE(bad); n++) {
        assert_false(guest_kernel_find(&k, bad[n][0], NULL, &error));
        assert_non_null(strstr(error.data, bad[n][1]));
    }
    assert_false(guest_kernel_find(&k, "vmlinuz", "none", &error));
    strbuf_free(&error);
    (void)state;
}

/* ---- modules ---- */

static void modules(void **state)
{
    struct module_list list = {.count = 0};
    assert_int_equal(system("mkdir -p m/kernel/a/b"), 0);
    PUT("m/kernel/a/top.ko", "ELF\0license=x\0depends=mid-one,built_in\0more");
    PUT("m/kernel/a/b/mid-one.ko", "ELF\0depends=low\0");
    PUT("m/kernel/low.ko", "ELF\0depends=\0");
    PUT("m/kernel/lost.ko", "ELF\0depends=nowhere\0");
    PUT("m/modules.builtin", "kernel/x/built-in.ko\nkernel/y/other.ko\n");
    assert_true(guest_module_add(&list, "m", "top"));
    assert_int_equal(list.count, 3);
    assert_string_equal(list.paths[0], "m/kernel/low.ko");
    assert_string_equal(list.paths[1], "m/kernel/a/b/mid-one.ko");
    assert_string_equal(list.paths[2], "m/kernel/a/top.ko");
    assert_true(guest_module_add(&list, "m", "mid_one"));
    assert_true(guest_module_add(&list, "m", "other"));
    assert_int_equal(list.count, 3);
    assert_false(guest_module_add(&list, "m", "absent"));
    assert_false(guest_module_add(&list, "m", "lost"));
    guest_modules_free(&list);
    /* depmod's list is believed; of a compressed module there is nothing else. */
    PUT("m/kernel/packed.ko.xz", "\xfd"
                                 "7zXZ");
    PUT("m/modules.dep", "kernel/packed.ko.xz: kernel/low.ko\nkernel/low.ko:\n");
    assert_true(guest_module_add(&list, "m", "packed"));
    assert_int_equal(list.count, 2);
    assert_string_equal(list.paths[1], "m/kernel/packed.ko.xz");
    guest_modules_free(&list);
    (void)state;
}

/* A module that needs itself, by a detour. */
static void circles(void **state)
{
    struct module_list list = {.count = 0};
    assert_int_equal(system("mkdir -p c/kernel"), 0);
    PUT("c/kernel/x.ko", "E\0depends=y\0");
    PUT("c/kernel/y.ko", "E\0depends=x\0");
    guest_module_add(&list, "c", "x");
    assert_true(list.count < 100);
    guest_modules_free(&list);
    (void)state;
}

/* ---- initramfs ---- */

static void initramfs(void **state)
{
    struct module_list list = {.count = 0};
    struct guest_kernel kernel = {.is_64bit = true};
    struct strbuf config, error;
    struct stat st;
    char command[256];
    strbuf_init(&config);
    strbuf_init(&error);
    strbuf_add(&config, "exec=true", 10);
    PUT("base", "12345"); /* any bytes: the kernel takes archives apart by itself */
    assert_int_equal(system("mkdir -p i/kernel"), 0);
    PUT("i/kernel/one.ko", "E\0depends=\0");
    assert_true(guest_module_add(&list, "i", "one"));
    int fd = guest_initrd_make("base", &kernel, &list, &config, &error);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size % 4, 0);
    snprintf(
        command, sizeof(command),
        "tail -c +9 /proc/%d/fd/%d | cpio -i --quiet --no-absolute-filenames -d 'weir/*' init "
        "&& "
        "test -x weir/weirctl && test -L init && cmp weir/modules/one.ko i/kernel/one.ko && "
        "tr '\\0' '\\n' <weir/config >config",
        (int)getpid(), fd);
    assert_int_equal(system(command), 0);
    assert_int_equal(
        system("printf 'exec=true\\nmodule=/weir/modules/one.ko\\n' | cmp - config"), 0);
    close(fd);
    assert_int_equal(guest_initrd_make("none", &kernel, &list, &config, &error), -1);
    assert_non_null(strstr(error.data, "none: No such file"));
    guest_modules_free(&list);
    strbuf_free(&config);
    strbuf_free(&error);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares),    cmocka_unit_test(refused), cmocka_unit_test(environment),
        cmocka_unit_test(kernels),   cmocka_unit_test(modules), cmocka_unit_test(circles),
        cmocka_unit_test(initramfs),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
