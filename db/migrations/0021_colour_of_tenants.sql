-- The colour of a chat of our own on its customers' page; none: ours.
ALTER TABLE tenants ADD COLUMN color text CHECK (color ~ '^#[0-9a-f]{6}$');
