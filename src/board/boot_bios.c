/* SPDX-License-Identifier: MIT */
/*
 * boot_bios.c - firmware images: finding and reading them, the ROM at the top of 4 GiB and its
 * last 128 KiB at E0000h (under PAM control), the video BIOS in the VGA's expansion ROM.
 */
#include "board/firmware.h"
#include "dev/vga.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_BIOS         "bios-256k.bin"
#define VIDEO_BIOS           "vgabios-stdvga.bin"
#define BIOS_MAX_BYTES       (16u << 20)
#define BIOS_UNIT_BYTES      0x10000u
#define VIDEO_BIOS_MAX_BYTES 0x10000u
#define LOW_ROM_BYTES        0x20000u
#define FOUR_GIB             0x100000000ull

/* ---- files ---- */

static char *join(const char *dir, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

char *firmware_find(struct weir *vm, const char *name)
{
    static const char *const dirs[] = {"/usr/share/seabios", "/usr/share/qemu", "."};
    const char *own_dir = vm->config.firmware_dir;
    if (strchr(name, '/') || (!own_dir && is_file(name)))
        return is_file(name) ? strdup(name) : NULL;
    for (unsigned i = 0; i < (own_dir ? 1 : ARRAY_SIZE(dirs)); i++) {
        char *path = join(own_dir ? own_dir : dirs[i], name);
        if (path && is_file(path))
            return path;
        free(path);
    }
    return NULL;
}

/* A pipe or a growing file must not read for ever: `limit` is enforced on what comes, too. */
static int read_stream(struct weir *vm, FILE *file, const char *path, uint32_t limit,
                       uint8_t **data, uint32_t *length)
{
    size_t used = 0, room = 0;
    uint8_t *buffer = NULL;
    for (;;) {
        if (used == room) {
            size_t more = room ? room * 2 : 1u << 16;
            uint8_t *grown = realloc(buffer, more);
            if (!grown) {
                free(buffer);
                return err_set(&vm->err, WEIR_ENOMEM, "%s: out of memory", path);
            }
            buffer = grown;
            room = more;
        }
        size_t got = fread(buffer + used, 1, room - used, file);
        used += got;
        if (got == 0 || used > limit)
            break;
    }
    if (ferror(file) || used > limit) {
        free(buffer);
        return used > limit
                   ? err_set(&vm->err, WEIR_ERANGE, "%s: larger than %u KiB", path, limit >> 10)
                   : err_errno(&vm->err, "%s", path);
    }
    *data = buffer;
    *length = (uint32_t)used;
    return 0;
}

int firmware_read(struct weir *vm, const char *path, uint32_t limit, uint8_t **data,
                  uint32_t *length)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return err_errno(&vm->err, "%s", path);
    int rc = read_stream(vm, file, path, limit, data, length);
    fclose(file);
    return rc;
}

/* ---- images ---- */

static int check_bios(struct weir *vm, const char *path, uint32_t length)
{
    if (length == 0 || length % BIOS_UNIT_BYTES)
        return err_set(&vm->err, WEIR_EFORMAT,
                       "%s: a firmware image is a multiple of 64 KiB, this has %u bytes", path,
                       length);
    return 0;
}

/* Regions need page-aligned memory. */
static int keep_bios(struct weir *vm, struct firmware *fw, const uint8_t *data, uint32_t length)
{
    void *image = NULL, *low = NULL;
    if (posix_memalign(&image, RAM_PAGE_BYTES, length) ||
        posix_memalign(&low, RAM_PAGE_BYTES, LOW_ROM_BYTES)) {
        free(image);
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    }
    fw->image = memcpy(image, data, length);
    fw->image_bytes = length;
    fw->low = memset(low, 0xff, LOW_ROM_BYTES);
    uint32_t shown = length < LOW_ROM_BYTES ? length : LOW_ROM_BYTES;
    memcpy(fw->low + LOW_ROM_BYTES - shown, data + length - shown, shown);
    return 0;
}

static int load_bios(struct weir *vm)
{
    struct firmware *fw = vm->firmware;
    const char *name = vm->config.bios ? vm->config.bios : DEFAULT_BIOS;
    char *path = firmware_find(vm, name);
    if (!path && vm->boot.kernel && !vm->config.bios)
        return pam_init(vm, NULL); /* a kernel started directly does without */
    if (!path)
        return err_set(&vm->err, WEIR_ENOENT,
                       "%s: firmware not found; install the package seabios%s", name,
                       vm->config.firmware_dir ? " or correct the firmware directory" : "");
    uint8_t *data = NULL;
    uint32_t length = 0;
    int rc = firmware_read(vm, path, BIOS_MAX_BYTES, &data, &length);
    if (rc == 0)
        rc = check_bios(vm, path, length);
    if (rc == 0)
        rc = keep_bios(vm, fw, data, length);
    free(data);
    free(path);
    if (rc < 0)
        return rc;
    if (!bus_map_memory(&vm->mem, FOUR_GIB - length, length, fw->image, NULL, true, 0, "bios"))
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    return pam_init(vm, fw->low);
}

/* A machine without its video BIOS still runs, without a picture: a warning is enough. */
static int load_video_bios(struct weir *vm)
{
    if (!vm->vga)
        return 0;
    char *path = firmware_find(vm, VIDEO_BIOS);
    if (!path) {
        log_printf(&vm->log, WEIR_LOG_MESSAGE,
                   "%s: not found, the screen stays dark; install the package seabios\n",
                   VIDEO_BIOS);
        return 0;
    }
    uint8_t *data = NULL;
    uint32_t length = 0;
    int rc = firmware_read(vm, path, VIDEO_BIOS_MAX_BYTES, &data, &length);
    if (rc == 0)
        rc = vga_set_rom(vm->vga, data, length);
    free(data);
    free(path);
    return rc;
}

int firmware_load(struct weir *vm)
{
    vm->firmware = calloc(1, sizeof(*vm->firmware));
    if (!vm->firmware)
        return err_set(&vm->err, WEIR_ENOMEM, "out of memory");
    int rc = load_bios(vm);
    return rc < 0 ? rc : load_video_bios(vm);
}

void firmware_free(struct weir *vm)
{
    struct firmware *fw = vm->firmware;
    if (!fw)
        return;
    kernel_free(fw->kernel);
    free(fw->image);
    free(fw->low);
    free(fw);
    vm->firmware = NULL;
}
