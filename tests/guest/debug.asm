; SPDX-License-Identifier: MIT
; Debug exceptions: single step, breakpoints on code and data, general detect, RF, INT1; what MOV
; SS holds off.
%include "guest.inc"

%macro STEPPED 1+ ; one instruction with TF; then where #DB came
        TRY jmp %%go
        jmp %%end
%%go:   pushfd
        or dword [esp], 0x100
        popfd
        %1
%%next: nop
        int 63
%%end:  EQ dword [last_eip], %%next
%endmacro

main:
        xor eax, eax
        mov dr6, eax
        STEPPED nop
        GOT 1
        SET 0x100 ; the pushed image has TF
        CLEAR 0x10000
        mov eax, [last_dr6]
        and eax, 0x400f
        EQ eax, 0x4000
        STEPPED add eax, ebx
        GOT 1
        ; A fault while stepping is that fault, and nothing behind it
        TRY jmp .ud
        GOT 6
        SET 0x10100 ; RF and TF
        ; INT n is not stepped; the handler runs without TF
        TRY jmp .int
        GOT 50
        ; POPF that clears TF is still stepped
        TRY jmp .popf
        GOT 1
        ; MOV SS: no trap behind it, but behind the next instruction
        TRY jmp .mov_ss
        GOT 1
        EQ dword [last_eip], .behind_next
        ; REP: a trap behind every iteration
        mov dword [hook], count_steps
        mov ecx, 5
        mov edi, 0x50000
        pushfd
        or dword [esp], 0x100
        popfd
        rep stosb
        nop
        pushfd
        and dword [esp], ~0x100
        popfd
        mov dword [hook], 0
        EQ dword [steps], 5 + 4 ; rep x 5, nop, pushfd, and, popfd
        EQ ecx, 0
        ; Breakpoint on code: a fault before it; RF lets it run
        mov eax, .target
        mov dr0, eax
        mov eax, 0x0402
        mov dr7, eax
        xor eax, eax
        mov dr6, eax
        TRY jmp .target
        GOT 1
        EQ dword [last_eip], .target
        CLEAR 0x10000
        mov eax, [last_dr6]
        and eax, 0xf
        EQ eax, 1
        push dword 0x10002
        push dword SEL_CODE0
        push dword .target
        TRY iretd
.target:
        nop
        nop
        EQ dword [last_vector], NOTHING
        ; Breakpoint on data: a trap behind the instruction
        mov eax, 0x50010
        mov dr1, eax
        mov eax, 0x00d00408 ; G1, write, 4 bytes
        mov dr7, eax
        xor eax, eax
        mov dr6, eax
        TRY mov eax, [0x50010]
        GOT NOTHING
        TRY jmp .store
        GOT 1
        EQ dword [last_eip], .stored
        EQ byte [0x50013], 0x5a
        mov eax, [last_dr6]
        and eax, 0xf
        EQ eax, 2
        mov eax, 0x00f00408 ; reads too
        mov dr7, eax
        TRY jmp .load
        GOT 1
        EQ dword [last_eip], .loaded
        ; General detect
        mov eax, 0x2400
        mov dr7, eax
        xor eax, eax
        TRY mov ebx, dr0
        GOT 1
        mov eax, [last_dr6]
        and eax, 0x2000
        EQ eax, 0x2000
        mov eax, dr7 ; GD was cleared for the handler
        EQ eax, 0x400
        ; INT1
        TRY db 0xf1
        GOT 1
        ; DR4 is DR6, but not with CR4.DE
        mov eax, dr4
        TRY jmp .de
        GOT 6
        mov eax, cr4
        and eax, ~8
        mov cr4, eax
        ret

.ud:    pushfd
        or dword [esp], 0x100
        popfd
        ud2
.int:   pushfd
        or dword [esp], 0x100
        popfd
        int 50
.popf:  pushfd
        pushfd
        or dword [esp], 0x100
        popfd
        popfd
        nop
        int 63
.mov_ss:
        mov eax, ss
        pushfd
        or dword [esp], 0x100
        popfd
        mov ss, ax
        nop
.behind_next:
        int 63
.store: mov eax, 0x5a
        mov [0x50013], al
.stored:
        int 63
.load:  mov al, [0x50012]
.loaded:
        int 63
.de:    mov eax, cr4
        or eax, 8
        mov cr4, eax
        mov eax, dr4
        int 63

count_steps:
        inc dword [steps]
        add esp, 8
        mov eax, [save_eax]
        iretd

align 4
steps dd 0

END_OF_IMAGE
