/* SPDX-License-Identifier: MIT */
/*
 * lag_test.c - a guest that counts ticks (lag.asm, first argument) loses none when the host keeps
 * its vCPU or the I/O thread waiting. The second argument is the engine.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>
#include <cmocka.h>

#include "lag_io.h"
#include <weir/machine.h>
#include <weir/memory.h>

#define PORT 0x5f0u

static uint8_t image[4096];
static size_t image_bytes;
static const char *engine;

/* As if the host gave the vCPU's thread to somebody else whenever it has used some CPU time (the
 * I/O thread takes no signals). */
static unsigned away_ms;
static void be_away(int signal)
{
    const struct timespec t = {.tv_nsec = away_ms * 1000000};
    nanosleep(&t, NULL);
}
static void every_busy_ms(unsigned ms)
{
    const struct itimerval t = {.it_interval.tv_usec = ms * 1000,
                                .it_value.tv_usec = ms * 1000};
    assert_int_equal(setitimer(ITIMER_PROF, &t, NULL), 0);
}

/* Ticks that the guest counted, and milliseconds that it saw pass. */
static void run(bool io_thread, unsigned ms, uint32_t *ticks, uint32_t *passed)
{
    struct weir_config config;
    struct weir_exit e;
    uint32_t length = ms * 1000000;
    weir *vm;
    weir_config_init(&config, sizeof(config));
    config.ram_bytes = 4 << 20;
    config.accel = engine;
    config.no_devices = true;
    config.vga = "none";
    assert_int_equal(weir_create(&config, &vm), 0);
    assert_int_equal(weir_start(vm), 0);
    assert_int_equal(weir_boot_flat(vm, 16, 0x1000, 0x8000, 0), 0);
    assert_int_equal(weir_mem_write(vm, 0x1000, image, image_bytes), 0);
    assert_int_equal(weir_mem_write(vm, 0x508, &length, 4), 0);
    weir_set_unclaimed_exits(vm, true);
    if (!io_thread)
        lag_io_stop(vm);
    assert_int_equal(weir_run(weir_get_vcpu(vm, 0), 0, &e), 0);
    assert_int_equal(e.reason, WEIR_EXIT_IO);
    assert_int_equal(e.access.address, PORT);
    weir_mem_read(vm, 0x500, ticks, 4);
    weir_mem_read(vm, 0x50c, passed, 4);
    *passed /= 1000000;
    assert_true(*passed >= ms);
    weir_destroy(vm);
}

/* After each `busy` ms the vCPU is kept away for `away` ms. */
static void check(unsigned away, unsigned busy, bool io_thread, unsigned ms)
{
    uint32_t ticks, passed;
    away_ms = away;
    every_busy_ms(busy);
    run(io_thread, ms, &ticks, &passed);
    every_busy_ms(0);
    if (ticks + 2 < passed || ticks > passed + 2)
        fail_msg("%u ticks in %u ms", ticks, passed);
}

static void vcpu_waits(void **state)
{
    check(0, 0, true, 200);
    check(17, 4, true, 800);
    check(180, 20, true, 1000);
}

/* Nobody fires timers but the vCPU that asks for the time. */
static void io_thread_waits(void **state)
{
    check(0, 0, false, 500);
}

static void both_wait(void **state)
{
    check(17, 4, false, 800);
    check(180, 20, false, 1000);
}

int main(int argc, char **argv)
{
    FILE *f = argc > 2 ? fopen(argv[1], "rb") : NULL;
    if (!f)
        return 1;
    engine = argv[2];
    signal(SIGPROF, be_away);
    image_bytes = fread(image, 1, sizeof(image), f);
    fclose(f);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vcpu_waits),
        cmocka_unit_test(io_thread_waits),
        cmocka_unit_test(both_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
