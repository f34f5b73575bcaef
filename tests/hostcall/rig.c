/* SPDX-License-Identifier: MIT */
/* rig.c - see rig.h. */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/machine.h>

static void rig_log(void *ctx, enum weir_log_item item, const char *text, size_t length)
{
    struct rig *r = ctx;
    size_t at = strlen(r->log), room = sizeof(r->log) - at - 1;
    memcpy(r->log + at, text, length < room ? length : room);
    r->log[at + (length < room ? length : room)] = 0;
}

void *rig_ram(struct rig *r, uint32_t gpa)
{
    return r->vm->ram.base + gpa;
}

uint32_t rig_code(struct rig *r, unsigned bits)
{
    uint8_t code[16] = {0x0f, 0xb9};
    unsigned n = 2;
    if (bits == 16) {
        code[n++] = 0x06;
        store_le(code + n, RIG_BLOCK, 2);
        n += 2;
    } else {
        uint32_t end = RIG_CODE + 7;
        code[n++] = 0x05;
        store_le(code + n, bits == 64 ? RIG_BLOCK - end : RIG_BLOCK, 4);
        n += 4;
    }
    code[n] = 0xf4;
    weir_mem_write(r->vm, RIG_CODE, code, sizeof(code));
    return RIG_CODE + n;
}

void rig_open(struct rig *r, const char *engine, unsigned bits, bool with_dir,
              const char *options)
{
    struct weir_config config;
    char text[512];
    memset(r, 0, sizeof(*r));
    weir_config_init(&config, sizeof(config));
    config.machine = "none";
    config.accel = engine;
    config.ram_bytes = RIG_RAM;
    config.log = rig_log;
    config.log_ctx = r;
    assert_int_equal(weir_create(&config, &r->vm), 0);
    r->c = &r->vm->cpu;
    if (with_dir) {
        snprintf(r->dir, sizeof(r->dir), "/tmp/weir-hostcall-XXXXXX");
        assert_non_null(mkdtemp(r->dir));
    }
    if (options) {
        snprintf(text, sizeof(text), options, r->dir);
        if (weir_hostcall_enable(r->vm, text) != 0)
            fail_msg("%s", weir_last_error(r->vm));
    }
    assert_int_equal(weir_boot_flat(r->vm, bits, RIG_CODE, RIG_STACK, RIG_TABLES), 0);
    rig_code(r, bits);
}

void rig_close(struct rig *r)
{
    char command[256];
    weir_destroy(r->vm);
    if (!*r->dir)
        return;
    snprintf(command, sizeof(command), "chmod -R u+rwx %s; rm -rf %s", r->dir, r->dir);
    assert_int_equal(system(command), 0);
}

/* One instruction; a fault would be delivered, so the IDT is out of reach and that shows. */
bool rig_raw(struct rig *r, void *block, uint32_t length)
{
    struct weir_exit e;
    union weir_value rip = {.u64 = RIG_CODE - r->c->seg[SEG_CS].base};
    r->names = 0;
    r->c->halted = false;
    weir_reg_set((weir_vcpu *)r->c, WEIR_RIP, &rip);
    memcpy(rig_ram(r, RIG_BLOCK), block, length);
    memset(&r->c->fault, 0, sizeof(r->c->fault));
    int rc = weir_run((weir_vcpu *)r->c, 1, &e);
    assert_int_equal(rc, 0);
    memcpy(block, rig_ram(r, RIG_BLOCK), length);
    return e.reason == WEIR_EXIT_BUDGET || e.reason == WEIR_EXIT_DEBUG_EXIT;
}

unsigned rig_call(struct rig *r, void *block, uint16_t service, uint32_t length)
{
    struct weir_hc_header *h = block;
    *h = (struct weir_hc_header){.magic = WEIR_HC_MAGIC,
                                 .version = WEIR_HC_VERSION,
                                 .service = service,
                                 .error = 0xeeee,
                                 .dos = 0xeeee,
                                 .length = length};
    if (!rig_raw(r, block, length))
        fail_msg("service 0x%x: fault %u", service, r->c->fault.vector);
    assert_int_not_equal(h->error, 0xeeee);
    return h->error;
}

struct weir_hc_text rig_text(struct rig *r, const char *text, unsigned names)
{
    uint32_t at = RIG_NAMES + 0x10000 * r->names++;
    memcpy(rig_ram(r, at), text, strlen(text) + 1);
    return (struct weir_hc_text){at, (uint32_t)strlen(text), WEIR_HC_LINEAR, (uint16_t)names};
}
struct weir_hc_region rig_region(uint32_t at, uint32_t length)
{
    return (struct weir_hc_region){at, length, WEIR_HC_LINEAR};
}

/* ---- files ---- */

unsigned rig_open_file(struct rig *r, const char *path, unsigned names, uint32_t flags,
                       struct weir_hc_open *a)
{
    memset(a, 0, sizeof(*a));
    a->path = rig_text(r, path, names);
    a->flags = flags;
    a->mode = 0644;
    return rig_call(r, a, WEIR_HC_FILE_OPEN, sizeof(*a));
}

static unsigned rig_io(struct rig *r, uint16_t service, uint32_t handle, uint64_t offset,
                       uint32_t length, uint32_t *done)
{
    struct weir_hc_io a = {.handle = handle,
                           .region_count = 1,
                           .offset = offset,
                           .regions = {rig_region(RIG_DATA, length)}};
    unsigned error = rig_call(r, &a, service, sizeof(a));
    *done = a.done;
    return error;
}
unsigned rig_read(struct rig *r, uint32_t handle, uint64_t offset, uint32_t length,
                  uint32_t *done)
{
    return rig_io(r, WEIR_HC_FILE_READ, handle, offset, length, done);
}
unsigned rig_write(struct rig *r, uint32_t handle, uint64_t offset, const void *data,
                   uint32_t length, uint32_t *done)
{
    memcpy(rig_ram(r, RIG_DATA), data, length);
    return rig_io(r, WEIR_HC_FILE_WRITE, handle, offset, length, done);
}
void rig_close_file(struct rig *r, uint32_t handle)
{
    struct weir_hc_close a = {.handle = handle};
    assert_int_equal(rig_call(r, &a, WEIR_HC_FILE_CLOSE, sizeof(a)), 0);
}
unsigned rig_name(struct rig *r, uint16_t service, const char *path, unsigned names)
{
    struct weir_hc_name a = {.path = rig_text(r, path, names), .mode = 0755};
    return rig_call(r, &a, service, sizeof(a));
}

/* ---- the host's side ---- */

void rig_put(struct rig *r, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", r->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}
bool rig_exists(struct rig *r, const char *name)
{
    char path[512];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", r->dir, name);
    return lstat(path, &st) == 0;
}
