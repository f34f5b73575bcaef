; SPDX-License-Identifier: MIT
; redir.asm - the network redirector, INT 2Fh AH=11h: files and directories.
;
; Every handler runs with DS = our segment, BP = the caller's registers (R_*) and the direction
; flag clear. The first thing it does is `call mine_...`, which comes back only if the call is for
; one of our drives; else the interrupt goes on to whoever was there before, as it came.
; It ends with `ret` to `finish`: carry clear, or carry set and the DOS error in AX.

; The caller's registers
R_ES    equ 0
R_DS    equ 2
R_DI    equ 4
R_SI    equ 8
R_BX    equ 20
R_DX    equ 24
R_CX    equ 28
R_AX    equ 32
R_FLAGS equ 40
R_STACK equ 42                  ; the word that the caller pushed before the interrupt

BLOCK_SIZE equ (weir_hc_find_size + 3) & ~3
; A field of the block, by BX = block, or by its address.
%define F(field) bx + weir_hc_ %+ field
%define B(field) block + weir_hc_ %+ field
; BEGIN service, structure: see `begin`.
%macro BEGIN 2
        mov     cx, WEIR_HC_FILE_%1 & 0xff | weir_hc_%2_size << 8
%if weir_hc_%2_size > BLOCK_SIZE || WEIR_HC_FILE_%1 >> 8 != 1
%error the block
%endif
%endmacro

redirector:
        cmp     ah, 0x11
        je      .network
        cmp     ah, [cs:mux]
        je      .presence
        cmp     ax, 0x1605
        je      windows_starts
.chain: jmp     far [cs:old_2f]

.presence:                      ; AL=0: is HOSTDRV here? ES:DI = its signature
        test    al, al
        jnz     .chain
        mov     al, 0xff
        push    cs
        pop     es
        mov     di, signature
        iret

.network:
        cmp     al, 0x2e
        ja      .chain
        pushad
        push    ds
        push    es
        mov     bp, sp
        push    cs
        pop     ds
        cld
        movzx   bx, al
        add     bx, bx
        call    [handlers + bx]
finish: pushf
        push    ax
        call    close_bases
        pop     ax
        popf
        jc      .failed
        and     byte [bp + R_FLAGS], 0xfe
        jmp     .out
.failed:
        mov     [bp + R_AX], ax
        or      byte [bp + R_FLAGS], 1
.out:   pop     es
        pop     ds
        popad
        iret

; Goes on to the next one; whatever is on the stack is forgotten.
not_mine:
        mov     sp, bp
        cmp     byte [bp + R_AX + 1], 0x71
        pop     es
        pop     ds
        popad
        je      long_names.chain
        jmp     redirector.chain

; 02, 04, 0D, 10... are what DOS 4 calls 01, 03, 0E, 0F...
%macro handler 1-*
%rep %0
        dw      f_%1
%rotate 1
%endrep
%endmacro
handlers:
        handler check, rmdir, rmdir, mkdir, mkdir, chdir, close, commit                 ; 00
        handler read, write, lock, lock, space, setattr, setattr, getattr               ; 08
        handler getattr, rename, rename, delete, delete, open, open, create             ; 10
        handler none, none, create, find, next, close_all, list, none                   ; 18
        handler flush_all, seek, exit, none, none, none, none, none                     ; 20
        handler none, none, close_all, none, none, extended, open_create                ; 28
f_none  equ     not_mine

; ---- whose call is it? ---------------------------------------------------------------------------

; The call is about the first name. Out: ES:SI = that name.
mine_name:
        call    first_name
        mov     ax, [es:si]
        cmp     ah, ':'
        jne     not_mine
letter_of_mine:                 ; AL = letter
        sub     al, 'A'
; AL = a drive, 0 is A:.
mine_drive:
        cmp     al, 26
        jae     not_mine
        mov     [this_drive], al
        movzx   bx, al
        movzx   eax, byte [share_of + bx]
        cmp     al, 0xff
        je      not_mine
        mov     [this_share], eax
        ret

; ES:DI = entry of the system file table.
mine_file:
        mov     ax, [es:di + SFT_INFO]
        test    ah, INFO_REMOTE >> 8
        jz      not_mine
        and     al, 0x3f
        jmp     mine_drive

; ES:SI = the first name.
first_name:
        mov     bx, [p_fn1]
        mov     es, [sda + 2]
        mov     si, [es:bx]
        ret

; ---- the block -----------------------------------------------------------------------------------

