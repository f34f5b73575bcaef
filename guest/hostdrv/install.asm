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
offsets4: dw    SDA_FN1_4, SDA_FN2_4, SDA_ATTR4, SDA_SHARE4, SDA_DTA, SDA_PSP, SDA_DRIVE, SDA_ACTION4

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

; ---- data ----------------------------------------------------------------------------------------

m_dos:      db "HOSTDRV needs DOS 3.1 or later.", 13, 10, "$"
m_no_host:  db "HOSTDRV: no host to call. It runs under Weir started with", 13, 10
            db "  weir -hostcall share=NAME,path=FOLDER ...", 13, 10, "$"
m_no_ring:  db "HOSTDRV: host calls are not allowed here (-hostcall ring=...).", 13, 10, "$"
m_no_files: db "HOSTDRV: files are switched off (-hostcall fs=on).", 13, 10, "$"
m_no_mux:   db "HOSTDRV: no free number of INT 2Fh.", 13, 10, "$"
m_bad_line: db "HOSTDRV: cannot read the command line; HOSTDRV /? tells what it takes.", 13, 10, "$"
m_no_letter: db "HOSTDRV: no free drive letter. Put LASTDRIVE=Z into CONFIG.SYS (FreeDOS:", 13, 10
            db "FDCONFIG.SYS, if there is one) and start again.", 13, 10, "$"
m_last_drive: db "?: is beyond LASTDRIVE, which is "
m_last_letter: db "?:. Put LASTDRIVE=Z into CONFIG.SYS (FreeDOS:", 13, 10
            db "FDCONFIG.SYS, if there is one) and start again.", 13, 10, "$"
m_used:     db "?: is a drive already.", 13, 10, "$"
m_no_share: db "?: the host has no such share. HOSTDRV /S lists what there is.", 13, 10, "$"
m_made:     db "?: is the host's $"
m_read_only: db " (read-only)"
m_line:     db 13, 10, "$"
m_indent:   db "  $"
m_not_here: db "HOSTDRV is not resident.", 13, 10, "$"
m_shares:   db "Shares:", 13, 10, "$"
m_hooked:   db "HOSTDRV cannot be unloaded: another program was loaded on top of it.", 13, 10, "$"
m_busy:     db "?: has open files; HOSTDRV stays.", 13, 10, "$"
m_current:  db "?: is the current drive; HOSTDRV stays.", 13, 10, "$"
m_unloaded: db "HOSTDRV is unloaded.", 13, 10, "$"
m_status:   db "HOSTDRV ", VERSION, " is resident in $"
m_size:     db "00000 bytes.", 13, 10, "$"
m_usage:    db "HOSTDRV ", VERSION, ": folders of Weir's host as drives.", 13, 10, 13, 10
            db "  HOSTDRV               the first share as the first free drive", 13, 10
            db "  HOSTDRV H: I:         the first two shares as H: and I:", 13, 10
            db "  HOSTDRV H:=SRC        the share SRC as H:", 13, 10
            db "  HOSTDRV /S            which drives there are", 13, 10
            db "  HOSTDRV /U            unload", 13, 10, "$"

resident:   db 0
options:    db 0
home:       dw 0
wanted_end: dw wanted
zeros:      times 22 db 0
line:       times 130 db 0
wanted:     times 26 * 4 db 0
            align 2
            times 256 db 0
stack_end:
