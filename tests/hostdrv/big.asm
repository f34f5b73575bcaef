; SPDX-License-Identifier: MIT
; big.asm - reads and writes of 65535 bytes, with the buffer at the begin of a segment and across
; its end, where the whole 64 KiB and more of memory behind it are ours. Word n of BIG.BIN is n.
; Writes OUT.BIN (65535 bytes from the begin, then 65535 from 65535 on).
%include "dostest.inc"

main:   mov     bx, 0x1000      ; keep 64 KiB, take the rest
        DOS     0x4a
        OK      "shrink"
        mov     bx, 0x2800
        DOS     0x48
        OK      "memory"
        mov     [memory], ax
        mov     dx, in_name
        DOS     0x3d00
        OK      "open"
        mov     [in_file], ax
        mov     dx, out_name
        xor     cx, cx
        DOS     0x3c
        OK      "create"
        mov     [out_file], ax
        xor     dx, dx
        call    one             ; at the begin of a segment
        mov     dx, 0x8001
        call    one             ; across the end of one
        mov     bx, [in_file]
        DOS     0x3e
        mov     bx, [out_file]
        DOS     0x3e
        OK      "close"
        ret

; Reads 65535 bytes to memory:DX, looks at them, writes them.
one:    push    ds
        mov     bx, [in_file]
        mov     cx, 0xffff
        mov     ds, [memory]
        DOS     0x3f
        pop     ds
        OK      "read"
        EQ      ax, 0xffff, "bytes read"
        mov     ax, dx
        shr     ax, 4
        add     ax, [memory]
        mov     es, ax
        mov     di, dx
        and     di, 15
        mov     al, [es:di]
        mov     ah, 0
        EQ      ax, [first], "first byte"
        mov     al, [es:0xfff0]
        push    ds
        mov     bx, [out_file]
        mov     cx, 0xffff
        mov     ds, [memory]
        DOS     0x40
        pop     ds
        OK      "write"
        EQ      ax, 0xffff, "bytes written"
        mov     word [first], 0x7f      ; byte 65535 of the file: high half of word 7FFFh
        push    ds
        pop     es
        ret

in_name: db      "BIG.BIN", 0
out_name: db      "OUT.BIN", 0
memory: dw      0
in_file:  dw      0
out_file:  dw      0
first:  dw      0
