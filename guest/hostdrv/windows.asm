; SPDX-License-Identifier: MIT
; windows.asm - Windows 3.x and 9x start (INT 2Fh AX=1605h): in enhanced mode each virtual machine
; gets its own copy of our block and buffers, as two of them may be in the middle of a call.
; DOS' own tables are copied by Windows itself, at the same addresses.

windows_starts:
        pushf
        call    far [cs:old_2f]
        test    cx, cx          ; someone refuses
        jnz     .out
        test    dl, 1           ; standard mode: one machine only
        jnz     .out
        mov     [cs:startup_next], bx
        mov     [cs:startup_next + 2], es
        push    cs
        pop     es
        mov     bx, startup
.out:   iret

startup:
        db      3, 0            ; version
startup_next: dd 0
        dd      0               ; no driver of ours
        dd      0
startup_instances: dw instance_list, 0  ; segment: at installation

instance_list: dw instance_start, 0     ; segment: at installation
        dw      instance_end - instance_start
        dd      0
