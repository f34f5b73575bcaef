/* SPDX-License-Identifier: MIT */
/*
 * machine.c - the VMI ROM in a machine. Code pages are read-only for the guest, the page of
 * counters is not; both lie over what PAM shows there (RAM or nothing). Faults whose instruction is
 * in the ROM are looked at before the guest sees them: those of an instruction that works on what
 * the guest passed are the guest's, any other at ring 0 is reported and stops the VM.
 */
#include "cpu/tlb.h"
#include "dev/vga.h"
#include "vmi/vmi.h"

#include <stdlib.h>
#include <string.h>

#define ROM_SPACE_FIRST 0xc0000u
#define ROM_SPACE_END   0xe0000u
#define PRIORITY        20 /* above PAM */

/* ---- where an address is ---- */

int32_t vmi_rom_offset(struct vmi *v, struct vcpu *c, uint64_t linear)
{
    uint64_t gpa;
    struct walk walk;
    if (!tlb_knows(c, linear, ACCESS_EXECUTE, &gpa)) {
        if (!paging_walk(c, linear, &walk))
            return -1;
        gpa = walk.gpa;
    }
    uint64_t offset = gpa - v->config.base;
    return offset < VMI_ROM_BYTES ? (int32_t)offset : -1;
}

int32_t vmi_offset(struct vmi *v, struct vcpu *c, uint64_t linear)
{
    int32_t offset = vmi_rom_offset(v, c, linear);
    if (offset < 0 && v->slots && linear - v->slots < v->source->resident)
        offset = (int32_t)(linear - v->slots);
    return offset;
}

/* ---- exceptions and interrupts ---- */

static void count_vector(struct vmi *v, unsigned vector)
{
    v->vectors[vector]++;
    if (v->config.counters) {
        uint8_t *at = v->rom + VMI_CODE_BYTES + VMI_AT_TRAPS + vector * 4;
        store_le(at, load_le(at, 4) + 1, 4);
    }
}

/* Debuggers may step through the ROM. */
static bool is_unexpected(const struct vmi *v, const struct x86_fault *f, int32_t offset)
{
    if (v->config.faults != WEIR_VMI_FAULTS_STOP || f->vector == VEC_DB ||
        f->vector == VEC_BP || f->vector == VEC_MC)
        return false;
    return offset >= VMI_CODE_BYTES || !(v->operations[offset / 64] >> (offset & 63) & 1);
}

static void report(struct vmi *v, struct vcpu *c, const struct x86_fault *f, int32_t offset)
{
    int row = vmi_row_at(v->source, (uint32_t)offset);
    uint32_t first = row < 0 ? 0 : v->source->rows[row].first;
    struct weir *vm = v->vm;
    err_set(
        &vm->err, WEIR_ESTATE,
        "Unexpected fault in the ROM, ip %08llx (%s%s+0x%x): vector %u, error 0x%x, address "
        "%08llx, esp %08llx",
        (unsigned long long)c->rip, row < 0 ? "ROM" : "VMI_",
        row < 0 ? "" : vmi_calls[row].name, (uint32_t)offset - first, f->vector, f->error,
        (unsigned long long)f->address, (unsigned long long)c->gpr[RSP]);
    c->exit.reason = WEIR_EXIT_ERROR;
    c->exit.value = (uint64_t)-WEIR_ESTATE;
    c->exit.is_write = false;
}

static bool deliver(struct vcpu *c, const struct x86_fault *f)
{
    struct vmi *v = c->vm->vmi;
    count_vector(v, f->vector);
    if (f->kind == FAULT_SOFTWARE_INT || f->kind == FAULT_INT3_INTO)
        v->traps.system_calls++;
    if (f->kind != FAULT_EXCEPTION)
        return true;
    if (c->cpl == 3) {
        v->traps.from_user++;
        return true;
    }
    v->traps.from_kernel++;
    int32_t offset = vmi_offset(v, c, (c->segc[SEG_CS].base + c->rip) & c->linear_mask);
    if (offset < 0)
        return true;
    v->traps.in_rom++;
    if (!is_unexpected(v, f, offset))
        return true;
    report(v, c, f, offset);
    return false;
}

/* ---- life ---- */

static void reset(struct vcpu *c)
{
    struct vmi *v = c->vm->vmi;
    memcpy(v->rom, v->fresh, VMI_ROM_BYTES);
    v->initialised = v->has_ap_state = false;
    v->at = v->slots = 0;
    vmi_time_reset(v);
}

static void after_init(struct vcpu *c)
{
    struct vmi *v = c->vm->vmi;
    if (!v->has_ap_state)
        return;
    v->has_ap_state = false;
    if (vmi_ap_load(c, v->ap_state))
        return;
    if (log_on(&v->vm->log, WEIR_LOG_GUEST_ERRORS))
        log_printf(&v->vm->log, WEIR_LOG_GUEST_ERRORS,
                   "VMI: the processor cannot start in the state that was set\n");
    vcpu_reset(c, true);
    c->wait_for_sipi = c->halted = true;
}

static const struct rom_hooks hooks = {
    .call = vmi_exit,
    .deliver = deliver,
    .init = after_init,
    .reset = reset,
    .activity = vmi_activity,
};

