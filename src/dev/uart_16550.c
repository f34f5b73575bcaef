/* SPDX-License-Identifier: MIT */
/*
 * uart_16550.c - a 16550A serial port. Spec: National PC16550D data sheet.
 *
 * What is transmitted leaves at once, whatever the baud rate, so the transmitter is empty after
 * every write, and only the THRE interrupt's latch is state. But while the host is slow the
 * last byte seems to stay (`held`): THRE stands at 0 until the host has caught up. What is
 * received comes as fast as there is room; the baud rate counts only for the character timeout.
 * OUT2 does not gate the interrupt: much software written for emulated PCs never sets it.
 *
 * Invariant: count <= 16, and <= 1 with the FIFOs off. A character carries its error bits
 * through the FIFO; they show in LSR when it is at the top.
 */
#include "backend/char.h"
#include "base/bits.h"
#include "dev/chips.h"

enum { FIFO_BYTES = 16 };
#define HOLD_POLL_NS 1000000u
enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCR };
enum { IER_RDA = 1, IER_THRE = 2, IER_RLS = 4, IER_MSR = 8 };
enum {
    IIR_NONE = 1,
    IIR_MSR = 0,
    IIR_THRE = 2,
    IIR_RDA = 4,
    IIR_RLS = 6,
    IIR_TIMEOUT = 12,
    IIR_FIFO = 0xc0,
};
enum { FCR_ENABLE = 1, FCR_CLEAR_RX = 2 };
enum { LCR_STOP = 4, LCR_PARITY = 8, LCR_BREAK = 0x40, LCR_DLAB = 0x80 };
enum { MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 16 };
enum {
    LSR_DR = 1,
    LSR_OE = 2,
    LSR_PE = 4,
    LSR_FE = 8,
    LSR_BI = 16,
    LSR_THRE = 32,
    LSR_TEMT = 64,
    LSR_FIFO_ERROR = 128,
    LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI,
};
enum { MSR_TERI = 4, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80 };

struct uart {
    uint8_t ier, lcr, mcr, msr, scr, fcr;
    uint8_t errors; /* LSR_ERRORS not read yet */
    uint16_t divisor;
    uint8_t data[FIFO_BYTES], error[FIFO_BYTES];
    uint8_t first, count; /* ring */
    uint8_t last;         /* what an empty receiver shows */
    uint8_t thre_pending, timeout_pending;
    uint8_t held; /* the transmitter waits for the host */
    uint8_t irq_level;
    struct weir_timer timeout, hold;
    /* properties and wiring */
    struct weir_char *chr;
    uint32_t index, iobase, irq_number;
    weir_dev *dev;
    struct weir_line irq;
};

/* ---- interrupts ---- */

static unsigned trigger_level(const struct uart *u)
{
    static const uint8_t levels[] = {1, 4, 8, 14};
    return u->fcr & FCR_ENABLE ? levels[u->fcr >> 6] : 1;
}

static uint8_t interrupt_id(const struct uart *u)
{
    if ((u->ier & IER_RLS) && u->errors)
        return IIR_RLS;
    if ((u->ier & IER_RDA) && u->count >= trigger_level(u))
        return IIR_RDA;
    if ((u->ier & IER_RDA) && u->timeout_pending)
        return IIR_TIMEOUT;
    if ((u->ier & IER_THRE) && u->thre_pending)
        return IIR_THRE;
    if ((u->ier & IER_MSR) && (u->msr & 15))
        return IIR_MSR;
    return IIR_NONE;
}

static void update(struct uart *u)
{
    uint8_t level = interrupt_id(u) != IIR_NONE;
    if (level == u->irq_level)
        return;
    u->irq_level = level;
    weir_line_set(&u->irq, level);
}

/* Four characters without traffic while something waits in the FIFO. */
static void restart_timeout(struct uart *u)
{
    u->timeout_pending = 0;
    if (!(u->fcr & FCR_ENABLE) || !u->count) {
        weir_timer_cancel(&u->timeout);
        return;
    }
    unsigned bits = 1 + 5 + (u->lcr & 3) + !!(u->lcr & LCR_PARITY) + 1 + !!(u->lcr & LCR_STOP);
    uint64_t divisor = u->divisor ? u->divisor : 1;
    uint64_t ns = 4 * bits * divisor * 1000000000ull / 115200;
    weir_timer_set(&u->timeout, weir_clock_ns(u->dev) + ns);
}

