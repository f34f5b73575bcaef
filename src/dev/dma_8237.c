/* SPDX-License-Identifier: MIT */
/*
 * dma_8237.c - the PC's two 8237A DMA controllers and the page registers; isa_dma.h is the side
 * of the devices. Spec: Intel 8237A data sheet (231466); IBM AT Technical Reference for wiring.
 *
 * A transfer is done when a device asks for it, at once and on the device's call; DREQ is no
 * state. Channel 4 is only the cascade: what it is set to is kept and ignored. Memory to memory
 * transfers (not wired in the PC) do not exist. Channels 5-7 count words; their address is
 * shifted by one and bit 0 of the page is ignored. Addresses wrap within the page.
 */
#include "base/bits.h"
#include "dev/chips.h"
#include "dev/isa_dma.h"

enum {
    REG_COMMAND = 8,
    REG_REQUEST,
    REG_MASK,
    REG_MODE,
    REG_CLEAR_FLIP_FLOP,
    REG_RESET,
    REG_CLEAR_MASK,
    REG_MASK_ALL
};
enum { COMMAND_DISABLE = 4 };
enum {
    MODE_TYPE = 0x0c,
    MODE_WRITE = 0x04,
    MODE_READ = 0x08,
    MODE_AUTO = 0x10,
    MODE_DOWN = 0x20,
    MODE_CASCADE = 0xc0
};

struct dma_channel {
    uint16_t base_address, base_count, address, count;
    uint8_t mode;
};
struct dma_controller {
    struct dma_channel channel[4];
    uint8_t command, mask, request, terminal; /* bit per channel */
    uint8_t flip_flop;
};
struct dma {
    struct dma_controller controller[2];
    uint8_t page[16]; /* ports 80h-8Fh */
    weir_dev *dev;
    struct {
        void (*fn)(void *ctx);
        void *ctx;
    } on_ready[8];
};

/* Which of ports 80h-8Fh is a channel's page register. */
static const uint8_t page_port[8] = {7, 3, 1, 2, 15, 11, 9, 10};

/* ---- the devices' side ---- */

static bool ready(const struct dma *s, unsigned channel)
{
    const struct dma_controller *c = &s->controller[channel >> 2];
    unsigned n = channel & 3;
    return channel != 4 && !(c->command & COMMAND_DISABLE) && !(c->mask & BIT(n)) &&
           (c->channel[n].mode & MODE_CASCADE) != MODE_CASCADE;
}

bool dma_ready(weir_dev *dma, unsigned channel)
{
    return channel < 8 && ready(weir_dev_state(dma), channel);
}

void dma_on_ready(weir_dev *dma, unsigned channel, void (*fn)(void *ctx), void *ctx)
{
    struct dma *s = weir_dev_state(dma);
    if (channel >= 8)
        return;
    s->on_ready[channel].fn = fn;
    s->on_ready[channel].ctx = ctx;
}

static weir_gpa physical(const struct dma *s, unsigned channel)
{
    uint16_t address = s->controller[channel >> 2].channel[channel & 3].address;
    unsigned page = s->page[page_port[channel]];
    return channel < 4 ? (weir_gpa)page << 16 | address
                       : (weir_gpa)(page & 0xfe) << 16 | (weir_gpa)address << 1;
}

/* Moves one contiguous piece. */
static void move(struct dma *s, weir_gpa gpa, uint8_t *buffer, unsigned bytes, unsigned type)
{
    if (type == MODE_READ && weir_dma_read(s->dev, gpa, buffer, bytes) < 0)
        memset(buffer, 0xff, bytes);
    else if (type == MODE_WRITE)
        weir_dma_write(s->dev, gpa, buffer, bytes);
    else if (type == 0)
        memset(buffer, 0, bytes);
}

/* `units` transfers were done: address, count, and what happens when it runs out. */
static bool advance(struct dma_controller *c, unsigned n, unsigned units)
{
    struct dma_channel *ch = &c->channel[n];
    ch->address = (uint16_t)(ch->mode & MODE_DOWN ? ch->address - units : ch->address + units);
    bool terminal = units == ch->count + 1u;
    ch->count = (uint16_t)(ch->count - units);
    if (!terminal)
        return false;
    c->terminal |= (uint8_t)BIT(n);
    c->request &= (uint8_t)~BIT(n);
    if (ch->mode & MODE_AUTO) {
        ch->address = ch->base_address;
        ch->count = ch->base_count;
    } else {
        c->mask |= (uint8_t)BIT(n);
    }
    return true;
}

