; SPDX-License-Identifier: MIT
; Long mode: entering it, interrupts with IST, IRETQ, SYSCALL/SYSRET, canonical addresses, NX,
; compatibility mode, FS and GS bases, and the way back.
%include "guest.inc"

%define PML4 0x300000
%define PDPT 0x301000
%define PD 0x302000
%define PT 0x303000
%define TEST_PAGE 0x150000
%define IDT64 0x60000
%define TSS64 0x61000

%macro TRY64 1+
        mov dword [resume], %%after
        mov [saved_rsp], rsp
        mov dword [last_vector], NOTHING
        mov dword [last_error], 0
        %1
%%after:
%endmacro

main:
        mov edi, PML4
        mov ecx, 0x1000
        xor eax, eax
        rep stosd
        mov dword [PML4], PDPT | 7
        mov dword [PDPT], PD | 7
        mov dword [PD], PT | 7
        mov dword [PD + 8], 0x200087
        mov edi, PT
        mov eax, 7
.fill:  mov [edi], eax
        add edi, 8
        add eax, 0x1000
        cmp edi, PT + 0x1000
        jne .fill
        mov eax, cr4
        or eax, 0x220 ; PAE, OSFXSR
        mov cr4, eax
        mov eax, PML4
        mov cr3, eax
        mov ecx, 0xc0000080
        mov eax, 0x901 ; SCE, LME, NXE
        xor edx, edx
        wrmsr
        mov eax, cr0
        or eax, 0x80010000
        mov cr0, eax
        rdmsr
        EQ eax, 0xd01
        jmp SEL_CODE64:long_start

back32: mov ax, SEL_DATA0
        mov ds, ax
        mov ss, ax
        mov eax, cr0
        and eax, 0x7fffffff
        mov cr0, eax
        mov ecx, 0xc0000080
        rdmsr
        EQ eax, 0x900 ; user_mode cleared SCE
        mov esp, 0x9000 - 4 ; main's return address
        lidt [idt_register]
        ret

bits 64
long_start:
        mov rsp, 0x9000 - 4
        call make_tables
        ; Flat addresses, 64-bit operands
        mov rax, 0x123456789abcdef0
        mov [abs qword 0x50000], rax
        EQ qword [0x50000], rax
        ; Non-canonical: #GP, with a stack base #SS
        mov rbx, 0x800000000000
        TRY64 mov eax, [rbx]
        GOT 13
        mov rbp, 0x800000000000
        TRY64 mov eax, [rbp]
        GOT 12
        mov rbx, 0x7ffffffffffc
        TRY64 mov rax, [rbx]
        GOT 13
        TRY64 jmp near .noncanonical_jump
        GOT 13
        ; Not mapped
        mov rbx, 0xffff800000000123
        TRY64 mov [rbx], eax
        GOT 14, 2
        mov rax, [last_cr2]
        EQ rax, rbx
        ; No-execute
        mov byte [TEST_PAGE], 0xc3
        mov dword [PT + (TEST_PAGE >> 12) * 8 + 4], 0x80000000
        invlpg [TEST_PAGE]
        TRY64 call TEST_PAGE
        GOT 14, 0x11
        mov dword [PT + (TEST_PAGE >> 12) * 8 + 4], 0
        invlpg [TEST_PAGE]
        TRY64 call TEST_PAGE
        GOT NOTHING
        ; Frame: aligned stack, SS:RSP always there
        mov rbp, rsp
        sub rsp, 3
        TRY64 ud2
        GOT 6
        mov rax, [last_rsp]
        add rax, 3
        EQ rax, rbp
        mov rsp, rbp
        ; IST1 for vector 51
        TRY64 int 51
        GOT 51
        mov rax, [handler_rsp]
        EQ rax, 0xa000 - 40
        ; Null SS at CPL 0 is fine; null DS too
        xor eax, eax
        mov ss, ax
        mov ds, ax
        mov eax, [0x50000]
        ; FS and GS
        mov ecx, 0xc0000100
        mov eax, 0x50000
        xor edx, edx
        wrmsr
        mov rax, 0x123456789abcdef0
        EQ [fs:0], rax
        mov ecx, 0xc0000102
        mov eax, 0x50008
        wrmsr
        mov dword [0x50008], 0x600d
        swapgs
        EQ dword [gs:0], 0x600d
        swapgs
        mov ecx, 0xc0000101
        mov edx, 0x8000
        TRY64 wrmsr
        GOT 13
        call user_mode
        call compatibility
        ; Out of long mode: through compatibility mode
        push qword SEL_CODE0
        push qword back32
        o64 retf

.noncanonical_jump:
        mov rax, 0x8000000000000000
        jmp rax

