; SPDX-License-Identifier: MIT
; A kernel that does what a list of commands says, and programs for it to run, in 64-bit mode. The
; test makes page tables and commands, and looks at what each program ended with.
bits 64
org 0x1000

%define KSTACK   0x1f000
%define COMMANDS 0x20000        ; 32 bytes each: what, three operands
%define RESULTS  0x40000        ; 192 bytes each
%define PHYSMAP  0xffff800000000000

start:
    jmp setup
align 8
    dq user64 - $$ + 0x1000, user32 - $$ + 0x1000
    dw (names_end - names) / 2, 0, 0, 0
names:                          ; where programs begin, in their page
%macro name 1-*
%rep %0
    dw %1 - user64
%rotate 1
%endrep
%endmacro
    name r_base, r_frame, r_stack, r_far_up, r_far_down, r_index, r_sum, r_narrow, r_thread
    name r_scaled, r_group, r_group_spilled, r_pops, r_pops_mixed, r_spilled, r_aligned
    name r_vector, r_string, r_ret, r_x87, r_near
    name w_base, w_frame, w_pushes, w_pushes_mixed, w_aligned, w_add, w_lock, w_xchg, w_high
    name w_vector, w_cmpxchg, w_stos
    name w_call, w_group, w_far_up, w_far_down, w_adc, w_near
    name walk, patch, patched, frames, rip_relative, thread, twice, pop_to_memory, copy
    name jumps, near_far
%macro name32 1-*
%rep %0
    dw %1 - user32
%rotate 1
%endrep
%endmacro
    name32 n_read, n_write, n_stack, n_wrap, n_code_read, n_code_write, n_thread, n_high, n_lock
    name32 n_far, n_group, n_jump
names_end:

align 8
result_at:  dq RESULTS
command_at: dq COMMANDS

align 16
gdt:
    dq 0
    dq 0x00af9b000000ffff       ; 08: kernel
    dq 0x00cf93000000ffff       ; 10
    dq 0x00cffb000000ffff       ; 18: 32-bit programs
    dq 0x00cff3000000ffff       ; 20
    dq 0x00affb000000ffff       ; 28: 64-bit programs
    dq 0x00cff9000000ffff       ; 30: 32-bit programs, not to be read
    dq 0x0040f30000000fff       ; 38: 4 KiB of data
tss_at:
    dq 0, 0
    dq 0x008ff3000000ffff       ; 50: a stack for SP
gdt_end:
gdt_pointer:
    dw gdt_end - gdt - 1
    dq gdt
idt_pointer:
    dw 256 * 16 - 1
    dq 0x13000
align 8
tss:
    dd 0
    dq KSTACK
    times 100 - 12 db 0
    dw 104, 0

setup:
    mov esp, KSTACK
    lgdt [abs gdt_pointer]
    mov eax, tss
    mov word [abs tss_at], 103
    mov [abs tss_at + 2], ax
    mov byte [abs tss_at + 5], 0x89
    lea rdi, [abs 0x13000]
    mov esi, stubs
    xor ecx, ecx
.gate:
    mov rax, rsi
    cmp ecx, 0x80
    jb .known
    mov eax, stub_80
.known:
    mov [rdi], ax
    mov word [rdi + 2], 8
    mov word [rdi + 4], 0xee00
    shr eax, 16
    mov [rdi + 6], ax
    mov qword [rdi + 8], 0
    add rdi, 16
    inc ecx
    cmp ecx, 32
    jae .far
    add rsi, 16
.far:
    cmp ecx, 256
    jb .gate
    lidt [abs idt_pointer]
    mov ax, tss_at - gdt
    ltr ax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x801               ; NXE, SCE
    wrmsr
    mov ecx, 0xc0000081         ; STAR
    xor eax, eax
    mov edx, 0x001b0008
    wrmsr
    inc ecx                     ; LSTAR
    mov eax, from_syscall
    xor edx, edx
    wrmsr
    mov ecx, 0xc0000084         ; SFMASK
    mov eax, 0x700
    wrmsr
    mov rax, cr0
    and eax, ~0x2c              ; EM, TS, NE
    or eax, 0x10022             ; WP
    mov cr0, rax
    mov rax, cr4
    or eax, 0x600               ; OSFXSR, OSXMMEXCPT
    mov cr4, rax
    fninit
again:
    hlt
    mov qword [abs result_at], RESULTS
    mov ebx, COMMANDS
