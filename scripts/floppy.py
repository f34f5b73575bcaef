#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes a 1.44 MB DOS floppy image (FAT12) holding the named files in its root directory.
usage: floppy.py IMAGE LABEL FILE[=NAME]...
The same files give the same bytes: times are a constant, the serial number a sum of the contents.
Not bootable; its boot sector says so."""
import struct
import sys
import zlib

SECTOR, SECTORS, FATS, FAT_SECTORS, ROOT_ENTRIES = 512, 2880, 2, 9, 224
ROOT_SECTORS = ROOT_ENTRIES * 32 // SECTOR
FIRST_DATA = 1 + FATS * FAT_SECTORS + ROOT_SECTORS
CLUSTERS = SECTORS - FIRST_DATA
DATE = (2025 - 1980) << 9 | 1 << 5 | 1
READ_ONLY, LABEL, ARCHIVE = 0x01, 0x08, 0x20
TEXT = b'This is not a system disk. Remove it and press a key.\r\n\0'


def boot_sector(serial, label):
    # Prints the text by INT 10h, waits for a key, boots again.
    code = bytes.fromhex('fa31c08ed88ed0bc007cfbbe') + struct.pack('<H', 0x7c00 + 62 + 36)
    code += bytes.fromhex('ac84c0740ab40ebb0700cd10ebf2' '90' '30e4cd16cd19')
    code = code.ljust(36, b'\x90') + TEXT
    sector = b'\xeb\x3c\x90' + b'WEIR    ' + struct.pack(
        '<HBHBHHBHHHIIBBBI', SECTOR, 1, 1, FATS, ROOT_ENTRIES, SECTORS, 0xf0, FAT_SECTORS, 18, 2,
        0, 0, 0, 0, 0x29, serial) + label + b'FAT12   ' + code
    return sector.ljust(510, b'\0') + b'\x55\xaa'


def dos_name(name):
    stem, _, extension = name.upper().partition('.')
    if not stem or len(stem) > 8 or len(extension) > 3 or '.' in extension:
        raise SystemExit(f'floppy.py: {name} is no 8.3 name')
    return stem.ljust(8).encode('ascii') + extension.ljust(3).encode('ascii')


def entry(name, attributes, cluster, size):
    return struct.pack('<11sB10xHHHI', name, attributes, 0, DATE, cluster, size)


def pack_fat(fat):
    out = bytearray()
    for low, high in zip(fat[::2], fat[1::2]):
        out += struct.pack('<I', low | high << 12)[:3]
    return bytes(out).ljust(FAT_SECTORS * SECTOR, b'\0')


def image(label, files):
    label = label.upper().ljust(11)[:11].encode('ascii')
    fat = [0xff0, 0xfff] + [0] * (CLUSTERS + (CLUSTERS & 1))
    root = entry(label, LABEL, 0, 0)
    data = bytearray()
    serial = 0
    for name, content in files:
        first = len(data) // SECTOR + 2
        used = -(-len(content) // SECTOR)
        if first + used > CLUSTERS + 2:
            raise SystemExit('floppy.py: the disk is full')
        for k in range(used):
            fat[first + k] = first + k + 1 if k + 1 < used else 0xfff
        root += entry(dos_name(name), ARCHIVE, first if used else 0, len(content))
        data += content.ljust(used * SECTOR, b'\0')
        serial = zlib.crc32(content, serial)
    if len(root) > ROOT_ENTRIES * 32:
        raise SystemExit('floppy.py: too many files')
    disk = boot_sector(serial, label) + pack_fat(fat) * FATS
    disk += root.ljust(ROOT_SECTORS * SECTOR, b'\0') + data
    return disk.ljust(SECTORS * SECTOR, b'\0')


def main(out, label, *arguments):
    files = []
    for argument in arguments:
        path, _, name = argument.partition('=')
        with open(path, 'rb') as f:
            files.append((name or path.rsplit('/', 1)[-1], f.read()))
    with open(out, 'wb') as f:
        f.write(image(label, files))


main(*sys.argv[1:])
