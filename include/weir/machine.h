/* SPDX-License-Identifier: MIT */
/*
 * machine.h - what a person does to a PC: plug in drives and terminals, boot a kernel, press
 * keys, look at the screen, ask for information.
 */
#ifndef WEIR_MACHINE_H
#define WEIR_MACHINE_H

#include "weir.h"
#include "device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- drives ---------------------------------------------------------------------------- */

typedef struct weir_block weir_block; /* a drive's medium, owned by the VM */

struct weir_drive {
    size_t size;            /* sizeof(struct weir_drive) */
    const char *id;         /* NULL: made from interface and index, "ide0-hd0" as QEMU does */
    const char *file;       /* NULL or "": no medium */
    const char *format;     /* "raw" */
    const char *interface_; /* "ide", "floppy", "virtio", "none" */
    int index;              /* -1: the next free one; ide 0-3 = hda-hdd, floppy 0-1 */
    bool is_cdrom;          /* media=cdrom */
    bool read_only;
    bool snapshot; /* writes go to an unlinked temporary file */
    const char *serial;
};
/* Opens the file and plugs the drive in (if=none: only makes it available by id). */
WEIR_API int weir_drive_add(weir *vm, const struct weir_drive *drive);
/* Changes or removes (file NULL) the medium while running. `force` ignores a locked tray. */
WEIR_API int weir_media_change(weir *vm, const char *id, const char *file, bool force);
/* Writes all dirty data to the host. */
WEIR_API int weir_drives_flush(weir *vm);

/* ---- character devices ------------------------------------------------------------------ */

typedef struct weir_char weir_char; /* a host terminal, file, socket; owned by the VM */

/* Opens one by QEMU's names: "null", "stdio", "file:PATH", "pty", "tcp:HOST:PORT[,server=on]
 * [,wait=off]", "unix:PATH[,server=on][,wait=off]", "pipe:PATH", "fd:N" (used, not closed). */
WEIR_API int weir_char_open(weir *vm, const char *id, const char *spec, weir_char **out);
/* One driven by the embedder: `write` gets what the guest sends (device lock held). */
WEIR_API int weir_char_new(weir *vm, const char *id,
                           void (*write)(void *ctx, const uint8_t *data, size_t length),
                           void *ctx, weir_char **out);
/* Bytes from the host to the guest. Returns how many were taken (the guest may be slow). */
WEIR_API size_t weir_char_feed(weir *vm, weir_char *chr, const uint8_t *data, size_t length);
/* Text for the user about where it is ("/dev/pts/3"). */
WEIR_API const char *weir_char_where(const weir_char *chr);
/* A break on the line, host to guest (Linux: magic SysRq). */
WEIR_API void weir_char_break(weir *vm, weir_char *chr);
/* Serial port n (0-3), parallel-style debug console: what -serial and -debugcon do. */
WEIR_API int weir_serial_set(weir *vm, unsigned n, weir_char *chr);
WEIR_API int weir_debugcon_set(weir *vm, weir_char *chr);

/* ---- boot ------------------------------------------------------------------------------ */

/* Boots a Linux bzImage or a multiboot-1 ELF/raw kernel instead of the firmware's boot order.
 * Files are read at once; initrd (for multiboot: comma-separated modules) and cmdline may be
 * NULL. Before weir_start. */
WEIR_API int weir_kernel_set(weir *vm, const char *kernel, const char *initrd,
                             const char *cmdline);
/* Sets CPU registers for code already in RAM: real mode at segment:offset, or 32-bit flat
 * protected mode, or 64-bit with identity-mapped first 4 GiB (page tables at `tables_gpa`,
 * 6 pages). For machine "none" and tests. After weir_start. */
WEIR_API int weir_boot_flat(weir *vm, unsigned bits, weir_gpa entry, weir_gpa stack,
                            weir_gpa tables_gpa);

/* ---- keyboard and mouse ------------------------------------------------------------------ */

/* Key by QEMU's qcode name ("a", "ret", "ctrl", "f1", "kp_enter"). -WEIR_ENOENT if unknown. */
WEIR_API int weir_key_by_name(const char *name);
WEIR_API const char *weir_key_name(int key); /* NULL past the end; keys are 1..n */
WEIR_API void weir_key_send(weir *vm, int key, bool down);
/* "ctrl-alt-delete", all down then all up after hold_ms of virtual time. */
WEIR_API int weir_keys_send(weir *vm, const char *combination, unsigned hold_ms);
WEIR_API void weir_mouse_send(weir *vm, int dx, int dy, int dz, unsigned buttons);

/* ---- display --------------------------------------------------------------------------- */

struct weir_image {
    unsigned width, height;
    uint32_t *pixels; /* 0x00RRGGBB, width*height of them */
};
/* A picture of the screen, exactly as the VGA would show it. Free with weir_image_free. */
WEIR_API int weir_screen_image(weir *vm, struct weir_image *image);
WEIR_API void weir_image_free(struct weir_image *image);
/* Text screen as UTF-8 lines (CP437 mapped), trailing blanks kept off; -WEIR_ESTATE when the
 * display is in a graphics mode. */
WEIR_API int weir_screen_text(weir *vm, struct weir_text *out);

/* ---- information ------------------------------------------------------------------------ */

/* Topics of `info`: block, chardev, jit, lapic, mem, mtree, name, pci, pic, qtree, registers, roms,
 * status, tlb, uuid, version, vmi, and one per device id or class that has an info callback.
 * i = 0, 1, ..., NULL at the end. `help` may be NULL. */
