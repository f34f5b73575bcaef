; SPDX-License-Identifier: MIT
; speed.asm - reads SPEED.BIN (64 KiB) again and again for two seconds, prints "N KiB per tick" (a
; tick is 1/18.2 s), once with reads of 65024 bytes, once with reads of 512.
%include "dostest.inc"

main:   mov     bx, 0x2100
        DOS     0x4a
        OK      "memory"
        mov     dx, name
        DOS     0x3d00
        OK      "open"
        mov     bx, ax
        mov     word [size], 65024
        call    measure
        mov     word [size], 512
        call    measure
        DOS     0x3e
        ret

measure:
        push    word 0x40
        pop     fs
        xor     edi, edi        ; bytes
        mov     si, [fs:0x6c]
.first: cmp     si, [fs:0x6c]
        je      .first
        mov     si, [fs:0x6c]
        add     si, 36
.next:  mov     cx, [size]
        push    ds
        mov     ax, ds
        add     ax, 0x1000
        mov     ds, ax
        xor     dx, dx
        DOS     0x3f
        pop     ds
        movzx   eax, ax
        add     edi, eax
        inc     dword [calls]
        cmp     ax, [size]
        je      .go
        xor     cx, cx
        xor     dx, dx
        DOS     0x4200
.go:    mov     ax, [fs:0x6c]
        sub     ax, si
        js      .next
        shr     edi, 10
        mov     eax, edi
        xor     edx, edx
        mov     ecx, 36
        div     ecx
        push    eax
        shr     eax, 16
        call    print_hex
        pop     eax
        call    print_hex
        mov     dx, text
        call    print_text
        ret

name:   db      "SPEED.BIN", 0
text:   db      "h KiB per tick", 13, 10, 0
size:   dw      0
calls:  dd      0
