; SPDX-License-Identifier: MIT
; Privilege in 32-bit protected mode: what CPL 3 may not do, flags it cannot change, segments,
; gates, software interrupts.
%include "guest.inc"

%macro USER_TRY 1+ ; one instruction at CPL 3 with IOPL 0
        TRY jmp %%go
        jmp %%end
%%go:   mov edx, 2
        USER %%code
%%code: %1
        int 63
%%end:
%endmacro

; The int 63 behind the instruction tells that nothing was raised.
%define QUIET 63

main:
        USER_TRY cli
        GOT 13
        EQ dword [last_cs], SEL_CODE3
        EQ dword [last_esp], KERNEL_STACK - 8
        USER_TRY hlt
        GOT 13
        USER_TRY lgdt [gdt_register]
        GOT 13
        USER_TRY mov cr0, eax
        GOT 13
        USER_TRY mov eax, cr3
        GOT 13
        USER_TRY mov dr7, eax
        GOT 13
        USER_TRY invlpg [0]
        GOT 13
        USER_TRY wrmsr
        GOT 13
        USER_TRY in al, 0x60
        GOT 13
        USER_TRY lmsw ax
        GOT 13
        USER_TRY clts
        GOT 13
        USER_TRY lldt ax
        GOT 13
        USER_TRY smsw ax
        GOT QUIET
        USER_TRY str ax
        GOT QUIET
        USER_TRY ud2
        GOT 6
        USER_TRY int 13 ; software: no error code is pushed
        EQ dword [last_vector], 13
        USER_TRY int3
        GOT 3
        ; Gate of DPL 0
        mov byte [idt + 40 * 8 + 5], 0x8e
        USER_TRY int 40
        GOT 13, 40 * 8 + 2
        USER_TRY int 64
        GOT 13, 64 * 8 + 2
        ; POPF at CPL 3: IF and IOPL do not change, and nothing is raised
        USER_TRY call user_popf
        GOT QUIET
        CLEAR 0x3200
        SET 0x4001 ; NT and CF do
        ; Segments
        mov eax, SEL_DATA0
        USER_TRY mov ds, ax
        GOT 13, SEL_DATA0
        xor eax, eax
        USER_TRY mov ss, ax
        GOT 13
        mov eax, SEL_DATA3 & ~3
        USER_TRY mov ss, ax
        GOT 13, SEL_DATA3 & ~3
        xor eax, eax
        USER_TRY call null_ds
        GOT 13
        USER_TRY jmp SEL_CODE0:0
        GOT 13, SEL_CODE0
        ; Expand-down: offsets above the limit
        DESCRIPTOR SEL_FREE, 0, 0x0fff, 0x40f7
        mov eax, SEL_FREE | 3
        mov es, ax
        TRY mov al, [es:0x0fff]
        GOT 13
        mov eax, SEL_FREE | 3
        mov es, ax
        TRY mov al, [es:0x1000]
        GOT NOTHING
        ; Read-only, execute-only
        DESCRIPTOR SEL_FREE, 0, 0xfffff, 0xc091
        mov eax, SEL_FREE
        mov es, ax
        TRY mov [es:0x100], al
        GOT 13
        TRY mov [cs:0x100], al
        GOT 13
        DESCRIPTOR SEL_FREE, 0, 0xfffff, 0xc099
        mov eax, SEL_FREE
        TRY mov es, ax
        GOT 13, SEL_FREE
        DESCRIPTOR SEL_FREE, 0, 0xfffff, 0xc013
        TRY mov es, ax
        GOT 11, SEL_FREE
        TRY mov ss, ax
        GOT 12, SEL_FREE
        ; A byte-granular limit: the last byte counts
        DESCRIPTOR SEL_FREE, 0, 0x0fff, 0x4093
        mov eax, SEL_FREE
        mov es, ax
        TRY mov eax, [es:0xffc]
        GOT NOTHING
        mov eax, SEL_FREE
        mov es, ax
        TRY mov eax, [es:0xffd]
        GOT 13
        TRY mov eax, [es:0xffc]
        ; Looking at descriptors
        mov eax, SEL_DATA0
        NEXT
        lar ebx, eax
        jnz near fail
        EQ ebx, 0xcf9300
        lsl ebx, eax
        EQ ebx, 0xffffffff
        mov eax, 0x1000
        NEXT
        lar ebx, eax
        jz near fail
        mov eax, SEL_CODE0
        NEXT
        verr ax
        jnz near fail
        NEXT
        verw ax
        jz near fail
        mov eax, SEL_DATA0
        mov ecx, 3
        NEXT
        arpl ax, cx
        jnz near fail
        EQ eax, SEL_DATA0 | 3
        NEXT
        arpl ax, cx
        jz near fail
        call call_gate
        call io_map
        ret

user_popf:
        push dword 0x7201
        popfd
        ret

null_ds:
        mov ds, ax
        mov al, [0]
        ret

; ---- call gate with two parameters ----
call_gate:
        mov dword [gdt + SEL_FREE], (gate_target - image) | SEL_CODE0 << 16
        mov dword [gdt + SEL_FREE + 4], 0x0002ec02
        TRY jmp .go
        GOT QUIET
        EQ dword [gate_seen], 0x1234
        EQ dword [gate_seen + 4], 0x5678
        EQ dword [gate_seen + 8], SEL_CODE3
        EQ dword [gate_seen + 12], USER_STACK
        ret
.go:    mov edx, 2
        USER .user
.user:  mov ecx, SEL_DATA3
        mov ds, ecx
        push dword 0x5678
        push dword 0x1234
        call SEL_FREE | 3:0
        mov [gate_seen + 12], esp
        int QUIET

gate_target:
        mov eax, [esp + 8]
        mov [gate_seen], eax
        mov eax, [esp + 12]
        mov [gate_seen + 4], eax
        mov eax, [esp + 4]
        mov [gate_seen + 8], eax
        retf 8

gate_seen dd 0, 0, 0, 0

; ---- ports by the I/O map ----
io_map:
        and byte [tss + 0x88 + 0xe9 / 8], ~(1 << (0xe9 & 7))
        USER_TRY in al, 0xe9
        GOT QUIET
        USER_TRY in ax, 0xe9
        GOT 13
        ret

END_OF_IMAGE