do:
    mov [abs command_at], rbx
    mov rax, [rbx]
    mov rcx, [rbx + 8]
    mov rdx, [rbx + 16]
    mov rsi, [rbx + 24]
    jmp [abs table + rax * 8]
table:
    dq again, run, run_sysret, write, invlpage, load_cr3, inv_pcid, load_cr4, toggle
next:
    mov rbx, [abs command_at]
    add rbx, 32
    jmp do

write:
    mov rax, PHYSMAP
    mov [rax + rcx], rdx
    jmp next
invlpage:
    invlpg [rcx]
    jmp next
load_cr3:
    mov cr3, rcx
    jmp next
inv_pcid:
    push rsi
    push rdx
    invpcid rcx, [rsp]
    add rsp, 16
    jmp next
load_cr4:
    mov cr4, rcx
    jmp next
toggle:
    mov rax, cr4
    mov rdx, rax
    xor al, 0x80
    mov cr4, rax
    mov cr4, rdx
    jmp next

; RCX: 16 registers, RIP, RFLAGS, CS, SS, base of FS
load_fs:
    push rcx
    mov rax, [rcx + 20 * 8]
    mov rdx, rax
    shr rdx, 32
    mov ecx, 0xc0000100
    wrmsr
    pop rcx
    ret
run:
    mov eax, [rcx + 19 * 8]
    cmp eax, 0x23
    jne .data
    mov ds, ax
    mov es, ax
.data:
    mov eax, [rcx + 21 * 8]
    mov fs, ax
    test eax, eax
    jnz .based
    call load_fs
.based:
    push qword [rcx + 19 * 8]
    push qword [rcx + 4 * 8]
    push qword [rcx + 17 * 8]
    push qword [rcx + 18 * 8]
    push qword [rcx + 16 * 8]
    call load_registers
    iretq
run_sysret:
    call load_fs
    call load_registers
    mov [abs .stack], rsp
    mov rsp, [rcx + 4 * 8]
    mov r11, [rcx + 17 * 8]
    mov rcx, [rcx + 16 * 8]
    o64 sysret
align 8
.stack:
    dq 0

%macro each 1
    %1 rax, 0
    %1 rdx, 2
    %1 rbx, 3
    %1 rbp, 5
    %1 rsi, 6
    %1 rdi, 7
    %1 r8, 8
    %1 r9, 9
    %1 r10, 10
    %1 r11, 11
    %1 r12, 12
    %1 r13, 13
    %1 r14, 14
    %1 r15, 15
%endmacro
%macro load_one 2
    mov %1, [rcx + %2 * 8]
%endmacro
%macro store_one 2
    mov [rcx + 64 + %2 * 8], %1
%endmacro
load_registers:
    each load_one
    push rax
    mov rax, [rcx + 8]
    mov [abs run_rcx], rax
    pop rax
    cmp dword [rcx + 18 * 8], 0
    je .stays
    mov rcx, [rcx + 8]
.stays:
    ret
align 8
run_rcx: dq 0

%macro error_code 1
    %if %1 == 8 || (%1 >= 10 && %1 <= 14) || %1 == 17
    %else
    push qword 0
    %endif
%endmacro
align 16
stubs:
%assign n 0
%rep 32
align 16
    error_code n
    push qword n
    jmp trap
%assign n n + 1
%endrep
align 16
stub_80:
    push qword 0
    push qword 0x80
trap:
    push rcx
    mov rcx, [abs result_at]
    each store_one
    pop rax
    mov [rcx + 64 + 8], rax
    pop qword [rcx]             ; vector
    pop qword [rcx + 8]         ; error code
    pop qword [rcx + 24]        ; RIP
    pop qword [rcx + 40]        ; CS
    pop qword [rcx + 32]        ; RFLAGS
    pop qword [rcx + 64 + 32]
    pop qword [rcx + 48]        ; SS
    jmp ended
from_syscall:
    mov [abs .rcx], rcx
    mov rcx, [abs result_at]
    each store_one
    mov [rcx + 64 + 32], rsp
    mov esp, KSTACK
    mov rax, [abs .rcx]
    mov [rcx + 64 + 8], rax
    mov [rcx + 24], rax
    mov [rcx + 32], r11
    mov qword [rcx], 0x100
    mov qword [rcx + 8], 0
    mov qword [rcx + 40], 0x2b
    mov qword [rcx + 48], 0x23
    jmp ended