; Begins a block, after BEGIN. Services that take a name have share and base directory at the same
; place. Out: BX = block; AX, CX are lost.
begin:  push    es
        push    di
        push    cx
        push    ds
        pop     es
        mov     di, block + 4   ; the magic stays
        mov     cx, (BLOCK_SIZE - 4) / 2
        xor     ax, ax
        rep     stosw
        pop     cx
        pop     di
        pop     es
        mov     bx, block
        inc     byte [bx + weir_hc_header.version]
        mov     [bx + weir_hc_header.service], cl
        inc     byte [bx + weir_hc_header.service + 1]
        mov     [bx + weir_hc_header.length], ch
        mov     eax, [this_share]
        mov     [F(name.share)], eax
        mov     eax, [base]
        mov     [F(name.dir)], eax
        ret

; Calls the host. Out: carry clear, or carry set and AX = the DOS error.
host:   HOSTCALL block
        mov     ax, [block + weir_hc_header.dos]
        cmp     ax, 1
        cmc
        ret

; Begins a block with the name ES:SI where all but ..._attributes have it.
begin_name:
        call    begin
        push    bx
        add     bx, weir_hc_name.path
        call    text_field
        pop     bx
        ret

; The text field at BX becomes the name at ES:SI.
text_field:
        mov     [bx + weir_hc_text.address], si
        mov     [bx + weir_hc_text.address + 2], es
        mov     byte [bx + weir_hc_text.length + 1], 2  ; 512 at most
        mov     byte [bx + weir_hc_text.kind], WEIR_HC_REAL
        mov     word [bx + weir_hc_text.names], WEIR_HC_DOS | WEIR_HC_NUL
        ret

; Begins a block with the handle of the file ES:DI.
begin_handle:
        call    begin
        mov     eax, [es:di + SFT_HANDLE]
        mov     [F(close.handle)], eax
        ret

; Attributes of the name at ES:SI. Out: SI = dos_attr of the host's answer. Carry and AX on error.
stat_name:
        BEGIN   STAT, getattr
        call    begin_attributes
stat_call:
        mov     si, B(getattr.stat) + weir_hc_stat.dos_attr
        jmp     host

; Begins a block of STAT or SETATTR with the name ES:SI.
begin_attributes:
        call    begin
        xor     eax, eax
        xchg    eax, [F(getattr.handle)]
        xchg    eax, [F(getattr.share)]
        mov     [F(getattr.dir)], eax
        push    bx
        add     bx, weir_hc_getattr.path
        call    text_field
        pop     bx
        ret

; What SETATTR sets: attributes, time, date.
%define set_value bx + weir_hc_setattr.stat + weir_hc_stat.dos_attr

; ---- base directories: those of a caller's relative path, or of a pattern ------------------------

; The directory of name ES:SI, CX bytes of it, becomes the base. Carry and AX on error.
open_base:
        push    cx
        BEGIN   OPEN, open
        call    begin_name
        pop     word [F(open.path) + weir_hc_text.length]
        mov     word [F(open.flags)], WEIR_HC_O_DIRECTORY | WEIR_HC_O_NODE
        call    host
        jc      .out
        mov     eax, [F(open.handle)]
        xchg    eax, [base]
        call    close_handle
        clc
.out:   ret

; Both bases are over.
close_bases:
        xor     eax, eax
        xchg    eax, [base]
        call    close_handle
        xor     eax, eax
        xchg    eax, [base2]
; Closes the host's handle EAX, if it is not 0. BX = block; CX is lost.
close_handle:
        test    eax, eax
        jz      .out
        push    eax
        BEGIN   CLOSE, close
        call    begin
        pop     dword [F(close.handle)]
        jmp     host
.out:   ret

; ---- is a redirector here? -----------------------------------------------------------------------

f_check:
        mov     byte [bp + R_AX], 0xff
        ret                     ; TEST and CMP have cleared carry: there is none for AL=0

; ---- directories ---------------------------------------------------------------------------------

f_mkdir:
        call    mine_name
make_directory:                 ; ES:SI
        BEGIN   MKDIR, name
        call    begin_name
        mov     word [F(name.mode)], 0x1ff
        jmp     host

f_rmdir:
        call    mine_name
remove_directory:               ; ES:SI, in 8.3 names
        call    not_current
        jc      .out
        BEGIN   RMDIR, name
        call    begin_name
        jmp     host
.out:   ret

; Carry and AX if a drive (perhaps of SUBST) has the name ES:SI as its current directory.
not_current:
        pusha
        push    es
        push    ds
        mov     dx, [cds_size]
        mov     cx, es
        les     bx, [list]
        mov     al, [es:bx + LOL_LAST]
        les     di, [es:bx + LOL_CDS]
        mov     ds, cx
        movzx   cx, al
