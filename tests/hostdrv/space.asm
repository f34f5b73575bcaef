; SPDX-License-Identifier: MIT
; space.asm - disk space, truename, the list of redirections; and what a read-only share, named
; by the first letter of the command line, refuses. Argument: letter of a read-only drive.
%include "dostest.inc"

%macro DOS_2F 1
        mov     ax, %1
        int     0x2f
%endmacro

main:
; ---- free space: numbers that 32-bit arithmetic holds
        mov     dl, 0
        DOS     0x36
        EQ      cx, cx, "space"
        cmp     ax, -1
        jne     .drive
        EQ      ax, 0, "free space"
.drive: mul     cx              ; bytes of a cluster
        push    ax
        EQ      dx, 0, "bytes of a cluster fit 16 bits"
        pop     ax
        movzx   eax, ax
        movzx   ecx, bx
        movzx   edx, dx
        cmp     bx, [one]
        jae     .free
        EQ      bx, 1, "free clusters"
.free:  imul    eax, ecx
        jno     .small
        EQ      ax, 0, "free bytes are below 2 GiB"
.small:
        mov     ah, 0x19
        int     0x21
        add     [root], al
        mov     dx, root
        mov     di, BUFFER
        mov     cx, 0x2c
        stc
        DOS     0x7303
        jc      .no_fat32       ; a DOS that does not know FAT32
        cmp     word [BUFFER + 4], 256
        jb      .no_fat32
        EQ      [BUFFER + 4], 128, "sectors of a cluster, by FAT32's function"
.no_fat32:
; ---- truename
        mov     si, name
        mov     di, BUFFER
        DOS     0x60
        OK      "truename"
        EQ      [BUFFER + 1], ":\", "with a drive"
; ---- redirections
        xor     bx, bx
        mov     si, BUFFER
        mov     di, BUFFER + 32
        DOS     0x5f02
        OK      "first redirection"
        EQ      bx, 4, "it is a drive"
        EQ      [BUFFER + 32], "\\", "its network name"
        mov     bx, 99
        DOS     0x5f02
        ERR     0x12, "last redirection"
; ---- what Windows is told when it starts: memory of which each virtual machine has its own copy
        xor     bx, bx
        mov     es, bx
        xor     cx, cx
        xor     dx, dx
        mov     di, 0x030a
        DOS_2F  0x1605
        EQ      cx, 0, "Windows may start"
        EQ      [es:bx], 3, "version of the answer"
        les     bx, [es:bx + 0x0e]
        cmp     word [es:bx + 4], 256
        jae     .instance
        EQ      [es:bx + 4], 256, "bytes of the instance data"
.instance:
        les     bx, [es:bx]
        EQ      [es:bx], "WE", "the block is in it"
        push    ds
        pop     es
; ---- a read-only share
        mov     al, [0x82]
        mov     [read_only], al
        mov     [there], al
        mov     [sub], al
        mov     [it], al
        mov     dx, read_only
        xor     cx, cx
        DOS     0x3c
        ERR     5, "create on a read-only share"
        mov     dx, sub
        DOS     0x39
        ERR     5, "make directory there"
        mov     dx, there
        DOS     0x3d02
        ERR     5, "open for writing there"
        DOS     0x41
        ERR     5, "delete there"
        mov     di, it
        DOS     0x56
        ERR     5, "rename there"
        mov     cx, 1
        DOS     0x4301
        ERR     5, "set attributes there"
        DOS     0x3d00
        OK      "open for reading there"
        mov     bx, ax
        mov     dx, BUFFER
        mov     cx, 9
        DOS     0x3f
        EQ      ax, 4, "read there"
        DOS     0x3e
        ret

name:   db      "SOME.TXT", 0
one:    dw      1
root:   db      "A:\", 0
read_only: db   "X:\NEW.TXT", 0
sub:    db      "X:\SUBDIR", 0
there:  db      "X:\READ.ME", 0
it:     db      "X:\READ.YOU", 0
