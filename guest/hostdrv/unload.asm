; SPDX-License-Identifier: MIT
; unload.asm - transient part: /U and /S.

; ---- unloading -----------------------------------------------------------------------------------

unload: cmp     byte [resident], 0
        mov     dx, m_not_here
        je      fail
        mov     ax, 0x352f
        mov     cx, redirector
        call    .hooked
        mov     ax, 0x3521
        mov     cx, long_names
        call    .hooked
        call    check_idle
        push    ds
        mov     ds, [home]
        lds     dx, [old_2f]
        mov     ax, 0x252f
        int     0x21
        pop     ds
        push    ds
        mov     ds, [home]
        lds     dx, [old_21]
        mov     ax, 0x2521
        int     0x21
        pop     ds
        mov     al, 25
.drive: call    is_ours
        jc      .next
        push    ax
        call    cds_of
        mov     word [es:bx + CDS_FLAGS], 0
        pop     ax
.next:  dec     al
        jns     .drive
        mov     es, [home]
        mov     ah, 0x49
        int     0x21
        mov     dx, m_unloaded
        call    print
        mov     ax, 0x4c00
        int     0x21
.hooked:                        ; the vector must still be ours
        int     0x21
        mov     ax, es
        cmp     ax, [home]
        jne     .others
        cmp     bx, cx
        jne     .others
        ret
.others:
        mov     dx, m_hooked
        jmp     fail

; Carry if drive AL is not one of the resident HOSTDRV's.
is_ours:
        mov     es, [home]
        movzx   bx, al
        cmp     byte [es:share_of + bx], 0xff
        cmc                     ; carry was set for everything below FFh
        ret

; No file may be open on our drives, and none may be the current one.
check_idle:
        mov     ah, 0x19
        int     0x21
        call    letter
        call    is_ours
        mov     dx, m_current
        jnc     fail
        les     di, [list]
        les     di, [es:di + LOL_SFT]
.table: cmp     di, 0xffff
        je      .out
        mov     cx, [es:di + 4]
        lea     si, [di + 6]
.entry: jcxz    .link
        cmp     word [es:si + SFT_COUNT], 0
        je      .next
        mov     ax, [es:si + SFT_INFO]
        test    ax, ax
        jns     .next
        and     al, 0x3f
        cmp     al, 26
        jae     .next
        push    es
        call    letter
        call    is_ours
        pop     es
        mov     dx, m_busy
        jnc     fail
.next:  add     si, SFT_SIZE3
        cmp     byte [dos4], 0
        je      .size
        add     si, SFT_SIZE4 - SFT_SIZE3
.size:  dec     cx
        jmp     .entry
.link:  les     di, [es:di]
        jmp     .table
.out:   push    ds
        pop     es
        ret

; ---- status --------------------------------------------------------------------------------------

status: cmp     byte [resident], 0
        mov     dx, m_not_here
        je      .shares
        mov     es, [home]
        mov     ax, [es:resident_paragraphs]
        shl     ax, 4
        mov     di, m_size
        call    decimal
        mov     dx, m_status
        call    print
        mov     dx, m_size - 1
.zero:  inc     dx
        mov     di, dx
        cmp     byte [di], '0'
        je      .zero
        call    print
        mov     al, 0
.drive: call    is_ours
        jc      .next
        push    ax
        push    word [es:share_of + bx]
        call    letter
        mov     dx, m_made
        call    print
        pop     ax
        push    ds
        pop     es
        call    share_info
        call    print_share
        pop     ax
.next:  inc     al
        cmp     al, 26
        jb      .drive
        mov     ax, 0x4c00
        int     0x21
.shares:
        call    print
        mov     dx, m_shares
        call    print
        mov     al, 0
.share: call    share_info
        jc      .end
        push    ax
        mov     dx, m_indent
        call    print
        call    print_share
        pop     ax
        inc     ax
        jmp     .share
.end:   mov     ax, 0x4c01
        int     0x21

; The share in the block: "name" or "name (read-only)", and the end of the line.
print_share:
        push    si
        mov     si, B(share.name)
.char:  lodsb
        test    al, al
        jz      .end
        mov     dl, al
        mov     ah, 2
        int     0x21
        jmp     .char
.end:   pop     si
        mov     dx, m_line
        test    byte [B(share.flags)], WEIR_HC_SHARE_RO
        jz      print
        mov     dx, m_read_only
print:  mov     ah, 9
        int     0x21
        ret

; AX as five digits at DI.
decimal:
        mov     cx, 5
        mov     bx, 10
        add     di, 4
.digit: xor     dx, dx
        div     bx
        add     dl, '0'
        mov     [di], dl
        dec     di
        loop    .digit
        ret