align 8
.rcx: dq 0
ended:
    mov rax, cr2
    mov [rcx + 16], rax
    add qword [abs result_at], 192
    mov esp, KSTACK
    jmp next

; ---- programs, at any address. RBX, RBP, RSP: what is accessed

align 4096
user64:
%macro program 1
align 16
%1:
%endmacro
program r_base
    mov rax, [rbx]
    syscall
program r_frame
    mov rax, [rbp]
    syscall
program r_stack
    mov rax, [rsp + 8]
    syscall
program r_far_up
    mov eax, [rbx + 0x7ffffff0]
    syscall
program r_far_down
    mov eax, [rbp - 0x80000000]
    syscall
program r_index
    mov rax, [rbx + rdx * 8 + 0x10]
    syscall
program r_sum
    movzx eax, word [r12 + r13]
    syscall
program r_narrow
    mov rax, [ebx + edx]
    syscall
program r_thread
    mov rax, [fs:rbx]
    syscall
program r_scaled
    mov rax, [rdx * 8 + 0x12345678]
    syscall
program r_group
    mov rax, [rbp - 8]
    mov rdx, [rbp]
    mov rsi, [rbp + 0x40]
    add rsi, [rbp + 0x48]
    syscall
program r_group_spilled
    mov rax, [r10]
    mov rdx, [r10 + 8]
    mov r9, [r10 + 24]
    syscall
program r_pops
    pop rax
    pop rdx
    pop r11
    pop rsi
    syscall
program r_pops_mixed
    cmp rax, 5
    pop rax
    mov r12, rax
    xor ecx, ecx
    pop rdx
    sub rdx, r12
    pop rbx
    adc r12d, 7
    pop rsi
    setc dil
    syscall
program r_spilled
    mov r10d, [rbx]
    shl r10d, 3
    xor r10d, eax
    mov r9, r10
    add r9, [rbx + 4]
    lea r11, [r9 + r9 * 2]
    movzx r10, word [rbp]
    cmp r10, r9
    cmovb r9, [rbp]
    syscall
program r_aligned
    movaps xmm0, [rbp]
    paddd xmm0, [rbx]
    movq rax, xmm0
    syscall
program r_vector
    movups xmm0, [rbp]
    movq rax, xmm0
    syscall
program r_string
    lodsq
    syscall
program r_ret
    pop rax
    ret
program r_x87
    fld qword [rbp]
    fstp st0
    syscall
program near_far                ; as r_near, with RBX and RBP far from one another
    mov rdx, rbp
    mov rcx, rbx
    mov rax, [rcx]
    add rax, [rcx + 8]
    xchg rcx, rdx
    add rax, [rcx]
    add rax, [rcx + 8]
    push rbx
    pop rcx
    add rax, [rcx]
    add rax, [rcx + 16]
    mov ecx, ebx
    add rax, [rcx]
    add rax, [rcx + 8]
    add rdx, rbp
    sub rdx, rbx
    add rax, [rdx]
    add rax, [rdx + 8]
    lea rdx, [rbp + 8]
    sub rdx, -8
    add rax, [rdx]
    syscall
program r_near                  ; registers beside one another, and no longer
    mov rcx, rbx
    mov eax, [rbx]
    add rcx, 4
    cmp eax, 7
    je .out
    add rax, [rcx]
    lea rdx, [rcx - 8]
    add rax, [rdx + 0x10]
    mov rcx, rbp
    add rax, [rcx + 8]
    inc rcx
    cmp rax, [rcx + 3]
    jb .out
    movzx edi, byte [rcx]
    mov rdx, rsp
    sub rdx, 16
    mov rsi, [rdx + 24]
.out:
    syscall
program w_near
    push rax
    sub rsp, 16
    mov [rsp + 8], rbx
    test rax, rax
    js .out
    lea rdi, [rsp + 4]
    mov [rdi], ecx
    mov rdi, rbp
    mov [rdi], rcx
    add rsp, 8
    pop rdx
    call .behind
.behind:
    pop rsi
    mov [rsp - 8], rdx
    mov rdi, rbx
    mov [rdi + 8], rdx
.out:
    syscall
program w_base
    mov [rbx], rax
    syscall
program w_frame
    mov [rbp], eax
    syscall
program w_pushes
    push rax
    push rdx
    push r12
    syscall