static int check_config(struct weir *vm, const struct weir_vmi_config *c)
{
    if (c->api != 3 && c->api != 13)
        return err_set(&vm->err, WEIR_EUNSUPPORTED, "vmi: API %u: use 3 or 13", c->api);
    if (c->base % RAM_PAGE_BYTES || c->base < ROM_SPACE_FIRST ||
        c->base > ROM_SPACE_END - VMI_ROM_BYTES)
        return err_set(&vm->err, WEIR_ERANGE,
                       "vmi: base=0x%x: use a multiple of 0x1000 from 0x%x to 0x%x", c->base,
                       ROM_SPACE_FIRST, ROM_SPACE_END - VMI_ROM_BYTES);
    if (c->faults != WEIR_VMI_FAULTS_STOP && c->faults != WEIR_VMI_FAULTS_GUEST)
        return err_set(&vm->err, WEIR_EINVAL, "vmi: faults: no such choice");
    return 0;
}

static void find_marks(struct vmi *v)
{
    const struct vmi_source *s = v->source;
    for (const struct vmi_exit *e = s->exits; e->offset; e++)
        v->exits[e->offset] = (uint8_t)(e->row == VMI_ROW_INIT ? EXIT_INIT : e->row + 1);
    for (const uint32_t *at = s->operations; *at; at++)
        v->operations[*at / 64] |= 1ull << (*at & 63);
}

int vmi_enable(struct weir *vm, const struct weir_vmi_config *config)
{
    struct weir_vmi_config full;
    weir_vmi_config_init(&full, sizeof(full));
    memcpy(&full, config, config->size < sizeof(full) ? config->size : sizeof(full));
    full.size = sizeof(full);
    if (vm->vmi || vm->started)
        return err_set(&vm->err, WEIR_ESTATE, "vmi: %s",
                       vm->vmi ? "there is a ROM already" : "the machine has started");
    int rc = check_config(vm, &full);
    if (rc < 0)
        return rc;
    struct vmi *v = calloc(1, sizeof(*v));
    void *rom = NULL;
    if (!v || posix_memalign(&rom, RAM_PAGE_BYTES, VMI_ROM_BYTES) ||
        !(v->fresh = malloc(VMI_ROM_BYTES)) || vmi_time_init(v) < 0) {
        if (v)
            free(v->fresh);
        free(rom);
        free(v);
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    }
    v->vm = vm;
    v->config = full;
    v->rom = rom;
    v->source = vmi_source(full.api, full.counters);
    vmi_image_make(v->source, full.api, full.base, (uint32_t)vm->cpu.tsc_hz, v->fresh);
    memcpy(rom, v->fresh, VMI_ROM_BYTES);
    find_marks(v);
    vm->vmi = v;
    return 0;
}

/* Firmware copies the video BIOS to the start of the ROM space; a kernel started directly has none
 * there. Other devices have no ROM; what else is mapped there with memory of its own is one. */
static int check_conflicts(struct weir *vm)
{
    uint32_t base = vm->vmi->config.base, end = base + VMI_ROM_BYTES;
    uint32_t video = vm->vga && !vm->boot.kernel ? vga_rom_bytes(vm->vga) : 0;
    if (base < ROM_SPACE_FIRST + video)
        return err_set(
            &vm->err, WEIR_EEXIST,
            "vmi: base=0x%x: the video BIOS is at 0x%x-0x%x; use base=0x%x or higher", base,
            ROM_SPACE_FIRST, ROM_SPACE_FIRST + video - 1,
            (ROM_SPACE_FIRST + video + RAM_PAGE_BYTES - 1) & ~(RAM_PAGE_BYTES - 1));
    for (const struct weir_region *r = vm->mem.regions; r; r = r->next)
        if (r->enabled && r->host && strcmp(r->name, "ram") && strncmp(r->name, "pam-", 4) &&
            r->start < end && r->start + r->length > base)
            return err_set(&vm->err, WEIR_EEXIST, "vmi: base=0x%x: %s is at 0x%llx-0x%llx",
                           base, r->name, (unsigned long long)r->start,
                           (unsigned long long)(r->start + r->length - 1));
    return 0;
}

int vmi_start(struct weir *vm)
{
    struct vmi *v = vm->vmi;
    if (!v)
        return 0;
    int rc = check_conflicts(vm);
    if (rc < 0)
        return rc;
    uint32_t base = v->config.base;
    if (!bus_map_memory(&vm->mem, base, VMI_CODE_BYTES, v->rom, v->tags, true, PRIORITY,
                        "vmi-rom") ||
        !bus_map_memory(&vm->mem, base + VMI_CODE_BYTES, VMI_ROM_BYTES - VMI_CODE_BYTES,
                        v->rom + VMI_CODE_BYTES, v->tags + VMI_CODE_BYTES / RAM_PAGE_BYTES,
                        false, PRIORITY, "vmi-rom-data"))
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    vm->cpu.rom = &hooks;
    return 0;
}

void vmi_free(struct weir *vm)
{
    struct vmi *v = vm->vmi;
    if (!v)
        return;
    vm->cpu.rom = NULL;
    vmi_time_fini(v);
    free(v->rom);
    free(v->fresh);
    free(v);
    vm->vmi = NULL;
}
