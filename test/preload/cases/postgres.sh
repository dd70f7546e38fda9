# shellcheck shell=bash
# Protects: a server of one process for each connection, forked from one that is never idle, on shared memory, with
# memory contexts of its own above malloc, sorts that spill, parallel workers, and clients of many threads (field case
# I4). As root the server runs as nobody, for it refuses root.
# needs: pg_createcluster:postgresql psql:postgresql setpriv:util-linux
# timeout: 90

shopt -s nullglob
installed=(/usr/lib/postgresql/*/bin/initdb)
[ ${#installed[@]} -gt 0 ] || { echo 'no initdb: apt-get install postgresql' >&2; exit 1; }
PATH=$(dirname "${installed[-1]}"):$PATH # else psql and pgbench were Debian's wrappers

server=''
# Nothing is left, not even of a server that hangs: its children are in sessions of their own.
stop() {
    local children='' tries
    [ -n "$server" ] || return 0
    children=$(plain cat "/proc/$server/task/$server/children" 2>/dev/null) || true
    kill -QUIT "$server" 2>/dev/null || true
    for ((tries = 0; tries < 60; tries++)); do
        kill -0 "$server" 2>/dev/null || break
        plain sleep 0.05
    done
    # shellcheck disable=SC2086 # several
    kill -KILL "$server" $children 2>/dev/null || true
}
trap stop EXIT

mkdir data
as_server=()
if [ "$(id -u)" = 0 ]; then
    as_server=(setpriv --reuid=nobody --regid=nogroup --clear-groups --)
    chmod 711 .
    { chown nobody:nogroup data && "${as_server[@]}" test -w data; } ||
        skip 'root cannot become nobody here, and PostgreSQL refuses to run as root'
fi
export PGHOST=$PWD/data PGUSER=tester PGDATABASE=postgres PGTZ=UTC PGOPTIONS='--client-min-messages=warning'
cat >options <<END
listen_addresses = ''
unix_socket_directories = '$PWD/data'
fsync = off
max_connections = 40
shared_buffers = 8MB
work_mem = 256kB
max_parallel_workers_per_gather = 2
min_parallel_table_scan_size = 0
parallel_setup_cost = 0
parallel_tuple_cost = 0
autovacuum_naptime = 1
dynamic_shared_memory_type = mmap
END

start() {
    "${as_server[@]}" postgres -D data/base >>server.log 2>&1 &
    server=$!
    local tries
    for ((tries = 0; tries < 400; tries++)); do
        ! pg_isready -q || return 0
        kill -0 $server 2>/dev/null || break
        plain sleep 0.05
    done
    plain cat server.log >&2
    return 1
}
shut_down() { # SIGNAL
    kill "-$1" $server
    wait $server
    echo "exit $?"
    server=''
}
sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 "$@" </dev/null; }
# Every client has its own random numbers: what they add up to is the same each time.
bench() { pgbench -n --random-seed=7 "$@" >>noise 2>&1; }

preload
"${as_server[@]}" initdb -D data/base -U tester -A trust -N --no-instructions --locale=C -E UTF8 >>noise
plain "${as_server[@]}" tee -a data/base/postgresql.conf <options >/dev/null
start
proof psql
# The server's process belongs to another user, whose mappings even root may not be allowed to read.
sql -c "select pg_read_file('/proc/self/maps')" >maps.copy
plain grep -q '/bin/postgres$' maps.copy
proof_maps postgres maps.copy

pgbench -q -i -s 2 >>noise 2>&1
bench -c 8 -j 4 -t 100
bench -c 6 -j 2 -t 100 -M prepared
bench -c 4 -j 4 -t 25 -C -S # a new process for each transaction
bench -c 4 -j 2 -t 30 -N -M extended
sql -c 'select sum(abalance), (select sum(tbalance) from pgbench_tellers), (select sum(bbalance) from pgbench_branches),
    (select sum(delta) from pgbench_history), (select count(*) from pgbench_history) from pgbench_accounts' >out/sums
sql -c 'copy (select aid, abalance from pgbench_accounts where abalance <> 0 order by aid) to stdout' | sha256sum >out/accounts

cat >queries.sql <<'END'
create table t as select i, md5(i::text) as h, repeat(md5((i % 97)::text), i % 40) as long,
    jsonb_build_object('i', i, 'a', array[i, i * 2], 'o', jsonb_build_object('h', md5(i::text))) as j
    from generate_series(1, 20000) i;
create index on t (h);
create index on t using gin (j);
analyze t;
select count(*), sum(length(long)), md5(string_agg(h, ',' order by h desc)) from t;
select length(string_agg(long, '')) from t;
select count(distinct a.h), sum(b.i) from t a join t b on a.i = b.i + 1 where a.long <> b.long;
select i % 11, count(*), max(h), md5(string_agg(long, '' order by i)) from t group by 1 order by 1;
select count(*) from t where j @> '{"a": [77]}' or h ~ '^(ab|cd)+.*[0-9]{3}$';
with recursive r(n, s) as (select 1, 'x'::text union all select n + 1, s || n from r where n < 500)
    select max(length(s)) from r;
create function work(n int) returns bigint language plpgsql as $$
declare total bigint := 0; parts text[] := '{}'; row record;
begin
    for row in select i, h from t order by h limit n loop
        parts := parts || row.h;
        begin
            if row.i % 50 = 0 then raise exception 'rolled back'; end if;
            total := total + row.i;
        exception when others then total := total - 1;
        end;
    end loop;
    return total + length(array_to_string(parts, ','));
end $$;
select work(3000);
begin; update t set long = upper(long) where i % 3 = 0; savepoint s; delete from t where i % 5 = 0; rollback to s; commit;
select md5(string_agg(long, '' order by i)) from t;
vacuum full t;
reindex table t;
select count(*), md5(string_agg(j::text, '' order by i)) from t;
select xmlelement(name e, xmlagg(xmlelement(name i, i))) is not null from t where i < 100;
END
sql -f queries.sql >out/queries
sql -c 'select no_such_column from t' 2>out/error || echo "exit $?" >>out/error
sql -c "select repeat('x', 1 << 30)" 2>>out/error || echo "exit $?" >>out/error
# Rows lie where clients came by; the random words after \restrict are not of interest either.
pg_dump -t t -t 'pgbench_[bt]*' | plain grep -vE '^\\(un)?restrict ' | sort | sha256sum >out/dump
shut_down INT >out/ends
start
sql -c 'select count(*), sum(i) from t' >out/again
shut_down TERM >>out/ends
plain grep -iE 'panic|terminated by signal|slabmalloc:' server.log || true
