; SPDX-License-Identifier: MIT
; More of what a guest that steps itself sees: branch steps, HLT, INT 1, what waits behind MOV SS,
; faults within a step, programs with CPL 3. As in stealth.asm, every trap is logged: vector, EIP,
; DR6, flags.
%include "guest.inc"
%define DR6_IDLE 0xffff0ff0
%define DR6_STEP 0xffff4ff0
%define DIRECTORY 0x60000

%macro SEQUENCE 0 ; before the stepped code
        mov dword [log_count], 0
        mov dword [hook], log_trap
        mov eax, DR6_IDLE
        mov dr6, eax
        mov ebx, ss
%endmacro
%macro TRAPS 1 ; behind it: how many there were
        mov dword [hook], 0
        push dword [log_count] ; shown if it is wrong
        pop dword [last_vector]
        push dword [log_eip]
        pop dword [last_error]
        EQ dword [log_count], %1
%endmacro
%macro TRAP 2-4 DR6_STEP, 1 ; number, EIP, DR6, vector
        EQ dword [log_eip + 4 * %1], %2
        EQ dword [log_dr6 + 4 * %1], %3
        EQ dword [log_vector + 4 * %1], %4
%endmacro
%macro TF_ON 0
        pushfd
        or dword [esp], 0x100
        popfd
%endmacro
%macro WATCH 1 ; %1 = watched reads and writes, as DR7
        mov eax, watched
        mov dr0, eax
        mov eax, %1
        mov dr7, eax
%endmacro

main:
        ; BTF: branches that are taken; the trap switches it off
        SEQUENCE
        pushfd
        mov ecx, 0x1d9
        xor edx, edx
        mov eax, 2
        wrmsr
        TF_ON
        nop
        cmp eax, eax
        jne .a
        nop
        jmp .a
        nop
.a:     nop
.b:     popfd
.c:     TRAPS 3
        TRAP 0, .a
        TRAP 1, .b
        TRAP 2, .c
        rdmsr
        EQ eax, 0

        ; HLT is an instruction, and its trap ends it
        SEQUENCE
        pushfd
        TF_ON
        hlt
.d:     popfd
.e:     TRAPS 2
        TRAP 0, .d
        TRAP 1, .e

        ; INT 1 is an interrupt as any other
        SEQUENCE
        pushfd
        TF_ON
        db 0xcd, 1
.f:     nop
.g:     popfd
.h:     TRAPS 3
        TRAP 0, .f, DR6_IDLE
        TRAP 1, .g
        TRAP 2, .h
        mov eax, [log_flags]
        and eax, 0x100
        EQ eax, 0x100

        ; INT1 twice behind MOV SS
        SEQUENCE
        pushfd
        TF_ON
        mov ss, ebx
        db 0xf1
.i:     db 0xf1
.j:     nop
.k:     popfd
.l:     TRAPS 4
        TRAP 0, .i, DR6_IDLE
        TRAP 1, .j, DR6_IDLE
        TRAP 2, .k
        TRAP 3, .l

        ; General detect behind MOV SS comes first
        SEQUENCE
        pushfd
        mov eax, 0x2400
        mov dr7, eax
        TF_ON
        mov ss, ebx
.m:     mov eax, dr6
.n:     popfd
.o:     TRAPS 3
        TRAP 0, .m, DR6_IDLE | 0x2000
        TRAP 1, .n
        TRAP 2, .o

        ; A watchpoint behind MOV SS and an INT1: one; and INT 1: two; and INT3: one, and one #BP
        SEQUENCE
        WATCH 0x000f0402
        mov ss, [watched]
        db 0xf1
.p:     nop
        mov eax, 0x400
        mov dr7, eax
        TRAPS 1
        EQ dword [log_eip], .p
        SEQUENCE
        WATCH 0x000f0402
        mov ss, [watched]
        db 0xcd, 1
.q:     nop
        mov eax, 0x400
        mov dr7, eax
        TRAPS 2
        TRAP 1, .q, DR6_IDLE
        SEQUENCE
        WATCH 0x000f0402
        mov ss, [watched]
        int3
