/* SPDX-License-Identifier: MIT */
/* uart_test.c - the 16550A: FIFOs, interrupts and their priorities, loopback, errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "harness.h"

#include <stdlib.h>
#include <string.h>

enum { DATA = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR };

struct bench {
    struct rig *rig;
    struct terminal terminal;
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    b->rig = rig_new();
    terminal_new(b->rig, "term", &b->terminal);
    rig_add(b->rig, &uart_16550_class, "chardev=term,index=0");
    outb(b->rig, LCR, 3);
    *state = b;
    return 0;
}
static size_t feed(struct bench *b, const char *text)
{
    return char_feed(b->terminal.chr, (const uint8_t *)text, strlen(text));
}
static int irq(struct bench *b)
{
    return b->rig->level[4];
}

static void test_registers(void **state)
{
    struct bench *b = *state;
    assert_int_equal(inb(b->rig, LSR), 0x60);
    assert_int_equal(inb(b->rig, MSR), 0xb0);
    assert_int_equal(inb(b->rig, IIR), 0x01);
    outb(b->rig, IER, 0xff);
    assert_int_equal(inb(b->rig, IER), 0x0f);
    outb(b->rig, IER, 0);
    outb(b->rig, SCR, 0x5a);
    assert_int_equal(inb(b->rig, SCR), 0x5a);
    outb(b->rig, LCR, 0x83);
    outb(b->rig, DATA, 0x34);
    outb(b->rig, IER, 0x12);
    assert_int_equal(inb(b->rig, DATA), 0x34);
    assert_int_equal(inb(b->rig, IER), 0x12);
    outb(b->rig, LCR, 3);
    assert_int_equal(inb(b->rig, IER), 0);
    outb(b->rig, IIR, 1);
    assert_int_equal(inb(b->rig, IIR), 0xc1); /* 16550A */
}

static void test_transmit(void **state)
{
    struct bench *b = *state;
    for (const char *c = "hello"; *c; c++)
        outb(b->rig, DATA, *c);
    assert_int_equal(b->terminal.count, 5);
    assert_memory_equal(b->terminal.sent, "hello", 5);
    outb(b->rig, LCR, 2); /* 7 bits */
    outb(b->rig, DATA, 0xc1);
    assert_int_equal(b->terminal.sent[5], 0x41);
}

static void test_thre(void **state)
{
    struct bench *b = *state;
    outb(b->rig, IER, 2); /* empty: tells at once */
    assert_int_equal(irq(b), 1);
    assert_int_equal(inb(b->rig, IIR), 0x02);
    assert_int_equal(irq(b), 0); /* reading it was enough */
    assert_int_equal(inb(b->rig, IIR), 0x01);
    outb(b->rig, IER, 2); /* no news */
    assert_int_equal(irq(b), 0);
    outb(b->rig, DATA, 'x');
    assert_int_equal(irq(b), 1);
    outb(b->rig, IER, 0);
    assert_int_equal(irq(b), 0);
    outb(b->rig, IER, 2);
    assert_int_equal(inb(b->rig, IIR), 0x02);
}

static void test_receive_without_fifo(void **state)
{
    struct bench *b = *state;
    outb(b->rig, IER, 1);
    assert_int_equal(feed(b, "ab"), 1); /* there is room for one */
    assert_int_equal(irq(b), 1);
    assert_int_equal(inb(b->rig, IIR), 0x04);
    assert_int_equal(inb(b->rig, LSR) & 1, 1);
    assert_int_equal(inb(b->rig, DATA), 'a');
    assert_int_equal(inb(b->rig, LSR), 0x60);
    assert_int_equal(irq(b), 0);
}

static void test_trigger_and_timeout(void **state)
{
    struct bench *b = *state;
    outb(b->rig, IIR, 0x81); /* FIFO, 8 bytes */
    outb(b->rig, IER, 1);
    feed(b, "1234567");
    assert_int_equal(irq(b), 0);
    feed(b, "8");
    assert_int_equal(inb(b->rig, IIR), 0xc4);
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(inb(b->rig, DATA), '1' + i);
    assert_int_equal(irq(b), 0);
    /* One left: after four characters (9600 baud, 10 bits each). */
    uint64_t wait = 40ull * 1000000000 / 9600;
    rig_run(b->rig, wait - 1000);
    assert_int_equal(irq(b), 0);
    rig_run(b->rig, 2000);
    assert_int_equal(inb(b->rig, IIR), 0xcc);
    assert_int_equal(inb(b->rig, DATA), '8');
    assert_int_equal(irq(b), 0);
    rig_run(b->rig, 10 * wait);
    assert_int_equal(irq(b), 0);
}

