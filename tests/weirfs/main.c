/* SPDX-License-Identifier: MIT */
/* main.c - weirfs on a directory of this machine: WEIRFS_ROOT=DIR weirfs-posix [...] MOUNTPOINT */
#include "program.h"

int main(int argc, char **argv)
{
    return weirfs_main(argc, argv);
}