.r:     nop
        mov eax, 0x400
        mov dr7, eax
        TRAPS 2
        EQ dword [log_vector], 1
        EQ dword [log_vector + 4], 3
        EQ dword [log_eip + 4], .r

        ; A watchpoint neither sets BS nor clears it
        mov dword [log_count], 0
        mov dword [hook], log_trap
        WATCH 0x000f0402
        mov eax, DR6_STEP
        mov dr6, eax
        mov eax, [watched]
.s:     mov eax, 0x400
        mov dr7, eax
        TRAPS 1
        TRAP 0, .s, DR6_STEP | 1

        ; The short image of PUSHF
        SEQUENCE
        pushfd
        TF_ON
        o16 pushf
        o16 pop cx
        popfd
        mov dword [hook], 0
        and ecx, 0x100
        EQ ecx, 0x100

        ; A page fault within a step is that fault; then the instruction is done and traps
        mov edi, DIRECTORY
        mov ecx, 1024
        xor eax, eax
        rep stosd
        mov dword [DIRECTORY], 0x83
        mov eax, DIRECTORY
        mov cr3, eax
        mov eax, cr4
        or eax, 0x10
        mov cr4, eax
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        SEQUENCE
        pushfd
        TF_ON
.t:     mov eax, [0x400010]
.u:     popfd
.v:     TRAPS 3
        TRAP 0, .t, DR6_IDLE, 14
        TRAP 1, .u
        TRAP 2, .v
        ; and an iteration of a string instruction into the page
        mov dword [DIRECTORY + 4], 0
        mov eax, cr3
        mov cr3, eax
        SEQUENCE
        mov ecx, 3
        mov edi, 0x400000 - 8
        pushfd
        TF_ON
.w:     rep stosd
.x:     popfd
.y:     TRAPS 5
        TRAP 0, .w
        TRAP 1, .w
        TRAP 2, .w, DR6_IDLE, 14
        TRAP 3, .x
        TRAP 4, .y
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax

        ; CPL 3
        SEQUENCE
        mov [saved_esp], esp
        mov dword [resume], .behind
        mov edx, 0x102
        USER .user
.user:  nop
.z:     db 0x0f, 0xa2
.aa:    mov edx, ss
        mov ss, edx
        nop
.ab:    pushfd
.ac:    int 50
.ad:    and dword [esp], ~0x100
.ae:    popfd
.af:    int 63
.behind:
        EQ dword [log_count], 8
        TRAP 0, .z
        TRAP 1, .aa
        TRAP 2, .aa + 2 ; behind MOV EDX, SS; none behind MOV SS
        TRAP 3, .ab
        TRAP 4, .ac
        TRAP 5, .ad, DR6_IDLE, 50
        TRAP 6, .ae
        TRAP 7, .af
        ret

log_trap:
        cmp dword [esp], 63
        je .leave
        mov eax, [log_count]
        cmp eax, 16
        jae .full
        push ebx
        mov ebx, [esp + 4]
        mov [log_vector + eax * 4], ebx
        mov ebx, [esp + 12]
        mov [log_eip + eax * 4], ebx
        mov ebx, [esp + 20]
        mov [log_flags + eax * 4], ebx
        mov ebx, dr6
        mov [log_dr6 + eax * 4], ebx
        mov ebx, DR6_IDLE
        mov dr6, ebx
        pop ebx
.full:
        inc dword [log_count]
        cmp dword [esp], 14
        jne .out
        mov dword [DIRECTORY + 4], 0x83 | 0x400000
.out:   add esp, 8
        mov eax, [save_eax]
        iretd
.leave: mov dword [hook], 0
        jmp handler.record

align 4
watched dd SEL_DATA0
log_count dd 0
log_eip times 16 dd 0
log_dr6 times 16 dd 0
log_vector times 16 dd 0
log_flags times 16 dd 0

END_OF_IMAGE
