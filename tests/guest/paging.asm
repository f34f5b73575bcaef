; SPDX-License-Identifier: MIT
; Paging as the running program sees it: faults are restartable, error codes, CR2, accessed and
; dirty bits, write protection, INVLPG, 4 MiB pages, code in pages that are not there yet.
%include "guest.inc"

%define DIR 0x300000
%define TABLE 0x301000
%define SPARE 0x302000
%define TEST_PAGE 0x150000
%define PTE (TABLE + (TEST_PAGE >> 12) * 4)

main:
        mov edi, DIR
        mov ecx, 0x800
        xor eax, eax
        rep stosd
        mov dword [DIR], TABLE | 7
        mov edi, TABLE
        mov eax, 7
.fill:  mov [edi], eax
        add edi, 4
        add eax, 0x1000
        cmp edi, TABLE + 0x1000
        jne .fill
        mov eax, DIR
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80010000 ; PG, WP
        mov cr0, eax
        ; Not present: code 0 (read), 2 (write), CR2
        mov dword [PTE], 0
        invlpg [TEST_PAGE]
        TRY mov eax, [TEST_PAGE + 0x123]
        GOT 14, 0
        EQ dword [last_cr2], TEST_PAGE + 0x123
        TRY inc dword [TEST_PAGE + 0x10]
        GOT 14, 2
        ; Across the page's end: CR2 is the first byte that is missing
        TRY mov eax, [TEST_PAGE - 2]
        GOT 14, 0
        EQ dword [last_cr2], TEST_PAGE
        ; Read-only with WP
        mov dword [PTE], TEST_PAGE | 1
        TRY mov [TEST_PAGE], eax
        GOT 14, 3
        TRY mov eax, [TEST_PAGE]
        GOT NOTHING
        test dword [PTE], 0x20
        jz near fail
        NEXT
        test dword [PTE], 0x40
        jnz near fail
        ; A store that spans a writable and a read-only page stores nothing
        mov dword [TEST_PAGE - 4], 0x11111111
        TRY mov dword [TEST_PAGE - 2], 0x22222222
        GOT 14, 3
        EQ dword [TEST_PAGE - 4], 0x11111111
        ; Dirty on the first write
        mov dword [PTE], TEST_PAGE | 3
        invlpg [TEST_PAGE]
        mov eax, [TEST_PAGE]
        mov [TEST_PAGE], eax
        NEXT
        test dword [PTE], 0x40
        jz near fail
        ; A stale translation goes with INVLPG
        mov dword [SPARE], 0xabcd
        mov dword [TEST_PAGE], 0x1234
        mov dword [PTE], SPARE | 3
        invlpg [TEST_PAGE]
        EQ dword [TEST_PAGE], 0xabcd
        mov dword [PTE], TEST_PAGE | 3
        mov eax, cr3
        mov cr3, eax
        EQ dword [TEST_PAGE], 0x1234
        ; The handler repairs the page and returns: the instruction runs again
        mov dword [PTE], 0
        invlpg [TEST_PAGE]
        mov dword [hook], repair
        mov esi, TEST_PAGE
        mov eax, 5
        xadd [TEST_PAGE], eax
        EQ eax, 0x1234
        EQ dword [TEST_PAGE], 0x1239
        EQ dword [repaired], 1
        ; REP MOVS into a missing page: stops and goes on where it was
        mov dword [PTE], 0
        invlpg [TEST_PAGE]
        mov esi, 0xf0000
        mov edi, TEST_PAGE - 0x800
        mov ecx, 0x400
        rep movsd
        EQ ecx, 0
        EQ dword [repaired], 2
        mov esi, 0xf0000
        mov edi, TEST_PAGE - 0x800
        mov ecx, 0x400
        NEXT
        repe cmpsd
        jne near fail
        ; Code that runs into a missing page
        mov dword [PTE], 0
        invlpg [TEST_PAGE]
        mov word [TEST_PAGE - 2], 0x05c7 ; mov dword [counter], imm32 over the border
        mov dword [PTE], TEST_PAGE | 3
        invlpg [TEST_PAGE]
        mov dword [TEST_PAGE], counter
        mov dword [TEST_PAGE + 4], 0x77
        mov byte [TEST_PAGE + 8], 0xc3
        mov dword [PTE], 0
        invlpg [TEST_PAGE]
        mov eax, TEST_PAGE - 2
        call eax
        EQ dword [counter], 0x77
        EQ dword [repaired], 3
        ; ... and the page is replaced behind the decoder's back
        mov dword [SPARE], counter
        mov dword [SPARE + 4], 0x88
        mov byte [SPARE + 8], 0xc3
        mov dword [PTE], SPARE | 3
        invlpg [TEST_PAGE]
        mov eax, TEST_PAGE - 2
        call eax
        EQ dword [counter], 0x88
        mov dword [hook], 0
        ; 4 MiB pages
        mov eax, cr4
        or al, 0x10
        mov cr4, eax
        mov dword [DIR + 4], 0x183
        mov eax, cr3
        mov cr3, eax
        mov dword [TEST_PAGE + 0x40], 0xbeef
        mov dword [PTE], TEST_PAGE | 3
        mov eax, cr3
        mov cr3, eax
        mov dword [TEST_PAGE + 0x40], 0xbeef
        EQ dword [0x400000 + TEST_PAGE + 0x40], 0xbeef
        mov dword [DIR + 4], 0
        invlpg [0x400000]
        TRY mov eax, [0x400000 + TEST_PAGE + 0x40]
        GOT 14, 0
        ; User and supervisor
        mov dword [PTE], TEST_PAGE | 3
        invlpg [TEST_PAGE]
        TRY jmp .user_read
        GOT 14, 5
        TRY jmp .user_run
        GOT 14, 5
        EQ dword [last_cr2], TEST_PAGE
        mov dword [PTE], TEST_PAGE | 5
        invlpg [TEST_PAGE]
        TRY jmp .user_write
        GOT 14, 7
        mov dword [DIR], TABLE | 7
        ret

.user_read:
        mov edx, 2
        USER .read
.read:  mov eax, SEL_DATA3
        mov ds, eax
        mov eax, [TEST_PAGE]
        int 63
.user_run:
        mov edx, 2
        USER TEST_PAGE
.user_write:
        mov edx, 2
        USER .write
.write: mov eax, SEL_DATA3
        mov ds, eax
        mov [TEST_PAGE], eax
        int 63

; Stack: vector, error, eip...
repair: cmp dword [esp], 14
        jne .no
        inc dword [repaired]
        mov dword [PTE], TEST_PAGE | 3
        add esp, 8
        mov eax, [save_eax]
        iretd
.no:    mov dword [hook], 0
        jmp handler.record

align 4
repaired dd 0
counter dd 0

END_OF_IMAGE