static void test_flow(void **state)
{
    struct bench *b = *state;
    char text[41], got[41] = "";
    for (unsigned i = 0; i < 40; i++)
        text[i] = (char)('A' + i);
    text[40] = 0;
    outb(b->rig, IIR, 0x01);
    size_t taken = feed(b, text);
    for (unsigned i = 0; i < 40 && (inb(b->rig, LSR) & 1); i++) {
        got[i] = (char)inb(b->rig, DATA);
        if (taken < 40)
            taken += feed(b, text + taken);
    }
    assert_int_equal(taken, 40);
    assert_string_equal(got, text);
    assert_int_equal(inb(b->rig, LSR) & 2, 0); /* no overrun */
}

static void test_loopback(void **state)
{
    struct bench *b = *state;
    outb(b->rig, MCR, 0x1a); /* loop, RTS, OUT2 */
    assert_int_equal(inb(b->rig, MSR) & 0xf0, 0x90);
    assert_int_equal(inb(b->rig, MSR) & 0x0f, 0);
    outb(b->rig, MCR, 0x14);                         /* OUT1 */
    assert_int_equal(inb(b->rig, MSR), 0x40 | 0x09); /* CTS and DCD changed; RI up is no news */
    outb(b->rig, MCR, 0x10);
    assert_int_equal(inb(b->rig, MSR), 0x04); /* RI's trailing edge */
    outb(b->rig, DATA, 'z');
    assert_int_equal(b->terminal.count, 0);
    assert_int_equal(inb(b->rig, LSR) & 1, 1);
    assert_int_equal(inb(b->rig, DATA), 'z');
    /* Overrun without FIFO: the newer byte replaces the older. */
    outb(b->rig, DATA, '1');
    outb(b->rig, DATA, '2');
    assert_int_equal(inb(b->rig, LSR) & 3, 3);
    assert_int_equal(inb(b->rig, LSR) & 3, 1);
    assert_int_equal(inb(b->rig, DATA), '2');
    /* With FIFO the older ones stay. */
    outb(b->rig, IIR, 1);
    for (unsigned i = 0; i < 17; i++)
        outb(b->rig, DATA, i);
    assert_int_equal(inb(b->rig, LSR) & 3, 3);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(inb(b->rig, DATA), i);
    assert_int_equal(inb(b->rig, LSR) & 1, 0);
}

static void test_break_and_priority(void **state)
{
    struct bench *b = *state;
    outb(b->rig, IIR, 1);
    outb(b->rig, IER, 0x0f);
    assert_int_equal(inb(b->rig, IIR), 0xc2);
    outb(b->rig, MCR, 0x11); /* loop with DTR: CTS and DCD drop */
    assert_int_equal(inb(b->rig, IIR), 0xc0);
    outb(b->rig, DATA, 'x');
    assert_int_equal(inb(b->rig, IIR), 0xc4);
    outb(b->rig, LCR, 0x43); /* break */
    outb(b->rig, LCR, 0x03);
    assert_int_equal(inb(b->rig, LSR) & 0x9e, 0x80); /* in the FIFO, not at the top */
    assert_int_equal(inb(b->rig, DATA), 'x');
    assert_int_equal(inb(b->rig, IIR), 0xc6);
    assert_int_equal(inb(b->rig, LSR) & 0x9f, 0x99); /* BI, FE, DR, error in FIFO */
    assert_int_equal(inb(b->rig, IIR), 0xc4);
    assert_int_equal(inb(b->rig, DATA), 0);
    assert_int_equal(inb(b->rig, IIR), 0xc2);
    assert_int_equal(inb(b->rig, IIR), 0xc0);
    inb(b->rig, MSR);
    assert_int_equal(inb(b->rig, IIR), 0xc1);
    assert_int_equal(irq(b), 0);
}

static void test_fifo_clear(void **state)
{
    struct bench *b = *state;
    outb(b->rig, IIR, 1);
    feed(b, "abc");
    outb(b->rig, IIR, 3);
    assert_int_equal(inb(b->rig, LSR), 0x60);
    feed(b, "d");
    assert_int_equal(inb(b->rig, DATA), 'd');
}

static void test_ports(void **state)
{
    struct rig *rig = rig_new();
    rig_add(rig, &uart_16550_class, "index=1");
    outb(rig, 0x2f8 + 7, 0x77);
    assert_int_equal(inb(rig, 0x2f8 + 7), 0x77);
    outb(rig, 0x2f8, 'x'); /* connected to nothing */
    rig_add(rig, &uart_16550_class, "index=9,iobase=0x1000,irq=11");
    outb(rig, 0x1001, 2);
    assert_int_equal(rig->level[11], 1);
    assert_true(rig_try_add(rig, &uart_16550_class, "index=4") < 0);
    assert_true(rig_try_add(rig, &uart_16550_class, "iobase=0x10000,irq=3") < 0);
    rig_free(rig);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_registers),
        TEST(test_transmit),
        TEST(test_thre),
        TEST(test_receive_without_fifo),
        TEST(test_trigger_and_timeout),
        TEST(test_flow),
        TEST(test_loopback),
        TEST(test_break_and_priority),
        TEST(test_fifo_clear),
        cmocka_unit_test(test_ports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
