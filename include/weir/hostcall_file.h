/* SPDX-License-Identifier: MIT */
/*
 * hostcall_file.h - the file services of the host call; part of hostcall.h.
 *
 * A name is: a share, a directory handle (0: the share's root; then `share` is used), and a path
 * below it. ".." never leads above the share's root. Symbolic links inside the share are followed,
 * those that lead out of it are ELOOP. Only files and directories can be opened. The names CON,
 * PRN, AUX, NUL, CLOCK$, COM1-9 and LPT1-9 (with any extension) are EACCES in WEIR_HC_DOS names.
 */
#ifndef WEIR_HOSTCALL_FILE_H
#define WEIR_HOSTCALL_FILE_H

#include "hostcall.h"

#define WEIR_HC_ATTR_RO      0x01 /* DOS attributes */
#define WEIR_HC_ATTR_HIDDEN  0x02
#define WEIR_HC_ATTR_SYSTEM  0x04
#define WEIR_HC_ATTR_LABEL   0x08
#define WEIR_HC_ATTR_DIR     0x10
#define WEIR_HC_ATTR_ARCHIVE 0x20
#define WEIR_HC_ATTR_DEVICE  0x40 /* FIND of a device's name, in any directory */

struct weir_hc_stat {
    uint64_t ino;
    uint64_t size;
    uint64_t blocks;                    /* of 512 bytes */
    int64_t atime, mtime, ctime, btime; /* seconds since 1970, UTC */
    uint32_t atime_ns, mtime_ns, ctime_ns, btime_ns;
    uint32_t mode; /* type and permissions as in Linux: S_IFREG 0100000, S_IFDIR 040000... */
    uint32_t nlink;
    uint32_t uid, gid;
    uint32_t block_bytes;        /* good size for transfers */
    uint16_t dos_attr;           /* WEIR_HC_ATTR_* */
    uint16_t dos_time, dos_date; /* of mtime in the host's local time, clamped to 1980-2107 */
    uint16_t reserved1;
    uint32_t dos_size; /* at most 7FFFFFFFh */
    uint32_t dev;      /* tells file systems apart: (dev, ino) is the file's identity */
    uint32_t reserved2;
};

/* Share number `index` (0...). ENODATA behind the last one. */
#define WEIR_HC_FILE_SHARE 0x0100
struct weir_hc_share {
    struct weir_hc_header header;
    uint32_t index;
    uint32_t flags; /* out: WEIR_HC_SHARE_* */
    char name[32];  /* out: ends with 0 */
    uint32_t uid; /* out: as whom the host serves it: files of this user are the guest's own */
    uint32_t gid; /* out */
};
#define WEIR_HC_SHARE_RO     1
#define WEIR_HC_SHARE_VIRTIO 2 /* there is a virtio-fs device for it, too; its tag is `name` */
#define WEIR_HC_SHARE_ALWAYS 4 /* ...and it lets the guest believe what it knows for a day */

#define WEIR_HC_FILE_OPEN 0x0101
struct weir_hc_open {
    struct weir_hc_header header;
    uint32_t share;
    uint32_t dir;
    struct weir_hc_text path;
    uint32_t flags;    /* WEIR_HC_O_* */
    uint32_t mode;     /* permissions of a new file (low 9 bits) */
    uint16_t dos_attr; /* of a new file: RO counts */
    uint16_t deny;   /* DOS share mode, bits 4-6 of AL: 0 compatible, 10h all, 20h writing, 30h
                          reading, 40h none */
    uint32_t owner;  /* any number, see FILE_CLOSE_OWNER */
    uint32_t handle; /* out: not 0 */
    uint32_t action; /* out: 1 was there, 2 created, 3 truncated */
    struct weir_hc_stat stat; /* out */
};
#define WEIR_HC_O_READ      0x0001
#define WEIR_HC_O_WRITE     0x0002
#define WEIR_HC_O_CREATE    0x0004 /* if it is not there */
#define WEIR_HC_O_EXCL      0x0008 /* with CREATE: it must not be there */
#define WEIR_HC_O_TRUNC     0x0010
#define WEIR_HC_O_APPEND    0x0020 /* every write goes to the end */
#define WEIR_HC_O_DIRECTORY 0x0040 /* must be a directory */
#define WEIR_HC_O_FILE      0x0080 /* must be a file (EISDIR else) */
#define WEIR_HC_O_NOFOLLOW  0x0100 /* ELOOP if the last name is a symbolic link */
#define WEIR_HC_O_SYNC      0x0200
#define WEIR_HC_O_NODE      0x0400 /* for STAT, SETATTR, as `dir`; links with NOFOLLOW */

