/* SPDX-License-Identifier: MIT */
/*
 * guest_test.c - the kernel of guest/vmi in machines with the VMI ROM and without:
 *
 *   guest_test KERNEL ENGINE
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <weir/device.h>
#include <weir/machine.h>
#include <weir/vmi.h>

#define RAM_BYTES (32u << 20)
enum { OUTPUT_MAX = 16384, GOOD = 1 /* 0 written to isa-debug-exit */ };

static const char *kernel, *engine;

struct run {
    weir *vm;
    struct weir_exit exit;
    int error; /* of weir_run */
    char output[OUTPUT_MAX];
    size_t length;
};

struct setup {
    unsigned api; /* 0: no ROM */
    bool counters, faults_to_guest;
    int icount_shift; /* 0: no icount; otherwise plus 1 */
    const char *command;
};

static void take(void *ctx, const uint8_t *data, size_t length)
{
    struct run *r = ctx;
    for (size_t i = 0; i < length && r->length + 1 < sizeof(r->output); i++)
        r->output[r->length++] = (char)data[i];
    r->output[r->length] = 0;
}

static weir *machine(const struct setup *s)
{
    struct weir_config config;
    struct weir_vmi_config vmi;
    weir *vm;
    weir_config_init(&config, sizeof(config));
    weir_vmi_config_init(&vmi, sizeof(vmi));
    config.ram_bytes = RAM_BYTES;
    config.accel = engine;
    config.vga = "none";
    config.icount_shift = s->icount_shift - 1;
    vmi.api = s->api;
    vmi.counters = s->counters;
    vmi.faults = s->faults_to_guest ? WEIR_VMI_FAULTS_GUEST : WEIR_VMI_FAULTS_STOP;
    assert_int_equal(weir_create(&config, &vm), 0);
    if (s->api)
        assert_int_equal(weir_vmi_enable(vm, &vmi), 0);
    return vm;
}

static void prepare(struct run *r, const struct setup *s)
{
    weir_char *chr;
    memset(r, 0, sizeof(*r));
    r->vm = machine(s);
    assert_int_equal(weir_char_new(r->vm, "out", take, r, &chr), 0);
    assert_int_equal(weir_serial_set(r->vm, 0, chr), 0);
    assert_int_equal(
        weir_device_add(r->vm, "isa-debug-exit", NULL, "iobase=0xf4,iosize=1", NULL), 0);
    assert_int_equal(weir_kernel_set(r->vm, kernel, NULL, s->command), 0);
    weir_set_reset_exits(r->vm, true);
}

static void start(struct run *r, const struct setup *s)
{
    prepare(r, s);
    r->error = weir_run(weir_get_vcpu(r->vm, 0), 0, &r->exit);
}

static void end(struct run *r)
{
    weir_destroy(r->vm);
    r->vm = NULL;
}

static void must_be_good(struct run *r, const struct setup *s)
{
    start(r, s);
    if (r->error || r->exit.reason != WEIR_EXIT_DEBUG_EXIT || r->exit.status != GOOD)
        fail_msg("api %u, %s: reason %d, status %d, %s\n%s", s->api, s->command,
                 (int)r->exit.reason, r->exit.status, weir_last_error(r->vm), r->output);
}

static struct run run, runs[3];

/* ---- every call, natively and through the ROM ---- */

static void calls(unsigned api, bool counters, int icount_shift)
{
    must_be_good(&run, &(struct setup){.api = api,
                                       .counters = counters,
                                       .icount_shift = icount_shift,
                                       .command = "calls"});
    assert_non_null(strstr(run.output, "VMI: Found Weir VMI ROM, API version"));
    assert_non_null(strstr(run.output, "calls where the ROM is"));
    if (api == 13) {
        assert_non_null(strstr(run.output, "calls through a second mapping"));
        assert_non_null(strstr(run.output, "calls through a copy"));
    }
}

static void test_calls_3(void **state)
{
    calls(3, false, 0);
    end(&run);
    calls(3, false, 3);
    end(&run);
}
static void test_calls_13(void **state)
{
    calls(13, false, 0);
    end(&run);
    calls(13, false, 3);
    end(&run);
}

/* ---- counters ---- */

static uint64_t counted(const char *name)
{
    struct weir_vmi_counter all[400];
    int n = weir_vmi_counters(run.vm, all, 400);
    assert_in_range(n, 1, 400);
    for (int k = 0; k < n; k++)
        if (all[k].name && !strcmp(all[k].name + strlen("VMI_"), name))
            return all[k].count;
    return 0;
}

static void check_sorted(void)
{
    struct weir_vmi_counter all[400];
    int n = weir_vmi_counters(run.vm, all, 400);
    for (int k = 1; k < n; k++) {
        if ((all[k - 1].vector < 0) == (all[k].vector < 0))
            assert_true(all[k - 1].count >= all[k].count);
        else
            assert_true(all[k - 1].vector < 0);
    }
}

static void add_text(struct weir_text *text, const char *chars, size_t length)
{
    struct run *r = &runs[0];
    take(r, (const uint8_t *)chars, length);
}

