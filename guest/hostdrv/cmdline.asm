; SPDX-License-Identifier: MIT
; cmdline.asm - transient part: what the command line wants, and whether it can be.

; ---- command line --------------------------------------------------------------------------------

OPTION_UNLOAD equ 1
OPTION_STATUS equ 2
OPTION_USAGE  equ 4

; H: or H:=NAME, /U, /S, /?. Each drive goes to `wanted`: +0 drive, +1 share, FFh by order;
; its name, if given, is looked up later.
parse:  mov     si, line + 1
        movzx   bx, byte [line]
        and     bl, 0x7f
        mov     byte [si + bx], 13
.next:  lodsb
        cmp     al, 13
        je      .out
        cmp     al, ' '
        jbe     .next
        cmp     al, ','
        je      .next
        cmp     al, '/'
        je      .option
        cmp     al, '-'
        je      .option
        and     al, 0xdf
        sub     al, 'A'
        cmp     al, 26
        jae     bad_line
        cmp     byte [si], ':'
        jne     bad_line
        inc     si
        mov     bx, [wanted_end]
        cmp     bx, wanted + 26 * 4
        jae     bad_line
        mov     [bx], al
        mov     word [bx + 2], 0
        cmp     byte [si], '='
        jne     .drive
        inc     si
        mov     [bx + 2], si
.name:  lodsb
        cmp     al, ' '
        ja      .name
        dec     si
.drive: add     bx, 4
        mov     [wanted_end], bx
        jmp     .next
.option:
        lodsb
        mov     ah, OPTION_USAGE
        cmp     al, '?'
        je      .set
        and     al, 0xdf
        mov     ah, OPTION_UNLOAD
        cmp     al, 'U'
        je      .set
        mov     ah, OPTION_STATUS
        cmp     al, 'S'
        je      .set
        mov     ah, OPTION_USAGE
        cmp     al, 'H'
        jne     bad_line
.set:   or      [options], ah
        jmp     .next
.out:   ret

bad_line:
        mov     dx, m_bad_line
        jmp     fail

usage:  mov     dx, m_usage
        call    print
        mov     ax, 0x4c00
        int     0x21

; Without a drive on the command line: the first free letter behind C:, for the first share.
default_drive:
        cmp     word [wanted_end], wanted
        jne     .out
        les     bx, [list]
        movzx   cx, byte [es:bx + LOL_LAST]
        mov     al, 3
.next:  cmp     al, cl
        mov     dx, m_no_letter
        jae     fail
        push    ax
        call    cds_of
        pop     ax
        cmp     word [es:bx + CDS_FLAGS], 0
        je      .free
        inc     ax
        jmp     .next
.free:  mov     [wanted], al
        mov     word [wanted + 2], 0
        mov     word [wanted_end], wanted + 4
.out:   push    ds
        pop     es
        ret

; Every wanted drive must be free, below LASTDRIVE, and its share must be there.
check_wanted:
        mov     si, wanted
        xor     cx, cx          ; number of the drive's place on the line
.next:  cmp     si, [wanted_end]
        jae     .out
        mov     al, [si]
        call    letter
        les     bx, [list]
        mov     ah, [es:bx + LOL_LAST]
        cmp     al, ah
        jb      .below
        mov     al, ah
        add     al, 'A' - 1
        mov     [m_last_letter], al
        mov     dx, m_last_drive
        jmp     fail
.below: call    cds_of
        cmp     word [es:bx + CDS_FLAGS], 0
        mov     dx, m_used
        jne     fail
        push    ds
        pop     es
        mov     di, [si + 2]
        mov     [si + 1], cl
        test    di, di
        jz      .by_number
        call    share_by_name
        jmp     .found
.by_number:
        mov     al, cl
        call    share_info
.found: mov     dx, m_no_share
        jc      fail
        mov     [si + 1], al
        inc     cx
        add     si, 4
        jmp     .next
.out:   push    ds
        pop     es
        ret

; Puts the letter of drive AL into the messages.
letter: mov     ah, al
        add     ah, 'A'
        mov     [m_last_drive], ah
        mov     [m_used], ah
        mov     [m_no_share], ah
        mov     [m_made], ah
        mov     [m_busy], ah
        mov     [m_current], ah
        ret

; Share number AL into the block. Carry if there is none. CX, SI stay.
share_info:
        push    cx
        push    ax
        BEGIN   SHARE, share
        call    begin
        pop     ax
        mov     [B(share.index)], al
        push    ax
        call    host
        pop     ax
        pop     cx
        ret

; AL = the share with the name DI, which ends with a control character or blank. Carry: none.
share_by_name:
        mov     al, 0
.next:  call    share_info
        jc      .out
        push    si
        push    di
        mov     si, B(share.name)
.char:  mov     ah, [di]
        cmp     ah, ' '
        jbe     .end
        mov     bl, [si]
        call    upper
        xchg    ah, bl
        call    upper
        cmp     ah, bl
        jne     .other
        inc     si
        inc     di
        jmp     .char
.end:   cmp     byte [si], 0
        je      .same
.other: pop     di
        pop     si
        inc     al
        jmp     .next
.same:  pop     di
        pop     si
        clc
.out:   ret

upper:  cmp     ah, 'a'
        jb      .out
        cmp     ah, 'z'
        ja      .out
        sub     ah, 0x20
.out:   ret
