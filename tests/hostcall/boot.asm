; SPDX-License-Identifier: MIT
; boot.asm - a floppy that asks the host: finds it by port and by CPUID, prints, reads a file of the
; share and prints it, takes a picture of the screen into a file, sets the clock, and ends with a
; status. What goes wrong ends with status 100 and up.
%include "hostcall.inc"
        bits 16
        org 0x7c00

%macro CALL_HOST 2                      ; block, status if it fails
        HOSTCALL %1
        mov al, %2
        cmp word [%1 + weir_hc_header.error], 0
        jne leave_al
%endmacro
%macro BLOCK 3                          ; label, service, size
%1:     dd WEIR_HC_MAGIC
        dw WEIR_HC_VERSION, %2, 0, 0
        dd %3
%endmacro

start:  xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, start
        mov ax, 0x0201                  ; the second sector
        mov cx, 2
        mov dx, 0
        mov bx, 0x7e00
        int 0x13
        mov al, 100
        jc leave_al
        mov dx, WEIR_HC_PORT
        in eax, dx
        cmp eax, WEIR_HC_MAGIC
        mov al, 101
        jne leave_al
        mov eax, WEIR_HC_CPUID
        cpuid
        cmp eax, WEIR_HC_MAGIC
        mov al, 102
        jne leave_al
        CALL_HOST print, 103
        CALL_HOST open, 104
        mov eax, [open + weir_hc_open.handle]
        mov [io + weir_hc_io.handle], eax
        CALL_HOST io, 105
        mov eax, [io + weir_hc_io.done]
        mov [print + weir_hc_bytes_size - weir_hc_region_size + weir_hc_region.length], eax
        mov word [print + weir_hc_bytes_size - weir_hc_region_size], buffer
        CALL_HOST print, 106
        mov word [open.name], picture   ; into another file
        mov dword [open + weir_hc_open.path + weir_hc_text.length], 7
        mov word [open + weir_hc_open.flags], WEIR_HC_O_WRITE | WEIR_HC_O_CREATE
        CALL_HOST open, 107
        mov eax, [open + weir_hc_open.handle]
        mov [shot + weir_hc_screenshot.handle], eax
        CALL_HOST shot, 108
        mov word [exit + weir_hc_header.service], WEIR_HC_CONTROL_CLOCK
        CALL_HOST exit, 109
        mov word [exit + weir_hc_header.service], WEIR_HC_CONTROL_EXIT
        mov ah, 4                       ; the RTC's date
        int 0x1a
        mov al, cl                      ; year: 01, in BCD
        add al, 20                      ; 21 is good
leave_al:
        movzx ax, al
        mov [exit + weir_hc_control.value], ax
        mov word [exit + weir_hc_header.service], WEIR_HC_CONTROL_EXIT
        HOSTCALL exit
        hlt
        times 510 - ($ - $$) db 0
        dw 0xaa55

BLOCK print, WEIR_HC_CONSOLE_WRITE, weir_hc_bytes_size
        dd 0, 1, 0, 0, 0, 0, 0, 0
        dd hello, 0, hello.end - hello, WEIR_HC_LINEAR
BLOCK open, WEIR_HC_FILE_OPEN, weir_hc_open_size
        dd 0, 0
.name:  dd name, 0, 8
        dw WEIR_HC_LINEAR, WEIR_HC_DOS
        dd WEIR_HC_O_READ, 0x1ff, 0, 0, 0, 0
        times weir_hc_stat_size db 0
BLOCK io, WEIR_HC_FILE_READ, weir_hc_io_size
        dd 0, 1, 0, 0, 0, 0, 0, 0
        dd buffer, 0, 100, WEIR_HC_REAL
BLOCK shot, WEIR_HC_CONTROL_SCREENSHOT, weir_hc_screenshot_size
        times weir_hc_screenshot_size - weir_hc_header_size db 0
BLOCK exit, WEIR_HC_CONTROL_EXIT, weir_hc_control_size
        dd 0, 0
        dq 1000000000                   ; 2001-09-09
hello:  db "hello from real mode", 10
.end:
name:   db "\TEXT.TX"
picture: db "pic.ppm"
        times 1024 - ($ - $$) db 0
buffer:
