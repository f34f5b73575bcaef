; SPDX-License-Identifier: MIT
; HOSTDRV.COM - folders of the host as drives of DOS.
;
; A network redirector (INT 2Fh AH=11h) whose other end is the host call: what DOS asks for goes
; into an argument block, UD1 hands it to the host, which reads and writes files and the caller's
; buffer itself. Nothing is polled and no data passes through registers.
;
; The resident part has less than 4 KiB, PSP included; it keeps
;   - no pointer into DOS but those that stay put, under Windows too: to the swappable data area
;     and the list of lists. The array of drives is looked up in the latter on each call;
;   - no state of open files (that is in DOS' own tables) nor of searches (in the search record);
;   - its block and buffers as "instance data", so that each virtual machine of Windows has its own.
; A 386 is needed, as Weir always has one; upper halves of registers are preserved.
;
; nasm -f bin -I include/weir/ -I guest/hostdrv/ -o hostdrv.com hostdrv.asm

        cpu     386
        bits    16

; The resident part comes first in the file, but runs lower down: `install` moves it over what of
; the PSP nobody needs (from 5Ch: FCBs, command line).
RESIDENT     equ 0x5c
IMAGE        equ 0x10           ; where it is in the file
TRANSIENT    equ 0x1100         ; and the rest; it is run where it is loaded
section .text start=0 vstart=0x100
section .resident start=IMAGE vstart=RESIDENT
section .transient start=TRANSIENT vstart=0x1200

%define VERSION "1.0"
%include "hostcall.inc"
%include "dos.inc"

section .text
        jmp     install

section .resident

; ---- resident data, which the transient part of another HOSTDRV reads and writes, too ------------
resident_start:
signature: db   "WeirHD"
layout: dw      1               ; of what is between here and `redirector`
mux:    db      0               ; AH of INT 2Fh that answers for this program
freedos: db     0               ; 1: FreeDOS
dos4:   db      0               ; 1: layouts of DOS 4.0 and later
others: db      0               ; 1: another redirector was here first
share_of: times 26 db 0xff      ; of drive A: to Z:, number of the share; FFh: not ours
old_2f: dd      0
old_21: dd      0
list:   dd      0               ; list of lists
sda:    dd      0
; Near pointers in the segment of `sda`
p_fn1:  dw      0               ; where the pointer to the first name is
p_fn2:  dw      0
p_attr: dw      0
p_share: dw     0
p_dta:  dw      0
p_psp:  dw      0
p_drive: dw     0               ; the current drive
p_action: dw    0
cds_size: dw    0
resident_paragraphs: dw (resident_end - resident_start + RESIDENT + 15) / 16

%include "redir.asm"
%include "files.asm"
%include "search.asm"
%include "lfn.asm"
%include "lfnfind.asm"
%include "windows.asm"

; ---- resident buffers ----------------------------------------------------------------------------
        align   4, db 0
instance_start:
block:          dd WEIR_HC_MAGIC
                times BLOCK_SIZE - 4 db 0
this_share:     dd 0            ; the share and the drive of the call
base:           dd 0            ; directories that names are relative to, 0: the root
base2:          dd 0            ; of the second name
this_drive:     db 0
open_result:    db 0
; A loop over what a pattern means, and a short path for DOS: never both.
short_path:
loop_name:      dd 0            ; the pattern
loop_error:     dw 0
loop_flags:     db 0            ; WEIR_HC_FIND_LONG or 0
loop_search:    times SDB_SIZE db 0
loop_pattern:   times 11 db 0   ; of new names
entry_name:     times 13 db 0
new_name:       times 13 db 0
                times 128 - ($ - short_path) db 0
instance_end:
resident_end:
RESIDENT_BYTES equ resident_end - resident_start + RESIDENT
        times -(RESIDENT_BYTES > 4080) db 0     ; an error if it is too large

section .transient
%include "install.asm"
%include "cmdline.asm"
%include "unload.asm"
%include "messages.asm"