program w_pushes_mixed
    push rax
    mov r14, rdx
    push rdx
    xor edx, edx
    cmp r14d, eax
    push r12
    test eax, eax
    push r13
    add r14, rax
    syscall
program w_aligned
    movq xmm1, rax
    movaps [rbp], xmm1
    syscall
program w_add
    add [rbp], rax
    syscall
program w_lock
    lock add [rbx], rax
    syscall
program w_xchg
    xchg [rbp], rax
    syscall
program w_high
    mov [rbx], ah
    mov [rbx + 1], ch
    mov [rbx + 2], dh
    syscall
program w_vector
    movq xmm1, rax
    movups [rbp], xmm1
    syscall
program w_cmpxchg
    lock cmpxchg [rbp], rdx
    syscall
program w_stos
    stosq
    syscall
program w_call
    call .there
    nop
.there:
    syscall
program w_group
    mov [rbp], rax
    mov [rbp + 8], rdx
    add [rbp + 16], rax
    syscall
program w_far_up
    mov [rbx + 0x7ffffff0], al
    syscall
program w_far_down
    mov [rbp - 0x80000000], al
    syscall
program w_adc
    stc
    adc [rbx], rax
    syscall

; from RBX on RDX times R8 bytes apart: reads, writes, counts
program walk
    xor eax, eax
.again:
    add rax, [rbx]
    inc qword [rbx]
    mov [rbx + 8], dl
    add rbx, r8
    dec rdx
    jnz .again
    syscall

; the immediate at RBX is that of the page which is executed, RDX times
program patch
    xor eax, eax
.again:
    mov [rbx], edx
    mov ecx, 1
    call patched
    dec rdx
    jnz .again
    syscall
program patched
    mov ecx, 0x11223344
    add rax, rcx
    ret

program frames
    push rbp
    mov rbp, rsp
    sub rsp, 32
    mov [rbp - 8], rdx
    mov [rbp - 16], rax
    test rdx, rdx
    jz .end
    dec rdx
    call frames
.end:
    mov rdx, [rbp - 8]
    add rax, rdx
    leave
    cmp qword [rsp], 0
    je .out
    ret
.out:
    syscall

program rip_relative
    mov eax, [rel .data]
    add eax, [rel .data + 0x1000 - 2]
    syscall
.data:
    dd 0x01020304

program thread
    mov rax, [fs:0]
    add [fs:8], rax
    mov rdx, [fs:rbx + 8]
    mov ecx, [fs:0x10]
    syscall

; two places
program twice
    mov rax, [rbx]
    mov rdx, [rbp]
    mov rsi, [rbx]
    syscall
program pop_to_memory
    pop qword [rbp]
    syscall
program copy
    mov rcx, r8
    rep movsb
    syscall
program jumps                   ; loops, by way of a table
    xor eax, eax
.again:
    mov rcx, [rbp]
    call rcx
    dec edx
    jnz .again
    syscall
    times 4096 - ($ - user64) db 0x90
    times 4096 db 0xcc

bits 32
user32:
program n_read
    mov eax, [ebx]
    int 0x80
program n_write
    mov [ebx], eax
    int 0x80
program n_stack
    push eax
    push edx
    call .there
.there:
    pop ecx
    pop esi
    pop edi
    int 0x80
program n_wrap
    mov eax, [ebx + 0x7fffffff]
    mov [ebx + edx * 4 + 0x40], eax
    int 0x80
program n_code_read
    mov eax, [cs:ebx]
    int 0x80
program n_code_write
    mov [cs:ebx], eax
    int 0x80
program n_thread
    mov eax, [fs:ebx]
    int 0x80
program n_high
    mov [ebx], ah
    mov [ebx + 1], ch
    mov eax, [esi * 2 + 0x100]
    mov ax, [bx + si]
    int 0x80
program n_lock
    lock add [ebp], eax
    xchg [ebp], edx
    int 0x80
program n_far
    mov eax, [ebp - 0x7ffffff0]
    int 0x80
program n_group
    mov eax, [ebx]
    mov edx, [ebx + 4]
    add [ebx + 8], edx
    int 0x80
program n_jump                  ; loops, by way of a table
    xor eax, eax
.again:
    add eax, [ebx]
    mov ecx, [ebp]
    call ecx
    dec edx
    jnz .again
    int 0x80
    times 4096 - ($ - user32) db 0x90
