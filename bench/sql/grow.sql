-- As many items as :rows says, of the 100 000 of seed.sql: fewer of them, or copies with ids and times that go on.
DELETE FROM items WHERE id > :rows;
INSERT INTO items (id, owner_id, name, price, description, created_at)
SELECT g, i.owner_id, 'Item ' || g, i.price, i.description,
       timestamptz '2024-01-01 00:00:00.250+00' + g * interval '60.003 seconds'
FROM generate_series(100001, :rows) g JOIN items i ON i.id = 1 + (g - 1) % 100000
ORDER BY g;
VACUUM (FULL, ANALYZE, FREEZE) items;
VACUUM (ANALYZE) items;
CHECKPOINT;