static void timeout_fire(void *state)
{
    struct uart *u = state;
    u->timeout_pending = u->count > 0;
    update(u);
}

/* ---- receiver ---- */

static unsigned capacity(const struct uart *u)
{
    return u->fcr & FCR_ENABLE ? FIFO_BYTES : 1;
}

/* The top character's errors become visible. */
static void reveal_errors(struct uart *u)
{
    if (!u->count)
        return;
    u->errors |= u->error[u->first];
    u->error[u->first] = 0;
}

static void push(struct uart *u, uint8_t byte, uint8_t error)
{
    if (u->count >= capacity(u)) {
        u->errors |= LSR_OE;
        if (u->fcr & FCR_ENABLE)
            return; /* the FIFO keeps what it has; the holding register is overwritten */
        u->count = 0;
    }
    unsigned at = (u->first + u->count++) % FIFO_BYTES;
    u->data[at] = byte & (uint8_t)(0x1f | 0xff >> (3 - (u->lcr & 3)));
    u->error[at] = error;
    if (u->count == 1)
        reveal_errors(u);
}

static uint8_t pop(struct uart *u)
{
    if (u->count) {
        u->last = u->data[u->first];
        u->first = (u->first + 1) % FIFO_BYTES;
        u->count--;
        reveal_errors(u);
    }
    return u->last;
}

static unsigned can_receive(void *ctx)
{
    const struct uart *u = ctx;
    return u->mcr & MCR_LOOP ? 0 : capacity(u) - u->count;
}

static void receive(void *ctx, const uint8_t *data, unsigned length)
{
    struct uart *u = ctx;
    for (unsigned i = 0; i < length; i++)
        push(u, data[i], 0);
    restart_timeout(u);
    update(u);
}

static void char_event(void *ctx, int event)
{
    struct uart *u = ctx;
    if (event != CHAR_BREAK || (u->mcr & MCR_LOOP))
        return;
    push(u, 0, LSR_BI | LSR_FE);
    restart_timeout(u);
    update(u);
}

static void room(struct uart *u)
{
    if (u->chr && can_receive(u))
        char_accept_input(u->chr);
}

/* ---- transmitter and modem lines ---- */

static void transmit(struct uart *u, uint8_t byte)
{
    byte &= (uint8_t)(0x1f | 0xff >> (3 - (u->lcr & 3)));
    if (u->mcr & MCR_LOOP) {
        push(u, byte, 0);
        restart_timeout(u);
    } else {
        char_write(u->chr, &byte, 1);
        u->held = u->chr && !char_can_write(u->chr);
    }
    u->thre_pending = !u->held;
    if (u->held)
        weir_timer_set(&u->hold, weir_clock_ns(u->dev) + HOLD_POLL_NS);
}

static void hold_fire(void *state)
{
    struct uart *u = state;
    if (u->chr && !char_can_write(u->chr)) {
        weir_timer_set(&u->hold, weir_clock_ns(u->dev) + HOLD_POLL_NS);
        return;
    }
    u->held = 0;
    u->thre_pending = 1;
    update(u);
}

