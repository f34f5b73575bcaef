/* SPDX-License-Identifier: MIT */
/* guest_vm_exits.h - values of vm_run_t.exit_reason: why vm_run ended. */
#ifndef SEL4VM_GUEST_VM_EXITS_H
#define SEL4VM_GUEST_VM_EXITS_H

typedef enum vm_exit_codes {
    VM_GUEST_MMIO_EXIT,
    VM_GUEST_IO_EXIT,
    VM_GUEST_NOTIFICATION_EXIT,
    VM_GUEST_UNKNOWN_EXIT
} vm_exit_codes_t;

#define VM_GUEST_ERROR_EXIT (-1)

#endif
