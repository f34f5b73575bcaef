; SPDX-License-Identifier: MIT
; files.asm - handles on the current drive and directory: open, create, read, write, seek,
; truncate, times, attributes, extended open, locks. Leaves FILE.TXT ("0123456789" and 5 zeros).
%include "dostest.inc"

main:
; ---- create, write, read
        mov     dx, name
        xor     cx, cx
        DOS     0x3c
        OK      "create"
        mov     bx, ax
        mov     dx, digits
        mov     cx, 10
        DOS     0x40
        OK      "write"
        EQ      ax, 10, "bytes written"
        DOS     0x68
        OK      "commit"
        xor     cx, cx
        xor     dx, dx
        DOS     0x4200
        OK      "seek to begin"
        mov     dx, BUFFER
        mov     cx, 100
        DOS     0x3f
        OK      "read"
        EQ      ax, 10, "bytes read"
        mov     byte [BUFFER + 10], 0
        SAME    "what was read", digits, BUFFER
        mov     cx, 100
        DOS     0x3f
        EQ      ax, 0, "end of file"
; ---- seek
        mov     cx, -1
        mov     dx, -3
        DOS     0x4202
        OK      "seek from end"
        EQ      ax, 7, "position from end"
        EQ      dx, 0, "its high half"
        mov     dx, BUFFER
        mov     cx, 100
        DOS     0x3f
        EQ      ax, 3, "the last three"
        EQ      [BUFFER], "78", "they are 789"
        mov     cx, -1
        mov     dx, -5
        DOS     0x4201
        EQ      ax, 5, "seek back"
; ---- truncate and extend by writing nothing
        xor     cx, cx
        DOS     0x40
        OK      "write nothing at 5"
        xor     dx, dx
        DOS     0x4202
        EQ      ax, 5, "cut to 5"
        mov     dx, 15
        DOS     0x4200
        xor     cx, cx
        DOS     0x40
        OK      "write nothing at 15"
        xor     dx, dx
        DOS     0x4202
        EQ      ax, 15, "extended to 15"
        mov     dx, 5
        DOS     0x4200
        mov     dx, digits + 5
        mov     cx, 5
        DOS     0x40
        OK      "fill up"
; ---- time, duplicates, close
        mov     cx, 12 << 11 | 34 << 5 | 56 / 2
        mov     dx, (1995 - 1980) << 9 | 7 << 5 | 9
        DOS     0x5701
        OK      "set time"
        DOS     0x45
        OK      "duplicate"
        push    ax
        DOS     0x3e
        OK      "close"
        pop     bx
        mov     dx, 14
        xor     cx, cx
        DOS     0x4200
        OK      "the duplicate is open"
        DOS     0x3e
        OK      "close the duplicate"
        DOS     0x3e
        ERR     6, "close once more"
        mov     dx, name
        DOS     0x3d00
        OK      "open"
        mov     bx, ax
        DOS     0x5700
        OK      "get time"
        EQ      cx, 12 << 11 | 34 << 5 | 56 / 2, "time"
        EQ      dx, (1995 - 1980) << 9 | 7 << 5 | 9, "date"
        mov     cx, 1
        mov     dx, digits
        DOS     0x40
        ERR     5, "write to what is open for reading"
        DOS     0x3e
; ---- append
        mov     dx, append
        xor     cx, cx
        DOS     0x5b
        OK      "create new"
        mov     bx, ax
        mov     cx, 4
        mov     dx, digits
        DOS     0x40
        DOS     0x3e
        mov     dx, append
        DOS     0x3d02
        mov     bx, ax
        xor     cx, cx
        xor     dx, dx
        DOS     0x4202
        EQ      ax, 4, "end of what is appended to"
        mov     cx, 6
        mov     dx, digits + 4
        DOS     0x40
        DOS     0x3e
        mov     dx, append
        xor     cx, cx
        DOS     0x5b
        ERR     0x50, "create new what is there"
; ---- errors
        mov     dx, missing
        DOS     0x3d00
        ERR     2, "open what is not there"
        mov     dx, no_dir
        DOS     0x3d00
        ERR     3, "open in what is not there"
        mov     dx, missing
        DOS     0x41
        ERR     2, "delete what is not there"
        mov     dx, no_dir
        xor     cx, cx
        DOS     0x3c
        ERR     3, "create in what is not there"
; ---- attributes
        mov     dx, append
        mov     cx, 1
        DOS     0x4301
        OK      "make read-only"
        DOS     0x4300
        OK      "get attributes"
        and     cx, 1
        EQ      cx, 1, "is read-only"
        DOS     0x3d02
        ERR     5, "open read-only for writing"
        DOS     0x41
        ERR     5, "delete read-only"
        DOS     0x3d00
        OK      "open read-only for reading"
        mov     bx, ax
        DOS     0x3e
        mov     dx, append
        mov     cx, 0x20
        DOS     0x4301
        OK      "make writable"
        mov     dx, directory
        DOS     0x39
        OK      "make directory"
        DOS     0x39
        ERR     5, "make it again"
        DOS     0x4300
        OK      "attributes of a directory"
        and     cx, 0x10
        EQ      cx, 0x10, "is a directory"
        DOS     0x3d00
        ERR     5, "open a directory"
        DOS     0x41
        ERR     5, "delete a directory"
        DOS     0x3b
        OK      "change to it"
        mov     dx, up
        DOS     0x3b
        OK      "and up"
        mov     dx, append
        DOS     0x3b
        ERR     3, "change to a file"
