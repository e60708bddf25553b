-- When a room was last heard of, so that it can be forgotten. now(), not clock_timestamp(), so that no row is written.
ALTER TABLE rooms ADD COLUMN seen_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE rooms ALTER COLUMN seen_at SET DEFAULT clock_timestamp();
