; SPDX-License-Identifier: MIT
; files.asm - opening, creating, reading and writing files; part of redir.asm, whose rules apply.
; What is known of an open file is in DOS' file table, the host's handle, too.

; ---- open, create --------------------------------------------------------------------------------

; DX = mode: out, BX = flags for its access: 0 or 3 (to run it) read, 1 write, 2 both.
access_flags:
        mov     bx, dx
        and     bx, 3
        mov     bl, [.flags + bx]
        mov     bh, 0
        ret
.flags: db      WEIR_HC_O_READ, WEIR_HC_O_WRITE, WEIR_HC_O_READ | WEIR_HC_O_WRITE, WEIR_HC_O_READ

f_open: call    mine_name
        mov     dx, [bp + R_STACK]
        call    access_flags
        jmp     open_file

f_create:
        call    mine_name
        mov     cx, [bp + R_STACK]
        mov     dx, 2
        mov     bx, WEIR_HC_O_READ | WEIR_HC_O_WRITE | WEIR_HC_O_CREATE | WEIR_HC_O_TRUNC
        test    ch, ch
        jz      open_file
        xor     bl, WEIR_HC_O_TRUNC | WEIR_HC_O_EXCL
        jmp     open_file

; Extended open: what to do is in the swappable data area.
f_open_create:
        call    mine_name
        push    si
        mov     si, [p_action]
        mov     dx, [es:si + SDA_XMODE4 - SDA_ACTION4]
        and     dx, 0x7f
        call    access_flags
        mov     cx, [es:si + SDA_XATTR4 - SDA_ACTION4]
        mov     ax, [es:si]
        pop     si
        test    al, 0x10
        jz      .there
        or      bl, WEIR_HC_O_CREATE
.there: and     al, 0x0f
        jnz     .open
        or      bl, WEIR_HC_O_EXCL
.open:  cmp     al, 2
        jne     .go
        or      bl, WEIR_HC_O_TRUNC
.go:    call    open_file
        jc      .out
        mov     ax, [B(open.action)]
        mov     [bp + R_CX], ax
        cmp     byte [freedos], 0
        jne     .done           ; it takes CX; others want it among the user's registers
        push    ax
        call    user_registers
        pop     word [es:si + 4]
.done:  clc
.out:   ret

; ES:SI = the user's AX, BX, CX, DX, SI, DI, BP, DS, ES on DOS' stack.
user_registers:
        push    ds
        mov     ax, 0x1218
        int     0x2f
        push    ds
        pop     es
        pop     ds
        ret

; Opens or creates the name ES:SI. BX = flags, CL = attributes of a new file, DL = mode as in
; INT 21h AH=3Dh; the entry of the file table is at the caller's ES and DI.
open_file:
        push    bx
        push    cx
        BEGIN   OPEN, open
        call    begin_name
        pop     cx
        pop     ax
        test    al, WEIR_HC_O_CREATE
        jz      .there
        mov     [F(open.dos_attr)], cl
        test    cl, WEIR_HC_ATTR_LABEL | WEIR_HC_ATTR_DIR
        jz      .there
        mov     ax, ERR_ACCESS
        stc
        ret
.there: or      al, WEIR_HC_O_FILE
        mov     [F(open.flags)], ax
        mov     word [F(open.mode)], 0x1b6
        mov     al, dl
        and     al, 0x70
        mov     [F(open.deny)], al
        mov     si, [p_psp]
        mov     ax, [es:si]
        mov     [F(open.owner)], ax
        mov     es, [bp + R_ES]
        call    host
        jc      .out
; Fills the file table's entry ES:DI from the block. DL = mode.
        push    di
        mov     al, dl
        test    byte [es:di + SFT_MODE + 1], 0x80
        jz      .mode
        or      al, 0xf0                ; opened by FCB
.mode:  mov     [es:di + SFT_MODE], al
        add     di, SFT_ATTR
        mov     si, B(open.stat) + weir_hc_stat.dos_attr
        lodsw
        stosb                           ; SFT_ATTR
        movzx   ax, byte [this_drive]
        or      ax, INFO_REMOTE | INFO_CLEAN
        stosw                           ; SFT_INFO
        xor     eax, eax
        stosd                           ; SFT_DPB
        stosw                           ; SFT_CLUSTER
        movsd                           ; SFT_TIME and the date
        lodsw
        movsd                           ; SFT_SIZE
        stosd                           ; SFT_POS
        mov     eax, [F(open.handle)]
        stosd                           ; SFT_HANDLE
        add     di, SFT_NAME - SFT_HANDLE - 4
        push    ds
        push    es
        call    first_name
        call    last_part
        push    es
        pop     ds
        pop     es
        call    to_fcb
        pop     ds
        pop     di
        test    byte [es:di + SFT_MODE + 1], 0x80
        jz      .done
        cmp     byte [freedos], 0
        jne     .done
        mov     ax, 0x120c              ; DOS notes the owner of a file that an FCB opens
        int     0x2f
.done:  clc
.out:   ret

; SI = the last part of the name ES:SI; CX = bytes before it.
last_part:
        mov     bx, si
        mov     cx, si
.part:  mov     si, bx
.char:  mov     al, [es:bx]
        inc     bx
        call    is_slash
        je      .part
        test    al, al
        jnz     .char
        sub     cx, si
        neg     cx
        ret

is_slash:
        cmp     al, '\'
        je      .out
        cmp     al, '/'
.out:   ret

