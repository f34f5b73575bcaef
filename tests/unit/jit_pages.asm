; SPDX-License-Identifier: MIT
; Code that calls other pages, returns to pages that have changed meanwhile, and reads structures
; that lie across pages; looks at fresh pages. 64-bit code at 1000h with all of the first 2 MiB mapped at its address;
; the pages from V on are mapped here. Results go to RESULTS, one quadword each.
bits 64
org 0x1000

%define TABLES  0x20000
%define PT      (TABLES + 0x3000)
%define PT2     (TABLES + 0x7000)
%define V       0x200000
%define RESULTS 0x18000
%define LOOPS   300

start:
    mov rdi, TABLES
    xor eax, eax
    mov ecx, 0x8000 / 8
    rep stosq
    lea rbx, [abs TABLES]
    call tables
    lea rbx, [abs TABLES + 0x4000]
    call tables
    mov edi, 0x40000
    lea rsi, [rel codes]
    mov ecx, (codes_end - codes) / 8
    rep movsq
    mov rax, TABLES
    mov cr3, rax
    mov ebp, RESULTS

; another page is mapped where a call leads to
    call map_plain
    call many                   ; LOOPS * 1
    mov dword [abs PT + 8], 0x42003
    invlpg [abs V + 0x1000]
    call many                   ; LOOPS * 1000
    mov dword [0x42000 + add_b - code_b + 1], 7
    call many                   ; LOOPS * 7

; the same in two address spaces
    mov dword [abs PT2 + 8], 0x41003
    mov r12d, 20
    xor r13d, r13d
.spaces:
    mov rax, TABLES + 0x4000
    mov cr3, rax
    call one
    add r13, rax
    mov rax, TABLES
    mov cr3, rax
    call one
    add r13, rax
    dec r12d
    jnz .spaces
    mov [rbp], r13              ; 20 * 8
    add ebp, 8

; the caller's page is another one when the call returns
    mov r12d, LOOPS
    xor eax, eax
.remap:
    mov dword [abs PT], 0x43003
    mov dword [abs PT + 8], 0x44003
    invlpg [abs V]
    invlpg [abs V + 0x1000]
    mov ecx, 1
    mov edx, V
    call rdx
    dec r12d
    jnz .remap
    mov [rbp], rax              ; LOOPS * 2
    add ebp, 8

; the instruction that the call returns to is written anew by what was called
    mov dword [abs PT], 0x46003
    mov dword [abs PT + 8], 0x47003
    invlpg [abs V]
    invlpg [abs V + 0x1000]
    xor eax, eax
    mov ecx, LOOPS
    mov edx, V
    call rdx
    mov [rbp], rax              ; 1 + 2 + ... LOOPS, modulo 128 each
    add ebp, 8

; deeper than the host's stack remembers
    xor eax, eax
    mov ecx, 5000
    call deep
    mov [rbp], rax              ; 5000
    add ebp, 8

; returns to where no call was: two stacks that take turns
    mov r8d, 0x70000
    lea rax, [rel other]
    mov [r8], rax
    xor eax, eax
    mov ecx, LOOPS
.turns:
    call switch
    dec ecx
    jnz .turns
    mov [rbp], rax              ; LOOPS * 3
    add ebp, 8

; structures across pages that are not neighbours
    mov dword [abs PT + 16], 0x50003
    mov dword [abs PT + 24], 0x60003
    invlpg [abs V + 0x2000]
    invlpg [abs V + 0x3000]
    mov ecx, LOOPS
    lea rbx, [abs V + 0x3000 - 12]
    xor eax, eax
    mov [rbx], rax
    mov [rbx + 8], rax
    mov [rbx + 16], rax
.fields:
    add qword [rbx], 1
    add qword [rbx + 8], 2
    mov rdx, [rbx + 8]
    add [rbx + 16], rdx
    mov rax, [rbx + 16]
    test cl, 15
    jnz .same
    xor rbx, 0xff4 ^ 0x100      ; at times it is within one page
.same:
    dec ecx
    jnz .fields
    mov [rbp], rax
    mov rax, [abs 0x50ff4]
    mov [rbp + 8], rax
    mov rax, [abs 0x60004]
    mov [rbp + 16], rax
    add ebp, 24

; first looks at pages, by code that uses the x87 and by code that does not, before and after an
; exception is unmasked: then the last operand's address is kept
    fninit
    mov esi, 0x100000
    mov ecx, 20
.masked:
    fld1
    mov rax, [rsi]
    add rsi, 4096
    fstp st0
    dec ecx
    jnz .masked
    mov word [rbp], 0x37e
    fldcw [rbp]
    mov ebx, 0x60000
    mov ecx, 20
.unmasked:
    mov rax, [rsi]
    add rsi, 4096
    jmp .next
.next:
    fld qword [rbx]
    fstp st0
    add rbx, 8
    dec ecx
    jnz .unmasked
    fnstenv [rbp + 64]
    mov eax, [rbp + 64 + 20]
    mov [rbp], rax
    hlt

tables:                         ; at RBX
    lea rax, [rbx + 0x1003]
    mov [rbx], rax
    lea rax, [rbx + 0x2003]
    mov [rbx + 0x1000], rax
    mov qword [rbx + 0x2000], 0x83
    lea rax, [rbx + 0x3003]
    mov [rbx + 0x2008], rax
    mov dword [rbx + 0x3000], 0x40003
    ret

map_plain:
    mov dword [abs PT], 0x40003
    mov dword [abs PT + 8], 0x41003
    ret

many:
    mov ecx, LOOPS
    call count
    mov [rbp], rax
    add ebp, 8
    ret
one:
    mov ecx, 1
count:
    xor eax, eax
    mov edx, V
    jmp rdx

deep:
    dec ecx
    jz .end
    call deep
.end:
    inc eax
    ret

switch:
    xchg rsp, r8
    ret
other:
    add eax, 3
    call switch
    jmp other

align 8
codes:                          ; goes to 40000h
caller:
.again:
    call $ + 0x1000             ; the same offset in the next page
    dec ecx
    jnz .again
    ret
    times 0x1000 - ($ - codes) nop
code_a:                         ; 41000h
    inc eax
    ret
    times 0x2000 - ($ - codes) nop
code_b:                         ; 42000h
add_b:
    add eax, 1000
    ret
    times 0x3000 - ($ - codes) nop
    call $ + 0x1000             ; 43000h
    add eax, 1
    ret
    times 0x4000 - ($ - codes) nop
    mov dword [abs PT], 0x45003 ; 44000h
    invlpg [abs V]
    ret
    times 0x5000 - ($ - codes) nop
    call $ + 0x1000             ; 45000h
    add eax, 2
    ret
    times 0x6000 - ($ - codes) nop
self:                           ; 46000h
    call $ + 0x1000
patched:
    add eax, strict byte 0
    dec ecx
    jnz self
    ret
    times 0x7000 - ($ - codes) nop
    mov esi, ecx                ; 47000h
    and esi, 127
    mov [abs V + patched - codes - 0x6000 + 2], sil
    ret
    times 0x8000 - ($ - codes) nop
codes_end:
