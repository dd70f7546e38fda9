# shellcheck shell=bash
# Protects: OpenSSL's memory functions (secure heap, error queues freed at thread and process exit), and speed's children.
# needs: openssl:openssl

words 50000 17 >lines
openssl genrsa -out key.pem 2048 2>/dev/null

preload
proof openssl dgst -sha256
openssl version >out/version
for algorithm in sha256 sha3-512 blake2b512 md5; do openssl dgst -$algorithm lines; done >out/dgst
openssl enc -aes-256-cbc -K "$(printf '%064d' 7)" -iv "$(printf '%032d' 9)" -in lines | sha256sum >out/enc
openssl enc -aes-256-ctr -pbkdf2 -pass pass:secret -in lines | openssl enc -d -aes-256-ctr -pbkdf2 -pass pass:secret | cmp - lines
openssl base64 -in lines | sha256sum >out/base64
openssl dgst -sha256 -sign key.pem -out signature lines
openssl rsa -in key.pem -pubout -out public.pem 2>>noise
openssl dgst -sha256 -verify public.pem -signature signature lines >out/verify
openssl req -x509 -key key.pem -subj /CN=test -days 1 -out cert.pem
openssl x509 -in cert.pem -noout -subject >out/subject
openssl verify -CAfile cert.pem cert.pem >out/chain
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | openssl pkey -noout -text | grep -c NIST
openssl speed -seconds 1 -bytes 1024 sha256 >/dev/null 2>>noise
openssl speed -seconds 1 -multi 2 -bytes 256 aes-128-cbc >/dev/null 2>>noise
openssl speed -seconds 1 nosuch >/dev/null 2>>noise || echo "exit $?"
