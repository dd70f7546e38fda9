#!/bin/sh
# Purpose: a whole system on the library, by its name in /etc/ld.so.preload.
#
# Protects: every program runs on it then, those of the base system and with set-user-ID too, with
# an environment and without any, prints and returns what it does without the library, and the
# library says nothing; set-user-ID programs ignore the environment (field case I5).
#
# All of it happens in namespaces of mounts and processes of its own, where /etc is a copy and /mnt
# and /run are empty: however the test ends, the system has seen nothing of it. Needs root.
#
# system.sh LIBRARY COMPILER
#
# shellcheck disable=SC2016 # programs of other shells and languages
set -eu

skip() {
    echo "skipped: $*"
    exit 77
}

fail() {
    echo "system: $*" >&2
    exit 1
}

# cut_off COMMAND...: in namespaces that end with it.
cut_off() {
    unshare --mount --propagation private --pid --fork --kill-child --mount-proc "$@"
}

if [ "$1" != inside ]; then
    [ "$(id -u)" -eq 0 ] || skip "not root"
    [ ! -s /etc/ld.so.preload ] || skip "this system has an /etc/ld.so.preload already"
    cut_off mount -t tmpfs tmpfs /mnt 2>/dev/null || skip "no namespace with mounts of its own"
    cut_off sh "$0" inside "$@"
    exit
fi
library=$2
compiler=$3

# --- the system that the programs see -------------------------------------------------------------

# Where every user may read it, and opened before anything lies over its own place.
exec 3<"$library"
mount -t tmpfs -o mode=755 tmpfs /mnt
cat <&3 >/mnt/libslabmalloc.so
exec 3<&-
chmod 755 /mnt/libslabmalloc.so
cp -a /etc /mnt/etc 2>/mnt/words || skip "/etc can't be copied: $(head -n 1 /mnt/words)"
mount --bind /mnt/etc /etc
mount -t tmpfs -o mode=755 tmpfs /run # no daemon hears of this, and no log
cd /mnt
mkdir apt by_user results
echo "tmpfs /mnt/by_user tmpfs user,noauto 0 0" >>/etc/fstab
cp "$(command -v cat)" secure_cat
chmod 4755 secure_cat

cat >page.1 <<'END'
.TH PAGE 1 2001-09-09 slabmalloc
.SH NAME
page \- a manual page
.SH DESCRIPTION
Some words, to be filled and adjusted. Some words, to be filled and adjusted.
END

cat >program.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(void) {
    size_t sum = 0;
    for (size_t i = 0; i < 10000; i++) {
        char *p = malloc(i);
        sum += i ? strlen(memset(p, 0, i)) + 1 : 1;
        free(p);
    }
    return printf("%zu\n", sum) < 0;
}
END

cat >threads.py <<'END'
import json, threading
done = []
def work(n):
    for i in range(30):
        done.append(len(json.loads(json.dumps([str(j) for j in range(n * i)]))))
threads = [threading.Thread(target=work, args=(n,)) for n in range(1, 5)]
for t in threads: t.start()
for t in threads: t.join()
print(sum(done))
END

# --- how a program is run -------------------------------------------------------------------------

preload_on() { echo /mnt/libslabmalloc.so >/etc/ld.so.preload; }
preload_off() { : >/etc/ld.so.preload; }

usual="PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/mnt LC_ALL=C"
missing=""

# try NAME COMMAND...: its words and its status, in the files of this round.
try() {
    name=$1
    shift
    file=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin && command -v "$1") || {
        case " $missing " in *" $1 "*) ;; *) missing="$missing $1" ;; esac
        return 0
    }
    shift
    status=0
    # shellcheck disable=SC2086 # several variables, or none
    timeout 60 env -i $environment "$file" "$@" >"$results/$name.out" 2>"$results/$name.err" \
        </dev/null || status=$?
    echo "exit status $status" >>"$results/$name.out"
    echo "$name" >>"$results/names"
}

as_nobody="setpriv --reuid=65534 --regid=65534 --clear-groups env -i"

programs() {
    try sh sh -c 'for i in 1 2 3 4 5; do echo "$i $(echo "$i" | cat)"; done'
    try bash bash -c 'for i in {1..2000}; do a[i]=$i$i; done; echo "${#a[@]} ${a[*]: -3}"'
    try ls ls -lR /usr/lib/apt /usr/bin
    try cp sh -c 'rm -rf copy; cp -a etc copy; diff -r etc copy && echo same'
    try find find /usr/share/doc -name copyright -size +1k
    try sort sh -c 'find /usr/bin /usr/lib/apt | sort -r --parallel=2 -S 100k | tail -n 50'
    try sed sh -c 'sed -E "s/(.)(.)/\2\1/g; /x/d" /etc/services | head -n 100'
    try grep grep -rniE 'a.*(b|c)+[d-f]' /usr/share/dpkg
    try xargs sh -c 'find /usr/share/dpkg -type f | sort | xargs -n 2 md5sum'
    try tar sh -c 'tar -czf a.tgz -C / usr/share/dpkg && tar -tzf a.tgz'
    try gzip sh -c 'gzip -n -c /bin/bash | gzip -dc | cmp - /bin/bash && echo same'
    try perl perl -e '$h{$_} = "v$_" x 9 for 1 .. 20000; delete @h{1 .. 9999}; print scalar %h'
    try python3 python3 -S threads.py
    try git sh -c 'rm -rf work clone; git init -q -b main work && cd work && cp ../page.1 . &&
        git add page.1 && GIT_COMMITTER_DATE=@1+0000 git -c user.name=a -c user.email=b \
            commit -q --date=@1+0000 -m one && git clone -q . ../clone && git -C ../clone log'
    try dpkg dpkg -l
    try dpkg-query dpkg-query -S /bin/bash /usr/bin/perl
    try apt-get apt-get -o Dir::State::lists=/mnt/apt -s install dpkg
    try apt-cache apt-cache -o Dir::State::lists=/mnt/apt policy libc6
    try ldconfig ldconfig -p
    # Of the library itself and of addresses nothing: these are meant to differ.
    try ldd sh -c 'ldd /bin/bash | sed "/libslabmalloc/d; s/ (0x.*//"'
    try passwd passwd -S root
    try chage chage -l root
    try su su -c 'id -un; echo "$0"'
    try su_nobody su -s /bin/sh nobody -c 'id -un'
    try getent getent passwd
    try getent_hosts getent hosts localhost
    try useradd useradd --help
    try groupadd sh -c 'groupadd -g 63999 tester && getent group 63999 && groupdel tester'
    try mount sh -c 'mkdir -p m; mount -t tmpfs tmpfs m && echo a >m/f && cat m/f && umount m'
    try man man -P cat -l page.1
    try cc sh -c "$compiler -O1 -o program program.c && ./program"
    # With set-user-ID, for another user.
    # shellcheck disable=SC2086 # a command and its arguments
    {
        try secure_passwd $as_nobody /usr/bin/passwd -S
        try secure_mount $as_nobody /bin/mount /mnt/by_user
        try secure_umount $as_nobody /bin/umount /mnt/by_user
        try secure_su $as_nobody /bin/su --help
    }
}

