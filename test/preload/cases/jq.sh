# shellcheck shell=bash
# Protects: jq's reference-counted values: deep trees, copies on write, strings that grow.
# needs: jq:jq

words 20000 23 >lines

preload
proof jq .
jq -R -c 'split(" ") | {key: .[0], word: .[1], number: (.[2] | tonumber), rest: .[3:]}' lines >rows.json
sha256sum rows.json >out/rows
jq -s -S 'group_by(.number) | map({number: .[0].number, n: length, words: (map(.word) | unique | length)})' rows.json >out/groups
jq -n '[range(100000)] | map(. * 7919 % 10007) | sort | unique | length' >out/numbers
jq -n 'reduce range(3000) as $i (""; . + ($i | tostring)) | length' >out/string
jq -n '[limit(2000; repeat(1))] | [paths] | length' >out/paths
jq -n 'reduce range(400) as $i (null; [.]) | tojson | length' >out/deep
jq -r '[.key, .word] | @csv' rows.json | tail -n 5 >out/csv
echo '{"a": [1, 2' | jq . 2>out/error || echo "exit $?" >>out/error
