#!/bin/sh
# Protects: the shared library's thread-local variables are few and initial-exec, so that no access
# calls the loader and a late dlopen finds room for them (field case 4).
#
# tls_shape.sh LIBRARY BYTES: at most that many bytes.
set -eu

library=$1
bytes=$2
fail() {
    echo "tls_shape: $*" >&2
    exit 1
}

relocations=$(readelf -rW "$library")
echo "$relocations" | grep -q R_X86_64_TPOFF64 || fail "no TPOFF64 relocation: is the test wrong?"
if echo "$relocations" | grep -E 'DTPMOD|DTPOFF|TLSDESC'; then
    fail "dynamic thread-local variables"
fi
readelf -sW --dyn-syms "$library" | grep -q '__tls_get_addr' && fail "__tls_get_addr is called"

# Type Offset VirtAddr PhysAddr FileSiz MemSiz ...
memory=$(readelf -lW "$library" | awk '$1 == "TLS" { print $6 }')
[ -n "$memory" ] || fail "no PT_TLS"
[ $((memory)) -le "$bytes" ] || fail "$((memory)) bytes of thread-local variables"
