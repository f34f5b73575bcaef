/* SPDX-License-Identifier: MIT */
/*
 * device.h - how to write a device. The chips of the PC are written against this header alone.
 *
 * A device class is a constant: name, properties, callbacks and one table of its state's fields,
 * which the reset test and fuzzing work from (and snapshots, once there are some). A device's state
 * is one flat struct, allocated zeroed by the library; guest-visible state first, wiring last.
 *
 * All callbacks run with the VM's device lock held; they must not block and must not call
 * weir_run, weir_pause or weir_destroy. Time comes only from weir_timer and weir_clock_ns.
 * Offsets and sizes handed to callbacks are already checked against the region; values are not.
 */
#ifndef WEIR_DEVICE_H
#define WEIR_DEVICE_H

#include "weir.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_dev weir_dev;       /* one device of a VM, owned by the VM */
typedef struct weir_region weir_region; /* one mapping on a bus, owned by the device's VM */

/* ---- wires ----------------------------------------------------------------------------- */

/* An interrupt or signal line: a value that can be copied. `set` may be NULL (not connected). */
struct weir_line {
    void (*set)(void *ctx, int n, int level);
    void *ctx;
    int n;
};
static inline void weir_line_set(const struct weir_line *line, int level)
{
    if (line->set)
        line->set(line->ctx, line->n, level);
}

/* ---- ports and memory-mapped registers --------------------------------------------------- */

/* `offset` is relative to the region; `size` is 1, 2, 4 or 8 and within min..max: the bus splits
 * wider accesses (little-endian, ascending) and widens narrower reads/writes to min_bytes is never
 * done: below min_bytes reads give all ones and writes are dropped. 0 = no limit (1 and 8).
 * Accesses are split at size-aligned boundaries unless `unaligned` is set. */
struct weir_io_ops {
    uint64_t (*read)(void *state, uint64_t offset, unsigned size);
    void (*write)(void *state, uint64_t offset, uint64_t value, unsigned size);
    uint8_t min_bytes, max_bytes;
    bool unaligned;
};

/* Maps [start, start+length) of ports or physical memory. Where regions overlap the higher
 * priority wins, then the later one; devices use 0. NULL on no memory / bad range.
 * `ops` must outlive the device. */
WEIR_API weir_region *weir_map_ports(weir_dev *dev, uint16_t start, unsigned length,
                                     const struct weir_io_ops *ops, int priority,
                                     const char *name);
WEIR_API weir_region *weir_map_memory(weir_dev *dev, weir_gpa start, uint64_t length,
                                      const struct weir_io_ops *ops, int priority,
                                      const char *name);
/* Maps host memory into the guest (video RAM, a ROM). It must stay valid until fini, be
 * page-aligned and a multiple of 4096 bytes. Guest writes to a read-only mapping are dropped. */
WEIR_API weir_region *weir_map_host_memory(weir_dev *dev, weir_gpa start, void *memory,
                                           uint64_t length, bool read_only, int priority,
                                           const char *name);
/* Moves, shows or hides a region; effective from the next guest instruction. */
WEIR_API void weir_region_move(weir_region *region, uint64_t start);
WEIR_API void weir_region_enable(weir_region *region, bool enabled);

/* ---- time ------------------------------------------------------------------------------ */

/* Virtual time in nanoseconds since the VM was created; stops while the VM is stopped. */
WEIR_API uint64_t weir_clock_ns(const weir_dev *dev);

/* A one-shot timer, embedded in device state. Its deadline is part of the state. */
struct weir_timer {
    uint64_t deadline_ns; /* UINT64_MAX: not armed */
    void (*fire)(void *ctx);
    void *ctx;
    void *clock;   /* private */
    uint32_t slot; /* private: place in the clock's heap, 0 = none */
};
/* Prepares a timer (in init). `fire` gets the device's state. */
WEIR_API void weir_timer_init(weir_dev *dev, struct weir_timer *timer, void (*fire)(void *));
/* Arms (or re-arms) for an absolute virtual time; fires at or after it, once. */
WEIR_API void weir_timer_set(struct weir_timer *timer, uint64_t deadline_ns);
WEIR_API void weir_timer_cancel(struct weir_timer *timer);
static inline bool weir_timer_armed(const struct weir_timer *timer)
{
    return timer->deadline_ns != UINT64_MAX;
}

/* ---- guest memory as a bus master -------------------------------------------------------- */

/* 0, or -WEIR_EFAULT where [gpa, gpa+length) is not wholly RAM/ROM (nothing is copied). */
WEIR_API int weir_dma_read(weir_dev *dev, weir_gpa gpa, void *buffer, size_t length);
WEIR_API int weir_dma_write(weir_dev *dev, weir_gpa gpa, const void *buffer, size_t length);

/* ---- state and properties ---------------------------------------------------------------- */

enum weir_field_kind {
    WEIR_FIELD_UINT,   /* 1, 2, 4 or 8 bytes, `count` of them in a row */
    WEIR_FIELD_BYTES,  /* opaque bytes in the struct */
    WEIR_FIELD_TIMER,  /* struct weir_timer */
    WEIR_FIELD_STRUCT, /* `count` structs of `size` bytes described by `sub` */
    WEIR_FIELD_BUFFER, /* a pointer to `size` bytes that init allocated */
};
struct weir_field {
    const char *name; /* NULL ends the table */
    enum weir_field_kind kind;
    uint32_t offset, size, count, since;
    const struct weir_field *sub;
};
#define WEIR_FIELD_COUNTOF(type, member)                                                       \
    (sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0]))
