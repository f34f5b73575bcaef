/* SPDX-License-Identifier: MIT */
/* ram.c - see ram.h. */
#include "mem/ram.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int ram_init(struct ram *ram, uint64_t bytes, struct err *err)
{
    *ram = (struct ram){.fd = -1};
    if (bytes == 0 || bytes % RAM_PAGE_BYTES || bytes > (1ull << 40))
        return err_set(err, WEIR_EINVAL, "RAM size %llu is not a multiple of 4096 up to 1 TiB",
                       (unsigned long long)bytes);
    ram->fd = memfd_create("weir-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (ram->fd < 0)
        return err_errno(err, "guest RAM");
    /* Sealed: a process that is given the descriptor cannot take pages away. */
    if (ftruncate(ram->fd, (off_t)bytes) < 0 ||
        fcntl(ram->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        int rc = err_errno(err, "guest RAM of %llu MiB", (unsigned long long)(bytes >> 20));
        ram_fini(ram);
        return rc;
    }
    ram->base =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, ram->fd, 0);
    if (ram->base == MAP_FAILED) {
        ram->base = NULL;
        int rc = err_errno(err, "guest RAM of %llu MiB", (unsigned long long)(bytes >> 20));
        ram_fini(ram);
        return rc;
    }
    ram->bytes = bytes;
    ram->below_4g = bytes < RAM_HOLE_START ? bytes : RAM_HOLE_START;
    ram->tags = calloc(bytes / RAM_PAGE_BYTES, 1);
    if (!ram->tags) {
        ram_fini(ram);
        return err_set(err, WEIR_ENOMEM, "guest RAM of %llu MiB: out of memory",
                       (unsigned long long)(bytes >> 20));
    }
    return 0;
}

void ram_fini(struct ram *ram)
{
    if (ram->base)
        munmap(ram->base, ram->bytes);
    if (ram->fd >= 0)
        close(ram->fd);
    free(ram->tags);
    *ram = (struct ram){.fd = -1};
}
