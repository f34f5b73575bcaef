; SPDX-License-Identifier: MIT
; Real mode, loaded at 1000h: a PIT interrupt every 100 us while a loop reads the time stamp
; counter in the middle of blocks, the PIT by a port, and sleeps now and then.
bits 16
org 1000h
    cli
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov word [8 * 4], tick
    mov [8 * 4 + 2], ax
    mov [count], ax
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
    mov al, 119
    out 40h, al
    mov al, 0
    out 40h, al
    sti
again:
    rdtsc
    add ebx, eax
    nop
    nop
    rdtsc
    rol ebx, 3
    xor ebx, eax
    mov al, 0
    out 43h, al             ; latch and read the counter
    in al, 40h
    add bl, al
    in al, 40h
    add bh, al
    inc cx
    test cl, 63
    jnz again
    mov dx, [count]
    hlt
    jmp again
tick:
    push ax
    inc word [count]
    mov al, 20h
    out 20h, al
    pop ax
    iret
count equ 500h
