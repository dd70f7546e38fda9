#!/bin/sh
# Protects: what the shared library exports (field case 25, A12): every name of exports.txt, none
# beyond it; and that a C program which uses the library needs no C++ runtime.
# Usage: check_exports.sh NM READELF LIBRARY EXPORTS C_PROGRAM
set -eu
nm=$1 readelf=$2 library=$3 exports=$4 program=$5

wanted=$(grep -v '^#' "$exports" | LC_ALL=C sort)
found=$("$nm" -D --defined-only "$library" | awk '{ print $NF }' | sed 's/@.*//' |
    LC_ALL=C sort)
[ "$(printf '%s\n' "$wanted" | uniq -d)" = "" ]

status=0
for name in $wanted; do
    printf '%s\n' "$found" | grep -qxF -- "$name" || { echo "not exported: $name"; status=1; }
done
for name in $found; do
    printf '%s\n' "$wanted" | grep -qxF -- "$name" ||
        { echo "exported, not listed: $name"; status=1; }
done

needs() {
    "$readelf" -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}
for needed in $(needs "$library"); do
    case $needed in
    libc.so.6 | ld-linux*) ;;
    *) echo "the library needs $needed"; status=1 ;;
    esac
done
needs "$program" | grep -q '^libslabmalloc\.so' ||
    { echo "the program does not need us"; status=1; }
for needed in $(needs "$program"); do
    case $needed in
    libslabmalloc.so* | libc.so.6 | ld-linux*) ;;
    *) echo "a C program needs $needed"; status=1 ;;
    esac
done
exit $status
