# shellcheck shell=bash
# helpers.sh: what every case starts with (through BASH_ENV, set by `run`; not for use alone).
#
# A case runs in a fresh, empty directory with out/ and tmp/ in it. What it writes to stdout and into out/ is
# compared between the run without and the run with the library. Any failing command ends it. The stderr that is
# not of interest goes to a file (`noise`) and not to /dev/null: `run` looks there for the library's words too.
#
# The functions, in the order in which a case uses them:
#   preload               from here on, every program started runs under the library
#   proof PROGRAM ARG...  PROGRAM, waiting for its stdin, has the library mapped
#   proof_pid LABEL PID   so has the running process PID, if it is LABEL
#   proof_maps LABEL FILE and so had the process that copied its own /proc/self/maps to FILE
#   plain COMMAND...      a command of the harness itself, without the library
#   skip REASON           ends a case that this machine does not allow (found in the plain run)

unset BASH_ENV # for this shell alone, not for the bash under test
set -eu -o pipefail
trap 'echo "failed: line $LINENO: $BASH_COMMAND" >&2' ERR

preload() {
    [ -z "$CASE_LIB" ] || export LD_PRELOAD=$CASE_LIB
}

plain() {
    LD_PRELOAD='' "$@"
}

skip() {
    printf 'skipped: %s\n' "$*" >>"$CASE_PROOF"
    exit 77
}

# proof_result LABEL yes|no|ended: the plain and the preloaded run must note the same lines.
proof_result() {
    if [ "$2" = yes ]; then
        printf 'proved %s\n' "$1" >>"$CASE_PROOF"
    elif [ -z "$CASE_LIB" ]; then
        printf 'not proved %s\n' "$1" >>"$CASE_PROOF" # cannot be: reported as a difference
    elif [ "$2" = ended ]; then
        printf 'not loaded in %s, or it crashed at its start\n' "$1" >>"$CASE_PROOF"
    else
        printf 'not loaded in %s\n' "$1" >>"$CASE_PROOF"
    fi
}

# proof_pid LABEL PID: waits up to 10 s for PID to have become LABEL's binary with the library in its maps (in
# the plain run, for the binary alone). A wrapper script is not the program: it never gets there.
proof_pid() {
    local label=$1 pid=$2 want exe seen=no end=$((SECONDS + 10))
    want=${PROOF_EXE:-$(plain readlink -f "$(type -P "$label")")}
    while [ $seen = no ] && [ $SECONDS -lt $end ]; do
        exe=$(plain readlink "/proc/$pid/exe") || { seen=ended; break; } # gone, or a zombie
        # shellcheck disable=SC2053 # PROOF_EXE is a pattern
        if [[ $exe == $want ]] && mapped "/proc/$pid/maps"; then
            seen=yes
        else
            plain sleep 0.01
        fi
    done
    proof_result "$label" $seen
}

# mapped FILE: the copy of a process's maps in FILE names the library; if there is none, that it is a copy.
mapped() {
    LD_PRELOAD='' grep -qF -e "${CASE_LIB:-/libc.so}" "$1" 2>/dev/null
}

# proof PROGRAM ARG...: the program is started with a stdin that stays open and empty until it was looked at.
# PROOF_EXE=PATTERN names the binary if PROGRAM is only its launcher.
proof() {
    local pid
    plain rm -f .proof
    plain mkfifo .proof
    # Through a pipe: a program may open /dev/stdin again, which on the fifo itself would block.
    plain cat .proof | "$@" >/dev/null 2>>noise &
    pid=$!
    exec 9>.proof
    proof_pid "$1" $pid
    exec 9>&-
    wait $pid || true
    plain rm -f .proof
}

proof_maps() {
    if mapped "$2"; then
        proof_result "$1" yes
    else
        proof_result "$1" no
    fi
}

# words COUNT [SEED]: COUNT lines of pseudo-random fields, the same each time: key, word, number, text.
words() {
    LD_PRELOAD='' awk -v n="$1" -v seed="${2:-1}" 'BEGIN {
        x = seed
        for (i = 0; i < n; i++) {
            x = (x * 1103515245 + 12345) % 2147483648
            y = (x * 69069 + 1) % 4294967296
            printf "k%07d w%x %d the quick brown fox %d jumps%*s over\n", x % 1000003, y % 65521, y % 1009, i, x % 40, ""
        }
    }'
}
