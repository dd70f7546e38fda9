#!/bin/sh
# Protects: stubs.cc: each of the six wrong ways to free is told, and the three right ones are not. With a wrapper of
# malloc before us, new is to end in that: it sees all 9 blocks, and there is nothing to tell.
# Usage: stubs.sh PROGRAM LIBRARY [WRAPPER]
set -u
found=$(LD_PRELOAD=${3:+$3:}$2 SLABMALLOC_OPTIONS=check_kinds=on,on_error=report "$1" 2>&1)
status=$?
echo "$found"
[ "$status" = 0 ] || exit "$status"
told=$(echo "$found" | grep -c 'mismatched free: ')
[ $# = 3 ] || exit $((told != 6))
seen=$(echo "$found" | sed -n 's/^seen: //p')
[ "$told" = 0 ] && [ "$seen" -ge 9 ]
