; SPDX-License-Identifier: MIT
; Hardware tasks: JMP, CALL, IRET, task gates for faults, the debug trap, 16-bit TSS; virtual-8086
; mode with a small monitor.
%include "guest.inc"

%define SEL_TSS2 SEL_FREE
%define SEL_GATE (SEL_FREE + 8)
%define SEL_TSS16 (SEL_FREE + 16)

main:
        mov dword [gdt + SEL_TSS2], 0x67 | ((tss2 - image) << 16)
        mov dword [gdt + SEL_TSS2 + 4], 0x00008902
        mov dword [gdt + SEL_GATE], SEL_TSS2 << 16
        mov dword [gdt + SEL_GATE + 4], 0xe500
        mov dword [gdt + SEL_TSS16], 0x2b | ((tss16 - image) << 16)
        mov dword [gdt + SEL_TSS16 + 4], 0x00008102
        ; JMP there and back
        call fresh
        mov dword [tss2 + 0x20], .jump_target
        mov ebx, 0x12345
        jmp SEL_TSS2:0
        EQ ebx, 0x12345 ; back: registers as they were
        EQ dword [seen], 0x22222222
        str ax
        EQ ax, SEL_TSS
        mov eax, cr0
        and eax, 8 ; TS
        EQ eax, 8
        clts
        ; CALL through a task gate, IRET back
        call fresh
        mov dword [tss2 + 0x20], .call_target
        call SEL_GATE:0
        pushfd
        pop eax
        NEXT
        test ah, 0x40 ; NT only in the nested task
        jnz near fail
        EQ dword [seen], 0x4000
        EQ word [tss2], SEL_TSS
        ; Busy: not reachable by JMP
        or byte [gdt + SEL_TSS2 + 5], 2
        TRY jmp SEL_TSS2:0
        GOT 13, SEL_TSS2
        and byte [gdt + SEL_TSS2 + 5], ~2
        ; Too short
        mov byte [gdt + SEL_TSS2], 0x66
        TRY jmp SEL_TSS2:0
        GOT 10, SEL_TSS2
        mov byte [gdt + SEL_TSS2], 0x67
        ; A fault through a task gate: error code on the new task's stack
        call fresh
        mov dword [tss2 + 0x20], .fault_target
        mov dword [idt + 13 * 8], SEL_TSS2 << 16
        mov dword [idt + 13 * 8 + 4], 0xe500
        mov word [saved_entry], ax
        mov eax, 0x1238
.faulting:
        mov fs, ax
.after_faulting:
        EQ dword [seen], 0x1238
        EQ dword [seen_eip], .faulting
        mov eax, handler_13
        mov [idt + 13 * 8], ax
        mov word [idt + 13 * 8 + 2], SEL_CODE0
        shr eax, 16
        mov word [idt + 13 * 8 + 6], ax
        mov word [idt + 13 * 8 + 4], 0xee00
        ; A bad segment in the new task is that task's fault
        call fresh
        mov dword [tss2 + 0x54], 0x200 ; DS beyond the GDT
        mov dword [tss2 + 0x20], .jump_target
        TRY jmp SEL_TSS2:0
        GOT 10, 0x200
        EQ dword [last_eip], .jump_target
        str ax
        EQ ax, SEL_TSS2
        mov ax, SEL_DATA0
        mov fs, ax
        and byte [gdt + SEL_TSS + 5], ~2
        mov ax, SEL_TSS
        ltr ax
        and byte [gdt + SEL_TSS2 + 5], ~2
        ; A 16-bit TSS
        mov dword [gdt + SEL_CODE64], 0x0000ffff | ((image - image) << 16) ; code at 20000h, 16-bit
        mov dword [gdt + SEL_CODE64 + 4], 0x00009b02
        jmp SEL_TSS16:0
        EQ word [tss16 + 0x12], 0x5678
        call v86
        ret

.jump_target:
        mov [seen], ebx
        jmp SEL_TSS:0
.call_target:
        pushfd
        pop eax
        and eax, 0x4000
        mov [seen], eax
        iretd
