; SPDX-License-Identifier: MIT
; A boot sector for the gdb tests: real mode, protected mode, long mode, then calls in calls in a
; loop that counts in memory. Assembled to ELF so that a debugger has its names; the loader's image
; is made from that.
PML4 equ 0x10000
PDPT equ 0x11000
PD equ 0x12000

section .text
bits 16
global real_start, real_call, enter_protected, protected_start, enter_long, long_start
global outer, middle, inner, counter, counted, gdt_register

real_start:
        cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ax, 0x0700 ; so that SP is no linear address
        mov ss, ax
        mov sp, 0x0c00 ; 7c00h
        call real_call
        lgdt [gdt_register]
        mov eax, cr0
        or al, 1
        mov cr0, eax
enter_protected:
        jmp dword 8:protected_start
real_call:
        mov bx, 0x1234
        ret

bits 32
protected_start:
        mov eax, 16
        mov ds, eax
        mov es, eax
        mov ss, eax
        mov esp, 0x7c00
        mov edi, PML4
        mov ecx, 0x3000 / 4
        xor eax, eax
        cld
        rep stosd
        mov dword [PML4], PDPT | 3
        mov dword [PDPT], PD | 3
        mov dword [PD], 0x83
        mov eax, cr4
        or eax, 0x220 ; PAE, OSFXSR
        mov cr4, eax
        mov eax, PML4
        mov cr3, eax
        mov ecx, 0xc0000080
        rdmsr
        or eax, 0x100
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
enter_long:
        jmp 24:long_start

bits 64
long_start:
        mov esp, 0x7c00
        xor ebp, ebp
        mov r15, 0x123456789abcdef0
        movq xmm5, r15
.again: call outer
        jmp .again

outer:  push rbp
        mov rbp, rsp
        call middle
        pop rbp
        ret
middle: push rbp
        mov rbp, rsp
        call inner
        pop rbp
        ret
inner:  inc dword [counter]
counted:
        ret

align 8
gdt:    dq 0
        dq 0x00cf9b000000ffff
        dq 0x00cf93000000ffff
        dq 0x00af9b000000ffff
gdt_register:
        dw $ - gdt - 1
        dd gdt
counter:
        dd 0
        times 510 - ($ - $$) db 0
        dw 0xaa55