static void update_modem(struct uart *u)
{
    uint8_t lines = MSR_DCD | MSR_DSR | MSR_CTS;
    if (u->mcr & MCR_LOOP)
        lines = (uint8_t)((u->mcr & MCR_DTR ? MSR_DSR : 0) | (u->mcr & MCR_RTS ? MSR_CTS : 0) |
                          (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
    uint8_t changed = (lines ^ u->msr) & 0xf0;
    if (lines & MSR_RI)
        changed &= (uint8_t)~MSR_RI; /* only the trailing edge counts */
    u->msr = (uint8_t)(lines | (u->msr & 15) | changed >> 4);
}

/* ---- registers ---- */

static uint8_t read_iir(struct uart *u)
{
    uint8_t id = interrupt_id(u);
    if (id == IIR_THRE)
        u->thre_pending = 0;
    return id | (u->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct uart *u)
{
    uint8_t v = u->errors | (u->count ? LSR_DR : 0) | (u->held ? 0 : LSR_THRE | LSR_TEMT);
    if (u->fcr & FCR_ENABLE) {
        for (unsigned i = 0; i < u->count; i++)
            if (u->error[(u->first + i) % FIFO_BYTES])
                v |= LSR_FIFO_ERROR;
        if (u->errors & ~LSR_OE)
            v |= LSR_FIFO_ERROR;
    }
    u->errors = 0;
    return v;
}

static uint8_t read_msr(struct uart *u)
{
    uint8_t v = u->msr;
    u->msr &= 0xf0;
    return v;
}

static uint8_t read_register(struct uart *u, unsigned reg)
{
    bool dlab = u->lcr & LCR_DLAB;
    uint8_t v;
    switch (reg) {
    case REG_DATA:
        if (dlab)
            return (uint8_t)u->divisor;
        v = pop(u);
        restart_timeout(u);
        return v;
    case REG_IER:
        return dlab ? (uint8_t)(u->divisor >> 8) : u->ier;
    case REG_IIR_FCR:
        return read_iir(u);
    case REG_LCR:
        return u->lcr;
    case REG_MCR:
        return u->mcr;
    case REG_LSR:
        return read_lsr(u);
    case REG_MSR:
        return read_msr(u);
    default:
        return u->scr;
    }
}

static void write_fcr(struct uart *u, uint8_t v)
{
    if (((v ^ u->fcr) & FCR_ENABLE) || ((v & FCR_ENABLE) && (v & FCR_CLEAR_RX))) {
        u->first = u->count = 0;
        u->errors &= LSR_OE;
        memset(u->error, 0, sizeof(u->error));
    }
    u->fcr = v & FCR_ENABLE ? v & 0xc9 : 0;
    restart_timeout(u);
}

static void write_ier(struct uart *u, uint8_t v)
{
    if ((v & ~u->ier & IER_THRE) && !u->held)
        u->thre_pending = 1; /* THR is empty: enabling tells at once */
    u->ier = v & 15;
}

static void write_lcr(struct uart *u, uint8_t v)
{
    bool begins_break = (v & ~u->lcr & LCR_BREAK) && (u->mcr & MCR_LOOP);
    u->lcr = v;
    if (begins_break)
        push(u, 0, LSR_BI | LSR_FE);
}

static void write_register(struct uart *u, unsigned reg, uint8_t v)
{
    bool dlab = u->lcr & LCR_DLAB;
    switch (reg) {
    case REG_DATA:
        if (dlab)
            u->divisor = (uint16_t)((u->divisor & 0xff00) | v);
        else
            transmit(u, v);
        break;
    case REG_IER:
        if (dlab)
            u->divisor = (uint16_t)((u->divisor & 0xff) | v << 8);
        else
            write_ier(u, v);
        break;
    case REG_IIR_FCR:
        write_fcr(u, v);
        break;
    case REG_LCR:
        write_lcr(u, v);
        break;
    case REG_MCR:
        u->mcr = v & 0x1f;
        update_modem(u);
        break;
    case REG_SCR:
        u->scr = v;
        break;
    default:
        break; /* LSR, MSR: factory test only */
    }
}

static uint64_t uart_read(void *state, uint64_t offset, unsigned size)
{
    struct uart *u = state;
    uint8_t v = read_register(u, offset & 7);
    update(u);
    if (offset == REG_DATA)
        room(u);
    return v;
}

static void uart_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    struct uart *u = state;
    write_register(u, offset & 7, (uint8_t)value);
    update(u);
    if (offset == REG_IIR_FCR || offset == REG_MCR)
        room(u);
}

static const struct weir_io_ops uart_ops = {uart_read, uart_write, 1, 1, false};

/* ---- life ---- */

static int uart_init(weir_dev *dev, void *state)
{
    struct uart *u = state;
    static const struct {
        uint16_t iobase;
        uint8_t irq;
    } standard[] = {{0x3f8, 4}, {0x2f8, 3}, {0x3e8, 4}, {0x2e8, 3}};
    u->dev = dev;
    weir_timer_init(dev, &u->timeout, timeout_fire);
    weir_timer_init(dev, &u->hold, hold_fire);
    if (u->index == UINT32_MAX)
        u->index = weir_dev_find(weir_dev_vm(dev), "isa-serial", NULL) ? 1 : 0;
    if (u->index >= ARRAY_SIZE(standard) && (!u->iobase || !u->irq_number))
        return weir_dev_fail(dev, WEIR_ERANGE, "index %u needs iobase and irq", u->index);
    if (!u->iobase)
        u->iobase = standard[u->index].iobase;
    if (!u->irq_number)
        u->irq_number = standard[u->index].irq;
    if (u->iobase > 0xfff8 || u->irq_number > 15)
        return weir_dev_fail(dev, WEIR_ERANGE, "iobase 0x%x or irq %u is out of range",
                             u->iobase, u->irq_number);
    u->irq = weir_dev_gsi(dev, u->irq_number);
    if (!weir_map_ports(dev, (uint16_t)u->iobase, 8, &uart_ops, 0, "serial"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    const struct char_device device = {can_receive, receive, char_event, u};
    if (u->chr)
        char_attach(u->chr, &device);
    return 0;
}

static void uart_reset(void *state)
{
    struct uart *u = state;
    u->ier = u->lcr = u->mcr = u->scr = u->fcr = u->errors = 0;
    u->msr = MSR_DCD | MSR_DSR | MSR_CTS;
    u->divisor = 12;
    memset(u->data, 0, sizeof(u->data));
    memset(u->error, 0, sizeof(u->error));
    u->first = u->count = u->last = 0;
    u->thre_pending = u->timeout_pending = u->held = 0;
    u->irq_level = 0;
    weir_timer_cancel(&u->timeout);
    weir_timer_cancel(&u->hold);
    weir_line_set(&u->irq, 0);
}

static int uart_loaded(void *state)
{
    struct uart *u = state;
    u->first %= FIFO_BYTES;
    if (u->count > capacity(u))
        return -WEIR_EINVAL;
    u->irq_level = interrupt_id(u) != IIR_NONE;
    weir_line_set(&u->irq, u->irq_level);
    return 0;
}

static void uart_info(void *state, struct weir_text *out)
{
    const struct uart *u = state;
    weir_textf(out,
               "iobase=%04x irq=%u divisor=%u ier=%02x iir=%02x lcr=%02x mcr=%02x msr=%02x "
               "fcr=%02x rx=%u\n",
               u->iobase, u->irq_number, u->divisor, u->ier, interrupt_id(u), u->lcr, u->mcr,
               u->msr, u->fcr, u->count);
}

static const struct weir_prop uart_props[] = {
    {"chardev", WEIR_PROP_CHAR, offsetof(struct uart, chr), NULL, "character device"},
    {"index", WEIR_PROP_U32, offsetof(struct uart, index), "0xffffffff",
     "0-3: COM1-COM4; the default is the first or second"},
    {"iobase", WEIR_PROP_U32, offsetof(struct uart, iobase), NULL, "first port"},
    {"irq", WEIR_PROP_U32, offsetof(struct uart, irq_number), NULL, "ISA interrupt"},
    {0},
};
static const struct weir_field uart_fields[] = {
    WEIR_FIELD(struct uart, ier),
    WEIR_FIELD(struct uart, lcr),
    WEIR_FIELD(struct uart, mcr),
    WEIR_FIELD(struct uart, msr),
    WEIR_FIELD(struct uart, scr),
    WEIR_FIELD(struct uart, fcr),
    WEIR_FIELD(struct uart, errors),
    WEIR_FIELD(struct uart, divisor),
    WEIR_FIELD_BYTES(struct uart, data),
    WEIR_FIELD_BYTES(struct uart, error),
    WEIR_FIELD(struct uart, first),
    WEIR_FIELD(struct uart, count),
    WEIR_FIELD(struct uart, last),
    WEIR_FIELD(struct uart, thre_pending),
    WEIR_FIELD(struct uart, timeout_pending),
    WEIR_FIELD(struct uart, irq_level),
    WEIR_FIELD(struct uart, held),
    WEIR_FIELD_TIMER(struct uart, hold),
    WEIR_FIELD_TIMER(struct uart, timeout),
    WEIR_FIELD_END,
};

const struct weir_dev_class uart_16550_class = {
    .name = "isa-serial",
    .help = "16550A serial port",
    .bus = "isa",
    .state_bytes = sizeof(struct uart),
    .version = 1,
    .init = uart_init,
    .reset = uart_reset,
    .loaded = uart_loaded,
    .info = uart_info,
    .props = uart_props,
    .fields = uart_fields,
    .user_creatable = true,
};
