; SPDX-License-Identifier: MIT
; Code that is written while it runs, in 64-bit mode without tables of its own. KIND at 18000h says what is done,
; ROUNDS at 18008h how often; the result goes to RESULT.
bits 64
org 0x1000

%define KIND   0x18000
%define ROUNDS 0x18008
%define RESULT 0x18010
%define MADE   0x20000

start:
    mov rcx, [abs ROUNDS]
    mov rdx, [abs KIND]
    xor eax, eax
    lea rbx, [rel table]
    movsxd rdx, dword [rbx + rdx * 4]
    add rbx, rdx
    call rbx
    mov [abs RESULT], rax
    hlt

align 4
table:
    dd beside - table, same_line - table, immediate - table, generator - table
    dd fill - table, callee - table

; data on the same page as the loop that writes it
align 64
beside:
    lea rsi, [rel counter]
.again:
    add [rsi], rcx
    add rax, [rsi]
    dec rcx
    jnz .again
    ret

; in the same 64 bytes even
align 64
same_line:
    lea rsi, [rel .word]
.again:
    add [rsi], rcx
    add rax, [rsi]
    dec rcx
    jnz .again
    ret
.word:
    dq 0

; the immediate of an instruction of a hot loop is another one in each round
align 64
immediate:
    mov r8d, 16
.again:
.patched:
    add eax, strict dword 1
    dec r8d
    jnz .again
    mov [rel .patched + 1], ecx
    dec rcx
    jnz immediate
    ret

; a function is generated, called a few times, and the next one is generated over it
align 64
generator:
    mov edi, MADE
    mov byte [rdi], 0xb8        ; mov eax, ecx as it is now
    mov [rdi + 1], ecx
    mov dword [rdi + 5], 0x9004c083 ; add eax, 4; nop
    mov byte [rdi + 9], 0xc3
    xor r9d, r9d
    mov r8d, 20
.calls:
    mov edx, MADE
    call rdx
    add r9d, eax
    dec r8d
    jnz .calls
    add r10, r9
    dec rcx
    jnz generator
    mov rax, r10
    ret

; a generator that appends: each function is new code on a page that has code already
align 64
fill:
    mov edi, MADE
    mov r11d, 250
.next:
    mov byte [rdi], 0xb8
    mov [rdi + 1], ecx
    mov dword [rdi + 5], 0x9004c083
    mov byte [rdi + 9], 0xc3
    mov r8d, 8
.calls:
    call rdi
    add r10, rax
    dec r8d
    jnz .calls
    add rdi, 16
    dec rcx
    jz .end
    dec r11d
    jnz .next
    jmp fill
.end:
    mov rax, r10
    ret

; the target of a call is patched between two functions
align 64
callee:
    lea rdi, [rel .one]
    lea rsi, [rel .two]
.again:
    test cl, 1
    mov rdx, rdi
    cmovz rdx, rsi
    lea rbx, [rel .behind]
    sub rdx, rbx
    mov [rel .behind - 4], edx
.call:
    call .one
.behind:
    dec rcx
    jnz .again
    ret
align 64
.one:
    add rax, 1
    ret
align 64
.two:
    add rax, 1000
    ret

align 64
counter:
    dq 0
