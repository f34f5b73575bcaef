#!/bin/sh
# SPDX-License-Identifier: MIT
# usage: installed.sh BUILD SOURCE...
# Installs into a temporary directory and compiles the programs against what is there, in C and,
# headers only, in C++; then runs them.
set -e
build=$1
shift
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
meson install -C "$build" --no-rebuild --quiet --destdir "$dir"
pc=$(dirname "$(find "$dir" -name weir-sel4vm.pc)")
prefix=$dir$(sed -n 's/^prefix=//p' "$pc/weir.pc")
export PKG_CONFIG_PATH="$pc"
flags() {
    pkg-config --define-variable=prefix="$prefix" "$@"
}
lib=$(flags --variable=libdir weir)
for source; do
    # shellcheck disable=SC2046
    ${CC:-cc} -std=gnu17 -Wall -Wextra -Werror -pthread $(flags --cflags weir-sel4vm) \
        "$source" -o "$dir/program" $(flags --libs weir-sel4vm)
    LD_LIBRARY_PATH="$lib" "$dir/program"
done
echo '#include <weir/context.h>' > "$dir/native.c"
echo 'int main(void) { return weir_reg_by_name("rip") != WEIR_RIP; }' >> "$dir/native.c"
# shellcheck disable=SC2046
${CC:-cc} $(flags --cflags weir) "$dir/native.c" -o "$dir/native" $(flags --libs weir)
LD_LIBRARY_PATH="$lib" "$dir/native"
find "$prefix/include/sel4vm" -name '*.h' | while read -r header; do
    # shellcheck disable=SC2046
    c++ -std=c++17 -fsyntax-only -x c++ $(flags --cflags weir-sel4vm) "$header"
done
