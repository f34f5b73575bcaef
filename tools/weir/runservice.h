/* SPDX-License-Identifier: MIT */
/*
 * runservice.h - what `weir run -exec` and the guest's first process (guest/weirctl/init.c) say to
 * each other: host services of the command's own, and the file in the initramfs that tells what
 * to do. That file is a list of "KEY=VALUE", each ending with a 0 byte:
 *
 *   module=FILE               to load, in this order
 *   root=none                 stay in the initramfs
 *   root=share:NAME           the share, below a layer in memory
 *   root=disk:DEVICE          its file system, and a layer in memory if that is read-only
 *   mount=NAME:OPTIONS:PATH   a share for weirfs
 *   env=NAME=VALUE  cwd=PATH  exec=COMMAND
 */
#ifndef TOOL_RUNSERVICE_H
#define TOOL_RUNSERVICE_H

#include <weir/hostcall.h>

#define RUN_CONFIG "/weir/config"

#define RUN_OUTPUT WEIR_HC_USER /* bytes that the command wrote to stream 1 or 2 */
#define RUN_INPUT                                                                              \
    (WEIR_HC_USER + 1) /* fills the regions; EAGAIN: nothing now; done 0: the end */
#define RUN_STAGE                                                                              \
    (WEIR_HC_USER + 2) /* a text for people: how far it is; stream = enum run_stage */

enum run_stage {
    RUN_STAGE_INIT,
    RUN_STAGE_MOUNT,
    RUN_STAGE_COMMAND,
    RUN_STAGE_FAILED,
    RUN_STAGE_NOTE, /* no stage: something that may explain a failure */
};

struct run_bytes {
    struct weir_hc_header header;
    uint32_t stream;
    uint32_t region_count;
    uint32_t done; /* out */
    uint32_t reserved;
    struct weir_hc_region regions[1];
};

#endif
