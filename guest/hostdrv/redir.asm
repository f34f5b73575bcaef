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
