# shellcheck shell=bash
# Protects: git's threaded delta search, its mmap windows, and the many short children that it starts.
# Packs themselves are not compared: threads may choose other deltas.
# needs: git:git

export GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=A GIT_AUTHOR_EMAIL=a@example.org
export GIT_COMMITTER_NAME=C GIT_COMMITTER_EMAIL=c@example.org GIT_PAGER=cat
words 12000 3 >lines
mkdir repo
split -l 40 -a 3 lines repo/file. # 300 files
cd repo

preload
proof git hash-object --stdin
git -c init.defaultBranch=main init -q .
git config gc.auto 0
git config pack.threads 2
for round in 1 2 3 4 5; do
    export GIT_AUTHOR_DATE="100000000$round +0000" GIT_COMMITTER_DATE="100000000$round +0000"
    sed -i "$((round * 3))s/fox/wolf $round/" file.a?$(printf 'abcdef' | cut -c $round)
    [ $round != 3 ] || git mv file.aab moved
    git add -A
    git commit -q -m "round $round"
done
git checkout -q -b side HEAD~2
echo side >>file.abc && git commit -q -a -m side
git checkout -q main && git merge -q -m merge side
git tag -a -m tagged v1

git log --stat --format='%H %an %ad %s' --date=iso >../out/log
git log -p --follow --format=%h moved >../out/follow
git diff HEAD~4 >../out/diff
git diff --word-diff HEAD~1 >../out/word-diff
git blame --date=iso file.aaa >../out/blame
git gc -q --aggressive --prune=now
git fsck --full --strict >../out/fsck 2>&1
git count-objects -v | grep -E '^(count|in-pack|packs|garbage)' >../out/count
git rev-list --objects --all | sort >../out/objects
git clone -q --no-local . ../clone
git -C ../clone log -1 --format=%H >../out/clone
git grep -c wolf >../out/grep
git archive HEAD | sha256sum >../out/archive
