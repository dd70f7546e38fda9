# shellcheck shell=bash
# Protects: a server that drops its privileges: sshd starts itself anew for each connection, and the child that speaks
# with strangers lives in a seccomp sandbox that ends it for a system call it does not know (field cases A13, I1).
# The server listens on 127.0.0.1 only. Run by root it needs /run/sshd, which is made, and removed again.
# needs: sshd:openssh-server ssh:openssh-client scp:openssh-client sftp:openssh-client
# timeout: 90

sshd=$(type -P sshd) # it wants its absolute path
user=$(id -un)
made=''
server=''
stop() {
    [ -z "$server" ] || kill -TERM "$server" 2>/dev/null || true
    [ -z "$made" ] || LD_PRELOAD='' rmdir "$made" || true
}
trap stop EXIT
# A login needs a shell, and an account that is not locked.
[[ $(getent passwd "$user" | cut -d : -f 7) =~ /(ba|da|z|k)?sh$ ]] || skip "$user has no login shell"
if [ "$(id -u)" = 0 ]; then
    [[ ! $(getent shadow root | cut -d : -f 2) =~ ^! ]] || skip "root's account is locked"
    [ -d /run/sshd ] || { mkdir -m 755 /run/sshd && made=/run/sshd; }
fi

mkdir -m 700 keys
for type in rsa ecdsa ed25519; do
    ssh-keygen -q -t $type -N '' -C host -f keys/host.$type
done
ssh-keygen -q -t ed25519 -N '' -C user -f keys/user
ssh-keygen -q -t ed25519 -N '' -C stranger -f keys/stranger
cp keys/user.pub keys/authorized
words 12000 41 >lines
# The library also comes to the commands that the server starts, which else get a clean environment.
cat >server_config <<END
ListenAddress 127.0.0.1
HostKey $PWD/keys/host.rsa
HostKey $PWD/keys/host.ecdsa
HostKey $PWD/keys/host.ed25519
AuthorizedKeysFile $PWD/keys/authorized
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
PermitUserRC no
KexAlgorithms +diffie-hellman-group16-sha512
PrintLastLog no
MaxStartups 50
LogLevel VERBOSE
Subsystem sftp internal-sftp
SetEnv CASE=1${CASE_LIB:+ LD_PRELOAD=$CASE_LIB}
END

# knock PORT: succeeds if somebody listens there.
knock() { (exec 8<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Some port that is free; if another program takes it meanwhile, the next is tried.
start() {
    local tries wait
    for ((tries = 0; tries < 10; tries++)); do
        port=$((20000 + (RANDOM * 7 + $$) % 12000))
        ! knock $port || continue
        "$sshd" -D -e -f "$PWD/server_config" -p $port >>server.log 2>&1 &
        server=$!
        for ((wait = 0; wait < 200; wait++)); do
            ! knock $port || return 0
            kill -0 $server 2>/dev/null || break
            plain sleep 0.05
        done
        ! plain grep -q 'Cannot assign requested address' server.log || skip 'there is no 127.0.0.1'
    done
    plain cat server.log >&2
    return 1
}

# sandboxed PID: some process under PID has a seccomp filter (mode 2).
sandboxed() {
    local child status
    for child in $(plain cat "/proc/$1/task/$1/children" 2>/dev/null || true); do
        status=$(plain cat "/proc/$child/status" 2>/dev/null || true)
        [[ ! $status =~ Seccomp:[[:space:]]*2 ]] || return 0
        ! sandboxed "$child" || return 0
    done
    return 1
}

preload
start
proof_pid sshd $server
cat >client_config <<END
Host server
    HostName 127.0.0.1
    Port $port
    User $user
    IdentityFile $PWD/keys/user
    IdentitiesOnly yes
    IdentityAgent none
    BatchMode yes
    LogLevel ERROR
    UserKnownHostsFile $PWD/known
    GlobalKnownHostsFile none
    StrictHostKeyChecking accept-new
END
client() { ssh -F client_config "$@"; }

connections() { plain cat "/proc/$server/task/$server/children"; }

# Those of the knocks end by themselves, and are let go first: they would be taken for the next one.
for ((tries = 0; tries < 400; tries++)); do
    [ -n "$(connections)" ] || break
    plain sleep 0.05
done

# A connection that says its name and no more: its process, started anew by the server, and the sandboxed child of that.
exec 7<>"/dev/tcp/127.0.0.1/$port"
printf 'SSH-2.0-silent\r\n' >&7
for ((tries = 0; tries < 400; tries++)); do
    ! sandboxed $server || break
    plain sleep 0.05
done
sandboxed $server || skip 'sshd has no sandbox here' # only in the plain run: else it was not tested
for pid in $(connections); do
    PROOF_EXE='*/sshd*' proof_pid sshd "$pid" # newer versions start another program
done
exec 7>&-

client server 'exec cat /proc/self/maps' </dev/null >maps.copy
proof_maps 'a command that sshd started' maps.copy
for type in rsa-sha2-512 ecdsa-sha2-nistp256 ssh-ed25519; do
    plain rm -f known
    client -o HostKeyAlgorithms=$type server 'seq 1000; echo error >&2; exit 3' </dev/null 2>out/error.$type |
        sha256sum >out/seq.$type || echo "exit $?" >>out/seq.$type
done
for kex in sntrup761x25519-sha512@openssh.com curve25519-sha256 diffie-hellman-group16-sha512; do
    # shellcheck disable=SC2016 # there
    client -o KexAlgorithms=$kex server 'echo "$CASE"' </dev/null >>out/kex
done
# Keys are renewed on the way.
for cipher in chacha20-poly1305@openssh.com aes256-gcm@openssh.com aes128-ctr; do
    client -c $cipher -o RekeyLimit=512K -o KexAlgorithms=curve25519-sha256 server cat <lines | sha256sum >>out/ciphers
done
client -C server 'sort | sha256sum' <lines >out/compressed
# Four at once, then four sessions over one connection.
for number in 1 2 3 4; do
    client server "seq $number 20000 | sha256sum" </dev/null >out/parallel.$number &
    sessions[number]=$!
done
for number in 1 2 3 4; do
    wait "${sessions[number]}"
done
client -M -S tmp/control -N -f server </dev/null
for number in 1 2 3 4; do
    client -S tmp/control server "seq $number 30000 | sha256sum" </dev/null >out/shared.$number
done
client -S tmp/control -O exit server 2>>noise
scp -q -F client_config lines server:"$PWD/tmp/lines"
cmp lines tmp/lines && echo same >out/scp
printf 'get %s tmp/again\nls -1 %s\n' "$PWD/tmp/lines" "$PWD/keys" | sftp -q -b - -F client_config server 2>>noise |
    plain grep -c /host. >out/sftp
cmp lines tmp/again
sed 's|keys/user|keys/stranger|' client_config >strangers_config
ssh -F strangers_config server true </dev/null 2>out/stranger || echo "exit $?" >>out/stranger
# One connection without a listener, over pipes.
client -o "ProxyCommand=$sshd -i -e -f $PWD/server_config 2>>$PWD/server.log" -o HostKeyAlias=pipes \
    server 'seq 1000 | sha256sum' </dev/null >out/pipes
kill -TERM $server
wait $server || echo "exit $?" >out/end
server=''
plain grep -c '^Accepted publickey' server.log >out/accepted
plain grep -iE 'fatal|sandbox|violation|signal 31' server.log || true
