# shellcheck shell=bash
# Protects: a long-lived server: churn of small values, realloc of growing ones, I/O and lazy-free threads, a fork
# that writes the heap to disk while the parent goes on changing it. (Debian's redis is linked with jemalloc; malloc
# and free still come from the library that is preloaded.)
# needs: redis-server:redis-server redis-cli:redis-tools redis-benchmark:redis-tools
# timeout: 90

mkdir data
server=''
stop() { [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true; }
trap stop EXIT

start() {
    # A unix socket and no port: nothing listens on any network.
    redis-server --port 0 --unixsocket redis.sock --dir data --dbfilename dump.rdb --save '' --appendonly no \
        --io-threads 2 --io-threads-do-reads yes --lazyfree-lazy-user-del yes --rdbcompression yes >>server.log 2>&1 &
    server=$!
    local tries
    for ((tries = 0; tries < 200; tries++)); do
        [ "$(cli ping 2>>noise)" != PONG ] || return 0
        plain sleep 0.05
    done
    plain cat server.log >&2
    return 1
}
cli() { redis-cli -s data/redis.sock "$@" </dev/null; }
await() { # FIELD VALUE of INFO persistence
    local tries
    for ((tries = 0; tries < 400; tries++)); do
        ! cli info persistence | tr -d '\r' | grep -qx "$1:$2" || return 0
        plain sleep 0.05
    done
    return 1
}
# Everything that is stored, in a fixed order (hash tables are not).
digest() {
    {
        cli dbsize
        seq -f 'GET s:%.0f' 0 97 19999 | feed
        seq -f 'GETRANGE grown:%.0f 0 -1' 0 49 | feed
        seq -f 'LRANGE l:%.0f 0 -1' 0 49 | feed
        seq -f 'ZRANGE z:%.0f 0 -1 WITHSCORES' 0 49 | feed
        seq -f 'HGETALL h:%.0f' 0 49 | feed | sort
        seq -f 'SMEMBERS set:%.0f' 0 49 | feed | sort
    } >digest; wc -l <digest; sha256sum <digest
}
feed() { redis-cli -s data/redis.sock; }

awk 'BEGIN {
    for (i = 0; i < 20000; i++) {
        k = i % 50
        v = sprintf("value-%d-%*s", i, i % 300, "")
        gsub(/ /, "v", v)
        print "SET s:" i " " v
        print "APPEND grown:" k " " v
        print "RPUSH l:" k " " v
        print "ZADD z:" k " " i * 7919 % 10007 " m" i
        print "HSET h:" k " f" i " " v
        print "SADD set:" k " " i * 31 % 5003
        if (i % 5 == 0) print "DEL s:" i - 2
    }
}' >load

preload
start
proof_pid redis-server $server
proof redis-cli -s data/redis.sock
redis-benchmark -s data/redis.sock -n 20000 -c 20 -P 8 -d 200 -r 5000 -q \
    -t set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset >/dev/null
cli flushall async
feed <load >/dev/null
digest >out/before
cli bgsave >/dev/null
redis-benchmark -s data/redis.sock --dbnum 1 -n 5000 -P 4 -r 500 -q -t set,lpush >/dev/null # while it is written
await rdb_bgsave_in_progress 0
await rdb_last_bgsave_status ok
cli -n 1 flushdb
cli eval 'local t = {} for i = 1, 20000 do t[i] = "x" .. i end return #table.concat(t)' 0
cli shutdown save
wait "$server"
echo "exit $?"
start
digest >out/after
cli shutdown nosave
wait "$server"
server=''
plain grep -ci 'ready to accept connections' server.log
plain grep -iE 'crash|signal|assert|bug report|slabmalloc:' server.log || true
plain cmp out/before out/after