; ---- rename
        mov     dx, append
        mov     di, moved
        DOS     0x56
        OK      "rename into a directory"
        mov     dx, directory
        DOS     0x3a
        ERR     5, "remove what is not empty"
        mov     dx, moved
        mov     di, name
        DOS     0x56
        ERR     5, "rename onto another"
        mov     di, append
        DOS     0x56
        OK      "rename back"
        mov     dx, directory
        DOS     0x3b
        mov     dx, whole_directory
        DOS     0x3a
        ERR     0x10, "remove the current directory"
        mov     dx, up
        DOS     0x3b
        mov     dx, directory
        DOS     0x3a
        OK      "remove directory"
        DOS     0x3a
        ERR     3, "remove what is not there"
        call    extended
        call    sharing
        mov     dx, append
        DOS     0x41
        OK      "delete"
        ret

; ---- extended open: action 1 open, 2 replace, 10h create
extended:
        mov     si, ext
        mov     bx, 2
        xor     cx, cx
        mov     dx, 0x01
        DOS     0x6c00
        ERR     2, "6C: open what is not there"
        mov     dx, 0x10
        DOS     0x6c00
        OK      "6C: create"
        EQ      cx, 2, "6C: it says created"
        call    .ten
        mov     dx, 0x10
        xor     cx, cx
        DOS     0x6c00
        ERR     0x50, "6C: create what is there"
        mov     dx, 0x11
        DOS     0x6c00
        OK      "6C: open or create"
        EQ      cx, 1, "6C: it says opened"
        call    .size
        EQ      ax, 10, "6C: it kept its bytes"
        mov     dx, 0x12
        xor     cx, cx
        DOS     0x6c00
        OK      "6C: replace or create"
        EQ      cx, 3, "6C: it says replaced"
        call    .size
        EQ      ax, 0, "6C: it is empty"
        mov     dx, ext
        DOS     0x41
        OK      "6C: delete"
        ret
.ten:   push    bx
        mov     bx, ax
        mov     dx, digits
        mov     cx, 10
        DOS     0x40
        DOS     0x3e
        pop     bx
        ret
.size:  push    bx
        mov     bx, ax
        xor     cx, cx
        xor     dx, dx
        DOS     0x4202
        push    ax
        DOS     0x3e
        pop     ax
        pop     bx
        ret

; ---- share modes, locks, seeking from the end of what another enlarges
sharing:
        mov     dx, append
        DOS     0x3d12          ; denies all
        OK      "open for oneself"
        mov     bx, ax
        DOS     0x3d40
        jc      .refused
        push    bx
        mov     bx, ax
        DOS     0x3e
        pop     bx
        stc
        mov     ax, 0
.refused:
        cmp     ax, 0x20        ; sharing violation, or access denied
        je      .good
        ERR     5, "open it again"
.good:  DOS     0x3e
        mov     dx, append
        DOS     0x3d42
        OK      "open for all"
        mov     [first], ax
        DOS     0x3d42
        OK      "and again"
        mov     [second], ax
        mov     bx, [first]
        xor     cx, cx
        mov     dx, 10
        DOS     0x4200
        mov     cx, 5
        mov     dx, digits
        DOS     0x40
        OK      "write by the first"
        mov     bx, [second]
        xor     cx, cx
        xor     dx, dx
        DOS     0x4202
        EQ      ax, 15, "the second sees the new end"
        mov     bx, [first]
        xor     cx, cx
        xor     dx, dx
        xor     si, si
        mov     di, 4
        DOS     0x5c00
        OK      "lock"
        mov     bx, [second]
        DOS     0x5c00
        ERR     0x21, "lock what is locked"
        mov     bx, [first]
        DOS     0x5c01
        OK      "unlock"
        mov     bx, [second]
        DOS     0x5c00
        OK      "lock now"
        DOS     0x3e
        mov     bx, [first]
        DOS     0x3e
        OK      "close the first"
        ret

name:   db      "FILE.TXT", 0
append: db      "APPEND.TXT", 0
missing: db     "NOFILE.TXT", 0
no_dir: db      "NODIR\FILE.TXT", 0
directory: db   "SUBDIR", 0
moved:  db      "SUBDIR\MOVED.TXT", 0
whole_directory: db "..\SUBDIR", 0
up:     db      "..", 0
ext:    db      "EXT.TXT", 0
digits: db      "0123456789", 0
first:  dw      0
second: dw      0