// clang-format off
#define WEIR_FIELD(type, member)                                                               \
    {#member, WEIR_FIELD_UINT, offsetof(type, member), sizeof(((type *)0)->member), 1, 1, NULL}
#define WEIR_FIELD_ARRAY(type, member)                                                         \
    {#member, WEIR_FIELD_UINT, offsetof(type, member), sizeof(((type *)0)->member[0]),         \
     WEIR_FIELD_COUNTOF(type, member), 1, NULL}
#define WEIR_FIELD_BYTES(type, member)                                                         \
    {#member, WEIR_FIELD_BYTES, offsetof(type, member), sizeof(((type *)0)->member), 1, 1, NULL}
#define WEIR_FIELD_TIMER(type, member)                                                         \
    {#member, WEIR_FIELD_TIMER, offsetof(type, member), sizeof(struct weir_timer), 1, 1, NULL}
#define WEIR_FIELD_STRUCTS(type, member, fields)                                               \
    {#member, WEIR_FIELD_STRUCT, offsetof(type, member), sizeof(((type *)0)->member[0]),       \
     WEIR_FIELD_COUNTOF(type, member), 1, fields}
#define WEIR_FIELD_STRUCT1(type, member, fields)                                               \
    {#member, WEIR_FIELD_STRUCT, offsetof(type, member), sizeof(((type *)0)->member), 1, 1,    \
     fields}
#define WEIR_FIELD_BUFFER(type, member, bytes)                                                 \
    {#member, WEIR_FIELD_BUFFER, offsetof(type, member), bytes, 1, 1, NULL}
#define WEIR_FIELD_END                                                                         \
    {NULL, WEIR_FIELD_UINT, 0, 0, 0, 0, NULL}
// clang-format on

enum weir_prop_kind {
    WEIR_PROP_U32, /* uint32_t; decimal, 0x hex, k/M/G suffix */
    WEIR_PROP_U64,
    WEIR_PROP_BOOL,   /* bool; on/off */
    WEIR_PROP_STRING, /* char *, owned by the library */
    WEIR_PROP_DRIVE,  /* struct weir_block *; the id of a drive */
    WEIR_PROP_CHAR,   /* struct weir_char *; the id of a character device */
};
struct weir_prop {
    const char *name; /* NULL ends the table */
    enum weir_prop_kind kind;
    uint32_t offset;     /* into the state */
    const char *initial; /* text of the default; NULL = zero / none */
    const char *help;
};

/* Receives text for people (info, screens). */
struct weir_text {
    void (*put)(struct weir_text *text, const char *chars, size_t length);
};
WEIR_API void weir_textf(struct weir_text *text, const char *format, ...) WEIR_PRINTF(2, 3);

struct weir_dev_class {
    const char *name; /* as in -device */
    const char *help; /* one line */
    const char *bus;  /* "isa", "pci", "system": where it sits; for -device help */
    size_t state_bytes;
    uint32_t version;
    /* Properties are set. Register regions and timers, find lines and peers here. 0 or -WEIR_E*
     * after weir_dev_fail. */
    int (*init)(weir_dev *dev, void *state);
    void (*reset)(void *state); /* power-on state; also run after init */
    void (*fini)(void *state);  /* free what init allocated; may be NULL */
    int (*loaded)(void *state); /* after fields were loaded; validates */
    void (*info)(void *state, struct weir_text *out); /* `info NAME`; may be NULL */
    const struct weir_prop *props;                    /* may be NULL */
    const struct weir_field *fields;                  /* may be NULL only without state */
    bool user_creatable;                              /* -device may name it */
};

/* Adds a class to those that weir_device_add knows. It must outlive the VM. */
WEIR_API int weir_device_class_add(weir *vm, const struct weir_dev_class *cls);
/* Creates a device, "prop=value,prop=value"; before weir_start. `out` may be NULL. */
WEIR_API int weir_device_add(weir *vm, const char *class_name, const char *id,
                             const char *props, weir_dev **out);
/* Walks all classes: i = 0, 1, ... until NULL. vm may be NULL for the built-in ones. */
WEIR_API const struct weir_dev_class *weir_device_class(const weir *vm, unsigned i);

/* For use in callbacks. */
WEIR_API weir *weir_dev_vm(const weir_dev *dev);
WEIR_API const char *weir_dev_id(const weir_dev *dev);
WEIR_API void *weir_dev_state(const weir_dev *dev);
/* The device with this id or (if id is NULL) the first of this class; NULL if there is none. */
WEIR_API weir_dev *weir_dev_find(weir *vm, const char *class_name, const char *id);
/* Records an error text "ID: ..." and returns -error, for `return weir_dev_fail(...)`. */
WEIR_API int weir_dev_fail(weir_dev *dev, enum weir_error error, const char *format, ...)
    WEIR_PRINTF(3, 4);
WEIR_API void weir_dev_log(const weir_dev *dev, enum weir_log_item item, const char *format,
                           ...) WEIR_PRINTF(3, 4);
/* Line to the interrupt controllers: global system interrupt 0-23 (ISA IRQ n = GSI n). */
WEIR_API struct weir_line weir_dev_gsi(weir_dev *dev, unsigned gsi);

#ifdef __cplusplus
}
#endif
#endif
