; SPDX-License-Identifier: MIT
; lfn.asm - long names, INT 21h AX=71xxh.
;
; Handlers are as in redir.asm: DS = our segment, BP = the caller's registers, `finish` behind
; them; what is not about one of our drives goes on to DOS. A caller's path is used where it is: for
; a relative one the current directory becomes the base. Files are opened by DOS itself, by the
; 8.3 name that the host tells, so that they get handles as all others do.

FIND_OWNER   equ 0x10000        ; owner of a process' searches: its PSP + this

long_names:
        cmp     ah, 0x71
        je      .ours
.chain: jmp     far [cs:old_21]
.ours:  pushad
        push    ds
        push    es
        mov     bp, sp
        push    cs
        pop     ds
        cld
        mov     si, .table - 3
.next:  add     si, 3
        cmp     byte [si], 0
        je      not_mine
        cmp     al, [si]
        jne     .next
        push    finish
        jmp     [si + 1]
%macro on 2
        db      %1
        dw      %2
%endmacro
.table: on      0x39, l_mkdir
        on      0x3a, l_rmdir
        on      0x3b, l_chdir
        on      0x41, l_delete
        on      0x43, l_attributes
        on      0x47, l_current
        on      0x4e, l_find
        on      0x4f, l_next
        on      0x56, l_rename
        on      0x60, l_truename
        on      0x6c, l_open
        on      0xa0, l_volume
        on      0xa1, l_close_find
        on      0xa6, l_by_handle
        on      0xa7, l_time
        db      0

; ---- paths ---------------------------------------------------------------------------------------

; ES:SI = the path at the caller's DS:DX or DS:SI, without its drive, which becomes the one of
; the call; if it is relative, the current directory becomes the base. Carry and AX on error.
path_dx:
        mov     si, [bp + R_DX]
        jmp     path_ds
path_si:
        mov     si, [bp + R_SI]
path_ds:
        mov     es, [bp + R_DS]
path:   mov     ax, [es:si]
        cmp     ax, '\\'
        je      not_mine
        cmp     ah, ':'
        mov     dl, 0
        jne     .drive
        inc     si
        inc     si
        mov     dl, al
        and     dl, 0x1f        ; 1 is A:
.drive: call    drive_dl
        mov     al, [es:si]
        call    is_slash
        je      .out
        push    es
        push    si
        call    current_directory
        mov     cx, 67
        call    open_base
        pop     si
        pop     es
.out:   ret

; The call is about drive DL: 1 is A:, 0 the current one.
drive_dl:
        mov     al, dl
        dec     al
        jns     .known
        push    es
        mov     bx, [p_drive]
        mov     es, [sda + 2]
        mov     al, [es:bx]
        pop     es
.known: jmp     mine_drive

; ES:SI = the current directory of the call's drive, "\" or "\DIR...", in 8.3.
current_directory:
        mov     al, [this_drive]
        call    cds_of
        mov     si, [es:bx + CDS_ROOT]
        add     si, bx
        ret

; ES:BX = current directory structure of drive AL.
cds_of: mul     byte [cds_size]
        les     bx, [list]
        les     bx, [es:bx + LOL_CDS]
        add     bx, ax
        ret

; The whole 8.3 name of the file ES:SI, into short_path. Carry and AX if there is no such file.
short_name:
        mov     di, short_path
        mov     dx, ds
        mov     ax, 1 + 124 * 256
; "X:\DIR\NAME" of the file ES:SI to DX:DI, where AH + 4 bytes fit; AL = 0 long names, 1 8.3.
; ES:SI stays.
full_name:
        push    es
        push    si
        push    ax
        BEGIN   FULLNAME, link
        call    begin_name
        pop     ax
        mov     [F(link.flags)], al
        mov     es, dx
        push    ax
        mov     al, [this_drive]
        add     al, 'A'
        stosb
        mov     al, ':'
        stosb
        mov     si, di
        push    bx
        add     bx, weir_hc_link.text
        call    text_field
        pop     bx
        pop     ax
        mov     [F(link.text) + weir_hc_text.length], ah
        mov     byte [F(link.text) + weir_hc_text.length + 1], 0
        call    host
        jc      .out
        add     di, [F(link.done)]
        mov     byte [es:di], 0
        clc
.out:   pop     si
        pop     es
        ret

; DOS itself, function AH, for short_path.
dos:    push    ax
        push    cx
        push    bx
        call    close_bases
        pop     bx
        pop     cx
        pop     ax
        mov     dx, short_path
        pushf
        call    far [old_21]
        ret

; ---- directories ---------------------------------------------------------------------------------

l_mkdir:
        call    path_dx
        jc      l_out
        jmp     make_directory

l_rmdir:
        call    path_dx
        jc      l_out
        call    short_name
        jc      l_out
        call    close_bases     ; the name is from the root now
        push    ds
        pop     es
        mov     si, short_path
        jmp     remove_directory

l_chdir:
        call    path_dx
        jc      l_out
        call    short_name
        jc      .path
        mov     ah, 0x3b
        jmp     dos
