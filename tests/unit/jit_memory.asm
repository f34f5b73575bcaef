; SPDX-License-Identifier: MIT
; Memory of translated code where tables say something special: REP MOVS and REP STOS over pages that are not
; neighbours, of which some are absent or read-only; A and D bits of operands that are masked out
; or misaligned. 64-bit code at 1000h; the first 2 MiB are mapped at their address by a page table of 4 KiB pages,
; those from V on here. Results go to RESULTS, one quadword each; R15 points behind the last.
bits 64
org 0x1000

%define TABLES  0x20000
%define PT      (TABLES + 0x3000)
%define V       0x200000
%define FRAMES  0x100000        ; 16 pages, in another order
%define IDT     0x30000
%define RESULTS 0x18000
%define LOOPS   60

start:
    mov rdi, TABLES
    xor eax, eax
    mov ecx, 0x4000 / 8
    rep stosq
    mov dword [abs TABLES], TABLES + 0x1003
    mov dword [abs TABLES + 0x1000], TABLES + 0x2003
    mov dword [abs TABLES + 0x2000], 0x83
    mov dword [abs TABLES + 0x2008], PT + 3
    call map
    lgdt [rel gdt_pointer]
    mov eax, 0x10
    mov ss, ax
    push 8
    lea rax, [rel .loaded]
    push rax
    retfq
.loaded:
    mov rax, TABLES
    mov cr3, rax
    mov rax, cr0
    or eax, 1 << 16             ; WP
    mov cr0, rax
    mov eax, 14
    lea rdx, [rel page_fault]
    call gate
    mov eax, 13
    lea rdx, [rel protection]
    call gate
    lidt [rel idt]
    mov r15, RESULTS
    mov edi, FRAMES
    mov eax, 1
    mov ecx, 0x10000
.fill:
    stosb
    imul eax, eax, 37
    add eax, 11
    dec ecx
    jnz .fill

; copies of every size, by pages in any order, over themselves, too
    xor r14d, r14d
.copies:
    mov esi, V + 0x123
    mov edi, V + 0x7340
    mov ecx, 0x5678
    rep movsb
    lea rsi, [abs V + 0x0010]
    lea rdi, [abs V + 0x6008]
    mov ecx, 0x4000 / 8
    rep movsq
    mov esi, V + 0xffe          ; elements across pages
    mov edi, V + 0x8003
    mov ecx, 0x3000 / 4
    rep movsd
    mov esi, V + 0x2000         ; what is written is read again
    mov edi, V + 0x2002
    mov ecx, 0x2fff
    rep movsw
    mov edi, V + 0x3ffd
    mov ecx, 0x2345
    mov eax, 0x11223344
    add eax, r14d
    rep stosd
    mov edi, V + 0xc801
    mov ecx, 0x1fff
    rep stosb
    mov rax, rsi
    add rax, rdi
    add rax, rcx
    call store
    inc r14d
    cmp r14d, LOOPS
    jne .copies
    call sum

; a page in the middle is absent on one side, then read-only on the other; the handler mends it
    mov r13d, LOOPS
.faults:
    and dword [abs PT + 2 * 8], ~1
    and dword [abs PT + 9 * 8], ~2
    invlpg [abs V + 0x2000]
    invlpg [abs V + 0x9000]
    mov esi, V + 0x800
    mov edi, V + 0x8004
    mov ecx, 0x3800
    rep movsb
    and dword [abs PT + 12 * 8], ~1
    invlpg [abs V + 0xc000]
    mov edi, V + 0xb010
    mov ecx, 0x2000 / 8
    rep stosq
    dec r13d
    jnz .faults
    call sum

; code among what is written
    mov r13d, LOOPS
.code:
    lea rsi, [rel function]
    mov edi, V + 0xafff - 0x1000
    mov ecx, 0x1800
    rep movsb
    lea rdx, [abs V + 0xafff - 0x1000]
    call rdx
    call store
    mov edi, V + 0x9000
    mov ecx, 0x2000
    mov eax, 0x90
    rep stosb
    dec r13d
    jnz .code

; D and A of pages that an instruction does not touch after all
    mov rax, cr4
    or eax, 3 << 9              ; OSFXSR, OSXMMEXCPT
    mov cr4, rax
    mov eax, 7
    xor ecx, ecx
    cpuid
    shr ebx, 16
    and ebx, 1
    mov r12d, ebx               ; AVX-512F
    jz .no_avx512
    mov rax, cr4
    or eax, 1 << 18
    mov cr4, rax
    xor ecx, ecx
    xgetbv
    or eax, 0xe7
    xsetbv
