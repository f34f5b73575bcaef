/* SPDX-License-Identifier: MIT */
/*
 * info.c - the topics of `info`: one table for those about the machine; every device class with
 * an info callback is a topic of its own, by its id.
 */
#include "api/api.h"
#include "dev/pci_board.h"
#include "vmi/vmi.h"

#include <stdio.h>
#include <string.h>

static void info_registers(weir *vm, struct weir_text *out)
{
    weir_textf(out, "\nCPU#0\n");
    cpu_dump(&vm->cpu, out, true, false);
}

static void info_status(weir *vm, struct weir_text *out)
{
    weir_textf(out, "VM status: %s\n",
               weir_is_paused(vm) ? "paused"
               : vm->running      ? "running"
                                  : "stopped");
}

static void info_mem(weir *vm, struct weir_text *out)
{
    paging_dump_mem(&vm->cpu, out);
}
static void info_tlb(weir *vm, struct weir_text *out)
{
    paging_dump_tlb(&vm->cpu, out);
}

static void class_info(weir *vm, const char *class_name, struct weir_text *out)
{
    weir_dev *dev = weir_dev_find(vm, class_name, NULL);
    if (dev && dev->cls->info)
        dev->cls->info(dev->state, out);
    else
        weir_textf(out, "this machine has none\n");
}
static void info_pic(weir *vm, struct weir_text *out)
{
    class_info(vm, "ioapic", out);
    class_info(vm, "i8259", out);
}
static void info_lapic(weir *vm, struct weir_text *out)
{
    class_info(vm, "apic", out);
}

static void info_pci(weir *vm, struct weir_text *out)
{
    if (vm->pci)
        pci_info(vm->pci, out);
    else
        weir_textf(out, "PCI devices not supported\n");
}

static void info_block(weir *vm, struct weir_text *out)
{
    for (const struct weir_block *b = vm->blocks; b; b = b->next) {
        weir_textf(out, "%s: ", b->id);
        if (block_present(b))
            weir_textf(out, "%s (raw%s%s)\n", b->file, b->read_only ? ", read-only" : "",
                       b->snapshot ? ", snapshot" : "");
        else
            weir_textf(out, "[not inserted]\n");
        weir_textf(out, "    Interface:        %s%s\n", b->interface_name,
                   b->is_cdrom ? ", CD-ROM" : "");
        if (b->is_cdrom || !strcmp(b->interface_name, "floppy"))
            weir_textf(out, "    Removable device: %slocked\n", b->locked ? "" : "not ");
        weir_textf(out,
                   "    Read:             %llu bytes in %llu requests\n"
                   "    Written:          %llu bytes in %llu requests, %llu flushes\n",
                   (unsigned long long)b->read_bytes, (unsigned long long)b->reads,
                   (unsigned long long)b->written_bytes, (unsigned long long)b->writes,
                   (unsigned long long)b->flushes);
    }
}

static const char *region_kind(const struct weir_region *r)
{
    return !r->host ? "i/o" : r->read_only ? "rom" : "ram";
}

static void bus_tree(const struct bus *bus, struct weir_text *out)
{
    int digits = bus->last_address > 0xffff ? 16 : 4;
    weir_textf(out, "address-space: %s\n", bus->name);
    for (uint32_t i = 0; i < bus->span_count; i++) {
        const struct bus_span *s = &bus->spans[i];
        if (s->region)
            weir_textf(out, "  %0*llx-%0*llx (prio %d, %s): %s\n", digits,
                       (unsigned long long)s->first, digits, (unsigned long long)s->last,
                       s->region->priority, region_kind(s->region), s->region->name);
    }
    weir_textf(out, "\n");
}

static void info_mtree(weir *vm, struct weir_text *out)
{
    bus_tree(&vm->mem, out);
    bus_tree(&vm->io, out);
}

static void info_roms(weir *vm, struct weir_text *out)
{
    for (uint32_t i = 0; i < vm->mem.span_count; i++) {
        const struct bus_span *s = &vm->mem.spans[i];
        if (s->region && s->region->host && s->region->read_only)
            weir_textf(out, "addr=%016llx size=0x%06llx mem=rom name=\"%s\"\n",
                       (unsigned long long)s->first,
                       (unsigned long long)(s->last - s->first + 1), s->region->name);
    }
}

static void info_chardev(weir *vm, struct weir_text *out)
{
    for (struct char_node *n = vm->chars; n; n = n->next)
        char_describe(n->chr, out);
}

static void info_qtree(weir *vm, struct weir_text *out)
{
    for (weir_dev *d = vm->devices; d; d = d->next)
        weir_textf(out, "  dev: %s, id \"%s\", bus %s\n", d->cls->name, d->id, d->cls->bus);
}

static void info_name(weir *vm, struct weir_text *out)
{
    weir_textf(out, "%s\n", vm->config.name);
}

static void info_uuid(weir *vm, struct weir_text *out)
{
    const uint8_t *u = vm->config.uuid;
    for (int i = 0; i < 16; i++)
        weir_textf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
    weir_textf(out, "\n");
}

static void info_version(weir *vm, struct weir_text *out)
{
    (void)vm;
    weir_textf(out, "%s\n", WEIR_VERSION_STRING);
}

static const struct topic {
    const char *name, *help;
    void (*show)(weir *vm, struct weir_text *out);
} topics[] = {
    {"block", "drives and their media", info_block},
    {"chardev", "character devices", info_chardev},
    {"jit", "the translator's counters", info_jit},
    {"lapic", "local APIC", info_lapic},
    {"mem", "active virtual memory mappings", info_mem},
    {"mtree", "memory and port maps", info_mtree},
    {"name", "name of the machine", info_name},
    {"pci", "PCI functions", info_pci},
    {"pic", "8259 and I/O APIC", info_pic},
    {"qtree", "devices", info_qtree},
    {"registers", "CPU registers", info_registers},
    {"roms", "read-only memory", info_roms},
    {"status", "whether the machine runs", info_status},
    {"tlb", "virtual to physical mappings", info_tlb},
    {"uuid", "UUID of the machine", info_uuid},
    {"version", "version of the library", info_version},
    {"vmi", "the VMI ROM and its counters", vmi_info},
};

const char *weir_info_topic(weir *vm, unsigned i, const char **help)
{
    if (i < ARRAY_SIZE(topics)) {
        if (help)
            *help = topics[i].help;
        return topics[i].name;
    }
    i -= ARRAY_SIZE(topics);
    for (weir_dev *d = vm->devices; d; d = d->next) {
        if (!d->cls->info || i--)
            continue;
        if (help)
            *help = d->cls->help;
        return d->id;
    }
    return NULL;
}

int weir_info(weir *vm, const char *topic, struct weir_text *out)
{
    int rc = 0;
    pthread_mutex_lock(&vm->device_lock);
    const struct topic *t = NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(topics) && !t; i++)
        if (!strcmp(topics[i].name, topic))
            t = &topics[i];
    weir_dev *dev = t ? NULL : weir_dev_find(vm, NULL, topic);
    if (t)
        t->show(vm, out);
    else if (dev && dev->cls->info)
        dev->cls->info(dev->state, out);
    else
        rc = err_set(&vm->err, WEIR_ENOENT, "no topic '%s'; see help info", topic);
    pthread_mutex_unlock(&vm->device_lock);
    return rc;
}
