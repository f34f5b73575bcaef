; SPDX-License-Identifier: MIT
; A boot sector for the debugger tests: 16-bit code in several segments. Near, far and indirect
; calls, calls by PUSH CS, an interrupt, arguments that the callee removes, frames with BP and
; without, a string instruction. All in a loop. CS is 0, 7D0h and 7E0h-20h.
section .text
bits 16
global start, again, near_function, framed, far_function, far_inner, handler, counter
global call_near, call_framed, call_far, call_table, call_int, call_pushed, call_rep, call_end

OTHER  equ 0x7d0           ; segment of far_function
BASE equ 0x7c00

start:  cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ax, 0x0900
        mov ss, ax
        mov sp, 0x0ff0
        mov word [0x61 * 4], handler - start
        mov word [0x61 * 4 + 2], BASE >> 4
        jmp 0:again - start + BASE
again:
call_near:
        call near_function
call_framed:
        push word 7
        push word 9
        call framed
call_far:
        call OTHER:far_function - far_start
call_table:
        call far [table - start + BASE]
call_int:
        int 0x61
call_pushed:
        push cs
        call pushed
call_rep:
        mov di, 0x6000
        mov cx, 0x300
        rep stosb
        mov bx, near_function - start + BASE
        call bx
call_end:
        inc word [counter - start + BASE]
        jmp again

near_function:
        push ax
        push word 0x7c23
        pop ax
        xor bp, bp      ; whoever relies on BP is lost
        pop ax
        ret

framed: push bp
        mov bp, sp
        sub sp, 8
        mov ax, [bp + 4]
        add ax, [bp + 6]
        call near_function.end
        mov sp, bp
        pop bp
        ret 4
near_function.end:
        nop
        ret

pushed: nop
        retf

handler:
        push ax
        mov ax, 0x1234
        call OTHER:far_inner - far_start
        pop ax
        iret

table:  dw far_function - far_start, OTHER
counter:
        dw 0

        times 0x100 - ($ - $$) db 0
far_start:
far_function:
        push cs
        pop ds
        call far_near
        xor ax, ax
        mov ds, ax
        retf
far_near:
        inc ax
        ret
far_inner:
        inc ax
        retf

        times 510 - ($ - $$) db 0
        dw 0xaa55
