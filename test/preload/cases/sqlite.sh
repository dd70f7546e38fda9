# shellcheck shell=bash
# Protects: a page cache of equal blocks, large sorts, and blobs, in a library that asks malloc_usable_size.
# needs: sqlite3:sqlite3

cat >load.sql <<'END'
PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA threads = 2;
CREATE TABLE item(id INTEGER PRIMARY KEY, grp INT, name TEXT, price REAL, note BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250000)
INSERT INTO item SELECT i, i * 7919 % 1009, 'name' || (i * 31 % 65537), i % 977 / 7.0, zeroblob(i % 40) FROM n;
CREATE INDEX by_name ON item(name, grp);
CREATE TABLE grp(id INTEGER PRIMARY KEY, label TEXT UNIQUE);
INSERT INTO grp SELECT DISTINCT grp, printf('group %04d', grp) FROM item;
BEGIN; UPDATE item SET name = name || 'x' WHERE id % 11 = 0; DELETE FROM item WHERE id % 13 = 0; COMMIT;
BEGIN; DELETE FROM item; ROLLBACK;
END
cat >query.sql <<'END'
SELECT count(*), sum(length(name)), round(sum(price), 3), sum(length(note)) FROM item;
SELECT label, count(*), round(avg(price), 4), max(name) FROM item JOIN grp ON grp.id = item.grp GROUP BY label ORDER BY 2 DESC, 1 LIMIT 40;
SELECT a.name, count(*) FROM item a JOIN item b ON a.name = b.name AND a.id < b.id GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20;
SELECT id, rank() OVER (PARTITION BY grp ORDER BY price DESC, id) r FROM item ORDER BY r DESC, id LIMIT 20;
SELECT json_group_array(name) FROM (SELECT name FROM item WHERE name LIKE '%777%' ORDER BY id LIMIT 50);
SELECT length(group_concat(name, ';')) FROM item;
END

preload
proof sqlite3 -batch :memory:
sqlite3 -batch test.db <load.sql
sqlite3 -batch test.db <query.sql >out/query
sqlite3 -batch test.db 'VACUUM; PRAGMA integrity_check; ANALYZE;'
sqlite3 -batch test.db .dump | sha256sum >out/dump
sqlite3 -batch :memory: ".restore test.db" <<<'SELECT count(*) FROM item;'
