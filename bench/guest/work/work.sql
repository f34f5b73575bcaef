-- Inserts, indexes, joins, groups, text search, updates and deletes.
CREATE TABLE item(id INTEGER PRIMARY KEY, kind INT, price INT, name TEXT);
CREATE TABLE kind(id INTEGER PRIMARY KEY, name TEXT);
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < (SELECT n FROM amount))
INSERT INTO item SELECT x, x * 7919 % 101, x * 104729 % 9973, printf('item %d-%x', x % 997, x * 31) FROM c;
INSERT INTO kind SELECT DISTINCT kind, 'kind ' || kind FROM item;
CREATE INDEX item_price ON item(price, kind);
SELECT kind.name, count(*), sum(price), max(item.name) FROM item JOIN kind ON kind.id = item.kind
    GROUP BY kind.id ORDER BY 3 DESC, 1 LIMIT 5;
SELECT count(*), sum(length(name)) FROM item WHERE name LIKE '%7-%a%';
SELECT count(*) FROM item a JOIN item b ON b.price = a.price AND b.kind = a.kind WHERE a.id < b.id;
UPDATE item SET price = price + 1 WHERE kind % 3 = 0;
DELETE FROM item WHERE price % 5 = 1;
SELECT count(*), total(price), group_concat(DISTINCT substr(name, 1, 6)) FROM item WHERE id % 499 = 3;
