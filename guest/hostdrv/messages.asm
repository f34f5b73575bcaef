; SPDX-License-Identifier: MIT
; messages.asm - transient part: texts and other data. `letter` fills in drive letters.

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