static void counters(unsigned api)
{
    struct weir_vmi_call c = {.size = sizeof(c)};
    calls(api, true, 0);
    for (unsigned i = 0; weir_vmi_call(api, i, &c) == 0; i++) {
        bool ends = !strcmp(c.name, "Reboot") || !strcmp(c.name, "Shutdown");
        if (!!counted(c.name) == ends)
            fail_msg("api %u, %s: counted %llu times", api, c.name,
                     (unsigned long long)counted(c.name));
    }
    uint64_t places = api == 13 ? 3 : 1;
    assert_int_equal(counted("SetGDT"), 2 * places); /* with flags set and clear */
    assert_int_equal(counted("GetDR"), 6 * places);
    check_sorted();
    runs[0].length = 0;
    assert_int_equal(weir_info(run.vm, "vmi", &(struct weir_text){add_text}), 0);
    assert_non_null(strstr(runs[0].output, "VMI_SetGDT"));
    assert_non_null(strstr(runs[0].output, "with counters"));
    assert_int_equal(weir_vmi_counters_clear(run.vm), 0);
    assert_int_equal(weir_vmi_counters(run.vm, &(struct weir_vmi_counter){0}, 0), 0);
    end(&run);
}

static void test_counters(void **state)
{
    counters(3);
    counters(13);
}

/* ---- bad input ---- */

static void test_bad(void **state)
{
    static const unsigned apis[] = {3, 13};
    for (unsigned k = 0; k < 2; k++) {
        must_be_good(&run, &(struct setup){.api = apis[k], .command = "bad"});
        end(&run);
        must_be_good(&run, &(struct setup){.api = apis[k], .counters = true, .command = "bad"});
        end(&run);
    }
}

static void test_fault_in_rom(void **state)
{
    static const unsigned apis[] = {3, 13};
    for (unsigned k = 0; k < 2; k++) {
        start(&run, &(struct setup){.api = apis[k], .command = "bad stack"});
        assert_true(run.error < 0);
        assert_int_equal(run.exit.reason, WEIR_EXIT_ERROR);
        const char *text = weir_last_error(run.vm);
        assert_non_null(strstr(text, "Unexpected fault in the ROM, ip c00d0"));
        assert_non_null(strstr(text, "VMI_FlushTLB+0x"));
        struct weir_vmi_traps traps = {.size = sizeof(traps)};
        assert_int_equal(weir_vmi_traps(run.vm, &traps), 0);
        assert_int_equal(traps.in_rom, 1);
        end(&run);
        /* The guest's own: with that stack it cannot take it. */
        start(&run,
              &(struct setup){.api = apis[k], .faults_to_guest = true, .command = "bad stack"});
        assert_int_equal(run.error, 0);
        assert_int_equal(run.exit.reason, WEIR_EXIT_TRIPLE_FAULT);
        end(&run);
    }
}

static void test_ends(void **state)
{
    static const unsigned apis[] = {3, 13};
    for (unsigned k = 0; k < 2; k++) {
        start(&run, &(struct setup){.api = apis[k], .command = "bad shutdown"});
        assert_int_equal(run.exit.reason, WEIR_EXIT_SHUTDOWN);
        end(&run);
        start(&run, &(struct setup){.api = apis[k], .command = "bad reboot"});
        assert_int_equal(run.exit.reason, WEIR_EXIT_RESET);
        end(&run);
    }
}

/* SetInitialAPState: for the only processor, and for others, which INIT and STARTUP do not wake. */
static void test_ap(void **state)
{
    static const unsigned apis[] = {3, 13};
    static const char *const ways[] = {"ap reboot", "ap ipi"};
    for (unsigned k = 0; k < 4; k++) {
        must_be_good(&run, &(struct setup){.api = apis[k / 2], .command = ways[k % 2]});
        assert_non_null(strstr(run.output, "others did not start"));
        assert_non_null(strstr(run.output, "started again by INIT"));
        end(&run);
    }
}

/* Not in a state that is none: the processor waits for ever after INIT. */
static void *stop_later(void *vm)
{
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    weir_pause(vm);
    return NULL;
}

static void test_ap_bad(void **state)
{
    pthread_t stopper;
    prepare(&run, &(struct setup){.api = 3, .command = "ap bad"});
    assert_int_equal(pthread_create(&stopper, NULL, stop_later, run.vm), 0);
    run.error = weir_run(weir_get_vcpu(run.vm, 0), 0, &run.exit);
    pthread_join(stopper, NULL);
    assert_int_equal(run.error, 0);
    assert_int_equal(run.exit.reason, WEIR_EXIT_PAUSED);
    assert_string_equal(strstr(run.output, "others"), "others did not start\nend\n");
    end(&run);
}

/* ---- a kernel at work ---- */

static const char *trace(const struct run *r)
{
    const char *first = strstr(r->output, "task 0 round 0");
    assert_non_null(first);
    return first;
}

