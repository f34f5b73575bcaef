; SPDX-License-Identifier: MIT
; speed.asm - how fast a file on the drive is read: SPEED.BIN (64 KiB) from its begin, for two
; seconds each with reads of 65535 and of 512 bytes. Prints lines "A B TICKS": A * 10000 + B times
; 512 bytes in TICKS (of 1/18.2065 s).
%include "dostest.inc"

TICKS   equ 36

main:   mov     bx, 0x2100
        DOS     0x4a
        OK      "memory"
        mov     dx, name
        DOS     0x3d00
        OK      "open"
        mov     bx, ax
        mov     bp, 0xffff
        call    measure
        mov     bp, 512
        call    measure
        DOS     0x3e
        ret

; BX = file, BP = bytes of a read. EDI counts units of 512 bytes.
measure:
        push    word 0x40
        pop     fs
        xor     edi, edi
        mov     si, [fs:0x6c]
.begin: cmp     si, [fs:0x6c]
        je      .begin
        mov     si, [fs:0x6c]
.next:  xor     cx, cx
        xor     dx, dx
        DOS     0x4200
        mov     cx, bp
        push    ds
        mov     ax, ds
        add     ax, 0x1000
        mov     ds, ax
        DOS     0x3f
        pop     ds
        jc      .out
        movzx   eax, ax
        add     eax, 511
        shr     eax, 9
        add     edi, eax
        mov     ax, [fs:0x6c]
        sub     ax, si
        cmp     ax, TICKS
        jb      .next
.out:   mov     eax, edi
        xor     edx, edx
        mov     ecx, 10000
        div     ecx
        push    dx
        call    print_number    ; units: ten thousands, a blank, the rest
        mov     al, ' '
        call    print_char
        pop     ax
        call    print_number
        mov     al, ' '
        call    print_char
        mov     ax, TICKS
        call    print_number
        jmp     print_line

name:   db      "SPEED.BIN", 0
