-- A chat keeps the name that its customer gave for it: another chat with the same address changes nobody's name.
ALTER TABLE sessions ADD COLUMN customer_name text NOT NULL DEFAULT '';
UPDATE sessions s SET customer_name = c.name FROM customers c WHERE c.id = s.customer;
ALTER TABLE sessions ALTER COLUMN customer_name DROP DEFAULT;

-- Whether its agent took the chat by themselves: who does that while away means it.
ALTER TABLE sessions ADD COLUMN picked boolean NOT NULL DEFAULT false;