WEIR_API const char *weir_info_topic(weir *vm, unsigned i, const char **help);
WEIR_API int weir_info(weir *vm, const char *topic, struct weir_text *out);

/* ---- disassembly and CPU models ---------------------------------------------------------- */

/* One instruction as text (AT&T syntax as QEMU prints it, or Intel). Returns its length, or 0
 * for bytes that are no instruction ("(bad)"), or -WEIR_EUNSUPPORTED when built without Zydis.
 */
WEIR_API int weir_disassemble(const uint8_t *bytes, size_t length, unsigned bits,
                              uint64_t address, bool intel, char *text, size_t text_bytes);
/* One stage's view of an instruction: "insn" = the decoder's own result. Same results. */
WEIR_API int weir_decode_text(const uint8_t *bytes, size_t length, unsigned bits,
                              uint64_t address, const char *stage, char *text,
                              size_t text_bytes);
/* What the translator would make of code at this linear address: stage "plan" = its actions, "asm"
 * = host code under each instruction, in the sections OP and OUT of the log. Makes a machine of its
 * own for that. -WEIR_ENOENT: no such stage. */
WEIR_API int weir_translate_text(const uint8_t *bytes, size_t length, unsigned bits,
                                 uint64_t address, const char *stage, struct weir_text *out);
/* CPU models and feature flags, for -cpu help: i = 0,1,...; NULL at the end. */
WEIR_API const char *weir_cpu_model(unsigned i, const char **help);
WEIR_API const char *weir_cpu_feature(unsigned i);

/* ---- log ------------------------------------------------------------------------------- */

/* Which items are logged (the section PROLOGUE comes with the first OUT_ASM), and the only linear
 * addresses for in_asm, op, out_asm, exec and cpu: pairs of first and last address, count of
 * pairs; 0 = all. The array is copied. */
WEIR_API void weir_log_set(weir *vm, uint32_t items);
WEIR_API uint32_t weir_log_get(const weir *vm);
WEIR_API int weir_log_filter(weir *vm, const weir_gva (*ranges)[2], unsigned count);

/* ---- the translator ---------------------------------------------------------------------- */

/* Blocks of one instruction (-singlestep), so that traces show each; both engines. */
WEIR_API void weir_set_singlestep(weir *vm, bool on);
WEIR_API bool weir_is_singlestep(const weir *vm);

/* Counts since weir_create. Read while the machine runs, they may not agree with each other. */
struct weir_jit_stats {
    size_t size;                         /* sizeof(struct weir_jit_stats) */
    uint64_t blocks, instructions;       /* translated, those dropped since included */
    uint64_t code_bytes, code_bytes_max; /* of the code cache */
    uint64_t data_bytes, data_bytes_max; /* of what describes it */
    uint64_t links_made, links_broken;   /* direct jumps from block to block */
    uint64_t indirect_misses;            /* targets that were entered into the cache */
    uint64_t flushes;                    /* of everything */
    uint64_t entries;                    /* from C into translated code */
    uint64_t interpreted;                /* blocks */
    /* How code was left: for a jump that was not linked, for an indirect one, because somebody
     * wanted the vCPU, at the start of a block that could not run, by an instruction done in C. */
    uint64_t exits_unlinked, exits_indirect, exits_poll, exits_start, exits_call;
    /* Instructions that translated code had done in C: memory that the fast path does not reach,
     * a condition (a segment limit, a divisor...), operations without a fast form. */
    uint64_t calls_memory, calls_condition, calls_operation;
    uint64_t tlb_fills;
    unsigned permille_translated, permille_calls; /* of the engine's time; estimated */
    struct {
        const char *operation;
        uint64_t count;
    } top[12]; /* of calls_operation; count 0 at the end */
    /* Address spaces of programs that the host maps: opened, closed again; accesses that found
     * nothing mapped, and how often a page was mapped then; pages mapped now. */
    uint64_t windows_opened, windows_closed, window_faults, window_fills, window_pages;
};
/* -WEIR_ESTATE if the machine has no translator. */
WEIR_API int weir_jit_stats_get(weir *vm, struct weir_jit_stats *stats);

/* Names of translated code for perf(1): lines appended to the file `map` (perf wants
 * /tmp/perf-PID.map), a dump for `perf inject -j` in `dump` (named jit-PID.dump). Either may be
 * NULL. Before the machine runs. */
WEIR_API int weir_jit_perf(weir *vm, const char *map, const char *dump);

/* ---- events about the machine ------------------------------------------------------------ */

enum weir_machine_event {
    WEIR_EVENT_RESET,     /* guest or weir_reset; from_guest tells */
    WEIR_EVENT_POWERDOWN, /* power button pressed */
    WEIR_EVENT_SHUTDOWN,
    WEIR_EVENT_STOP,
    WEIR_EVENT_RESUME,
};
typedef void weir_machine_event_fn(void *ctx, enum weir_machine_event event, bool from_guest);
/* Called without locks held, from the thread in which it happens. One per VM. */
WEIR_API void weir_on_machine_event(weir *vm, weir_machine_event_fn *fn, void *ctx);
/* Others that want to know, up to eight; one call at a time. After the removal has returned, and
 * was not made by a listener, `fn` is not called any more. */
WEIR_API int weir_machine_listener_add(weir *vm, weir_machine_event_fn *fn, void *ctx);
WEIR_API void weir_machine_listener_remove(weir *vm, weir_machine_event_fn *fn, void *ctx);

#ifdef __cplusplus
}
#endif
#endif
