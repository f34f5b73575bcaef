; SPDX-License-Identifier: MIT
; long.asm - long names, INT 21h AX=71xxh, in the current directory of the drive, where the host
; has made "A long name of the host.text" (5 bytes). Leaves "Created by DOS, renamed.data".
%include "dostest.inc"

%macro LFN 1
        mov     ax, 0x7100 + %1
        stc
        int     0x21
%endmacro

main:   DOS     0x19
        add     [root], al
        mov     dx, root
        mov     di, BUFFER
        mov     cx, 32
        LFN     0xa0
        OK      "volume information"
        EQ      cx, 255, "longest name"
        test    bh, 0x40
        jnz     .long
        EQ      bx, 0, "long names"
.long:
; ---- find
        mov     dx, pattern
        mov     di, BUFFER
        mov     cx, 0
        mov     si, 1
        LFN     0x4e
        OK      "find"
        mov     bx, ax
        SAME    "long name", host_name, BUFFER + 0x2c
        EQ      [BUFFER + 0x20], 5, "size"
        mov     ax, [BUFFER + 0x16]
        shr     ax, 9
        EQ      ax, 2001 - 1980, "year"
        mov     di, BUFFER
        LFN     0x4f
        ERR     0x12, "one only"
        LFN     0xa1
        OK      "close the search"
        LFN     0xa1
        jc      .closed
        ERR     6, "close it again"
.closed:
        mov     dx, pattern
        mov     cx, 0
        mov     si, 0
        mov     di, BUFFER
        LFN     0x4e
        OK      "find with Windows' times"
        mov     bx, ax
        EQ      [BUFFER + 0x1a], 0x01c1, "its high word"        ; 2001
        LFN     0xa1
        mov     di, BUFFER + 0x200
        mov     si, BUFFER + 0x130
.copy:  lodsb
        stosb
        test    al, al
        jnz     .copy
; ---- open by long and short name
        mov     si, host_name
        mov     bx, 0
        mov     cx, 0
        mov     dx, 1
        LFN     0x6c
        OK      "open by its long name"
        EQ      cx, 1, "opened"
        mov     bx, ax
        mov     dx, BUFFER
        mov     cx, 10
        DOS     0x3f
        EQ      ax, 5, "read"
        mov     dx, BUFFER
        LFN     0xa6
        OK      "information by handle"
        EQ      [BUFFER + 0x24], 5, "size by handle"
        DOS     0x3e
        mov     dx, BUFFER + 0x200
        DOS     0x3d00
        OK      "open by its short name"
        mov     bx, ax
        DOS     0x3e
        mov     si, BUFFER + 0x200
        mov     di, BUFFER
        mov     cl, 2
        LFN     0x60
        OK      "the long name of the short one"
        mov     si, BUFFER
        call    tail
        SAME    "it is", host_name, si
        mov     si, host_name
        mov     di, BUFFER
        mov     cl, 1
        LFN     0x60
        OK      "the short name of the long one"
        mov     si, BUFFER
        call    tail
        SAME    "it is also", BUFFER + 0x200, si
; ---- create
        mov     si, new_name
        mov     bx, 2
        mov     cx, 0
        mov     dx, 0x10
        LFN     0x6c
        OK      "create"
        EQ      cx, 2, "created"
        mov     bx, ax
        mov     dx, new_name
        mov     cx, 7
        DOS     0x40
        DOS     0x3e
        OK      "write and close"
        mov     si, new_name
        mov     bx, 2
        mov     dx, 0x10
        LFN     0x6c
        ERR     0x50, "create again"
        mov     dx, 0x12
        mov     cx, 0
        LFN     0x6c
        OK      "replace"
        EQ      cx, 3, "replaced"
        mov     bx, ax
        mov     dx, new_name
        mov     cx, 3
        DOS     0x40
        DOS     0x3e
        mov     si, missing
        mov     dx, 1
        LFN     0x6c
        ERR     2, "open what is not there"
; ---- directories, rename, attributes
        mov     dx, long_dir
        LFN     0x39
        OK      "make directory"
        LFN     0x3b
        OK      "change to it"
        mov     dl, 0
        mov     si, BUFFER
        LFN     0x47
        OK      "current directory"
        mov     si, BUFFER
        call    tail
        SAME    "its long name", long_dir, si
        mov     dx, new_up
        mov     di, renamed
        LFN     0x56
        OK      "rename into it"
        mov     dx, renamed
        mov     di, renamed_up
        LFN     0x56
        OK      "and out of it"
        mov     dx, up
        LFN     0x3b
        OK      "change back"
        mov     dx, long_dir
        LFN     0x3a
        OK      "remove directory"
        LFN     0x3a
        ERR     2, "remove it again"
        mov     dx, renamed
        mov     bl, 1
        mov     cx, 1
        LFN     0x43
        OK      "make read-only"
        mov     bl, 0
        LFN     0x43
        OK      "get attributes"
        and     cx, 1
        EQ      cx, 1, "read-only"
        mov     si, 0
        LFN     0x41
        ERR     5, "delete read-only"
        mov     bl, 1
        mov     cx, 0
        LFN     0x43
        mov     bl, 3
        mov     cx, 1 << 11
        mov     di, (1999 - 1980) << 9 | 12 << 5 | 31
        LFN     0x43
        OK      "set time"
        mov     bl, 4
        mov     di, 0
        LFN     0x43
        EQ      di, (1999 - 1980) << 9 | 12 << 5 | 31, "date"
        EQ      cx, 1 << 11, "time"
; ---- delete with wildcards
        mov     si, temporary
        mov     dx, 0x10
        mov     bx, 2
        mov     cx, 0
        LFN     0x6c
        mov     bx, ax
        DOS     0x3e
        mov     dx, temporaries
        mov     si, 1
        mov     cx, 0
        LFN     0x41
        OK      "delete with wildcards"
        LFN     0x41
        ERR     2, "delete again"
; ---- times there and back
        mov     cx, 12 << 11 | 34 << 5 | 56 / 2
        mov     dx, (1995 - 1980) << 9 | 7 << 5 | 9
        mov     bx, 150 << 8 | 1
        mov     di, BUFFER
        LFN     0xa7
        OK      "to Windows' time"
        xor     cx, cx
        xor     dx, dx
        mov     bx, 0
        mov     si, BUFFER
        LFN     0xa7
        OK      "and back"
        EQ      cx, 12 << 11 | 34 << 5 | 56 / 2, "the same time"
        EQ      dx, (1995 - 1980) << 9 | 7 << 5 | 9, "the same date"
        EQ      bx, 150 << 8, "the same hundredths"
        mov     bx, 1
        xor     dx, dx
        LFN     0xa7
        ERR     0x57, "no date"
; ---- what is not there
        mov     ax, 0x71ff
        stc
        int     0x21
        ERR     0x7100, "no such function"
        ret

; SI = behind the last backslash of SI.
tail:   mov     di, si
.part:  mov     si, di
.char:  mov     al, [di]
        inc     di
        cmp     al, '\'
        je      .part
        test    al, al
        jnz     .char
        ret

root:   db      "A:\", 0
pattern: db     "A long*host.*", 0
host_name: db   "A long name of the host.text", 0
new_name: db    "Created by DOS.data", 0
new_up: db      "..\Created by DOS.data", 0
renamed: db     "Created by DOS, renamed.data", 0
renamed_up: db  "..\Created by DOS, renamed.data", 0
missing: db     "This one is missing", 0
long_dir: db    "A Directory with a long name", 0
up:     db      "..", 0
temporary: db   "Short-lived file of this test.temporary", 0
temporaries: db "Short-lived*.temporary", 0