.fault_target:
        pop dword [seen]
        mov eax, [tss + 0x20]
        mov [seen_eip], eax
        mov dword [tss + 0x20], .after_faulting
        iretd

bits 16
task16: mov ax, 0x5678
        jmp SEL_TSS:0
bits 32

; A task that is at its beginning
fresh:  mov edi, tss2
        mov ecx, 26
        xor eax, eax
        rep stosd
        mov dword [tss2 + 0x24], 2
        mov dword [tss2 + 0x34], 0x22222222 ; EBX
        mov dword [tss2 + 0x38], 0x6000     ; ESP
        mov dword [tss2 + 0x48], SEL_DATA0
        mov dword [tss2 + 0x4c], SEL_CODE0
        mov dword [tss2 + 0x50], SEL_DATA0
        mov dword [tss2 + 0x54], SEL_DATA0
        and byte [gdt + SEL_TSS2 + 5], ~2
        ret

; ---- virtual-8086 mode ----
; The 8086 program runs INT 21h, CLI, PUSHF, HLT; with IOPL 0 each comes here as #GP.
v86:    mov dword [hook], monitor
        mov [v86_esp], esp
        push dword 0x6000 ; GS
        push dword 0x5000 ; FS
        push dword 0x4000 ; DS
        push dword 0x3000 ; ES
        push dword 0x0700 ; SS
        push dword 0x0100 ; ESP
        push dword 0x20002
        push dword 0x2000 ; CS = image
        push dword v86_code - image
        iretd
.done:  mov dword [hook], 0
        EQ dword [v86_log], 0x9cfa21cd ; CD 21, FA, 9C in order
        EQ dword [v86_log + 4], 0xf4
        EQ word [v86_ds], 0x4000
        ; With IOPL 3 CLI and PUSHF run; INT goes through the IDT
        mov dword [v86_esp], esp
        mov dword [v86_log_at], v86_log
        mov dword [hook], monitor
        push dword 0
        push dword 0
        push dword 0
        push dword 0
        push dword 0x0700
        push dword 0x0100
        push dword 0x23202
        push dword 0x2000
        push dword v86_code_iopl3 - image
        mov dword [v86_return], .done3
        iretd
.done3: mov dword [hook], 0
        EQ dword [v86_vector], 13 ; HLT is privileged whatever IOPL is
        EQ word [0x70fe], 0x3002 ; what PUSHF pushed behind CLI
        ret

; Stack: vector, error, eip, cs, eflags, esp, ss, es, ds, fs, gs
monitor:
        cmp dword [esp], 13
        jne .other
        mov eax, [esp + 4 * 8]
        mov [v86_ds], ax
        movzx eax, word [esp + 4 * 3]
        shl eax, 4
        add eax, [esp + 4 * 2]
        mov al, [eax] ; the instruction
        mov ecx, [v86_log_at]
        mov [ecx], al
        inc dword [v86_log_at]
        cmp al, 0xf4
        je .end
        inc dword [esp + 4 * 2]
        cmp al, 0xcd
        jne .skip
        mov byte [ecx + 1], 0x21
        inc dword [v86_log_at]
        inc dword [esp + 4 * 2]
.skip:  add esp, 8
        iretd
.end:   mov dword [v86_vector], 13
        mov esp, [v86_esp]
        jmp [v86_return]
.other: mov eax, [esp]
        mov [v86_vector], eax
        add esp, 8
        iretd

bits 16
v86_code:
        int 0x21
        cli
        pushf
        hlt
v86_code_iopl3:
        cli
        pushf
        hlt
bits 32

align 4
handler_13 equ stubs + 13 * 16
seen dd 0
seen_eip dd 0
saved_entry dd 0
v86_esp dd 0
v86_log dd 0, 0
v86_log_at dd v86_log
v86_ds dd 0
v86_vector dd 0
v86_return dd v86.done
tss2:   times 104 db 0
tss16:  times 0x0e db 0
        dw task16 - image, 2
        dw 0, 0, 0, 0, 0x5000, 0, 0, 0
        dw SEL_DATA0, SEL_CODE64, SEL_DATA0, SEL_DATA0, 0

END_OF_IMAGE