; ---- SYSCALL, SYSRET ----
user_mode:
        mov ecx, 0xc0000081
        xor eax, eax
        mov edx, SEL_CODE0 | ((SEL_DATA3 - 8) & ~3) << 16
        wrmsr ; SYSCALL: CS 8, SS 10h. SYSRETQ: SS 20h+3, CS 28h+3, both flat
        mov ecx, 0xc0000082
        mov eax, syscall_entry
        xor edx, edx
        wrmsr
        mov ecx, 0xc0000084
        mov eax, 0x4700
        wrmsr
        mov [kernel_rsp], rsp
        mov rcx, .user
        mov r11d, 0x3202 ; IF and IOPL 3 come with SYSRET
        mov rsp, USER_STACK
        o64 sysret
.user:  mov eax, cs
        mov [seen_cs], eax
        mov eax, ss
        mov [seen_ss], eax
        pushfq
        pop rbx
        cli
        push qword 0x4302 | 1
        and dword [rsp], ~0x100
        popfq
        syscall
.after:
        ud2
syscall_entry:
        mov rsp, [kernel_rsp]
        mov rax, user_mode.after
        EQ rcx, rax
        EQ dword [seen_cs], (SEL_DATA3 - 8 + 16) | 3
        EQ dword [seen_ss], SEL_DATA3
        mov eax, ebx
        and eax, 0x3200
        EQ eax, 0x3200
        mov eax, r11d
        and eax, 0x4001
        EQ eax, 0x4001
        pushfq
        pop rax
        and eax, 0x4700 ; masked
        EQ eax, 0
        mov eax, cs
        EQ eax, SEL_CODE0
        mov eax, ss
        EQ eax, SEL_DATA0
        ; #UD when SCE is off
        mov ecx, 0xc0000080
        rdmsr
        and eax, ~1
        wrmsr
        TRY64 syscall
        GOT 6
        push qword 2
        popfq
        ret

; ---- compatibility mode: 32-bit code, 4 GiB, faults come to 64-bit handlers and back ----
compatibility:
        mov [kernel_rsp], rsp
        mov dword [hook64], 0
        push qword SEL_CODE0
        push qword .code32
        o64 retf
bits 32
.code32:
        mov eax, SEL_DATA0
        mov ds, eax
        mov ss, eax
        mov esp, 0x8800
        mov eax, -1
        inc eax ; 40h is INC here, not REX
        mov [seen_cs], eax
        push dword 0x1234
        pop ebx
        mov [seen_ss], esp
        int 52 ; served by 64-bit code, which returns here
        jmp SEL_CODE64:.again
bits 64
.again: mov rsp, [kernel_rsp]
        EQ dword [seen_cs], 0
        EQ dword [seen_ss], 0x8800
        EQ dword [compat_calls], 1
        EQ ebx, 0x1234
        ret

; ---- 64-bit IDT ----
make_tables:
        mov edi, IDT64
        mov esi, stubs64
        mov ecx, 64
.gate:  mov eax, esi
        mov word [rdi], ax
        mov word [rdi + 2], SEL_CODE64
        mov word [rdi + 4], 0xee00
        shr eax, 16
        mov word [rdi + 6], ax
        mov qword [rdi + 8], 0
        add edi, 16
        add esi, 16
        loop .gate
        mov byte [IDT64 + 51 * 16 + 4], 1
        lidt [idt64_register]
        mov edi, TSS64
        mov ecx, 26
        xor eax, eax
        rep stosd
        mov qword [TSS64 + 4], KERNEL_STACK
        mov qword [TSS64 + 0x24], 0xa000
        mov dword [gdt + SEL_FREE], 0x67 | (TSS64 & 0xffff) << 16
        mov dword [gdt + SEL_FREE + 4], 0x8900 | TSS64 >> 16
        mov qword [gdt + SEL_FREE + 8], 0
        mov ax, SEL_FREE
        ltr ax
        ret

align 16
stubs64:
%assign vector 0
%rep 64
        align 16
%if vector != 8 && (vector < 10 || vector > 14) && vector != 17
        push qword 0
%endif
        push qword vector
        jmp near handler64
%assign vector vector + 1
%endrep
        align 16

handler64:
        cmp qword [rsp], 52
        je .compat
        pop qword [last_vector64]
        pop qword [last_error64]
        mov [handler_rsp], rsp
        mov [save_rax], rax
        mov eax, [last_vector64]
        mov [last_vector], eax
        mov eax, [last_error64]
        mov [last_error], eax
        mov rax, [rsp + 24]
        mov [last_rsp], rax
        mov rax, cr2
        mov [last_cr2_64], rax
        mov [last_cr2], rax
        mov rax, [save_rax]
        mov rsp, [saved_rsp]
        push qword 2
        popfq
        push rax
        mov eax, [resume]
        mov [save_rax], rax
        pop rax
        jmp [save_rax]
.compat:
        inc dword [compat_calls]
        add rsp, 16
        iretq

align 8
saved_rsp dq 0
save_rax dq 0
last_rsp dq 0
handler_rsp dq 0
last_vector64 dq 0
last_error64 dq 0
last_cr2_64 dq 0
kernel_rsp dq 0
seen_cs dd 0
seen_ss dd 0
hook64 dd 0
compat_calls dd 0
idt64_register:
        dw 64 * 16 - 1
        dq IDT64
bits 32

END_OF_IMAGE
