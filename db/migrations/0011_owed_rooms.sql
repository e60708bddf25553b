-- Policy fill_two: who was given a room while they had none is owed a second one, whenever it comes.
ALTER TABLE agents ADD COLUMN owed boolean NOT NULL DEFAULT false;

-- Of a large team a round keeps the candidates that mattered, and how many there were.
ALTER TABLE rounds ADD COLUMN crew jsonb NOT NULL DEFAULT '{}';

-- Rooms that may be chosen now: thousands at the head that wait for something else are not walked over.
CREATE INDEX line_ready ON visits (tenant, class, priority DESC, arrived_us, id)
 WHERE state = 'waiting' AND look_at IS NULL AND aside IS NULL AND retry_at IS NULL;