/* `type` is what the device does; a channel set to verify only counts. Any other mismatch moves
 * as the channel's mode says nothing: the wires would fight. */
static unsigned transfer(struct dma *s, unsigned channel, uint8_t *buffer, unsigned len,
                         unsigned type, bool *terminal_count)
{
    *terminal_count = false;
    if (channel >= 8 || !ready(s, channel))
        return 0;
    struct dma_controller *c = &s->controller[channel >> 2];
    struct dma_channel *ch = &c->channel[channel & 3];
    unsigned shift = channel >= 4, done = 0, mode = ch->mode & MODE_TYPE;
    if (mode == 0 && type == MODE_WRITE)
        type = MODE_TYPE; /* nothing is moved */
    else if (mode == 0)
        type = 0;
    else if (mode != type)
        return 0;
    while (!*terminal_count && (len - done) >> shift) {
        unsigned units = (len - done) >> shift, left = ch->count + 1u;
        unsigned to_wrap = ch->mode & MODE_DOWN ? 1 : 0x10000u - ch->address;
        units = units < left ? units : left;
        units = units < to_wrap ? units : to_wrap;
        move(s, physical(s, channel), buffer + done, units << shift, type);
        *terminal_count = advance(c, channel & 3, units);
        done += units << shift;
    }
    return done;
}

unsigned dma_read_memory(weir_dev *dma, unsigned channel, void *buffer, unsigned len,
                         bool *terminal_count)
{
    return transfer(weir_dev_state(dma), channel, buffer, len, MODE_READ, terminal_count);
}

unsigned dma_write_memory(weir_dev *dma, unsigned channel, const void *buffer, unsigned len,
                          bool *terminal_count)
{
    /* move() does not change the buffer in this direction. */
    return transfer(weir_dev_state(dma), channel, (uint8_t *)(uintptr_t)buffer, len, MODE_WRITE,
                    terminal_count);
}

/* ---- registers ---- */

static void write_half(struct dma_controller *c, uint16_t *word, uint8_t byte)
{
    *word = (uint16_t)(c->flip_flop ? (*word & 0xff) | byte << 8 : (*word & 0xff00) | byte);
}

static void write_channel(struct dma_controller *c, unsigned reg, uint8_t byte)
{
    struct dma_channel *ch = &c->channel[reg >> 1];
    write_half(c, reg & 1 ? &ch->base_count : &ch->base_address, byte);
    write_half(c, reg & 1 ? &ch->count : &ch->address, byte);
    c->flip_flop ^= 1;
}

static void controller_reset(struct dma_controller *c)
{
    c->command = c->request = c->terminal = c->flip_flop = 0;
    c->mask = 15;
}

static void set_bit(uint8_t *bits, uint8_t value)
{
    uint8_t bit = (uint8_t)BIT(value & 3);
    *bits = value & 4 ? *bits | bit : *bits & (uint8_t)~bit;
}

static void write_register(struct dma_controller *c, unsigned reg, uint8_t v)
{
    switch (reg) {
    case REG_COMMAND:
        c->command = v;
        break;
    case REG_REQUEST:
        set_bit(&c->request, v);
        break;
    case REG_MASK:
        set_bit(&c->mask, v);
        break;
    case REG_MODE:
        c->channel[v & 3].mode = v & 0xfc;
        break;
    case REG_CLEAR_FLIP_FLOP:
        c->flip_flop = 0;
        break;
    case REG_RESET:
        controller_reset(c);
        break;
    case REG_CLEAR_MASK:
        c->mask = 0;
        break;
    case REG_MASK_ALL:
        c->mask = v & 15;
        break;
    default:
        write_channel(c, reg, v);
        break;
    }
}

static void controller_write(struct dma *s, unsigned n, unsigned reg, uint8_t value)
{
    bool was[4];
    for (unsigned i = 0; i < 4; i++)
        was[i] = ready(s, n * 4 + i);
    write_register(&s->controller[n], reg, value);
    for (unsigned i = 0; i < 4; i++)
        if (!was[i] && ready(s, n * 4 + i) && s->on_ready[n * 4 + i].fn)
            s->on_ready[n * 4 + i].fn(s->on_ready[n * 4 + i].ctx);
}

