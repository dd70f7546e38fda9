-- group.sql: a table and its index in memory, grouped, joined, updated and deleted; @rows says how
-- many.
CREATE TABLE visit(id INTEGER PRIMARY KEY, person TEXT, page TEXT, seconds INT);
INSERT INTO visit
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < @rows)
    SELECT i, 'person ' || (i * 7919 % 20011), printf('/page/%x/%d', i * 31 % 499, i % 7), i % 300
    FROM n;
CREATE INDEX visit_person ON visit(person, page);
SELECT count(*), sum(total), max(pages) FROM
    (SELECT person, sum(seconds) AS total, count(DISTINCT page) AS pages FROM visit
        GROUP BY person);
SELECT page, count(*) AS visits, group_concat(DISTINCT substr(person, 8, 2)) FROM visit
    GROUP BY page ORDER BY visits DESC, page LIMIT 5;
UPDATE visit SET page = page || '?again' WHERE id % 3 = 0;
DELETE FROM visit WHERE seconds < 60;
SELECT count(*), count(DISTINCT page), sum(length(page)) FROM visit;
SELECT a.person, count(*) FROM visit a JOIN visit b ON a.person = b.person AND a.id < b.id
    WHERE a.id % 40 = 1 GROUP BY a.person ORDER BY 2 DESC, 1 LIMIT 3;
