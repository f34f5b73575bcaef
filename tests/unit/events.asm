; SPDX-License-Identifier: MIT
; Guest code for events_test.c: 64-bit, everything mapped, CPL 0. RDI = address of a routine, RSI =
; how often it is called; then HLT. R15 = where a fault goes on, [last_vector] = which it was.
;
; The routines' addresses are at the image's start, in the order of enum routine.
bits 64
org 0x10000
DATA equ 0x200000
OTHER equ 0x300000

        dq start, data, ops, string, crossing, branchy, callee, rmw, faults, target, target.at
        dq target.next, target.leaf, syscalls, x87, patch, patch.insn, last_vector

start:  lgdt [gdt_register]
        lidt [idt_register]
        mov rsp, 0x80000
        mov eax, 0x28
        ltr ax
        mov r14, rsi
        mov rax, cr4
        or eax, 0x600 ; OSFXSR, OSXMMEXCPT
        mov cr4, rax
        mov ecx, 0xc0000080 ; SCE
        rdmsr
        or eax, 1
        wrmsr
        mov ecx, 0xc0000081
        xor eax, eax
        mov edx, 0x00130008 ; SYSRET: CS 23h, SS 1Bh; SYSCALL: CS 8
        wrmsr
        mov ecx, 0xc0000082
        mov eax, kernel
        xor edx, edx
        wrmsr
        mov ecx, 0xc0000084
        xor eax, eax
        xor edx, edx
        wrmsr
.again: mov rbx, rdi
        call rbx
        dec r14
        jnz .again
        hlt

; reads and writes of DATA: 3 writes (8, 4, 1 bytes), 2 reads (8, 16 bytes)
data:   mov rax, 0x1122334455667788
        mov [DATA], rax
        mov dword [DATA + 8], 0x55
        mov byte [DATA + 15], 7
        mov rbx, [DATA]
        movdqu xmm0, [DATA]
        mov [OTHER], rbx
        ret

ops:    mov eax, 1
        xor ecx, ecx
        cpuid
        mov [OTHER + 8], ecx
        rdtsc
        mov [OTHER + 16], eax
        mov ecx, 0xc0000103 ; TSC_AUX
        mov eax, 0x1234
        xor edx, edx
        wrmsr
        rdmsr
        mov [OTHER + 24], eax
        mov dx, 0x510
        mov eax, 0x5a
        out dx, al
        in al, dx
        mov [OTHER + 32], al
        sgdt [OTHER + 48]
        lgdt [OTHER + 48]
        mov rax, cr4
        or rax, 0x80
        mov cr4, rax
        mov rax, cr3
        mov cr3, rax
        invlpg [DATA]
        ret

string: mov rdi, DATA - 4
        mov ecx, 4 ; two elements of four bytes each side of the page's start
        mov eax, 0x01020304
        cld
        rep stosd
        mov rdi, string
        ret

crossing:
        mov rax, 0x1122334455667788
        mov [DATA - 3], rax
        mov rbx, [DATA - 3]
        ret

; 1 + 3 * 4 + 1 instructions
branchy:
        mov ecx, 3
.loop:  add eax, ecx
        test eax, eax
        dec ecx
        jnz .loop
        js .end
        nop
.end:   ret

callee: call .inner
        nop
        call .inner
        ret
.inner: push rax
        pop rax
        ret

rmw:    mov eax, 5
        add [DATA], eax
        lock inc dword [DATA + 4]
        xchg [DATA + 8], eax
        mov ecx, 9
        lock xadd [DATA + 8], ecx
        ret

faults: mov r15, .a
        ud2
.a:     mov r15, .b
        mov rax, 0x7fff00000000
        mov rax, [rax]
.b:     mov r15, .c
        int3
.c:     ret

target: xor eax, eax
.at:    inc eax
.next:  inc eax
        call .leaf
        ret
.leaf:  add eax, 10
        ret

patch:  mov eax, 1
.insn:  add eax, 100
        mov [OTHER], eax
        ret

; To CPL 3, two system calls there, and back by INT 40h
syscalls:
        mov [saved_rsp], rsp
        push 0x1b
        push 0x70000
        push 2
        push 0x23
        push .user
        iretq
.user:  mov eax, 39
        mov edi, 1
        mov esi, 2
        mov edx, 3
        mov r10d, 4
        mov r8d, 5
        mov r9d, 6
        syscall
        mov [OTHER + 40], rax
        mov eax, 60
        syscall
        int 0x40
kernel: add rax, 1000
        o64 sysret
back:   mov rsp, [saved_rsp]
        mov rdi, syscalls
        ret

x87:    fld1
        fstp qword [DATA]
        fldz
        fst dword [DATA + 8]
        fstp st0
        fnstsw ax
        mov [OTHER], ax
        ret

; ---- exceptions

%macro VECTOR 2 ; number, bytes of error code
vector%1:
        add rsp, %2
        mov dword [last_vector], %1
        inc dword [fault_count]
        mov [rsp], r15
        iretq
%endmacro
        VECTOR 3, 0
        VECTOR 6, 0
        VECTOR 13, 8
        VECTOR 14, 8

%macro GATE 2 ; handler, type
        dw (%1 - $$ + 0x10000) & 0xffff, 8
        db 0, %2
        dw (%1 - $$ + 0x10000) >> 16
        dd 0, 0
%endmacro
        align 16
idt:    times 3 * 16 db 0
        GATE vector3, 0x8e
        times 2 * 16 db 0
        GATE vector6, 0x8e
        times 6 * 16 db 0
        GATE vector13, 0x8e
        GATE vector14, 0x8e
        times (0x40 - 15) * 16 db 0
        GATE back, 0xee
idt_register:
        dw $ - idt - 1
        dq idt
        align 16
gdt:    dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff
        dw 0x67, tss - $$
        db 1, 0x89, 0, 0 ; base 1xxxxh
        dq 0
gdt_register:
        dw $ - gdt - 1
        dq gdt
        align 16
tss:    dd 0
        dq 0x7f000
        times 0x68 - 12 db 0
saved_rsp: dq 0
last_vector: dd 0
fault_count: dd 0
