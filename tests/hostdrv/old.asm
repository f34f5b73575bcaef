; SPDX-License-Identifier: MIT
; old.asm - HOSTDRV with the tables of DOS 3.3, which no image at hand has. This program answers the
; questions by which HOSTDRV finds them (INT 21h AH=30h, 52h, AX=5D06h) with tables of its own,
; starts "B:\HOSTDRV.COM W:=WORK", calls the redirector as a kernel would, and unloads it.
%include "dostest.inc"

; Offsets of DOS 3.1 to 3.3
DTA     equ sda + 0x0c
PSP     equ sda + 0x10
FN1     equ sda + 0x92
FN2     equ sda + 0x112
ATTR    equ sda + 0x23a
DRIVE_W equ 'W' - 'A'
CDS     equ cds + DRIVE_W * 0x51

; NET function, text of the first name or 0
%macro NET 2
%ifnidn %2, 0
        mov     si, %2
        mov     di, FN1
        call    copy
        mov     di, sft + 6
%endif
        mov     ax, 0x1100 + %1
        int     0x2f
%endmacro

main:   mov     bx, 0x1000
        DOS     0x4a
        OK      "shrink"
        mov     [DTA], word BUFFER
        mov     [DTA + 2], ds
        mov     ax, ds
        mov     [PSP], ax
        mov     [PSP + 0x0a], ax        ; 1Ah: PSP for sharing
        mov     word [sda + 0x27c], FN1
        mov     word [sda + 0x27e], FN2
        mov     [lists + 0x04], word sft
        mov     [lists + 0x06], ds
        mov     [lists + 0x16], word cds
        mov     [lists + 0x18], ds
        mov     byte [lists + 0x21], 26
        DOS     0x3521
        mov     [old], bx
        mov     [old + 2], es
        push    ds
        pop     es
        mov     dx, liar
        DOS     0x2521
        mov     bx, load_line
        call    run
        EQ      [CDS + 0x43], 0xc000, "the drive is there"
        EQ      [CDS + 0x4f], 2, "its root"
        SAME    "its path", CDS, n_root
        EQ      [CDS + 0x51 + 0x43], 0, "the next one is untouched"
        call    calls
        mov     bx, unload_line
        call    run
        EQ      [CDS + 0x43], 0, "the drive is gone"
        push    ds
        lds     dx, [old]
        DOS     0x2521
        pop     ds
        ret

; What a kernel asks.
calls:  NET     0x03, n_dir
        OK      "make directory"
        NET     0x05, n_dir
        OK      "change to it"
        NET     0x05, n_file
        ERR     3, "change to what is not there"
        mov     word [sft + 6], -1      ; being opened
        push    word 0x20
        NET     0x17, n_file
        pop     cx
        OK      "create"
        EQ      [sft + 6], -1, "the count is DOS' own"
        mov     word [sft + 6], 1
        EQ      [sft + 6 + 5], 0x8040 | DRIVE_W, "information word"
        mov     cx, 4
        EQ      [sft + 6 + 0x20], "FI", "name"
        EQ      [sft + 6 + 0x28], "TX", "extension"
        mov     [BUFFER], dword "abcd"
        NET     0x09, 0
        OK      "write"
        EQ      cx, 4, "written"
        EQ      [sft + 6 + 0x11], 4, "size"
        EQ      [sft + 6 + 0x15], 4, "position"
        EQ      [sft + 6 + 5], 0x8000 | DRIVE_W, "no longer clean"
        mov     word [sft + 6 + 0x15], 1
        mov     cx, 100
        NET     0x08, 0
        OK      "read"
        EQ      cx, 3, "read three"
        EQ      [BUFFER], "bc", "they are"
; ---- lock as DOS 3 does: offset CX:DX, length SI and the word on the stack
        mov     bx, 5
        xor     cx, cx
        xor     dx, dx
        xor     si, si
        push    word 2
        NET     0x0a, 0
        pop     ax
        OK      "lock"
        push    word 2
        xor     cx, cx
        NET     0x0b, 0
        pop     ax
        OK      "unlock"
; ---- close twice
        mov     word [sft + 6], 2
        NET     0x06, 0
        OK      "close the first"
        EQ      [sft + 6], 1, "count"
        NET     0x06, 0
        OK      "close the second"
        EQ      [sft + 6], 0, "count at last"
        push    word 0
        NET     0x16, n_file
        pop     cx
        OK      "open"
        mov     word [sft + 6], 1
        NET     0x06, 0
        NET     0x0f, n_file
        OK      "attributes"
        EQ      bx, 0, "high half of the size"
        EQ      di, 4, "low half"
        mov     di, CDS
        NET     0x0c, 0
        OK      "space"
; ---- search
        mov     byte [ATTR], 0
        NET     0x1b, n_all
        OK      "find"
        EQ      [BUFFER], 0x80 | DRIVE_W | "?" << 8, "record"
        EQ      [BUFFER + 0x15], "FI", "entry"
        NET     0x1c, 0
        ERR     0x12, "find another"
        mov     si, n_other
        mov     di, FN2
        call    copy
        NET     0x11, n_file
        OK      "rename"
        NET     0x0f, n_file
        ERR     2, "the old name"
        NET     0x13, n_other
        OK      "delete"
        mov     si, n_dir
        mov     di, CDS
        call    copy
        NET     0x01, n_dir
        ERR     0x10, "remove the current directory"
        mov     byte [CDS + 3], 0
        NET     0x01, n_dir
        OK      "remove directory"
        NET     0x05, n_not
        jc      .not
        EQ      ax, -1, "another's drive"
.not:   ret

copy:   lodsb
        stosb
        test    al, al
        jnz     copy
        ret

; Runs B:\HOSTDRV.COM with the command line at BX.
run:    mov     [block + 2], bx
        mov     [block + 4], ds
        mov     [block + 8], ds
        mov     [block + 12], ds
        mov     word [block + 6], fcb
        mov     word [block + 10], fcb
        mov     bx, block
        mov     dx, program
        DOS     0x4b00
        OK      "start HOSTDRV"
        DOS     0x4d
        mov     ah, 0
        EQ      ax, 0, "its exit code"
        push    ds
        pop     es
        mov     di, sft + 6
        ret

; INT 21h of a DOS 3.30
liar:   cmp     ah, 0x30
        je      .version
        cmp     ah, 0x52
        je      .lists
        cmp     ax, 0x5d06
        je      .area
        jmp     far [cs:old]
.version:
        mov     ax, 30 << 8 | 3
        xor     bx, bx
        iret
.lists: push    cs
        pop     es
        mov     bx, lists
        iret
.area:  push    cs
        pop     ds
        mov     si, sda
        iret

program: db     "B:\HOSTDRV.COM", 0
load_line: db   8, " W:=WORK", 13
unload_line: db 3, " /U", 13
n_root: db      "W:\", 0
n_dir:  db      "W:\DIR33", 0
n_file: db      "W:\DIR33\FILE.TXT", 0
n_other: db     "W:\DIR33\OTHER.TXT", 0
n_all:  db      "W:\DIR33\????????.???", 0
n_not:  db      "C:\", 0
fcb:    times 37 db 0
block:  times 14 db 0
old:    dd      0
lists:  times 64 db 0
sda:    times 0x400 db 0
cds:    times 26 * 0x51 db 0
sft:    dw      -1, -1, 1
        times 0x35 db 0
