/* SPDX-License-Identifier: MIT */
/* util.h - the macros that programs for libsel4vm use most; messages go to stderr. */
#ifndef SEL4VM_BASE_UTILS_UTIL_H
#define SEL4VM_BASE_UTILS_UTIL_H

#include <assert.h>
#include <sel4vm/base/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef BIT
#define BIT(n) (1ul << (n))
#endif
#ifndef MASK
#define MASK(n) (BIT(n) - 1ul)
#endif
#ifndef ROUND_DOWN
#define ROUND_DOWN(n, to) (((n) / (to)) * (to))
#endif
#ifndef ROUND_UP
#define ROUND_UP(n, to) ROUND_DOWN((n) + (to)-1, to)
#endif
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif
#ifndef UNUSED
#define UNUSED __attribute__((unused))
#endif
#define PAGE_BITS_4K 12
#define PAGE_SIZE_4K 4096ul

#define ZF_LOG_LINE(level, ...)                                                                \
    (fprintf(stderr, level " %s: ", __func__), fprintf(stderr, __VA_ARGS__),                   \
     fputc('\n', stderr))
#define ZF_LOGE(...) ZF_LOG_LINE("E", __VA_ARGS__)
#define ZF_LOGW(...) ZF_LOG_LINE("W", __VA_ARGS__)
#define ZF_LOGI(...) ((void)0)
#define ZF_LOGD(...) ((void)0)
#define ZF_LOGV(...) ((void)0)
#define ZF_LOGF(...) (ZF_LOG_LINE("F", __VA_ARGS__), abort())
#define ZF_LOGF_IF(condition, ...)                                                             \
    do {                                                                                       \
        if (condition)                                                                         \
            ZF_LOGF(__VA_ARGS__);                                                              \
    } while (0)
#define ZF_LOGE_IF(condition, ...)                                                             \
    do {                                                                                       \
        if (condition)                                                                         \
            ZF_LOGE(__VA_ARGS__);                                                              \
    } while (0)

#endif
