#!/bin/sh
# Protects: a tiny program costs little more memory with the library than without (field case F10):
# the highest RSS of cat and of a shell grows by less than 1 MiB. Usage: footprint.sh LIBRARY [KIB]
set -eu
library=$1 most=${2:-1024}

# The process looks at itself: `high_water COMMAND...` must print /proc/self/status.
high_water() {
    awk '$1 == "VmHWM:" { print $2 }' "$1"
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0
compare() {
    name=$1
    shift
    env -u LD_PRELOAD "$@" >"$folder/without"
    env LD_PRELOAD="$library" "$@" >"$folder/with"
    grep -q slabmalloc "$folder/with" || { echo "$name: not loaded"; status=1; }
    without=$(high_water "$folder/without") with=$(high_water "$folder/with")
    echo "$name: $without KiB without, $with KiB with"
    if [ -z "$without" ] || [ -z "$with" ] || [ $((with - without)) -ge "$most" ]; then
        echo "$name: $most KiB more, or no figure"
        status=1
    fi
}

compare cat cat /proc/self/status /proc/self/maps
# shellcheck disable=SC2016
compare sh sh -c 'while read -r line; do echo "$line"; done </proc/self/status
    while read -r line; do echo "$line"; done </proc/self/maps'
exit $status
