/* SPDX-License-Identifier: MIT */
/* program.h - the program's faces: weirctl, weirfs, and the first process of `weir run -exec`. */
#ifndef WEIRCTL_PROGRAM_H
#define WEIRCTL_PROGRAM_H

/* Each returns the process's status. */
int weirctl_main(int argc, char **argv);
int weirfs_main(int argc, char **argv);
/* mount.weirfs, which mount(8) calls: SHARE DIRECTORY [-o OPTIONS]. */
int mount_main(int argc, char **argv);
/* Process 1; does not return while the machine runs. */
int init_main(void);

#endif
