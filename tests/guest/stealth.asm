; SPDX-License-Identifier: MIT
; What a guest that steps itself sees, trap by trap, and what one that does not must not see: images of
; flags, DR6, frames. Runs with nobody and with somebody watching; every trap is logged by its EIP and
; DR6 (the sequences are those of kvm-unit-tests' x86/debug.c).
%include "guest.inc"
%define DR6_IDLE 0xffff0ff0
%define DR6_STEP 0xffff4ff0

%macro SEQUENCE 0 ; before the stepped code
        mov dword [log_count], 0
        mov dword [hook], log_trap
        mov eax, DR6_IDLE
        mov dr6, eax
%endmacro
%macro TRAPS 1 ; behind it: how many there were
        mov dword [hook], 0
        EQ dword [log_count], %1
%endmacro
%macro TRAP 2-3 DR6_STEP ; number, EIP, DR6
        EQ dword [log_eip + 4 * %1], %2
        EQ dword [log_dr6 + 4 * %1], %3
%endmacro
%macro TF_ON 0 ; POPFD with TF; one instruction later the first trap
        pushfd
        or dword [esp], 0x100
        popfd
%endmacro

main:
        ; Nobody steps here, as far as this program knows
        mov eax, DR6_IDLE
        mov dr6, eax
        pushfd
        pop eax
        and eax, 0x100
        EQ eax, 0
        o16 pushf
        o16 pop ax
        and eax, 0x100
        EQ eax, 0
        TRY int 50
        GOT 50
        CLEAR 0x10100
        TRY ud2
        GOT 6
        CLEAR 0x100
        SET 0x10000 ; RF in the image of a fault
        mov eax, dr6
        EQ eax, DR6_IDLE
        rdtsc
        mov [tsc], eax
        mov [tsc + 4], edx
        rdtsc
        sub eax, [tsc]
        sbb edx, [tsc + 4]
        EQ edx, 0 ; forwards

        ; POPF that sets TF is followed by one instruction, POPF that clears it traps
        SEQUENCE
        mov ecx, esp
        pushfd
        mov eax, [esp]
        or dword [esp], 0x100
        popfd
        and eax, ~0x100
.a:     push eax
.b:     popfd
.c:     TRAPS 3
        TRAP 0, .a
        TRAP 1, .b
        TRAP 2, .c
        EQ ecx, esp

        ; What needs C in every engine is stepped as all else
        SEQUENCE
        pushfd
        mov ebx, [esp]
        TF_ON
        push ebx
.d:     xor eax, eax
.e:     xor ecx, ecx
.f:     db 0x0f, 0xa2 ; CPUID overwrites EBX
.g:     mov edx, 0x99
.h:     in al, dx
.i:     popfd
.j:     TRAPS 7
        TRAP 0, .d
        TRAP 1, .e
        TRAP 2, .f
        TRAP 3, .g
        TRAP 4, .h
        TRAP 5, .i
        TRAP 6, .j
        popfd

        ; STI holds off interrupts, not the trap
        SEQUENCE
        pushfd
        TF_ON
        sti
.k:     nop
.l:     popfd
.m:     cli
        TRAPS 3
        TRAP 0, .k
        TRAP 1, .l
        TRAP 2, .m

        ; MOV SS: no trap behind it; nor behind POP SS; behind LSS there is one
        SEQUENCE
        mov ebx, ss
        pushfd
        TF_ON
        mov ss, ebx
        nop
.n:     popfd
.o:     TRAPS 2
        TRAP 0, .n
        TRAP 1, .o
        SEQUENCE
        pushfd
        push ss
        TF_ON
        pop ss
        nop
.p:     popfd
.q:     TRAPS 2
        TRAP 0, .p
        TRAP 1, .q
        SEQUENCE
        mov [far_pointer], esp
        sub dword [far_pointer], 4
        pushfd
        TF_ON
        lss esp, [far_pointer]
.r:     nop
.s:     popfd
.t:     TRAPS 3
        TRAP 0, .r
        TRAP 1, .s
        TRAP 2, .t

        ; INT1 is its own trap, without BS, and no step of it follows
        SEQUENCE
        pushfd
        TF_ON
        db 0xf1
.u:     nop
.v:     popfd
.w:     TRAPS 3
        TRAP 0, .u, DR6_IDLE
        TRAP 1, .v
        TRAP 2, .w

        ; IRET that sets TF
        SEQUENCE
        pushfd
        pop eax
        or eax, 0x100
        push eax
        push dword SEL_CODE0
        push dword .x
        iretd
.x:     nop
.y:     pushfd
.z:     and dword [esp], ~0x100 ; the image has TF: this program has set it
.aa:    popfd
.ab:    TRAPS 4
        TRAP 0, .y
        TRAP 1, .z
        TRAP 2, .aa
        TRAP 3, .ab

        ; SYSENTER keeps TF: the trap is at its target
        mov ecx, 0x174
        mov eax, SEL_CODE0
        xor edx, edx
        wrmsr
        mov ecx, 0x175
        mov eax, esp
        wrmsr
        mov ecx, 0x176
        mov eax, .entry
        wrmsr
        SEQUENCE
        TF_ON
        sysenter
.entry: pushfd
.ac:    and dword [esp], ~0x100
.ad:    popfd
.ae:    TRAPS 4
        TRAP 0, .entry
        TRAP 1, .ac
        TRAP 2, .ad
        TRAP 3, .ae

        ; A loop: as many traps as instructions
        mov dword [log_count], 0
        mov dword [hook], count_trap
        mov ecx, 1000
        pushfd
        TF_ON
.loop:  add eax, ecx
        xchg eax, ebx
        loop .loop
        popfd
        mov dword [hook], 0
        EQ dword [log_count], 3 * 1000 + 1

        ; A watchpoint behind MOV SS waits for the next boundary; once
        SEQUENCE
        mov eax, watched
        mov dr0, eax
        mov eax, 0x000f0402 ; G0: reads and writes of four bytes
        mov dr7, eax
        mov ss, [watched]
        nop
.af:    nop
        mov eax, 0x400
        mov dr7, eax
        TRAPS 1
        TRAP 0, .af, DR6_IDLE | 1
        ret

log_trap:
        mov eax, [log_count]
        cmp eax, 16
        jae .full
        push ebx
        mov ebx, [esp + 12]
        mov [log_eip + eax * 4], ebx
        mov ebx, dr6
        mov [log_dr6 + eax * 4], ebx
        mov ebx, DR6_IDLE
        mov dr6, ebx
        pop ebx
.full:
count_trap:
        inc dword [log_count]
        add esp, 8
        mov eax, [save_eax]
        iretd

align 4
watched dd SEL_DATA0
tsc dd 0, 0
far_pointer dd 0, SEL_DATA0
log_count dd 0
log_eip times 16 dd 0
log_dr6 times 16 dd 0

END_OF_IMAGE
