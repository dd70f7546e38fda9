#!/bin/sh
# Protects: stubs.cc: each of the six wrong ways to free is told, and the three right ones are not.
# Usage: stubs.sh PROGRAM LIBRARY
set -u
found=$(LD_PRELOAD=$2 SLABMALLOC_OPTIONS=check_kinds=on,on_error=report "$1" 2>&1)
status=$?
echo "$found"
[ "$status" = 0 ] || exit "$status"
[ "$(echo "$found" | grep -c 'mismatched free: ')" = 6 ]
