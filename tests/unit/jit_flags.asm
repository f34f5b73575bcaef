; SPDX-License-Identifier: MIT
; Flags that a block sets and nothing behind it needs, until what is behind it is overwritten with
; code that does. 32-bit code at 1000h. Results: how often CF was seen set, and rounds of the loop; and
; whether it was by code that the block before had written just then.
bits 32
org 0x1000

%define RESULTS 0x8000
%define COUNT   20000000 ; long enough to be found hot several times

start:
    mov ebp, 2
    xor esi, esi
round:
    mov edi, COUNT
.loop:
    mov eax, -1
    add eax, 1                ; CF = 1
    mov [RESULTS + 16], eax   ; its check destroys EFLAGS
    jmp short .next
    align 64
.next:                        ; only passes flags on
    mov [RESULTS + 20], eax
    jmp short reads
    align 64
reads:
    xor edx, edx              ; then: setc dl
    nop
    nop
    mov [RESULTS + 24], edx
    nop
    lea esi, [esi + edx]
    sub edi, 1                ; CF = 0
    jnz round.loop
    mov edx, 0
    dec ebp
    jz done
    mov [RESULTS + 4], esi
    mov esi, 0
    mov dword [reads], 0x90c2920f
    jmp round
done:
    mov [RESULTS], esi
    mov edi, COUNT
    mov ebx, 0x90c2920f       ; setc dl
    mov ebp, own
    mov ecx, RESULTS + 16
    jmp short writes
    align 64
writes:
    mov eax, -1
    add eax, 1                ; CF = 1
    mov [ecx], ebx            ; the last time, to what comes next
    jmp short own
    align 64
own:
    xor edx, edx              ; then: setc dl
    nop
    nop
    mov [RESULTS + 8], edx
    cmp edi, 2
    cmove ecx, ebp
    sub edi, 1                ; CF = 0
    jnz writes
    hlt
