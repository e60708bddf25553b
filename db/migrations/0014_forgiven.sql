-- Refusals of an outage say nothing about their rooms (H13): each pair is forgiven once.
ALTER TABLE refusals ADD COLUMN forgiven boolean NOT NULL DEFAULT false;