#define WEIR_HC_FILE_CLOSE 0x0102
struct weir_hc_close {
    struct weir_hc_header header;
    uint32_t handle;
    uint32_t reserved;
};

/* READ fills the regions in order, WRITE takes them. Short only at the end of the file or for
 * want of room. `done` may be less than asked even without an error. */
#define WEIR_HC_FILE_READ  0x0103
#define WEIR_HC_FILE_WRITE 0x0104
struct weir_hc_io {
    struct weir_hc_header header;
    uint32_t handle;
    uint32_t region_count;
    uint64_t offset; /* WEIR_HC_HERE: at the handle's position, which then moves */
    uint64_t size;   /* out: of the file afterwards */
    uint32_t done;   /* out: bytes */
    uint32_t reserved;
    struct weir_hc_region regions[1]; /* region_count of them; `length` covers all */
};
#define WEIR_HC_HERE 0xffffffffffffffff

/* Moves the handle's position. 0 set, 1 from here, 2 from the end, 3 next data, 4 next hole. */
#define WEIR_HC_FILE_SEEK 0x0105
struct weir_hc_seek {
    struct weir_hc_header header;
    uint32_t handle;
    uint32_t whence;
    int64_t offset; /* in and out: the new position */
};

/* Sets the size, by cutting off or adding zeros. */
#define WEIR_HC_FILE_TRUNCATE 0x0106
struct weir_hc_truncate {
    struct weir_hc_header header;
    uint32_t handle;
    uint32_t reserved;
    uint64_t size;
};

#define WEIR_HC_FILE_FLUSH 0x0107
struct weir_hc_flush {
    struct weir_hc_header header;
    uint32_t handle; /* 0: all of them */
    uint32_t flags;  /* 1: data only (fdatasync) */
};

/* By handle, or (handle 0) by name. */
#define WEIR_HC_FILE_STAT 0x0108
struct weir_hc_getattr {
    struct weir_hc_header header;
    uint32_t handle;
    uint32_t share;
    uint32_t dir;
    uint32_t flags; /* WEIR_HC_O_NOFOLLOW */
    struct weir_hc_text path;
    struct weir_hc_stat stat; /* out */
};

/* As STAT; `set` says which fields of `stat` to take. Owner and group: only to what they are. */
#define WEIR_HC_FILE_SETATTR 0x0109
struct weir_hc_setattr {
    struct weir_hc_header header;
    uint32_t handle;
    uint32_t share;
    uint32_t dir;
    uint32_t flags; /* WEIR_HC_O_NOFOLLOW */
    struct weir_hc_text path;
    uint32_t set; /* WEIR_HC_SET_* */
    uint32_t reserved;
    struct weir_hc_stat stat; /* in and out */
};
#define WEIR_HC_SET_MODE      0x0001
#define WEIR_HC_SET_OWNER     0x0002
#define WEIR_HC_SET_SIZE      0x0004
#define WEIR_HC_SET_ATIME     0x0008
#define WEIR_HC_SET_MTIME     0x0010
#define WEIR_HC_SET_ATIME_NOW 0x0020
#define WEIR_HC_SET_MTIME_NOW 0x0040
#define WEIR_HC_SET_DOS_ATTR  0x0080 /* RO: all write permissions; others kept where possible */
#define WEIR_HC_SET_DOS_TIME  0x0100 /* mtime from dos_time and dos_date (host's local time) */

