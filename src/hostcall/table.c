/* SPDX-License-Identifier: MIT */
/* table.c - our own services, by number. */
#include "hostcall/services.h"

#define BARE(num, label, type, function)                                                       \
    {                                                                                          \
        .number = WEIR_HC_##num, .name = label, .bytes = sizeof(struct type), .fn = function   \
    }
#define NAMED(num, label, type, member, function)                                              \
    {                                                                                          \
        .number = WEIR_HC_##num, .name = label, .bytes = sizeof(struct type),                  \
        .text = {{offsetof(struct type, member), HC_FROM_GUEST}}, .fn = function               \
    }
#define ANSWERED(num, label, type, member, function)                                           \
    {                                                                                          \
        .number = WEIR_HC_##num, .name = label, .bytes = sizeof(struct type),                  \
        .text = {{offsetof(struct type, member), HC_TO_GUEST}}, .fn = function                 \
    }
#define NAMED2(num, label, type, first, second, second_direction, function)                    \
    {                                                                                          \
        .number = WEIR_HC_##num, .name = label, .bytes = sizeof(struct type),                  \
        .text = {{offsetof(struct type, first), HC_FROM_GUEST},                                \
                 {offsetof(struct type, second), second_direction}},                           \
        .fn = function                                                                         \
    }
#define REGIONS(num, label, type, way, function)                                               \
    {                                                                                          \
        .number = WEIR_HC_##num, .name = label, .bytes = offsetof(struct type, regions),       \
        .direction = way, .count_at = offsetof(struct type, region_count), .fn = function      \
    }

static unsigned serve_null(weir_call *call)
{
    return 0;
}

const struct service service_table[] = {
    BARE(NULL, "null", weir_hc_header, serve_null),
    BARE(INFO, "info", weir_hc_info, serve_info),
    BARE(FILE_SHARE, "share", weir_hc_share, file_share),
    NAMED(FILE_OPEN, "open", weir_hc_open, path, file_open),
    BARE(FILE_CLOSE, "close", weir_hc_close, file_close),
    REGIONS(FILE_READ, "read", weir_hc_io, HC_TO_GUEST, file_read),
    REGIONS(FILE_WRITE, "write", weir_hc_io, HC_FROM_GUEST, file_write),
    BARE(FILE_SEEK, "seek", weir_hc_seek, file_seek),
    BARE(FILE_TRUNCATE, "truncate", weir_hc_truncate, file_truncate),
    BARE(FILE_FLUSH, "flush", weir_hc_flush, file_flush),
    NAMED(FILE_STAT, "stat", weir_hc_getattr, path, file_stat),
    NAMED(FILE_SETATTR, "setattr", weir_hc_setattr, path, file_setattr),
    NAMED2(FILE_RENAME, "rename", weir_hc_rename, from, to, HC_FROM_GUEST, file_rename),
    NAMED2(FILE_LINK, "link", weir_hc_rename, from, to, HC_FROM_GUEST, file_link),
    NAMED(FILE_UNLINK, "unlink", weir_hc_name, path, file_unlink),
    NAMED(FILE_RMDIR, "rmdir", weir_hc_name, path, file_rmdir),
    NAMED(FILE_MKDIR, "mkdir", weir_hc_name, path, file_mkdir),
    REGIONS(FILE_READDIR, "readdir", weir_hc_readdir, HC_TO_GUEST, file_readdir),
    NAMED2(FILE_FIND, "find", weir_hc_find, path, long_name, HC_TO_GUEST, file_find),
    BARE(FILE_STATFS, "statfs", weir_hc_statfs, file_statfs),
    BARE(FILE_LOCK, "lock", weir_hc_lock, file_lock),
    NAMED2(FILE_SYMLINK, "symlink", weir_hc_link, path, text, HC_FROM_GUEST, file_symlink),
    NAMED2(FILE_READLINK, "readlink", weir_hc_link, path, text, HC_TO_GUEST, file_readlink),
    NAMED2(FILE_FULLNAME, "fullname", weir_hc_link, path, text, HC_TO_GUEST, file_fullname),
    BARE(FILE_CLOSE_OWNER, "close-owner", weir_hc_close_owner, file_close_owner),
    BARE(FILE_TIME, "file-time", weir_hc_file_time, file_time),
    REGIONS(CONSOLE_WRITE, "console-write", weir_hc_bytes, HC_FROM_GUEST, serve_console),
    BARE(CONTROL_EXIT, "exit", weir_hc_control, control_exit),
    BARE(CONTROL_RESET, "reset", weir_hc_control, control_reset),
    BARE(CONTROL_SNAPSHOT, "snapshot", weir_hc_control, control_snapshot),
    BARE(CONTROL_CLOCK, "clock", weir_hc_control, control_clock),
    REGIONS(CONTROL_SCREENSHOT, "screenshot", weir_hc_screenshot, HC_TO_GUEST,
            control_screenshot),
    BARE(TIME, "time", weir_hc_time, serve_time),
    ANSWERED(ARG, "arg", weir_hc_arg, text, serve_arg),
    ANSWERED(ENV, "env", weir_hc_arg, text, serve_env),
    REGIONS(RANDOM, "random", weir_hc_bytes, HC_TO_GUEST, serve_random),
    REGIONS(CLIP_GET, "clip-get", weir_hc_bytes, HC_TO_GUEST, clip_get),
    REGIONS(CLIP_PUT, "clip-put", weir_hc_bytes, HC_FROM_GUEST, clip_put),
    REGIONS(LOG, "log", weir_hc_bytes, HC_FROM_GUEST, serve_log),
    {.number = WEIR_HC_SG_PIN,
     .name = "sg-pin",
     .bytes = offsetof(struct weir_hc_sg, regions),
     .direction = HC_BY_FIELD,
     .count_at = offsetof(struct weir_hc_sg, region_count),
     .writable_at = offsetof(struct weir_hc_sg, writable),
     .text = {{offsetof(struct weir_hc_sg, pairs), HC_TO_GUEST}},
     .fn = sg_pin},
    BARE(SG_RELEASE, "sg-release", weir_hc_sg_release, sg_release),
    {.number = WEIR_HC_EXTERN_SUBMIT,
     .name = "extern-submit",
     .bytes = offsetof(struct weir_hc_extern, regions),
     .direction = HC_BY_FIELD,
     .count_at = offsetof(struct weir_hc_extern, region_count),
     .writable_at = offsetof(struct weir_hc_extern, writable),
     .fn = extern_submit},
    {.number = WEIR_HC_EXTERN_POLL,
     .name = "extern-poll",
     .bytes = offsetof(struct weir_hc_extern, regions),
     .fn = extern_poll},
};
const unsigned service_count = ARRAY_SIZE(service_table);