.path:  mov     ax, ERR_PATH
        stc
l_out:  ret

l_current:                      ; DL = drive (0: the current one), DS:SI = buffer
        mov     dl, [bp + R_DX]
        call    drive_dl
        call    current_directory
        mov     dx, [bp + R_DS]
        mov     di, [bp + R_SI]
        mov     ax, 255 * 256
        call    full_name
        jc      l_out
        mov     es, dx
        mov     di, [bp + R_SI]
        lea     si, [di + 3]
        push    ds
        mov     ds, dx
        call    copy_text
        pop     ds
        ret

; Copies the text at DS:SI with its 0 to ES:DI.
copy_text:
        lodsb
        stosb
        test    al, al
        jnz     copy_text
        ret

; ---- files ---------------------------------------------------------------------------------------

l_delete:                       ; SI = 1: with wildcards, CL and CH = attributes
        call    path_dx
        jc      l_out
        cmp     byte [bp + R_SI], 0
        je      unlink
        mov     cl, [bp + R_CX]
        mov     byte [loop_flags], WEIR_HC_FIND_LONG
        jmp     delete_matching

l_rename:                       ; DS:DX to ES:DI
        mov     si, [bp + R_DI]
        call    path
        jc      l_out
        push    es
        push    si
        mov     al, [this_drive]
        push    ax
        mov     eax, [base]
        mov     [base2], eax
        and     dword [base], 0
        call    path_dx
        pop     bx
        pop     di
        pop     dx
        jc      l_out
        cmp     bl, [this_drive]
        je      rename
        jmp     other_drive

l_truename:                     ; CL = 0 as it is, 1 short, 2 long; DS:SI to ES:DI
        call    path_si
        jc      l_out
        mov     dx, [bp + R_ES]
        mov     di, [bp + R_DI]
        mov     al, [bp + R_CX]
        and     al, 1
        mov     ah, 255
        jmp     full_name

l_attributes:                   ; BL = what; odd ones set
        call    path_dx
        jc      l_out
        mov     bl, [bp + R_BX]
        mov     al, [bp + R_CX]
        dec     bl
        jz      set_attributes
        sub     bl, 2
        jz      .set_time
        test    bl, 1
        jz      .done           ; times of access and creation: not kept
        call    stat_name
        jc      .out
        mov     bl, [bp + R_BX]
        lodsw
        cmp     bl, 2
        jb      .cx
        mov     ax, [si + 6]
        je      .size
        lodsw
        mov     [bp + R_CX], ax
        lodsw
        mov     [bp + R_DI], ax
        and     word [bp + R_SI], 0
        ret
.size:  mov     [bp + R_DX], ax
        mov     ax, [si + 4]
        jmp     .ax
.cx:    mov     [bp + R_CX], ax
.ax:    mov     [bp + R_AX], ax
.done:  clc
.out:   ret
.set_time:
        BEGIN   SETATTR, setattr
        call    begin_attributes
        mov     ax, [bp + R_CX]
        mov     [set_value + 2], ax
        mov     ax, [bp + R_DI]
        mov     [set_value + 4], ax
        inc     byte [F(setattr.set) + 1]       ; WEIR_HC_SET_DOS_TIME
        jmp     host

; DS:SI name, BX = mode, CX = attributes, DX = action.
l_open: call    path_si
        jc      .out
        mov     byte [open_result], 1
        call    short_name
        jnc     .there
        test    byte [bp + R_DX], 0x10
        jz      .fail
        BEGIN   OPEN, open
        call    begin_name
        mov     word [F(open.flags)], WEIR_HC_O_WRITE | WEIR_HC_O_CREATE | WEIR_HC_O_EXCL
        mov     word [F(open.mode)], 0x1b6
        call    host
        jc      .out
        mov     eax, [F(open.handle)]
        call    close_handle
        call    short_name
        jc      .out
        inc     byte [open_result]
        jmp     .open
.there: mov     al, [bp + R_DX]
        and     al, 0x0f
        jz      .exists
        cmp     al, 2
        jb      .open
        mov     cx, [bp + R_CX] ; to nothing, first
        and     cx, ~WEIR_HC_ATTR_RO
        mov     ah, 0x3c
        call    dos
        jc      .out
        xchg    bx, ax
        mov     ah, 0x3e
        call    dos
        mov     byte [open_result], 3
.open:  mov     al, [bp + R_BX]
        test    al, 4           ; reading without a new time of access
        jz      .mode
        and     al, 0xf8
.mode:  mov     ah, 0x3d
        call    dos
        jc      .out
        mov     [bp + R_AX], ax
        movzx   ax, byte [open_result]
        xchg    [bp + R_CX], ax
        cmp     byte [open_result], 2
        jne     .done
        test    al, WEIR_HC_ATTR_RO
        jz      .done
        push    ds              ; only now: it had to be opened for writing
        pop     es
        mov     si, short_path
        jmp     set_attributes
.exists:
        mov     ax, 0x50
.fail:  stc
        ret
.done:  clc
.out:   ret
