/* SPDX-License-Identifier: MIT */
/* speed.h - what the programs that measure the library share: time, machines, a Linux guest's
 * start. */
#ifndef BENCH_SPEED_H
#define BENCH_SPEED_H

#include <weir/machine.h>

extern const char
    *speed_accel; /* engine of machines made from now on; NULL: the library's choice */
/* Takes "-a ACCEL" from the front of the arguments. */
void speed_options(int *argc, char ***argv);

/* CPU time of this thread: others may use the host, too. */
double speed_now_s(void);
/* A machine whose log goes to stderr. There is none: the program ends. */
weir *speed_machine(const char *machine, uint64_t ram_bytes);

/* Boots a Linux guest until its init says so. `arm` (may be NULL) is called before. Returns the
 * machine; seconds since it was begun to be made, and instructions where they are counted. */
weir *speed_boot(const char *kernel, const char *initrd,
                 void (*arm)(weir *vm, const char *what), const char *what, double *seconds,
                 uint64_t *instructions);

#endif
