; SPDX-License-Identifier: MIT
; waits.asm - a file that the host deletes while it is open: reads half of VANISH.TXT, makes
; READY.TXT, waits until GO.TXT is there, reads the rest, writes, closes.
%include "dostest.inc"

main:   mov     dx, name
        DOS     0x3d02
        OK      "open"
        mov     [file], ax
        mov     bx, ax
        mov     dx, BUFFER
        mov     cx, 5
        DOS     0x3f
        EQ      ax, 5, "the first half"
        mov     dx, ready
        xor     cx, cx
        DOS     0x3c
        mov     bx, ax
        DOS     0x3e
.wait:  mov     dx, go
        DOS     0x4300
        jc      .wait
        mov     bx, [file]
        mov     dx, BUFFER
        mov     cx, 100
        DOS     0x3f
        jc      .gone
        EQ      ax, 5, "the second half"
        EQ      [BUFFER], "56", "its text"
.gone:  mov     dx, name
        DOS     0x3d00
        ERR     2, "it cannot be opened any more"
        mov     bx, [file]
        DOS     0x3e
        DOS     0x3e
        ERR     6, "it is closed"
        ret

name:   db      "VANISH.TXT", 0
ready:  db      "READY.TXT", 0
go:     db      "GO.TXT", 0
file:   dw      0