static uint8_t controller_read(struct dma_controller *c, unsigned reg)
{
    if (reg == REG_COMMAND) {
        uint8_t status = (uint8_t)(c->request << 4 | c->terminal);
        c->terminal = 0;
        return status;
    }
    if (reg == REG_MASK_ALL)
        return 0xf0 | c->mask;
    if (reg >= REG_COMMAND)
        return 0;
    const struct dma_channel *ch = &c->channel[reg >> 1];
    uint16_t word = reg & 1 ? ch->count : ch->address;
    uint8_t byte = (uint8_t)(c->flip_flop ? word >> 8 : word);
    c->flip_flop ^= 1;
    return byte;
}

static uint64_t first_read(void *state, uint64_t offset, unsigned size)
{
    return controller_read(&((struct dma *)state)->controller[0], offset & 15);
}
static void first_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    controller_write(state, 0, offset & 15, (uint8_t)value);
}
/* The second controller sits on every other port. */
static uint64_t second_read(void *state, uint64_t offset, unsigned size)
{
    return controller_read(&((struct dma *)state)->controller[1], offset >> 1 & 15);
}
static void second_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    controller_write(state, 1, offset >> 1 & 15, (uint8_t)value);
}
static uint64_t page_read(void *state, uint64_t offset, unsigned size)
{
    return ((struct dma *)state)->page[offset & 15];
}
static void page_write(void *state, uint64_t offset, uint64_t value, unsigned size)
{
    ((struct dma *)state)->page[offset & 15] = (uint8_t)value;
}

static const struct weir_io_ops first_ops = {first_read, first_write, 1, 1, false};
static const struct weir_io_ops second_ops = {second_read, second_write, 1, 1, false};
static const struct weir_io_ops page_ops = {page_read, page_write, 1, 1, false};

/* ---- life ---- */

static int dma_init(weir_dev *dev, void *state)
{
    ((struct dma *)state)->dev = dev;
    /* Port 92h lies among the page registers' aliases and is not ours. */
    if (!weir_map_ports(dev, 0x00, 16, &first_ops, 0, "dma1") ||
        !weir_map_ports(dev, 0xc0, 32, &second_ops, 0, "dma2") ||
        !weir_map_ports(dev, 0x80, 16, &page_ops, 0, "dma-page"))
        return weir_dev_fail(dev, WEIR_ENOMEM, "out of memory");
    return 0;
}

static void dma_reset(void *state)
{
    struct dma *s = state;
    memset(s->page, 0, sizeof(s->page));
    for (unsigned i = 0; i < 2; i++) {
        memset(s->controller[i].channel, 0, sizeof(s->controller[i].channel));
        controller_reset(&s->controller[i]);
    }
}

static void dma_info(void *state, struct weir_text *out)
{
    const struct dma *s = state;
    for (unsigned i = 0; i < 8; i++) {
        const struct dma_channel *ch = &s->controller[i >> 2].channel[i & 3];
        weir_textf(out, "channel %u: address %06llx count %04x mode %02x%s\n", i,
                   (unsigned long long)physical(s, i), ch->count, ch->mode,
                   ready(s, i) ? "" : " (off)");
    }
}

static const struct weir_field channel_fields[] = {
    WEIR_FIELD(struct dma_channel, base_address), WEIR_FIELD(struct dma_channel, base_count),
    WEIR_FIELD(struct dma_channel, address),      WEIR_FIELD(struct dma_channel, count),
    WEIR_FIELD(struct dma_channel, mode),         WEIR_FIELD_END,
};
static const struct weir_field controller_fields[] = {
    WEIR_FIELD_STRUCTS(struct dma_controller, channel, channel_fields),
    WEIR_FIELD(struct dma_controller, command),
    WEIR_FIELD(struct dma_controller, mask),
    WEIR_FIELD(struct dma_controller, request),
    WEIR_FIELD(struct dma_controller, terminal),
    WEIR_FIELD(struct dma_controller, flip_flop),
    WEIR_FIELD_END,
};
static const struct weir_field dma_fields[] = {
    WEIR_FIELD_STRUCTS(struct dma, controller, controller_fields),
    WEIR_FIELD_BYTES(struct dma, page),
    WEIR_FIELD_END,
};

const struct weir_dev_class dma_8237_class = {
    .name = "i8237",
    .help = "ISA DMA controllers",
    .bus = "isa",
    .state_bytes = sizeof(struct dma),
    .version = 1,
    .init = dma_init,
    .reset = dma_reset,
    .info = dma_info,
    .fields = dma_fields,
};
