# shellcheck shell=bash
# Protects: programs with many libraries loaded at start (curl: TLS, Kerberos, LDAP, their constructors) and ssh's tools,
# which wipe and check what they free. Nothing leaves the machine: curl reads files only.
# needs: curl:curl ssh-keygen:openssh-client

words 30000 29 >lines
ssh-keygen -q -t ed25519 -N '' -C test -f fixed

preload
proof curl -K -
proof ssh-keygen -l -f -
curl --version >out/curl
curl -s "file://$PWD/lines" | sha256sum >out/file
curl -s "file://$PWD/lines" -o tmp/a "file://$PWD/lines" -o tmp/b && cmp tmp/a tmp/b && cmp tmp/a lines
curl -s "file://$PWD/nosuch" || echo "exit $?" >out/nosuch
ssh-keygen -y -f fixed | cut -d ' ' -f 1-2 | cmp - <(cut -d ' ' -f 1-2 fixed.pub) && echo same >out/public
for type in rsa ecdsa ed25519; do
    ssh-keygen -q -t $type -N secret -C test -f key.$type
    ssh-keygen -l -f key.$type.pub | sed 's/SHA256:[^ ]*/HASH/'
    ssh-keygen -q -p -P secret -N other -f key.$type >/dev/null
done >out/keys
ssh-keygen -Y sign -f fixed -n file lines 2>>noise
printf 'me %s\n' "$(cat fixed.pub)" >allowed
ssh-keygen -Y verify -f allowed -I me -n file -s lines.sig <lines | cut -d ' ' -f 1-6 >out/verify
