; SPDX-License-Identifier: MIT
; lfnfind.asm - long names: searches, the volume, open files, times; part of lfn.asm.

; ---- searches ------------------------------------------------------------------------------------
; They are kept by the host, for the process; their handles are the host's.

; DS:DX pattern, CL and CH attributes, SI = form of times, ES:DI = where to.
l_find: call    path_dx
        jc      .out
        BEGIN   FIND, find
        call    begin_name
        mov     ax, [bp + R_CX]
        mov     [F(find.attr)], ax
        mov     si, [p_psp]
        mov     es, [sda + 2]
        mov     ax, [es:si]
        mov     [F(find.cursor)], ax
        inc     byte [F(find.cursor) + 2]       ; FIND_OWNER
        mov     byte [F(find.flags)], WEIR_HC_FIND_LONG | WEIR_HC_FIND_KEEP
        call    ask
        jc      .out
        mov     ax, [B(find.dir)]
        mov     [bp + R_AX], ax
.out:   ret

l_close_find:
        mov     al, WEIR_HC_FIND_CLOSE
        jmp     go_on
l_next: mov     al, WEIR_HC_FIND_NEXT | WEIR_HC_FIND_LONG | WEIR_HC_FIND_KEEP
go_on:  push    ax
        BEGIN   FIND, find
        call    begin
        pop     ax
        mov     [F(find.flags)], al
        movzx   eax, word [bp + R_BX]
        mov     [F(find.dir)], eax
        cmp     byte [F(find.flags)], WEIR_HC_FIND_CLOSE
        jne     .ask
        call    host
        jmp     .done
.ask:   call    ask
.done:  jnc     l_out
        cmp     ax, ERR_HANDLE
        je      not_mine        ; of another drive
        stc
        ret

; Asks for an entry and writes it to the caller's ES:DI.
ask:    mov     es, [bp + R_ES]
        mov     di, [bp + R_DI]
        lea     si, [di + 0x2c]
        add     bx, weir_hc_find.long_name
        call    text_field
        dec     byte [bx + weir_hc_text.length + 1]     ; 256
        call    host
        jc      .out
        movzx   eax, byte [B(find.entry_attr)]
        stosd
        mov     bx, B(find.stat)
        mov     si, stamps
        mov     cl, 3
.time:  cmp     byte [bp + R_SI], 0
        jne     .dos
        call    file_time
        jmp     .timed
.dos:   mov     eax, [bx + weir_hc_stat.dos_time]
        stosd
        xor     eax, eax
        stosd
.timed: dec     cl
        jnz     .time
        call    put_size
        xor     eax, eax
        stosd
        stosd
        add     di, 0x130 - 0x2c
        mov     si, B(find.short_name)
        call    copy_text
        and     word [bp + R_CX], 0     ; no name lost a character
.out:   ret

; The size in the stat BX to ES:DI, high half first as Windows has it.
put_size:
        mov     eax, [bx + weir_hc_stat.size + 4]
        stosd
        mov     eax, [bx + weir_hc_stat.size]
        stosd
        ret

; A time of the stat BX as units of 100 ns since 1601 to ES:DI. SI = where in `stamps`; moves on.
file_time:
        push    bx
        push    cx
        lodsw                   ; AL = offset of the seconds, AH of the nanoseconds
        push    si
        movzx   si, ah
        cbw
        xchg    si, ax
        add     si, bx          ; seconds
        add     bx, ax          ; nanoseconds
        xor     edx, edx
        mov     eax, [bx]
        xor     ecx, ecx
        mov     cl, 100
        div     ecx
        xchg    eax, ecx
        mov     eax, [si]
        mov     ebx, [si + 4]
        add     eax, 0xb6109100         ; 11644473600 s lie between
        adc     ebx, 2
        mov     edx, 10000000
        imul    ebx, edx
        mul     edx
        add     edx, ebx
        add     eax, ecx
        adc     edx, 0
        stosd
        xchg    eax, edx
        stosd
        pop     si
        pop     cx
        pop     bx
        ret
