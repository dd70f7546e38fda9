# shellcheck shell=bash
# Protects: rsync's three processes (fork, pipes), its growing file lists and its own memory pools.
# needs: rsync:rsync

words 60000 31 >lines
mkdir -p tree/a/b tree/c
split -l 200 -a 3 lines tree/a/file.
cp tree/a/file.aa? tree/a/b
cp lines tree/c/large
ln -s large tree/c/link
# rsync looks at times by the second: all old, then one changed.
find tree -exec touch -h -d @1000000000 {} +

preload
proof rsync -n --files-from=- . tmp/none
rsync -a -v tree/ copy | grep -v -E '^(sent|total)' | sort >out/first
diff -r tree copy
sed -i '500s/fox/wolf/' tree/c/large
rm tree/a/file.aa[b-f]
touch -d @1000000100 tree/a tree/c tree/c/large
rsync -a -c --no-whole-file --delete --itemize-changes tree/ copy | sort >out/second
diff -r tree copy
rsync -a -z --stats --no-whole-file --link-dest="$PWD/copy" tree/ linked | grep -E '^(Number|Total file size)' >out/stats
find copy linked -type f | sort | xargs sha256sum | sha256sum >out/content
rsync -a nosuch/ copy 2>>noise || echo "exit $?"
