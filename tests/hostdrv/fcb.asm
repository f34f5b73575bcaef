; SPDX-License-Identifier: MIT
; fcb.asm - a program of the first kind, with file control blocks: create, records, random
; access, search, rename and delete with wildcards, in the current directory.
; Leaves RECORDS.NEW (40 records of 128 bytes, each full of its number).
%include "dostest.inc"

%macro FCB 1                    ; function on `fcb`, AL must be 0
        mov     dx, fcb
        mov     ah, %1
        int     0x21
%endmacro
%macro GOOD 1
        mov     ah, 0
        EQ      ax, 0, %1
%endmacro

main:   mov     dx, record
        DOS     0x1a
        FCB     0x16
        GOOD    "create"
        mov     word [fcb + 0x0e], 128
        xor     bx, bx
.write: mov     al, bl
        mov     di, record
        mov     cx, 128
        rep     stosb
        FCB     0x15
        GOOD    "write record"
        inc     bx
        cmp     bl, 40
        jb      .write
        FCB     0x10
        GOOD    "close"
        FCB     0x23
        GOOD    "size"
        call    fresh
        FCB     0x0f
        GOOD    "open"
        EQ      [fcb + 0x10], 40 * 128, "size in the block"
        mov     word [fcb + 0x0e], 128
        mov     word [fcb + 0x21], 33
        mov     word [fcb + 0x23], 0
        FCB     0x21
        GOOD    "read at random"
        EQ      [record + 126], 33 * 0x101, "record 33"
        mov     word [fcb + 0x21], 38
        mov     cx, 10
        mov     dx, BUFFER
        DOS     0x1a
        FCB     0x27
        mov     ah, 0
        EQ      ax, 1, "block read meets the end"
        EQ      cx, 2, "two records of it"
        EQ      [BUFFER + 128], 39 * 0x101, "the last one"
        mov     word [fcb + 0x0c], 0
        mov     byte [fcb + 0x20], 5
        FCB     0x14
        GOOD    "read in order"
        EQ      [BUFFER], 5 * 0x101, "record 5"
        FCB     0x10
        GOOD    "close"
; ---- search
        mov     dx, record
        DOS     0x1a
        mov     dx, pattern
        DOS     0x11
        GOOD    "find first"
        xor     bx, bx
.find:  inc     bx
        mov     dx, pattern
        DOS     0x12
        test    al, al
        jz      .find
        EQ      bx, 2, "A.RNA B.RNA"
; ---- REN *.RNA X*.RNB, DEL *.RNB
        mov     dx, rename
        DOS     0x17
        GOOD    "rename with wildcards"
        mov     dx, renamed
        DOS     0x13
        GOOD    "delete with wildcards"
        mov     dx, renamed
        DOS     0x13
        mov     ah, 0
        EQ      ax, 0xff, "nothing is left"
        mov     dx, rename_one
        DOS     0x17
        GOOD    "rename"
        ret

fresh:  mov     di, fcb + 12
        mov     cx, 25
        mov     al, 0
        rep     stosb
        ret

fcb:    db      0, "RECORDS DAT"
        times 30 db 0
pattern: db     0, "????????RNA"
        times 30 db 0
        db      0
rename: db      0, "????????RNA"
        times 5 db 0
        db      "????????RNB"
        times 20 db 0
renamed: db     0, "????????RNB"
        times 30 db 0
rename_one: db  0, "RECORDS DAT"
        times 5 db 0
        db      "RECORDS NEW"
        times 20 db 0
record: times 160 db 0
