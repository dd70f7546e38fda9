# shellcheck shell=bash
# Protects: programs that live in a seccomp sandbox: man starts groff's programs under a filter that kills for a
# system call it does not know (field case A13).
# needs: man:man-db groff:groff-base

cat >page.1 <<'END'
'\" t
.TH PAGE 1 2001-09-09 slabmalloc
.SH NAME
page \- a manual page with a table
.SH DESCRIPTION
END
words 1500 | sed 's/^/.PP\n/' >>page.1
cat >>page.1 <<'END'
.TS
box; l l.
left	right
one	two
.TE
END
# sandboxed PID: some process started by PID has a seccomp filter (mode 2).
sandboxed() {
    local child status
    for child in $(cat "/proc/$1/task/$1/children"); do
        status=$(cat "/proc/$child/status" 2>/dev/null || true)
        [[ ! $status =~ Seccomp:[[:space:]]*2 ]] || return 0
        ! sandboxed "$child" || return 0
    done
    return 1
}

preload
proof man -l -
sleep 20 | man -l - >/dev/null 2>>noise &
filtered=no
for ((tries = 0; tries < 200; tries++)); do
    ! sandboxed $! || { filtered=yes; break; }
    plain sleep 0.02
done
kill %%
[ $filtered = yes ] || skip 'man has no sandbox here' # only in the plain run: else the filter was not tested
MANWIDTH=80 man -P cat -l page.1 >out/text
MANWIDTH=80 MAN_KEEP_FORMATTING=1 man -P cat -l page.1 >out/formatted
man -t -l page.1 | grep -v -E '^%%(CreationDate|Creator)' >out/postscript
gzip -n -c page.1 >packed.1.gz
MANWIDTH=60 man -P cat -l packed.1.gz | sha256sum >out/compressed
groff -t -man -Tutf8 page.1 | sha256sum >out/groff
