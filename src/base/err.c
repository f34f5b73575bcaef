/* SPDX-License-Identifier: MIT */
/* err.c - host error texts. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, enum weir_error code, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
    }
    return -(int)code;
}

static enum weir_error code_of_errno(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return WEIR_ENOENT;
    case ENOMEM:
        return WEIR_ENOMEM;
    case EACCES:
    case EPERM:
    case EROFS:
        return WEIR_EPERM;
    case EEXIST:
        return WEIR_EEXIST;
    case EINVAL:
        return WEIR_EINVAL;
    case EBUSY:
    case EAGAIN:
    case EADDRINUSE:
        return WEIR_EBUSY;
    default:
        return WEIR_EIO;
    }
}

int err_errno(struct err *err, const char *format, ...)
{
    int number = errno;
    if (err) {
        va_list args;
        va_start(args, format);
        int n = vsnprintf(err->text, sizeof(err->text), format, args);
        va_end(args);
        char reason[128];
        if (n >= 0 && (size_t)n < sizeof(err->text))
            snprintf(err->text + n, sizeof(err->text) - (size_t)n, ": %s",
                     strerror_r(number, reason, sizeof(reason)));
    }
    return -(int)code_of_errno(number);
}

const char *weir_strerror(int error)
{
    switch (error < 0 ? -error : error) {
    case 0:
        return "no error";
#define X(name, number, text)                                                                  \
    case number:                                                                               \
        return text;
        WEIR_ERRORS(X)
#undef X
    default:
        return "unknown error";
    }
}