.drive: push    si
        push    di
.char:  lodsb
        scasb
        jne     .next
        test    al, al
        jnz     .char
.next:  pop     di
        pop     si
        stc
        je      .out
        add     di, dx
        loop    .drive
        clc
.out:   pop     ds
        pop     es
        popa
        mov     ax, ERR_CURDIR
        ret

f_chdir:
        call    mine_name
        call    stat_name
        jc      .path
        test    byte [si], WEIR_HC_ATTR_DIR
        jnz     .out
.path:  mov     ax, ERR_PATH
        stc
.out:   ret

; ---- attributes, space ---------------------------------------------------------------------------

f_getattr:
        call    mine_name
        call    stat_name
        jc      .out
        lodsw
        mov     [bp + R_AX], ax
        lodsw
        mov     [bp + R_CX], ax
        lodsw
        mov     [bp + R_DX], ax
        lodsw
        lodsw
        mov     [bp + R_DI], ax
        lodsw
        mov     [bp + R_BX], ax
.out:   ret

f_setattr:
        call    mine_name
        mov     al, [bp + R_STACK]
; The attributes of name ES:SI become AL.
set_attributes:
        push    ax
        BEGIN   SETATTR, setattr
        call    begin_attributes
        pop     ax
        mov     [set_value], al
        mov     byte [F(setattr.set)], WEIR_HC_SET_DOS_ATTR
        jmp     host

f_space:
        mov     al, [es:di + CDS_PATH]
        call    letter_of_mine
        BEGIN   STATFS, statfs
        call    begin
        call    host
        jc      .out
        mov     ax, [F(statfs.dos_sectors_per_cluster)]
        mov     ah, 0           ; the medium would be a part of FreeDOS' answer to AX=7303h
        mov     [bp + R_AX], ax
        mov     ax, [F(statfs.dos_clusters)]
        mov     [bp + R_BX], ax
        mov     ax, [F(statfs.dos_sector_bytes)]
        mov     [bp + R_CX], ax
        mov     ax, [F(statfs.dos_clusters_free)]
        mov     [bp + R_DX], ax
.out:   ret

; ---- calls that are everyone's -------------------------------------------------------------------

f_flush_all:
        BEGIN   FLUSH, flush
        call    begin
        and     dword [F(flush.handle)], 0
        call    host
        jmp     not_mine

; The end of a process: files that DOS no longer closes itself (FCBs). FreeDOS asks before it
; closes files and does all of that itself.
f_close_all:
        cmp     byte [freedos], 0
        jne     .out
        mov     es, [sda + 2]
        mov     bx, [p_share]
        movzx   eax, word [es:bx]
        call    close_owner
.out:   jmp     not_mine

; The end of a process: its searches for long names.
f_exit:
        movzx   eax, word [bp + R_DS]
        or      eax, FIND_OWNER
        call    close_owner
        jmp     not_mine

; Closes all that was opened for owner EAX.
close_owner:
        push    eax
        BEGIN   CLOSE_OWNER, close_owner
        call    begin
        pop     dword [F(close_owner.owner)]
        jmp     host

; Extended attributes of DOS 4: none.
f_extended:
        call    mine_file
        mov     word [bp + R_AX], 2
        clc
        ret

; INT 21h AX=5F02h, the list of redirections (entry number BX): ours first, then others'.
f_list: cmp     word [bp + R_STACK], 0x5f02
        jne     .pass
        mov     dx, [bp + R_BX]
        mov     si, share_of
        mov     cx, 26
.drive: lodsb
        cmp     al, 0xff
        je      .next
        sub     dx, 1
        jc      .found
.next:  loop    .drive
        cmp     byte [others], 0
        mov     ax, ERR_NOMORE
        stc
        je      .out
        mov     [bp + R_BX], dx ; the next one counts its own from 0
.pass:  jmp     not_mine
.found: movzx   eax, al
        mov     [this_share], eax       ; is where `index` is
        mov     es, [bp + R_DS]
        mov     di, [bp + R_SI]
        mov     ax, 'Z' + 1 + ':' * 256
        sub     al, cl
        stosw
        mov     byte [es:di], 0
        BEGIN   SHARE, share
        call    begin
        call    host
        jc      .out
        mov     es, [bp + R_ES]
        mov     di, [bp + R_DI]
        mov     si, .server
        movsd
        movsd
        dec     di
        mov     si, B(share.name)
        call    copy_text
        call    user_registers
        mov     word [es:si + 2], 4     ; BX: in order, a drive
        and     word [es:si + 4], 0     ; CX: the user's own word
.out:   ret
.server: db     "\\WEIR\", 0