# round NAME [VARIABLE=value...]: all of them.
round() {
    results=/mnt/results/$1
    shift
    environment=$*
    mkdir "$results"
    programs
}

# --- the same as without the library --------------------------------------------------------------

# same ROUND: what ROUND_preload printed is what ROUND_plain did.
same() {
    while read -r name; do
        for stream in out err; do
            file=$name.$stream
            ! grep -a '^slabmalloc:' "results/$1_preload/$file" >&2 ||
                fail "$name, $1 environment: the library spoke"
            if ! cmp -s "results/$1_plain/$file" "results/$1_preload/$file"; then
                diff -a "results/$1_plain/$file" "results/$1_preload/$file" |
                    cut -c 1-200 | head -n 10 >&2 || :
                fail "$name, $1 environment: not the same as without the library ($stream)"
            fi
        done
    done <"results/$1_plain/names"
}

# shellcheck disable=SC2086 # several variables, several arguments
{
    round usual_plain $usual
    round empty_plain
    preload_on
    round usual_preload $usual
    round empty_preload
    round help $usual SLABMALLOC_OPTIONS=help
    round stats $usual SLABMALLOC_STATS=exit

    secure=0
    $as_nobody ./secure_cat /proc/self/maps >results/secure.out 2>results/secure.err || secure=$?
    $as_nobody SLABMALLOC_OPTIONS=help,nonsense=1 SLABMALLOC_STATS=exit ./secure_cat page.1 \
        >results/ignored.out 2>results/ignored.err || secure=$?
    $as_nobody SLABMALLOC_OPTIONS=help,nonsense=1 SLABMALLOC_STATS=exit /usr/bin/passwd -S \
        >results/passwd.out 2>results/passwd.err || secure=$?
}
own_lines='while read -r line; do echo "$line"; done </proc/self/maps'
maps() { env -i "$@" >"results/maps.$1" 2>&1 || :; }
maps sh -c "$own_lines"
maps bash -c "$own_lines"
maps python3 -c 'print(open("/proc/self/maps").read())'
maps perl -e 'open F, "/proc/self/maps"; print <F>'
preload_off

same usual
same empty

# --- on the library, indeed -----------------------------------------------------------------------

# Only ldconfig may be without: it is static. chage, set-group-ID, ignores the environment for root
# too. What starts another user's programs, setpriv, has no such rights itself.
while read -r name; do
    case $name in
    ldconfig | chage) ;;
    *)
        grep -qa '^slabmalloc [0-9]' "results/help/$name.err" ||
            fail "$name does not run on the library: SLABMALLOC_OPTIONS=help prints nothing"
        ;;
    esac
done <results/usual_plain/names
for name in ls find perl python3 dpkg apt-get passwd su getent useradd man; do
    [ ! -e "results/usual_plain/$name.out" ] ||
        grep -qaE '^ *allocations +[1-9]' "results/stats/$name.err" ||
        fail "$name took no memory from the library: $(head -n 3 "results/stats/$name.err")"
done
for name in sh bash python3 perl; do
    [ ! -e "results/usual_plain/$name.out" ] ||
        grep -q /mnt/libslabmalloc.so "results/maps.$name" ||
        fail "$name has not got the library mapped: $(tail -n 3 "results/maps.$name")"
done

# --- with set-user-ID -----------------------------------------------------------------------------

[ "$secure" -eq 0 ] || fail "a set-user-ID program ended with $secure: $(cat results/*.err)"
grep -q /mnt/libslabmalloc.so results/secure.out ||
    fail "a set-user-ID program has not got the library mapped"
cmp -s page.1 results/ignored.out || fail "a set-user-ID program printed something else"
for name in secure ignored passwd; do
    [ ! -s "results/$name.err" ] ||
        fail "a set-user-ID program heeds the environment: $(head -n 3 "results/$name.err")"
done
[ ! -g /usr/bin/chage ] || [ ! -s results/help/chage.err ] ||
    fail "chage, set-group-ID, heeds the environment: $(head -n 3 results/help/chage.err)"
grep -q '^nobody ' results/passwd.out || fail "passwd -S printed $(cat results/passwd.out)"

[ -z "$missing" ] || skip "all else is well, but there is no$missing"
echo "$(wc -l <results/usual_plain/names) programs, each the same on the library"
