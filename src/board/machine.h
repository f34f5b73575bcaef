/* SPDX-License-Identifier: MIT */
/* machine.h - struct weir: what one VM consists of, for src/api, src/board and src/run. */
#ifndef BOARD_MACHINE_H
#define BOARD_MACHINE_H

#include "backend/block.h"
#include "backend/char.h"
#include "backend/io_loop.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "cpu/cpu.h"
#include "dev/ticks.h"
#include "mem/bus.h"
#include <weir/device.h>
#include <weir/machine.h>
#include <weir/memory.h>

struct weir_dev {
    struct weir *vm;
    const struct weir_dev_class *cls;
    char id[32];
    void *state;
    struct weir_dev *next;
};

/* A file the board hands to the guest through fw_cfg, or loads into memory. */
struct blob {
    char *name;
    uint8_t *data;
    uint32_t length;
    struct blob *next;
};

struct char_node {
    struct weir_char *chr;
    struct char_node *next;
};

/* Keys on their way to the keyboard (api/screen.c); ring, counted without wrapping. */
#define KEY_QUEUE 256u
struct key_event {
    uint64_t at_ns;
    int key;
    bool down;
};
struct key_queue {
    struct weir *vm;
    struct weir_timer timer;
    uint64_t last_ns;
    uint32_t first, end;
    struct key_event events[KEY_QUEUE];
};

struct weir {
    struct weir_config config; /* strings owned */
    struct err err;
    struct log log;
    pthread_mutex_t device_lock; /* all of the device world; see docs/ARCHITECTURE.md */
    struct clock clock;
    struct ram ram;
    struct bus mem, io;
    struct vcpu cpu;
    struct io_loop loop;
    struct weir_dev *devices; /* in order of creation */
    const struct weir_dev_class **extra_classes;
    unsigned extra_class_count;
    struct weir_block *blocks;
    struct char_node *chars;
    struct key_queue keys;
    struct step_log *step_log; /* -d step (debug/step_log.h); NULL: off */
    struct weir_char *serial[4], *debugcon;
    struct {
        char *kernel, *initrd, *cmdline;
    } boot;
    bool started, has_locks;
    int start_error; /* what weir_start ended with: a half-finished board is not finished twice
                      */
    /* run control (src/run) */
    pthread_mutex_t run_lock;
    pthread_cond_t run_changed;
    uint64_t budget_end;    /* of the current weir_run, as cpu.instructions */
    uint64_t timers_run_ns; /* -icount: timers due by then have fired */
    bool alone;             /* lock-step: no person, no program outside */
    bool running, paused, quit, reset_wanted, reset_exits, unclaimed_exits;
    bool shutdown_wanted, debug_exit_wanted, stop_wanted, time_over, reset_from_guest;
    struct weir_timer exit_timer; /* weir_set_time_exit; device_lock */
    int debug_exit_status;
    struct introspect *introspect; /* introspect/introspect.h */
    pthread_t run_thread;
    unsigned holds; /* weir_hold */
    /* What weir_set_unclaimed_exits awaits: answers to reads of one instruction, in order. */
    uint64_t answers[4];
    unsigned answer_count, answer_next;
    /* Code pages written by others than the CPU; count > the array: too many to tell. */
    struct {
        uint64_t gpa, length;
    } code_writes[64];
    unsigned code_write_count;
    /* [0] is weir_on_machine_event's. listen_lock is recursive, and held during the calls. */
    struct {
        weir_machine_event_fn *fn;
        void *ctx;
    } listeners[9];
    pthread_mutex_t listen_lock;
    /* board */
    struct firmware *firmware; /* board/firmware.h */
    struct vmi *vmi;           /* vmi/vmi.h; NULL: no VMI ROM */
    struct hostcall *hostcall; /* hostcall/hostcall.h; NULL = off */
    bool a20_enabled;
    struct weir_line gsi[24];
    struct irq_paths irq_paths;
    struct weir_dev *pic, *apic, *ioapic, *kbd, *vga, *acpi, *fw_cfg, *pci;
};

#endif