stamps: db      weir_hc_stat.btime, weir_hc_stat.btime_ns
        db      weir_hc_stat.atime, weir_hc_stat.atime_ns
        db      weir_hc_stat.mtime, weir_hc_stat.mtime_ns

; ---- others --------------------------------------------------------------------------------------

l_volume:                       ; DS:DX = root, ES:DI = CX bytes for the file system's name
        call    path_dx
        jc      .out
        cmp     word [bp + R_CX], 4
        jb      .known
        mov     es, [bp + R_ES]
        mov     di, [bp + R_DI]
        mov     eax, 'FAT'
        stosd
.known: and     word [bp + R_AX], 0
        mov     word [bp + R_BX], 0x4002        ; long names, case is kept
        mov     word [bp + R_CX], 255
        mov     word [bp + R_DX], 260
.out:   ret

; BX = file, DS:DX = 52 bytes for what is known of it.
l_by_handle:
        mov     bx, [p_psp]
        mov     es, [sda + 2]
        mov     es, [es:bx]
        mov     bx, [bp + R_BX]
        cmp     bx, [es:0x32]
        jae     not_mine
        les     di, [es:0x34]
        movzx   bx, byte [es:di + bx]
        les     di, [list]
        add     di, LOL_SFT
.table: les     di, [es:di]
        cmp     di, 0xffff
        je      not_mine
        mov     ax, [es:di + 4]
        sub     bx, ax
        jae     .table
        add     bx, ax
        mov     al, SFT_SIZE3
        cmp     byte [dos4], 0
        je      .size
        mov     al, SFT_SIZE4
.size:  mul     bl
        add     ax, 6
        add     di, ax
        call    mine_file
        BEGIN   STAT, getattr
        call    begin_handle
        call    host
        jc      .out
        mov     es, [bp + R_DS]
        mov     di, [bp + R_DX]
        mov     bx, B(getattr.stat)
        movzx   eax, word [bx + weir_hc_stat.dos_attr]
        stosd
        mov     si, stamps
        call    file_time
        call    file_time
        call    file_time
        mov     eax, [bx + weir_hc_stat.dev]
        stosd
        call    put_size
        mov     eax, [bx + weir_hc_stat.nlink]
        stosd
        mov     eax, [bx + weir_hc_stat.ino + 4]
        stosd
        mov     eax, [bx + weir_hc_stat.ino]
        stosd
        clc
.out:   ret

; BL = 0: Windows' time at DS:SI to CX time, DX date, BH hundredths; 1: these to ES:DI.
l_time: BEGIN   TIME, file_time
        call    begin
        movzx   eax, byte [bp + R_BX]
        mov     [F(file_time.to_windows)], eax
        mov     ax, [bp + R_CX]
        mov     [F(file_time.dos_time)], ax
        mov     ax, [bp + R_DX]
        mov     [F(file_time.dos_date)], ax
        mov     al, [bp + R_BX + 1]
        mov     [F(file_time.hundredths)], al
        push    ds
        mov     si, [bp + R_SI]
        mov     ds, [bp + R_DS]
        lodsd
        mov     ecx, [si]
        pop     ds
        mov     [F(file_time.windows)], eax
        mov     [F(file_time.windows) + 4], ecx
        call    host
        jc      .out
        lea     si, [F(file_time.dos_time)]
        cmp     byte [bp + R_BX], 0
        lodsw
        xchg    cx, ax
        lodsw
        jne     .windows
        mov     [bp + R_CX], cx
        mov     [bp + R_DX], ax
        mov     al, [F(file_time.hundredths)]
        mov     [bp + R_BX + 1], al
        ret
.windows:
        mov     es, [bp + R_ES]
        mov     di, [bp + R_DI]
        movsd
        movsd
.out:   ret
