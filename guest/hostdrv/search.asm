; SPDX-License-Identifier: MIT
; search.asm - what deals with patterns: searches, and delete and rename with wildcards.
;
; The state of a search is in the 21 bytes of DOS' search record: pattern, attributes and the
; host's cursor. So any number may be unfinished, and nested, and nothing is ever left over.

f_find: call    mine_name
        BEGIN   FIND, find
        call    begin_name
        mov     di, [p_attr]
        mov     al, [es:di]
        mov     [F(find.attr)], al
        call    host
        jc      search_out
        call    dta
found:  call    save_search
        mov     si, B(find.entry_name)
        mov     cl, 11
        rep     movsb
        mov     si, B(find.entry_attr)
        movsb
        xor     ax, ax
        mov     cl, 5
        rep     stosw
        movsd                   ; time and date
        stosw                   ; first cluster
        movsd                   ; size
        clc
search_out:
        ret

f_next: call    dta
        mov     al, [es:di + SDB_DRIVE]
        test    al, 0x80
        jz      not_mine
        and     al, 0x1f
        call    mine_drive
        call    begin_next
        call    host
        jnc     found
        ret

; ES:DI = the search record, or another buffer for data.
dta:    mov     es, [sda + 2]
        mov     di, [p_dta]
        les     di, [es:di]
        ret

; A block for the next entry of the search in the record ES:DI.
begin_next:
        BEGIN   FIND, find
        call    begin
        inc     byte [F(find.flags)]    ; WEIR_HC_FIND_NEXT
        mov     al, [es:di + SDB_ATTR]
        mov     [F(find.attr)], al
        mov     eax, [es:di + SDB_CURSOR]
        mov     [F(find.cursor)], eax
        mov     eax, [es:di + SDB_CURSOR + 4]
        mov     [F(find.cursor) + 4], eax
        push    di
        mov     cl, 11
        lea     si, [F(find.pattern)]
.char:  inc     di
        mov     al, [es:di + SDB_PATTERN - 1]
        mov     [si], al
        inc     si
        dec     cl
        jnz     .char
        pop     di
        ret

; The search in the block goes to the record ES:DI; DI moves behind it. CX = 0.
save_search:
        mov     al, [this_drive]
        or      al, 0x80
        stosb
        mov     si, B(find.pattern)
        mov     cx, 11
        rep     movsb
        mov     al, [B(find.attr)]
        stosb
        mov     si, B(find.cursor)
        movsd
        movsd
        ret

; ---- delete --------------------------------------------------------------------------------------

f_delete:
        call    mine_name
        mov     di, [p_attr]
        mov     cl, [es:di]
        call    has_wildcards
        jnc     unlink
        mov     byte [loop_flags], 0
delete_matching:                ; CL = attributes, [loop_flags] set
        mov     bx, .one
        jmp     for_each
.one:   push    ds
        pop     es
        mov     si, entry_name
unlink: BEGIN   UNLINK, name    ; the name ES:SI
        call    begin_name
        inc     byte [F(name.flags)]    ; WEIR_HC_UNLINK_RO_FAILS
        jmp     host

; Carry if the last part of the name ES:SI has ? or *.
has_wildcards:
        pusha
        call    last_part
.char:  mov     al, [es:si]
        inc     si
        cmp     al, '?'
        je      .wild
        cmp     al, '*'
        je      .wild
        test    al, al
        jnz     .char
        stc
.wild:  cmc
        popa
        ret

; For each entry that the name ES:SI means: its 8.3 name into entry_name, its directory the base,
; then calls BX. CL = attributes that an entry may have besides RO and ARCHIVE. Entries that fail
; are passed over, the last error is returned; if there are none, there is no such file.
for_each:
        push    bx
        push    cx
        call    base_of_name
        pop     cx
        jc      .fail
        mov     [loop_name], si
        mov     [loop_name + 2], es
        mov     word [loop_error], ERR_FILE
        push    cx
        BEGIN   FIND, find
        call    begin_name
        pop     cx
        and     cl, WEIR_HC_ATTR_HIDDEN | WEIR_HC_ATTR_SYSTEM
        mov     [F(find.attr)], cl
.ask:   mov     al, [loop_flags]
        or      [F(find.flags)], al
        call    host
        jc      .end
        push    ds
        pop     es
        mov     di, loop_search
        call    save_search
        mov     si, B(find.short_name)
        mov     di, entry_name
        mov     cl, 13
        rep     movsb
        pop     bx
        push    bx
        call    bx
        jc      .bad
        xor     ax, ax
        cmp     word [loop_error], ERR_FILE
        jne     .next
.bad:   mov     [loop_error], ax
.next:  push    ds
        pop     es
        mov     di, loop_search
        call    begin_next
        les     si, [loop_name]
        push    bx
        add     bx, weir_hc_find.path
        call    text_field
        pop     bx
        jmp     .ask
.end:   mov     ax, [loop_error]
        cmp     ax, 1
        cmc
.fail:  pop     bx
        ret

; The directory of the name ES:SI becomes the base; SI = the last part. Carry and AX on error.
base_of_name:
        push    si
        call    last_part
        pop     ax
        xchg    ax, si
        jcxz    .here           ; it has none: the base stays
        push    ax
        call    open_base
        pop     si
        ret
.here:  xchg    ax, si
        clc
        ret

; ---- rename --------------------------------------------------------------------------------------

f_rename:
        call    mine_name
        mov     bx, [p_fn2]
        mov     di, [es:bx]
        mov     al, [es:si]
        cmp     [es:di], al
        jne     other_drive
        call    has_wildcards
        jc      rename_all
        call    not_current
        jc      search_out
        mov     dx, es
; From the name ES:SI to DX:DI.
rename: BEGIN   RENAME, rename
        call    begin_name
        inc     byte [F(rename.flags)]  ; WEIR_HC_RENAME_NOREPLACE
        mov     eax, [base2]
        mov     [F(rename.to_dir)], eax
        add     bx, weir_hc_rename.to
        mov     si, di
        mov     es, dx
        call    text_field
        jmp     host

; The first name has wildcards; the second one, DI, may have.
rename_all:
        push    si
        mov     si, di
        call    base_of_name
        jc      .out
        mov     eax, [base]
        mov     [base2], eax
        and     dword [base], 0
        mov     di, loop_pattern
        push    ds
        push    es
        pop     ds
        pop     es
        call    to_fcb
        push    ds
        push    es
        pop     ds
        pop     es
        pop     si
        mov     cl, WEIR_HC_ATTR_HIDDEN | WEIR_HC_ATTR_SYSTEM
        mov     byte [loop_flags], 0
        mov     bx, .one
        jmp     for_each
.out:   pop     si
        ret
.one:   push    ds              ; the entry's name, where the pattern has ?
        pop     es
        mov     di, new_name
        xor     bx, bx
.char:  cmp     bl, 8
        jne     .same
        mov     al, '.'
        stosb
.same:  mov     al, [loop_pattern + bx]
        cmp     al, '?'
        jne     .take
        mov     al, [B(find.entry_name) + bx]
.take:  cmp     al, ' '
        je      .skip
        stosb
.skip:  inc     bx
        cmp     bl, 11
        jb      .char
        mov     byte [di], 0    ; a dot at the end means nothing
        mov     di, new_name
        mov     dx, ds
        mov     si, entry_name
        jmp     rename

other_drive:
        mov     ax, ERR_DEVICE
        stc
        ret