.no_avx512:
    mov r13d, 20
.masked:
    mov rdx, V + 0x1000
    test r12d, r12d
    jz .no_masks
    call clean
    xor eax, eax
    kmovw k1, eax
    vmovdqu32 [rdx]{k1}, zmm0   ; no element
    call look
    call clean
    mov eax, 2
    kmovw k1, eax
    vmovdqu32 zmm1{k1}, [rdx + 0xff8] ; the second alone, in the next page
    call look
    call clean
    vpxor xmm2, xmm2, xmm2
    mov rdi, rdx
    vmaskmovps [rdx], xmm2, xmm0
    call look
.no_masks:
    call clean
    lea rdx, [rdx + 4]
    lea rax, [rel .refused]
    mov [rel resume], rax
    movaps [rdx], xmm0          ; #GP: misaligned
.refused:
    call look
    call clean
    lea rax, [rel .refused_too]
    mov [rel resume], rax
    lock cmpxchg16b [rdx]
.refused_too:
    call look
    call clean
    mov rdx, V + 0x1000
    cmp eax, eax
    mov ebx, 1
    mov ecx, 2
    mov eax, 3
    cmpxchg [rdx + 0x20], ebx   ; writes in any case
    call look
    call clean
    add dword [rdx], 0
    call look
    call clean
    test dword [rdx], 1
    call look
    call clean
    mov eax, [rdx + 8]          ; checked with what is behind, but only read
    lea rax, [rel .half]
    mov [rel resume], rax
    call look
.half:
    dec r13d
    jnz .masked

; an operand that is not canonical, by a slot in hot code
    mov r13d, 100000
    mov rdx, V
.hot:
    mov rax, [rdx]
    dec r13d
    jnz .hot
    lea rax, [rel .caught]
    mov [rel resume], rax
    mov rdx, 0x7a3fc1d2e5b96000
    mov eax, 1
    mov eax, [rdx]
    mov eax, 2
.caught:
    call store
    hlt

clean:                          ; page 1 is neither accessed nor dirty, nor is page 2
    and dword [abs PT + 8], ~0x60
    and dword [abs PT + 16], ~0x60
    invlpg [abs V + 0x1000]
    invlpg [abs V + 0x2000]
    ret
look:
    mov eax, [abs PT + 8]
    shl rax, 32
    mov ecx, [abs PT + 16]
    or rax, rcx
    call store
    ret

store:
    mov [r15], rax
    add r15, 8
    ret

sum:                            ; of all frames
    mov esi, FRAMES
    mov ecx, 0x10000 / 8
    xor eax, eax
.next:
    imul rax, rax, 31
    add rax, [rsi]
    add esi, 8
    dec ecx
    jnz .next
    jmp store

map:                            ; page n is frame n * 7 modulo 16
    xor ecx, ecx
.next:
    imul eax, ecx, 7
    and eax, 15
    shl eax, 12
    add eax, FRAMES + 3
    mov [abs PT + rcx * 8], rax
    inc ecx
    cmp ecx, 16
    jne .next
    ret

gate:                           ; EAX: vector, RDX: handler
    shl eax, 4
    lea rbx, [abs IDT + rax]
    mov [rbx], dx
    mov cx, cs
    mov [rbx + 2], cx
    mov word [rbx + 4], 0x8e00
    shr rdx, 16
    mov [rbx + 6], dx
    mov qword [rbx + 8], 0
    ret

page_fault:                     ; the page becomes present and writable
    push rax
    push rdx
    mov rax, cr2
    mov [r15], rax
    mov [r15 + 8], rcx
    mov rdx, [rsp + 16]         ; error code
    shl rdx, 56
    xor [r15 + 8], rdx
    mov [r15 + 16], rsi
    mov [r15 + 24], rdi
    add r15, 32
    sub eax, V
    shr eax, 12
    or dword [abs PT + rax * 8], 3
    shl eax, 12
    add eax, V
    invlpg [rax]
    pop rdx
    pop rax
    add rsp, 8
    iretq

protection:
    add rsp, 8
    push rax
    mov rax, [rel resume]
    mov [rsp + 8], rax
    pop rax
    iretq

align 8
resume:
    dq 0
gdt:
    dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    dw 23
    dq gdt
idt:
    dw 0xfff
    dq IDT

function:
    mov eax, r13d
    times 0x1000 nop
    lea rax, [rax + rax * 2]
    ret
