/* SPDX-License-Identifier: MIT */
/* main.c - which of the program's faces: by its name, as process 1, or by `weirctl mount`. */
#include "program.h"

#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *slash = argc ? strrchr(argv[0], '/') : NULL;
    const char *name = slash ? slash + 1 : argc ? argv[0] : "weirctl";
    if (!strcmp(name, "init") && getpid() == 1)
        return init_main();
    if (!strcmp(name, "weirfs"))
        return weirfs_main(argc, argv);
    if (!strcmp(name, "mount.weirfs") || !strcmp(name, "mount.fuse.weirfs"))
        return mount_main(argc, argv);
    if (argc > 1 && !strcmp(argv[1], "mount"))
        return weirfs_main(argc - 1, argv + 1);
    return weirctl_main(argc, argv);
}