#define WEIR_HC_FILE_RENAME 0x010a
#define WEIR_HC_FILE_LINK   0x010b /* makes `to` another name of `from` */
struct weir_hc_rename {
    struct weir_hc_header header;
    uint32_t share; /* of both */
    uint32_t dir;
    struct weir_hc_text from;
    uint32_t to_dir;
    uint32_t flags; /* RENAME: 1 must not replace, 2 exchange */
    struct weir_hc_text to;
};
#define WEIR_HC_RENAME_NOREPLACE 1
#define WEIR_HC_RENAME_EXCHANGE  2

#define WEIR_HC_FILE_UNLINK 0x010c /* not a directory (EISDIR, DOS 5) */
#define WEIR_HC_FILE_RMDIR  0x010d
#define WEIR_HC_FILE_MKDIR  0x010e
struct weir_hc_name {
    struct weir_hc_header header;
    uint32_t share;
    uint32_t dir;
    struct weir_hc_text path;
    uint32_t mode;  /* MKDIR: permissions (low 9 bits) */
    uint32_t flags; /* UNLINK: WEIR_HC_UNLINK_RO_FAILS */
};
#define WEIR_HC_UNLINK_RO_FAILS 1 /* EACCES for a file without write permission, as DOS wants */

/* Entries of an open directory, in `done` bytes of the regions: struct weir_hc_dirent, each at
 * a multiple of 8, none cut. 0 bytes: the end. Begin with cookie 0; go on with that of the last
 * entry. What is there all the time comes exactly once. */
#define WEIR_HC_FILE_READDIR 0x010f
struct weir_hc_readdir {
    struct weir_hc_header header;
    uint32_t handle;
    uint32_t flags; /* 1: with attributes */
    uint64_t cookie;
    uint32_t done; /* out */
    uint32_t region_count;
    struct weir_hc_region regions[1];
};
#define WEIR_HC_READDIR_STAT 1
struct weir_hc_dirent {
    uint64_t ino;
    uint64_t cookie;        /* for the entry behind this one */
    uint32_t record_length; /* to the next entry */
    uint16_t name_length;
    uint16_t type; /* S_IFMT bits of the mode */
    char name[8];  /* name_length bytes of them, then up to 7 zeros; then, with
                       WEIR_HC_READDIR_STAT, a struct weir_hc_stat */
};

/* DOS search. First: `path` ends with a pattern (? and *). The answer is one entry, and `cursor`
 * and `pattern`, which the guest keeps (in a DOS search record: pattern at 01h, attr at 0Ch,
 * cursor at 0Dh, eight bytes). Next: WEIR_HC_FIND_NEXT, `attr`, `pattern` and `cursor` as they
 * were (with WEIR_HC_FIND_LONG also `path`: its last name is the pattern). Nothing needs closing,
 * and an unfinished search costs nothing. ENODATA (DOS 12h) when there is no more. Of `cursor` the
 * lower half is enough if the upper one was 0, as it is in most directories.
 * A guest that cannot keep all that lets the host: WEIR_HC_FIND_KEEP in the first call, with an
 * owner (see FILE_CLOSE_OWNER) in `cursor`, gives a number of 16 bits in `dir`. Next: NEXT | KEEP
 * and that `dir`; at last WEIR_HC_FIND_CLOSE and that `dir`. EBADF if it is no such number. */
