/* SPDX-License-Identifier: MIT */
/* status.c - statuses of host calls: from the host's errno, and to DOS errors. */
#include "hostcall/hostcall.h"

#include <errno.h>

/* Our numbers are Linux's; what a guest should not have to know becomes one that it does. */
unsigned status_of_errno(int number)
{
    switch (number) {
    case EPERM:
    case ENOENT:
    case EIO:
    case EBADF:
    case ENOMEM:
    case EACCES:
    case EBUSY:
    case EEXIST:
    case EXDEV:
    case ENOTDIR:
    case EISDIR:
    case EINVAL:
    case EMFILE:
    case EFBIG:
    case ENOSPC:
    case ESPIPE:
    case EROFS:
    case EMLINK:
    case ERANGE:
    case ENAMETOOLONG:
    case ENOTEMPTY:
    case ELOOP:
    case EOPNOTSUPP:
    case ESTALE:
    case EDQUOT:
    case EAGAIN:
        return (unsigned)number;
    case ENFILE:
        return WEIR_HC_EMFILE;
    case ETXTBSY:
        return WEIR_HC_EBUSY;
    case ENXIO:
    case ENODEV:
        return WEIR_HC_EOPNOTSUPP;
    case EFAULT: /* guest memory is always there: a share on a device gone bad */
    default:
        return WEIR_HC_EIO;
    }
}

unsigned status_dos(unsigned error)
{
    static const uint8_t dos[] = {
        [WEIR_HC_ENOENT] = 2,    [WEIR_HC_EIO] = 0x1f,       [WEIR_HC_EBADF] = 6,
        [WEIR_HC_EAGAIN] = 0x21, [WEIR_HC_ENOMEM] = 8,       [WEIR_HC_EFAULT] = 9,
        [WEIR_HC_EEXIST] = 0x50, [WEIR_HC_EXDEV] = 0x11,     [WEIR_HC_ENOTDIR] = 3,
        [WEIR_HC_EINVAL] = 0x57, [WEIR_HC_EMFILE] = 4,       [WEIR_HC_ENOSPC] = 0x27,
        [WEIR_HC_ERANGE] = 0x57, [WEIR_HC_ENAMETOOLONG] = 3, [WEIR_HC_ENOSYS] = 1,
        [WEIR_HC_ELOOP] = 3,     [WEIR_HC_ENODATA] = 0x12,   [WEIR_HC_EOPNOTSUPP] = 0x32,
        [WEIR_HC_ESTALE] = 6,    [WEIR_HC_EDQUOT] = 0x27,
    };
    if (error == 0)
        return 0;
    return error < ARRAY_SIZE(dos) && dos[error] ? dos[error] : 5;
}
