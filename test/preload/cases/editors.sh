# shellcheck shell=bash
# Protects: vim (undo trees, its script interpreter with lists and closures, its own regular expressions) and ed.
# needs: vim:vim ed:ed

words 6000 19 >lines
cat >script.vim <<'END'
edit lines
%s/\v(k\d+) (w\x+)/\2 \1/
g/fox \d*5 /normal A tail
let &undolevels = &undolevels
g/7 jumps/m0
undo
redo
undo
sort /\d\+ /
1000,2000!sort -r
execute "normal ggqaA!\<Esc>jq500@a"
let g:words = {}
for line in getline(1, '$')
  for word in split(line, '[ !]\+')
    let g:words[word] = get(g:words, word, 0) + len(line)
  endfor
endfor
let g:F = {n -> n <= 1 ? 1 : n * g:F(n - 1)}
call writefile([len(g:words), g:F(15)] + map(sort(keys(g:words))[:20], {_, k -> k .. ' ' .. g:words[k]}), 'out/words')
let &undolevels = &undolevels
1,500t$
earlier 1
write! out/vim
END

preload
proof vim -es -Nu NONE -i NONE -n
proof ed
vim -es -Nu NONE -i NONE -n -S script.vim -c 'qa!' </dev/null
ed -s lines <<'END'
g/fox/s/quick/slow/g
1,2000t$
20,30j
$-100,$d
/k01/;/k0[2-4]/p
g/9 jumps/m0
u
w out/ed
q
END
