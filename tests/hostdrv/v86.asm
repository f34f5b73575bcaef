; SPDX-License-Identifier: MIT
; v86.asm - HOSTDRV in virtual-8086 mode with paging, as a DOS box of Windows or EMM386 has it: DOS
; goes on in that mode, the program's buffer lies elsewhere in physical memory, and its pages
; come only when they are touched, be it by the host (a #PF in the middle of a call). Reads BIG.BIN
; (word n is n) into it and writes V86.BIN from it.
%include "dostest.inc"
        cpu     486

FLAT    equ 0x08                ; selectors: all memory, this segment as code and data, the TSS
CODE    equ 0x10
DATA    equ 0x18
TSS     equ 0x20
ELSEWHERE equ 0x200000          ; physical place of the buffer
PAGES   equ 16
TOP     equ stack0 + 512        ; of the stack of ring 0
IO_MAP  equ 0x68 + 32           ; in the TSS: behind the map of interrupts

main:   mov     bx, 0x1000
        DOS     0x4a
        OK      "shrink"
        mov     bx, 0x1400      ; 80 KiB: two pages of tables and 64 KiB, each on a page
        DOS     0x48
        OK      "memory"
        add     ax, 0xff
        and     ax, 0xff00
        mov     [tables], ax
        add     ax, 0x0200
        mov     [buffer], ax
        call    build
        call    enter_v86
        EQ      [inside], 1, "virtual-8086 mode"
        call    files
        mov     eax, cr0        ; the way back
        EQ      [inside], 0, "real mode"
        mov     ax, [faults]
        cmp     ax, PAGES
        jae     .out
        EQ      ax, PAGES, "page faults"
.out:   ret

; ---- what is done there --------------------------------------------------------------------------

files:  smsw    ax
        and     ax, 1
        EQ      ax, 1, "protection is on"
        mov     dx, in_name
        DOS     0x3d00
        OK      "open"
        mov     bx, ax
        mov     dx, 0x123       ; no page begins here
        mov     cx, 0xf000
        push    ds
        mov     ds, [buffer]
        DOS     0x3f
        pop     ds
        OK      "read"
        EQ      ax, 0xf000, "bytes read"
        DOS     0x3e
        mov     es, [buffer]
        mov     di, 0x123
        xor     ax, ax
.word:  scasw
        jne     .differ
        inc     ax
        cmp     ax, 0x7800
        jb      .word
.differ:
        EQ      ax, 0x7800, "words that are right"
        push    ds
        pop     es
        mov     dx, out_name
        xor     cx, cx
        DOS     0x3c
        OK      "create"
        mov     bx, ax
        mov     dx, 0x123
        mov     cx, 0xf000
        push    ds
        mov     ds, [buffer]
        DOS     0x40
        pop     ds
        OK      "write"
        EQ      ax, 0xf000, "bytes written"
        DOS     0x3e
        OK      "close"
        mov     dx, pattern
        xor     cx, cx
        DOS     0x4e
        OK      "find"
        ret

; ---- tables --------------------------------------------------------------------------------------

build:  movzx   eax, word [tables]
        shl     eax, 4
        mov     [directory], eax
        mov     es, [tables]
        xor     di, di
        mov     cx, 0x2000 / 2
        xor     ax, ax
        rep     stosw
        mov     eax, [directory]
        add     eax, 0x1007
        mov     [es:0], eax
        mov     di, 0x1000      ; the first 4 MiB where they are
        mov     eax, 7
        mov     cx, 1024
.page:  stosd
        add     eax, 0x1000
        loop    .page
        movzx   edi, word [buffer]
        shr     di, 8 - 2       ; its first entry
        add     di, 0x1000
        mov     eax, ELSEWHERE + 6      ; not present yet
        mov     cx, PAGES
.there: stosd
        add     eax, 0x1000
        loop    .there
        push    ds
        pop     es
        mov     di, idt
        mov     ax, stubs
        mov     cx, 256
.gate:  mov     [di], ax
        mov     word [di + 2], CODE
        mov     word [di + 4], 0x8e00
        mov     word [di + 6], 0
        add     di, 8
        add     ax, 6
        loop    .gate
        mov     di, tss
        mov     cx, (IO_MAP + 0x2000) / 2
        xor     ax, ax
        rep     stosw           ; all ports, and INT goes straight to the guest's vectors
        mov     byte [di], 0xff
        mov     word [tss + 4], TOP
        mov     word [tss + 8], DATA
        mov     word [tss + 0x66], IO_MAP
        xor     eax, eax
        mov     ax, ds
        shl     eax, 4
        mov     [base], eax
        mov     [gdt + CODE + 2], eax
        mov     [gdt + DATA + 2], eax
        mov     byte [gdt + CODE + 5], 0x9a
        mov     byte [gdt + DATA + 5], 0x92
        mov     ebx, eax
        add     ebx, tss
        mov     [gdt + TSS + 2], ebx
        mov     byte [gdt + TSS + 5], 0x89
        mov     ebx, eax
        add     ebx, gdt
        mov     [gdt_at + 2], ebx
        add     eax, idt
        mov     [idt_at + 2], eax
        mov     [real_cs], cs
        ret

; ---- there and back ------------------------------------------------------------------------------

; Returns to its caller in virtual-8086 mode.
enter_v86:
        pop     word [return]
        mov     [real_sp], sp
        cli
        lgdt    [gdt_at]
        lidt    [idt_at]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     CODE:.protected
.protected:
        mov     ax, DATA
        mov     ds, ax
        mov     ss, ax
        mov     sp, TOP
        mov     ax, TSS
        ltr     ax
        mov     eax, [directory]
        mov     cr3, eax
        mov     eax, cr4
        or      al, 1           ; VME
        mov     cr4, eax
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        mov     word [inside], 1
        movzx   eax, word [real_cs]
        push    eax             ; GS FS DS ES
        push    eax
        push    eax
        push    eax
        push    eax             ; SS
        movzx   ebx, word [real_sp]
        push    ebx
        push    dword 0x23202   ; VM, IOPL 3, IF
        push    eax
        movzx   ebx, word [return]
        push    ebx
        o32 iret

; From #GP of MOV EAX, CR0; SI = frame of the guest.
leave_v86:
        mov     ax, DATA
        mov     ds, ax
        mov     word [inside], 0
        mov     bx, [ss:si]     ; behind the instruction
        add     bx, 3
        mov     [return], bx
        mov     bx, [ss:si + 12]
        mov     [real_sp], bx
        mov     es, ax
        mov     fs, ax
        mov     gs, ax
        mov     eax, cr0
        and     eax, 0x7ffffffe
        mov     cr0, eax
        jmp     far [real_far]
in_real:
        mov     ax, cs
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, [real_sp]
        mov     eax, cr4
        and     al, 0xfe
        mov     cr4, eax
        lidt    [real_idt]
        sti
        jmp     [return]

; ---- interrupts ----------------------------------------------------------------------------------

stubs:
%assign n 0
%rep 256
        db      0x68            ; push n; jmp near
        dw      n
        db      0xe9
        dw      interrupt - ($ + 2)
%assign n n + 1
%endrep

; Vectors 8-15 are hardware's and exceptions': only the latter have an error code on the stack.
interrupt:
        pushad
        mov     bp, sp
        mov     ax, FLAT
        mov     ds, ax
        movzx   ebx, word [bp + 32]
        lea     si, [bp + 34]
        cmp     bp, TOP - 36 - 2 - 32
        jne     .exception
        movzx   edx, word [ss:si + 16]  ; to the guest's handler
        shl     edx, 4
        sub     word [ss:si + 12], 6
        movzx   eax, word [ss:si + 12]
        add     edx, eax
        mov     ax, [ss:si]
        mov     [edx], ax
        mov     ax, [ss:si + 4]
        mov     [edx + 2], ax
        mov     ax, [ss:si + 8]
        mov     [edx + 4], ax
        mov     ax, [ebx * 4]
        mov     [ss:si], ax
        mov     ax, [ebx * 4 + 2]
        mov     [ss:si + 4], ax
        and     word [ss:si + 8], 0xfcff
        popad
        add     sp, 2
        o32 iret
.exception:
        add     si, 4
        cmp     bl, 14
        je      .page
        cmp     bl, 13
        jne     .lost
        movzx   edx, word [ss:si + 4]
        shl     edx, 4
        movzx   eax, word [ss:si]
        add     edx, eax
        cmp     byte [edx], 0xf4        ; HLT: goes on at once
        je      .skip
        cmp     word [edx], 0x200f
        je      leave_v86
.lost:  jmp     .lost
.skip:  inc     word [ss:si]
        jmp     .resume
.page:  mov     eax, cr2
        mov     ecx, eax
        shr     ecx, 12
        mov     edx, [cs:directory]
        or      byte [edx + 0x1000 + ecx * 4], 1
        invlpg  [eax]
        mov     ax, DATA
        mov     ds, ax
        inc     word [faults]
.resume:
        popad
        add     sp, 6
        o32 iret

in_name: db     "BIG.BIN", 0
out_name: db    "V86.BIN", 0
pattern: db     "V86.*", 0
real_far: dw    in_real
real_cs: dw     0
tables: dw      0
buffer: dw      0
inside: dw      0
faults: dw      0
return: dw      0
real_sp: dw     0
base:   dd      0
directory: dd   0
gdt_at: dw      0x28 - 1
        dd      0
idt_at: dw      256 * 8 - 1
        dd      0
real_idt: dw    0x3ff
        dd      0
        align   8, db 0
gdt:    dq      0, 0x00cf92000000ffff
        times 3 dw 0xffff, 0, 0, 0
stack0  equ     0x5000
idt     equ     0x5400
tss     equ     0x6000
