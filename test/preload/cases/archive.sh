# shellcheck shell=bash
# Protects: xz and zstd with threads and windows of many megabytes (large mappings, freed by other threads than
# took them), and tar's tables of names.
# needs: tar:tar xz:xz-utils gzip:gzip bzip2:bzip2 zstd:zstd

words 100000 13 >lines
mkdir tree
split -l 500 -a 3 lines tree/file.
ln -s file.aaa tree/symlink
ln tree/file.aaa tree/hardlink

preload
proof tar -tf -
proof xz -c
proof zstd -c -T2
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf all.tar tree
xz -T2 --block-size=1MiB -2 -k -c all.tar >all.tar.xz
head -n 15000 lines | xz -9e -T1 -c | xz -dc | sha256sum >out/xz-extreme
gzip -n -6 -c all.tar >all.tar.gz
bzip2 -c lines | bzip2 -dc | cmp - lines
zstd -q -T2 -8 -c all.tar >all.tar.zst
zstd -q -12 --long=27 -T2 -c lines | zstd -q -d --long=27 -c | cmp - lines
sha256sum all.tar* >out/archives
for packed in all.tar.xz all.tar.gz all.tar.zst; do
    rm -rf unpacked && mkdir unpacked
    tar -xf $packed -C unpacked
    diff -r tree unpacked/tree
    tar -tvf $packed | awk '{ print $1, $3, $NF }' | sort | sha256sum
done >out/unpacked
xz --list --robot all.tar.xz | cut -f 1-5 >out/list
head -c 100000 all.tar.xz | xz -dc 2>out/truncated >/dev/null || echo "exit $?" >>out/truncated
