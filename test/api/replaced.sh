#!/bin/sh
# Protects: replaced.cc: a program with operators or a malloc of its own prints the same with the library as without.
# Usage: replaced.sh preload|static PROGRAM PLAIN_PROGRAM LIBRARY
set -eu
how=$1 program=$2 plain=$3 library=$4
expected=$("$plain")
if [ "$how" = preload ]; then
    found=$(LD_PRELOAD=$library "$program")
else
    found=$("$program")
fi
case $expected in
*NOT* | *WRONG* | *"NO EXCEPTION"*)
    echo "without the library:"
    echo "$expected"
    exit 1
    ;;
esac
[ "$(printf '%s\n' "$expected" | wc -l)" -ge 34 ]
[ "$expected" = "$found" ] && exit 0
echo "expected:"
echo "$expected"
echo "found:"
echo "$found"
exit 1
