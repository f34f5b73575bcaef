; SPDX-License-Identifier: MIT
; Real mode, loaded at 1000h: counts the interrupts of a PIT at 1 kHz until RDTSC says that [length]
; cycles have passed.
bits 16
org 1000h
    cli
    xor ax, ax
    mov ds, ax
    mov word [8 * 4], tick
    mov [8 * 4 + 2], ax
    mov al, 11h             ; 8259: edge, cascade, ICW4
    out 20h, al
    mov al, 8
    out 21h, al
    mov al, 4
    out 21h, al
    mov al, 1
    out 21h, al
    mov al, 0feh            ; IRQ 0 only
    out 21h, al
    mov al, 34h             ; 8254: channel 0, mode 2
    out 43h, al
    mov al, 1193 & 255
    out 40h, al
    mov al, 1193 >> 8
    out 40h, al
    sti
    nop
    nop                     ; OUT rose when the mode was set
    mov dword [count], 0
    rdtsc
    mov [start], eax
again:
    rdtsc
    sub eax, [start]
    cmp eax, [length]
    jb again
    cli
    mov [passed], eax
    mov dx, 5f0h            ; nobody's: leaves the run
    out dx, al
    hlt
tick:
    push ax
    inc dword [count]
    mov al, 20h
    out 20h, al
    pop ax
    iret
count  equ 500h
start  equ 504h
length equ 508h
passed equ 50ch