; The name at DS:SI, up to a 0, as 8+3 with blanks and ? for * to ES:DI.
to_fcb:
        mov     cx, 8
        call    .field
        mov     cl, 3
        cmp     byte [si], '.'
        jne     .field
        inc     si
.field: mov     al, [si]
        cmp     al, '*'
        je      .star
        cmp     al, '.'
        je      .blank
        cmp     al, ' '
        jbe     .blank
        inc     si
        jcxz    .field          ; too long: the rest is not looked at
        stosb
        dec     cx
        jmp     .field
.star:  inc     si
        mov     al, '?'
        jmp     .fill
.blank: mov     al, ' '
.fill:  rep     stosb
        ret

; ---- open files ----------------------------------------------------------------------------------

f_close:
        call    mine_file
        mov     ax, [es:di + SFT_COUNT]
        inc     ax
        jz      .last           ; FFFFh: DOS is about to free it
        dec     ax
        jz      .last
        dec     ax
.last:  mov     [es:di + SFT_COUNT], ax
        test    ax, ax
        jnz     .out
        call    set_time
        mov     eax, [es:di + SFT_HANDLE]
        call    close_handle
        jnc     .out
        cmp     ax, ERR_HANDLE  ; closed already, by the end of its process
        je      .out
        stc
.out:   ret

; If the program has set date and time of the file ES:DI, the host gets them.
set_time:
        test    byte [es:di + SFT_INFO + 1], INFO_DATED >> 8
        jz      .out
        BEGIN   SETATTR, setattr
        call    begin_handle
        mov     word [F(setattr.set)], WEIR_HC_SET_DOS_TIME
        mov     eax, [es:di + SFT_TIME]
        mov     [set_value + 2], eax
        jmp     host
.out:   ret

f_commit:
        call    mine_file
        call    set_time
        BEGIN   FLUSH, flush
        call    begin_handle
        jmp     host

f_read:
        call    mine_file
        BEGIN   READ, io
        call    transfer
        jc      .out
        mov     [es:di + SFT_SIZE], edx
.out:   ret

f_write:
        call    mine_file
        cmp     word [bp + R_CX], 0
        je      .cut
        BEGIN   WRITE, io
        call    transfer
        jnc     .done
        cmp     ax, ERR_FULL    ; DOS says it by a short count
        stc
        jne     .out
.done:  mov     [es:di + SFT_SIZE], edx
        and     byte [es:di + SFT_INFO], ~INFO_CLEAN
.out:   ret
.cut:   BEGIN   TRUNCATE, truncate
        call    begin_handle
        mov     edx, [es:di + SFT_POS]
        mov     [F(truncate.size)], edx
        call    host
        jnc     .done
        ret

; Reads or writes CX bytes of the file ES:DI at its position, from or to the DTA. Out: the
; caller's CX and the position; EDX = the file's size, 7FFFFFFFh if that is too large.
transfer:
        call    begin_handle
        inc     byte [F(io.region_count)]
        mov     eax, [es:di + SFT_POS]
        mov     [F(io.offset)], eax
        push    es
        push    di
        call    dta
        mov     ax, es          ; a linear address: it does not wrap at the end of a segment
        movzx   eax, ax
        shl     eax, 4
        movzx   edi, di
        add     eax, edi
        pop     di
        pop     es
        mov     [F(io.regions) + weir_hc_region.address], eax
        mov     ax, [bp + R_CX]
        mov     [F(io.regions) + weir_hc_region.length], ax
        call    host
        movzx   ecx, word [F(io.done)]
        mov     [bp + R_CX], cx
        pushf
        add     [es:di + SFT_POS], ecx
        mov     edx, [F(io.size)]
        cmp     dword [F(io.size) + 4], 0
        jne     .large
        test    edx, edx
        jns     .out
.large: mov     edx, 0x7fffffff
.out:   popf
        ret

; Seeks from the end. The file may have grown by another's hand.
f_seek:
        call    mine_file
        BEGIN   STAT, getattr
        call    begin_handle
        call    stat_call
        jc      .out
        mov     eax, [si + weir_hc_stat.dos_size - weir_hc_stat.dos_attr]
        mov     [es:di + SFT_SIZE], eax
        add     [bp + R_DX], ax         ; DX:AX = CX:DX + size
        mov     dx, [bp + R_DX]
        pushf
        shr     eax, 16
        popf
        adc     ax, [bp + R_CX]
        mov     [bp + R_DX], ax
        mov     [bp + R_AX], dx
        clc
.out:   ret

; Lock and unlock. DOS 3: 0A locks, 0B unlocks, offset in CX:DX, length in SI and on the stack.
; DOS 4: BL = 0 lock, 1 unlock; both at DS:DX.
f_lock:
        call    mine_file
        BEGIN   LOCK, lock
        call    begin_handle
        cmp     byte [dos4], 0
        je      .old
        mov     al, [bp + R_BX]
        mov     si, [bp + R_DX]
        push    ds
        mov     ds, [bp + R_DS]
        mov     ecx, [si]
        mov     edx, [si + 4]
        pop     ds
        jmp     .type
.old:   mov     al, [bp + R_AX]
        mov     cx, [bp + R_CX]
        shl     ecx, 16
        mov     cx, [bp + R_DX]
        mov     dx, [bp + R_SI]
        shl     edx, 16
        mov     dx, [bp + R_STACK]
.type:  mov     [F(lock.offset)], ecx
        mov     [F(lock.length)], edx
        and     al, 1
        jnz     .call
        mov     byte [F(lock.type)], WEIR_HC_LOCK_EXCLUSIVE
.call:  jmp     host
