#!/bin/sh
# Purpose: programs under checking tools that have a malloc of their own.
#
# Protects: they start, run and end well where slabmalloc is too, and what the documentation says of
# them is so (field case H5).
#
# tools.sh asan_linked PROGRAM               built with -fsanitize=address, linked with the library
# tools.sh asan_preload_shared PROGRAM LIBRARY  its run-time library is a shared one (gcc): it
#                                            refuses to start behind ours, and says so
# tools.sh asan_preload_static PROGRAM LIBRARY  it is in the program (clang): it runs
# tools.sh asan_preload_mixed PROGRAM LIBRARY   made to start behind ours, the two heaps mix: the
#                                            first block that crosses is told
# tools.sh asan_preload_first PROGRAM LIBRARY SANITIZER  preloaded before ours: it runs
# tools.sh valgrind PROGRAM                  linked with the library; Valgrind replaces it
# tools.sh valgrind_own PROGRAM              with --soname-synonyms=somalloc=NONE, ours is used
# tools.sh other_class LIBRARY COMPILER...   a 32-bit program only warns
set -eu

case_name=$1
shift

fail() {
    echo "tools: $case_name: $*" >&2
    exit 1
}

skip() {
    echo "skipped: $*"
    exit 77
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

# run COMMAND...: its status in $status, its words in $work/out and $work/err
run() {
    "$@" >"$work/out" 2>"$work/err" || status=$?
}

expect_well() {
    [ "$status" -eq 0 ] || fail "exit code $status: $(cat "$work/err")"
    [ "$(cat "$work/out")" = "all is well" ] || fail "it printed $(cat "$work/out")"
}

need_valgrind() {
    command -v valgrind >/dev/null || skip "valgrind is not installed"
}

case $case_name in
asan_linked)
    run "$1"
    expect_well
    ;;
asan_preload_shared)
    run env LD_PRELOAD="$2" "$1"
    [ "$status" -ne 0 ] || fail "the sanitizer has started"
    grep -q 'ASan runtime does not come first' "$work/err" || fail "it said: $(cat "$work/err")"
    ;;
asan_preload_static)
    run env LD_PRELOAD="$2" "$1"
    expect_well
    ;;
asan_preload_mixed)
    run env LD_PRELOAD="$2" ASAN_OPTIONS=verify_asan_link_order=0 "$1"
    [ "$status" -eq 134 ] || fail "exit code $status, not that of SIGABRT: $(cat "$work/err")"
    grep -q '^slabmalloc: invalid free: .*: never allocated here' "$work/err" ||
        fail "it said: $(cat "$work/err")"
    ;;
asan_preload_first)
    run env LD_PRELOAD="$3:$2" "$1"
    expect_well
    ;;
valgrind)
    need_valgrind
    run valgrind --error-exitcode=9 --leak-check=full "$1"
    expect_well
    grep -q 'All heap blocks were freed' "$work/err" || fail "blocks are left: $(cat "$work/err")"
    grep -q 'total heap usage: [1-9]' "$work/err" || fail "not replaced: $(cat "$work/err")"
    ;;
valgrind_own)
    need_valgrind
    run valgrind --error-exitcode=9 --soname-synonyms=somalloc=NONE "$1"
    expect_well
    grep -q 'total heap usage: 0 allocs' "$work/err" || fail "replaced: $(cat "$work/err")"
    ;;
other_class)
    library=$1
    shift
    # Linked by hand with the 32-bit libc of Debian's libc6-i386: it needs no compiler of its own.
    libc=/lib32/libc.so.6
    [ -e "$libc" ] || skip "there is no 32-bit libc (Debian: libc6-i386)"
    cat >"$work/a.c" <<'END'
int puts(const char *);
void exit(int);
__attribute__((force_align_arg_pointer)) void _start(void) {
    puts("all is well");
    exit(0);
}
END
    "$@" -m32 -O1 -fno-pie -no-pie -fno-stack-protector -nostdlib -o "$work/a" "$work/a.c" "$libc" \
        -Wl,--dynamic-linker=/lib/ld-linux.so.2 || fail "a 32-bit program can't be linked"
    run "$work/a"
    [ "$status" -eq 0 ] || skip "this system runs no 32-bit programs"
    run env LD_PRELOAD="$library" "$work/a"
    expect_well
    grep -q 'wrong ELF class' "$work/err" || fail "no warning: $(cat "$work/err")"
    ;;
*)
    fail "unknown case"
    ;;
esac
