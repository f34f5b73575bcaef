; SPDX-License-Identifier: MIT
; install.asm - the transient part: command line, installing, unloading, status. CS = DS = ES = SS.
; Whether HOSTDRV is resident already or about to be, `home` is the segment of its resident data.

install:
        cld
        mov     sp, stack_end
        mov     si, 0x80        ; the command line, which is about to be overwritten
        mov     di, line
        mov     cx, 64
        rep     movsw
        mov     si, 0x100 + IMAGE
        mov     di, RESIDENT
        mov     cx, resident_end - resident_start
        rep     movsb
        call    check_dos
        call    find_resident
        call    parse           ; may print the usage and end
        test    byte [options], OPTION_USAGE
        jnz     usage
        call    check_host
        test    byte [options], OPTION_STATUS
        jnz     status
        test    byte [options], OPTION_UNLOAD
        jnz     unload
        call    default_drive
        call    check_wanted
        cmp     byte [resident], 0
        jne     .add
        call    prepare
.add:   call    make_drives
        cmp     byte [resident], 0
        jne     .done
        jmp     stay
.done:  mov     ax, 0x4c00
        int     0x21

; ---- checks --------------------------------------------------------------------------------------

check_dos:
        mov     ax, 0x3000
        mov     bx, 0
        int     0x21
        xchg    al, ah
        mov     dx, m_dos
        cmp     ax, 0x030a
        jb      fail
        cmp     bh, 0xfd
        jne     .version
        mov     byte [freedos], 1
.version:
        cmp     ah, 4
        jb      .three
        mov     byte [dos4], 1
.three: mov     ah, 0x52
        int     0x21
        mov     [list], bx
        mov     [list + 2], es
        push    ds
        push    ds
        pop     es
        mov     ax, 0x5d06      ; DS:DX: a parameter list, should this DOS want one
        mov     dx, zeros
        int     0x21
        mov     bx, ds
        pop     ds
        mov     [sda], si
        mov     [sda + 2], bx
        push    ds
        pop     es
        mov     bx, offsets4
        mov     word [cds_size], CDS_SIZE4
        cmp     byte [dos4], 0
        jne     .offsets
        mov     bx, offsets3
        mov     word [cds_size], CDS_SIZE3
.offsets:
        mov     di, p_fn1
        mov     cx, (cds_size - p_fn1) / 2
.next:  mov     ax, [bx]
        inc     bx
        inc     bx
        add     ax, si
        stosw
        loop    .next
        ret

; In the order of p_fn1...
offsets3: dw    SDA_FN1_3, SDA_FN2_3, SDA_ATTR3, SDA_SHARE3, SDA_DTA, SDA_PSP, SDA_DRIVE, 0
offsets4: dw    SDA_FN1_4, SDA_FN2_4, SDA_ATTR4, SDA_SHARE4, SDA_DTA, SDA_PSP, SDA_DRIVE
        dw      SDA_ACTION4

; The host's side: by port, which faults nowhere; then a call that must work.
check_host:
        pushf                   ; an 8086 has ones in bits 12-15, a 286 zeros
        xor     ax, ax
        push    ax
        popf
        pushf
        pop     ax
        and     ax, 0xf000
        cmp     ax, 0xf000
        je      .none
        mov     ax, 0x7000
        push    ax
        popf
        pushf
        pop     ax
        and     ax, 0x7000
        jz      .none
        popf
        mov     dx, WEIR_HC_PORT
        in      eax, dx
        cmp     eax, WEIR_HC_MAGIC
        mov     dx, m_no_host
        jne     fail
        mov     dx, WEIR_HC_PORT + 4
        in      eax, dx
        mov     cl, WEIR_HC_RING_0
        smsw    bx
        test    bl, 1           ; protected mode with real-mode code: virtual 8086
        jz      .rings
        mov     cl, WEIR_HC_RING_V86
.rings: shr     eax, 16
        test    al, cl
        mov     dx, m_no_ring
        jz      fail
        mov     dx, WEIR_HC_PORT + 8
        in      eax, dx
        test    al, 1 << WEIR_HC_GROUP_FILE
        mov     dx, m_no_files
        jz      fail
        ret
.none:  mov     dx, m_no_host

; Prints the message DX and ends with status 1.
fail:   call    print
        mov     ax, 0x4c01
        int     0x21

; ---- installing ----------------------------------------------------------------------------------

; Is HOSTDRV resident? Then `home` is its segment. Else `mux` is a free AH of INT 2Fh.
find_resident:
        mov     byte [mux], 0
        mov     ah, 0xff
.next:  push    ax
        mov     al, 0
        push    ds
        xor     di, di
        int     0x2f
        pop     ds
        cmp     al, 0xff
        jne     .free
        mov     si, signature
        mov     cx, layout + 2 - signature
        repe    cmpsb
        pop     ax
        jne     .other
        mov     [home], es
        mov     byte [resident], 1
        jmp     .out
.free:  test    al, al
        pop     ax
        jnz     .other
        mov     [mux], ah
.other: dec     ah
        cmp     ah, 0xc0
        jae     .next
        cmp     byte [resident], 0
        jne     .out
        mov     [home], cs
        cmp     byte [mux], 0
        mov     dx, m_no_mux
        je      fail
.out:   push    ds
        pop     es
        ret

; Readies the resident data, before anything of DOS is changed.
prepare:
        mov     ax, 0x1100
        int     0x2f
        cmp     al, 0xff
        jne     .alone
        mov     byte [others], 1
.alone: mov     ax, cs
        mov     [startup_instances + 2], ax
        mov     [instance_list + 2], ax
        mov     ax, 0x352f
        int     0x21
        mov     [old_2f], bx
        mov     [old_2f + 2], es
        mov     ax, 0x3521
        int     0x21
        mov     [old_21], bx
        mov     [old_21 + 2], es
        push    ds
        pop     es
        ret

make_drives:
        mov     si, wanted
.next:  cmp     si, [wanted_end]
        jae     .out
        mov     al, [si + 1]
        call    share_info
        mov     al, [si]
        call    letter
        mov     dx, m_made
        call    print
        call    print_share
        mov     al, [si]
        call    cds_of
        mov     di, bx
        mov     cx, [cds_size]
        xor     ax, ax
        rep     stosb
        mov     al, [si]
        add     al, 'A'
        mov     ah, ':'
        mov     [es:bx], ax
        mov     byte [es:bx + 2], '\'
        mov     word [es:bx + CDS_FLAGS], CDS_NET
        mov     word [es:bx + CDS_START], 0xffff
        mov     byte [es:bx + CDS_ROOT], 2
        mov     es, [home]
        movzx   bx, byte [si]
        mov     al, [si + 1]
        mov     [es:share_of + bx], al
        push    ds
        pop     es
        add     si, 4
        jmp     .next
.out:   ret

stay:   mov     ax, 0x252f
        mov     dx, redirector
        int     0x21
        mov     ax, 0x2521
        mov     dx, long_names
        int     0x21
        mov     es, [0x2c]      ; the environment is not needed
        mov     word [0x2c], 0
        mov     ah, 0x49
        int     0x21
        mov     bx, 4           ; nor the standard handles
.close: mov     ah, 0x3e
        int     0x21
        dec     bx
        jns     .close
        mov     ax, 0x3100
        mov     dx, [resident_paragraphs]
        int     0x21
