#!/bin/sh
# Purpose: runs a command again and again for some seconds; fails when it fails.
# repeat.sh SECONDS command...
set -eu
end=$(($(date +%s) + $1))
shift
runs=0
while [ "$runs" -eq 0 ] || [ "$(date +%s)" -lt "$end" ]; do
    "$@"
    runs=$((runs + 1))
done
echo "$runs runs"
