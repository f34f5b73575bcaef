#!/bin/sh
# Compiles src/board/dsdt.asl into src/board/dsdt_aml.h (needs iasl, package acpica-tools).
# usage: dsdt.sh          write the header
#        dsdt.sh --check  fail if the header is not what the source compiles to
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
iasl -vw 3168 -p "$dir/dsdt" "$root/src/board/dsdt.asl" >"$dir/log" 2>&1 || {
    cat "$dir/log" >&2
    exit 1
}
# The compiler's name and version (bytes 28-35) and the checksum (byte 9) vary: both are zeroed.
{
    echo '/* SPDX-License-Identifier: MIT */'
    echo '/* dsdt_aml.h - generated from dsdt.asl by scripts/dsdt.sh; do not edit. */'
    echo '#include <stdint.h>'
    echo '// clang-format off'
    echo 'static const uint8_t dsdt_aml[] = {'
    od -An -v -tu1 -w1 "$dir/dsdt.aml" | awk '{
        at = NR - 1
        if (at == 9 || (at >= 28 && at <= 35)) $1 = 0
        printf "%s%d,%s", at % 16 == 0 ? "    " : " ", $1, at % 16 == 15 ? "\n" : ""
    } END { if (NR % 16) print "" }'
    echo '};'
} >"$dir/dsdt_aml.h"
if [ "${1:-}" = --check ]; then
    cmp "$dir/dsdt_aml.h" "$root/src/board/dsdt_aml.h"
else
    cp "$dir/dsdt_aml.h" "$root/src/board/dsdt_aml.h"
fi
