/* SPDX-License-Identifier: MIT */
/* block.h - parts of argument blocks (weir/hostcall.h) that say where the caller's memory is. */
#ifndef FUSE_BLOCK_H
#define FUSE_BLOCK_H

#include <stddef.h>
#include <string.h>
#include <weir/hostcall.h>

/* A name that the service reads. */
static inline struct weir_hc_text block_name(const char *text)
{
    return (struct weir_hc_text){.address = (uintptr_t)text,
                                 .length = (uint32_t)strlen(text),
                                 .kind = WEIR_HC_LINEAR,
                                 .names = WEIR_HC_EXACT};
}
/* Room for text that it writes. */
static inline struct weir_hc_text block_room(char *text, size_t bytes)
{
    return (struct weir_hc_text){.address = (uintptr_t)text, .length = (uint32_t)bytes};
}
static inline struct weir_hc_region block_region(const void *data, size_t bytes)
{
    return (struct weir_hc_region){
        .address = (uintptr_t)data, .length = (uint32_t)bytes, .kind = WEIR_HC_LINEAR};
}

#endif