#define WEIR_HC_FILE_FIND 0x0110
struct weir_hc_find {
    struct weir_hc_header header;
    uint32_t share;
    uint32_t dir;
    struct weir_hc_text path; /* read as WEIR_HC_DOS whatever it says */
    uint64_t cursor;          /* in and out */
    uint16_t flags;
    uint8_t attr;        /* HIDDEN, SYSTEM, DIR: these too; LABEL alone: only the label */
    uint8_t must;        /* attributes that an entry must have (LFN: CH) */
    uint8_t pattern[11]; /* in and out: 8+3 with ? */
    uint8_t entry_attr;  /* out: as in a directory entry, from here on */
    uint16_t entry_time;
    uint16_t entry_date;
    uint32_t entry_size;
    char entry_name[11];  /* out: 8+3, blanks between, as in a directory entry */
    char short_name[13];  /* out: the same as "NAME.EXT", 0 at its end */
    uint32_t long_length; /* out: bytes of the long name without its 0 */
    uint32_t reserved;
    /* Where to put it (with a 0), code page 437; length 0: nowhere. */
    struct weir_hc_text long_name;
    struct weir_hc_stat stat; /* out */
};
#define WEIR_HC_FIND_NEXT  1
#define WEIR_HC_FIND_LONG  2 /* the pattern matches long names too, and may be long */
#define WEIR_HC_FIND_KEEP  4
#define WEIR_HC_FIND_CLOSE 8

#define WEIR_HC_FILE_STATFS 0x0111
struct weir_hc_statfs {
    struct weir_hc_header header;
    uint32_t share;
    uint32_t reserved;
    uint64_t block_bytes, blocks, blocks_free, blocks_available; /* out, from here on */
    uint64_t files, files_free;
    uint32_t name_max;
    uint16_t dos_sectors_per_cluster, dos_clusters; /* clamped so that DOS programs can count */
    uint16_t dos_sector_bytes, dos_clusters_free;
    uint32_t reserved2;
};

/* Locks bytes of a file against other handles and other processes of the host. Never waits:
 * EAGAIN (DOS 21h). Length 0: to the end. They go with the handle. */
#define WEIR_HC_FILE_LOCK 0x0112
struct weir_hc_lock {
    struct weir_hc_header header;
    uint32_t handle;
    uint32_t type; /* 0 unlock, 1 shared, 2 exclusive; +4: only test */
    uint64_t offset, length;
};
#define WEIR_HC_LOCK_UNLOCK    0
#define WEIR_HC_LOCK_SHARED    1
#define WEIR_HC_LOCK_EXCLUSIVE 2
#define WEIR_HC_LOCK_TEST      4

/* SYMLINK: `text` is the link's content; absolute ones are EPERM. READLINK: the content goes to
 * `text`, `done` says how long it is (ERANGE: it did not fit). */
#define WEIR_HC_FILE_SYMLINK  0x0113
#define WEIR_HC_FILE_READLINK 0x0114
/* Another form of a path: FULLNAME writes, of a file that exists, "\DIR\NAME" in DOS form. */
#define WEIR_HC_FILE_FULLNAME 0x0115
struct weir_hc_link {
    struct weir_hc_header header;
    uint32_t share;
    uint32_t dir;
    struct weir_hc_text path;
    struct weir_hc_text text;
    uint32_t done;  /* out: bytes, without a 0 (none is written) */
    uint32_t flags; /* FULLNAME: 0 long names, 1 8.3 names */
};

/* Closes every handle that was opened with this owner. */
#define WEIR_HC_FILE_CLOSE_OWNER 0x0116
struct weir_hc_close_owner {
    struct weir_hc_header header;
    uint32_t owner;
    uint32_t closed; /* out: how many */
};

/* Between DOS' form of a time (local) and Windows' (UTC), for INT 21h AX=71A7h. */
#define WEIR_HC_FILE_TIME 0x0117
struct weir_hc_file_time {
    struct weir_hc_header header;
    uint32_t to_windows;         /* 0: `windows` is given, 1: the others are */
    uint16_t dos_time, dos_date; /* EINVAL: no date */
    uint64_t windows;            /* units of 100 ns since 1601 */
    uint16_t hundredths;         /* 0-199: adds to the two seconds of dos_time */
    uint16_t reserved[3];
};

#endif
