/* SPDX-License-Identifier: MIT */
/*
 * hostservice.h - the host call as an embedder sees it: switching it on, services of one's own,
 * guest RAM for other processes. What guests see is hostcall.h.
 */
#ifndef WEIR_HOSTSERVICE_H
#define WEIR_HOSTSERVICE_H

#include "hostcall.h"
#include "weir.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- switching on ---- */

/*
 * Switches the host call on, or adds to what is on, before weir_start. `options` are those of
 * -hostcall, parted by commas (",," stands for a comma): share=NAME,path=DIR[,ro], fs=on,
 * console=on, control=on, time=on, args=on, random=on, clip=on, log=on, sg=on, extern=on, all=on
 * (each also off), ring=0|3|v86 (several with +; default all), arg=TEXT, env=NAME=VALUE.
 */
WEIR_API int weir_hostcall_enable(weir *vm, const char *options);
/* The hidden register: linear address of the block of the last host call; 0 if there was none. */
WEIR_API weir_gva weir_hostcall_address(weir_vcpu *cpu);

/* Gets what the guest writes by CONSOLE_WRITE, in the vCPU thread. Without it that is logged. */
typedef void weir_output_fn(void *ctx, const char *bytes, size_t length);
WEIR_API void weir_on_hostcall_output(weir *vm, weir_output_fn *fn, void *ctx);

/* Gets the guest's request to keep its state (CONTROL_SNAPSHOT, with the block's `value`) and
 * answers it: 0 or WEIR_HC_E*. In the vCPU thread, in the middle of the call: to take the state it
 * calls weir_pause, and weir_run returns behind the call with the answer in the guest's block; RAM
 * (memory.h) and registers (context.h) are then what the guest asked to keep. Without it the guest
 * gets EOPNOTSUPP: the library keeps no snapshots of devices. */
typedef unsigned weir_snapshot_request_fn(void *ctx, uint32_t value);
WEIR_API void weir_on_snapshot_request(weir *vm, weir_snapshot_request_fn *fn, void *ctx);

/* The text that CLIP_GET and CLIP_PUT share with the guest. get: copies at most `room` bytes,
 * returns the whole length. */
WEIR_API size_t weir_clipboard_get(weir *vm, char *buffer, size_t room);
WEIR_API int weir_clipboard_put(weir *vm, const char *text, size_t length);

/* ---- services of one's own ---- */

typedef struct weir_call weir_call; /* one host call being served */

/* Serves one call: `block` is the host's copy of the guest's block, at least block_bytes long,
 * whose fixed part is written back afterwards. Returns 0 or WEIR_HC_E*. In the vCPU thread; must
 * not block for long and must not call weir_run or weir_destroy. */
typedef unsigned weir_service_fn(weir_call *call, void *block, void *ctx);

struct weir_service {
    size_t size;          /* sizeof(struct weir_service) */
    uint16_t number;      /* WEIR_HC_USER and up */
    const char *name;     /* for people; copied */
    uint32_t block_bytes; /* header and fixed fields: what must be there */
    /* Offset of a u32: how many struct weir_hc_region follow the fixed fields; 0: never any. */
    uint32_t count_at;
    bool writes_regions; /* they are for answers, not for input */
    weir_service_fn *fn;
    void *ctx;
};
WEIR_API int weir_service_add(weir *vm, const struct weir_service *service);

/* The same with a type: `handler` is unsigned (*)(weir_call *, TYPE *, void *). */
#ifndef __cplusplus
#define WEIR_SERVICE_ADD(vm, service_number, service_name, TYPE, handler, context)             \
    weir_service_add((vm),                                                                     \
                     &(struct weir_service){                                                   \
                         .size = sizeof(struct weir_service),                                  \
                         .number = (service_number),                                           \
                         .name = (service_name),                                               \
                         .block_bytes = sizeof(TYPE),                                          \
                         .fn = _Generic((handler), unsigned (*)(weir_call *, TYPE *, void *)   \
                                        : (weir_service_fn *)(void (*)(void))(handler)),       \
                         .ctx = (context)})
#endif

/* For use in a handler. The regions as one run of bytes; how many were copied. */
WEIR_API weir_vcpu *weir_call_vcpu(const weir_call *call);
WEIR_API uint64_t weir_call_bytes(const weir_call *call);
WEIR_API uint64_t weir_call_read(weir_call *call, uint64_t offset, void *buffer,
                                 uint64_t length);
WEIR_API uint64_t weir_call_write(weir_call *call, uint64_t offset, const void *buffer,
                                  uint64_t length);

/* ---- guest RAM for another process ---- */

/*
 * Listens on a unix socket at `path`. A process that connects gets, as docs/hostcall.md says, file
 * descriptors of guest RAM, of a ring of requests and of doorbells. Before weir_start.
 */
WEIR_API int weir_mem_export(weir *vm, const char *path);

#ifdef __cplusplus
}
#endif
#endif
