/* SPDX-License-Identifier: MIT */
/* monitor_memory.c - commands that look at memory, registers and ports. */
#include "monitor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int read_virtual(void *ctx, uint64_t address, void *buffer, size_t length)
{
    return weir_virt_read(weir_get_vcpu(((struct tool *)ctx)->vm, 0), address, buffer, length);
}

static int read_physical(void *ctx, uint64_t address, void *buffer, size_t length)
{
    return weir_mem_read(((struct tool *)ctx)->vm, address, buffer, length);
}

static void dump(struct command_call *c, bool physical)
{
    weir_hold(c->tool->vm);
    int bits = weir_code_bits(weir_get_vcpu(c->tool->vm, 0));
    struct dump d = {.read = physical ? read_physical : read_virtual,
                     .ctx = c->tool,
                     .address = (uint64_t)c->args[1].number,
                     .format = c->args[0].format,
                     .code_bits = bits > 0 ? (unsigned)bits : 16};
    /* With a size, i decodes 16, 32 or 64-bit code instead of the CPU's present mode. */
    if (d.format.letter == 'i' && d.format.size)
        d.code_bits = d.format.size == 8 ? 64 : d.format.size == 4 ? 32 : 16;
    dump_memory(c->out, &d);
    weir_release(c->tool->vm);
}

void monitor_x(struct command_call *c)
{
    dump(c, false);
}
void monitor_xp(struct command_call *c)
{
    dump(c, true);
}

void monitor_print(struct command_call *c)
{
    format_value(c->out, c->args[0].format.letter, c->args[1].number);
    text_printf(c->out, "\n");
}

/* ---- ports ---- */

static bool port_size(struct command_call *c, unsigned *size)
{
    *size = c->args[0].present ? c->args[0].format.size : 1;
    if (*size <= 4 && c->args[1].number >= 0 && c->args[1].number <= 0xffff)
        return true;
    text_printf(c->out, "a port is 0 to 0xffff and b, h or w wide\n");
    return false;
}

void monitor_i(struct command_call *c)
{
    unsigned size;
    uint32_t value;
    if (!port_size(c, &size))
        return;
    uint16_t port = (uint16_t)c->args[1].number;
    if (weir_port_read(c->tool->vm, port, size, &value) < 0)
        text_printf(c->out, "Error: %s\n", tool_error(c->tool));
    else
        text_printf(c->out, "port%c[0x%04x] = 0x%0*x\n", " bw l"[size], port, (int)size * 2,
                    value);
}

void monitor_o(struct command_call *c)
{
    unsigned size;
    if (!port_size(c, &size))
        return;
    int error = weir_port_write(c->tool->vm, (uint16_t)c->args[1].number, size,
                                (uint32_t)c->args[2].number);
    if (error < 0)
        text_printf(c->out, "Error: %s\n", tool_error(c->tool));
}

/* ---- blocks of memory ---- */

/* The 16-bit rotating sum of BSD's sum(1). */
void monitor_sum(struct command_call *c)
{
    uint64_t address = (uint64_t)c->args[0].number, left = (uint64_t)c->args[1].number;
    uint16_t sum = 0;
    uint8_t buffer[4096];
    weir_hold(c->tool->vm);
    if (left > weir_ram_bytes(c->tool->vm) + (1ull << 32))
        left = 0;
    while (left) {
        size_t n = left < sizeof(buffer) ? (size_t)left : sizeof(buffer);
        if (weir_mem_read(c->tool->vm, address, buffer, n) < 0)
            break;
        for (size_t k = 0; k < n; k++)
            sum = (uint16_t)((sum >> 1 | sum << 15) + buffer[k]);
        address += n;
        left -= n;
    }
    weir_release(c->tool->vm);
    text_printf(c->out, "%05d\n", sum);
}

static const char *copy_memory(struct tool *t, bool physical, uint64_t address, uint64_t length,
                               FILE *file)
{
    uint8_t buffer[4096];
    while (length) {
        size_t n = 4096 - (address & 4095);
        if (n > length)
            n = (size_t)length;
        int rc = physical ? read_physical(t, address, buffer, n)
                          : read_virtual(t, address, buffer, n);
        if (rc < 0) {
            snprintf(t->error_text, sizeof(t->error_text), "Invalid addr 0x%016llx specified",
                     (unsigned long long)address);
            return t->error_text;
        }
        if (fwrite(buffer, 1, n, file) != n)
            return strerror(errno);
        address += n;
        length -= n;
    }
    return NULL;
}

const char *save_memory(struct tool *t, bool physical, uint64_t address, uint64_t length,
                        const char *path)
{
    FILE *file = fopen(path, "wb");
    if (!file) {
        snprintf(t->error_text, sizeof(t->error_text), "Could not open '%.300s': %s", path,
                 strerror(errno));
        return t->error_text;
    }
    weir_hold(t->vm);
    const char *problem = copy_memory(t, physical, address, length, file);
    weir_release(t->vm);
    if (fclose(file) != 0 && !problem)
        problem = strerror(errno);
    return problem;
}

static void save(struct command_call *c, bool physical)
{
    const char *error = save_memory(c->tool, physical, (uint64_t)c->args[0].number,
                                    (uint64_t)c->args[1].number, c->args[2].string);
    if (error)
        text_printf(c->out, "Error: %s\n", error);
}

void monitor_memsave(struct command_call *c)
{
    save(c, false);
}
void monitor_pmemsave(struct command_call *c)
{
    save(c, true);
}