static uint64_t delivered(weir *vm, int vector)
{
    struct weir_vmi_counter all[400];
    int n = weir_vmi_counters(vm, all, 400);
    for (int k = 0; k < n; k++)
        if (all[k].vector == vector)
            return all[k].count;
    return 0;
}

static void test_tasks(void **state)
{
    static const struct setup setups[3] = {{.api = 0, .command = "tasks native 8"},
                                           {.api = 3, .command = "tasks vmi 8"},
                                           {.api = 13, .command = "tasks vmi 8"}};
    for (unsigned k = 0; k < 3; k++)
        must_be_good(&runs[k], &setups[k]);
    assert_string_equal(trace(&runs[0]), trace(&runs[1]));
    assert_string_equal(trace(&runs[0]), trace(&runs[2]));
    for (unsigned k = 1; k < 3; k++) {
        struct weir_vmi_traps traps = {.size = sizeof(traps)};
        assert_int_equal(weir_vmi_traps(runs[k].vm, &traps), 0);
        assert_int_equal(traps.from_user, 32); /* 4 tasks, 8 pages */
        assert_int_equal(traps.from_kernel, 0);
        assert_int_equal(traps.in_rom, 0);
        assert_int_equal(traps.system_calls, 4 * (8 + 4 + 1));
        assert_int_equal(delivered(runs[k].vm, 14), 32);
        assert_int_equal(delivered(runs[k].vm, 0x80), 4 * (8 + 4 + 1));
        assert_true(delivered(runs[k].vm, k == 1 ? 0x20 : 0x40) >= 31);
    }
    for (unsigned k = 0; k < 3; k++)
        end(&runs[k]);
}

/* ---- the machine's side ---- */

/* A device with a ROM of its own in the ROM space. */
static _Alignas(4096) uint8_t card_rom[4096];
static int card_init(weir_dev *dev, void *state)
{
    return weir_map_host_memory(dev, 0xd2000, card_rom, sizeof(card_rom), true, 0, "card-rom")
               ? 0
               : weir_dev_fail(dev, WEIR_ENOMEM, "no memory");
}
static const struct weir_dev_class card = {.name = "card",
                                           .help = "a card with a ROM",
                                           .bus = "isa",
                                           .init = card_init,
                                           .user_creatable = true};

static void test_other_roms(void **state)
{
    weir *vm = machine(&(struct setup){.api = 3});
    assert_int_equal(weir_device_class_add(vm, &card), 0);
    assert_int_equal(weir_device_add(vm, "card", NULL, NULL, NULL), 0);
    assert_int_equal(weir_start(vm), -WEIR_EEXIST);
    assert_non_null(strstr(weir_last_error(vm), "card-rom is at 0xd2000-0xd2fff"));
    weir_destroy(vm);
}

static void expect_failure(const struct weir_config *config, const struct weir_vmi_config *vmi,
                           int error, const char *text)
{
    weir *vm;
    assert_int_equal(weir_create(config, &vm), 0);
    int rc = weir_vmi_enable(vm, vmi);
    if (rc == 0)
        rc = weir_start(vm);
    assert_int_equal(rc, error);
    assert_non_null(strstr(weir_last_error(vm), text));
    weir_destroy(vm);
}

static void test_places(void **state)
{
    struct weir_config config;
    struct weir_vmi_config vmi;
    weir_config_init(&config, sizeof(config));
    config.ram_bytes = RAM_BYTES;
    config.accel = engine;
    weir_vmi_config_init(&vmi, sizeof(vmi));
    vmi.base = 0xc0000;
    expect_failure(&config, &vmi, -WEIR_EEXIST, "the video BIOS is at 0xc0000-0xc");
    static const uint32_t bad[] = {0xbf000, 0xde000, 0xd0800, 0, 0xfffff000};
    for (unsigned k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
        vmi.base = bad[k];
        expect_failure(&config, &vmi, -WEIR_ERANGE, "base=0x");
    }
    weir_vmi_config_init(&vmi, sizeof(vmi));
    vmi.api = 7;
    expect_failure(&config, &vmi, -WEIR_EUNSUPPORTED, "API 7");
    weir *vm = machine(&(struct setup){.api = 3});
    vmi.api = 3;
    assert_int_equal(weir_vmi_enable(vm, &vmi), -WEIR_ESTATE);
    assert_int_equal(weir_start(vm), 0);
    weir_destroy(vm);
    vm = machine(&(struct setup){.api = 0});
    assert_int_equal(weir_vmi_counters(vm, NULL, 0), -WEIR_ESTATE);
    weir_destroy(vm);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    kernel = argv[1];
    engine = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_3),      cmocka_unit_test(test_calls_13),
        cmocka_unit_test(test_counters),     cmocka_unit_test(test_bad),
        cmocka_unit_test(test_fault_in_rom), cmocka_unit_test(test_ends),
        cmocka_unit_test(test_ap),           cmocka_unit_test(test_ap_bad),
        cmocka_unit_test(test_tasks),        cmocka_unit_test(test_places),
        cmocka_unit_test(test_other_roms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
