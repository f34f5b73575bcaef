; SPDX-License-Identifier: MIT
; find.asm - searches in the current directory of the drive, where the host has made
; ONE.TXT TWO.TXT THREE.DAT X1.TMP X2.TMP X3.TMP, D1 with A.TXT B.TXT, D2 with C.TXT
%include "dostest.inc"

main:
; ---- count
        mov     dx, all_txt
        xor     cx, cx
        call    count
        EQ      ax, 2, "*.TXT"
        mov     dx, question
        call    count
        EQ      ax, 2, "T??.TXT and THREE: T????.* gives two"
        mov     dx, all
        mov     cx, 0x10
        call    count
        mov     [everything], ax
        mov     cx, 0
        call    count
        add     ax, 4           ; D1 D2 . ..
        EQ      ax, [everything], "directories only when asked for"
        mov     dx, none
        DOS     0x4e
        ERR     0x12, "nothing found"
        mov     dx, nowhere
        DOS     0x4e
        ERR     3, "no such directory"
; ---- the label
        mov     dx, dta
        DOS     0x1a
        mov     dx, root
        mov     cx, 8
        DOS     0x4e
        OK      "volume label"
        EQ      [dta + 0x15], [dta + 0x15], "label"
        mov     al, [dta + 0x15]
        and     ax, 8
        EQ      ax, 8, "its attribute"
; ---- entries
        mov     dx, one
        mov     cx, 0
        DOS     0x4e
        OK      "find by name"
        SAME    "its name", one, dta + 0x1e
        EQ      [dta + 0x1a], 3, "its size"
        DOS     0x4f
        ERR     0x12, "only once"
; ---- nested: for every directory, everything in it, with others left unfinished
        mov     dx, outer
        DOS     0x1a
        mov     dx, all_d
        mov     cx, 0x10
        DOS     0x4e
        OK      "first directory"
.dir:   mov     al, [outer + 0x1f]
        mov     [inside + 1], al
        mov     dx, inner
        DOS     0x1a
        mov     dx, inside
        xor     cx, cx
        DOS     0x4e
.file:  jc      .next
        inc     word [files]
        mov     dx, other
        DOS     0x1a
        mov     dx, all
        DOS     0x4e            ; never finished
        mov     dx, inner
        DOS     0x1a
        DOS     0x4f
        jmp     .file
.next:  inc     word [directories]
        mov     dx, outer
        DOS     0x1a
        DOS     0x4f
        jnc     .dir
        EQ      [directories], 2, "directories"
        EQ      [files], 3, "files in them"
; ---- a search goes on while files vanish
        mov     dx, dta
        DOS     0x1a
        mov     dx, all_t
        xor     cx, cx
        DOS     0x4e
.gone:  jc      .end
        inc     word [found]
        mov     dx, dta + 0x1e
        DOS     0x41
        OK      "delete what was found"
        DOS     0x4f
        jmp     .gone
.end:   EQ      [found], 3, "each was found once"
        ret

; AX = how many entries DX has with attributes CX.
count:  push    bx
        push    dx
        push    dx
        mov     dx, dta
        DOS     0x1a
        pop     dx
        xor     bx, bx
        DOS     0x4e
.next:  jc      .out
        inc     bx
        DOS     0x4f
        jmp     .next
.out:   mov     ax, bx
        pop     dx
        pop     bx
        ret

all:    db      "*.*", 0
all_txt: db     "*.TXT", 0
all_d:  db      "D?", 0
all_t:  db      "*.TMP", 0
question: db    "T????.*", 0
none:   db      "NO*.*", 0
nowhere: db     "NODIR\*.*", 0
root:   db      "\*.*", 0
one:    db      "ONE.TXT", 0
inside: db      "D?\*.*", 0
everything: dw  0
directories: dw 0
files:  dw      0
found:  dw      0
dta:    times 64 db 0
outer:  times 64 db 0
inner:  times 64 db 0
other:  times 64 db 0
