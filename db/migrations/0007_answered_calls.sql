-- A visit that is being assigned stays reserved, and its seat taken, until the call has a definite answer.

ALTER TABLE visits
    ADD COLUMN answered          integer,
    ADD COLUMN resolved_comment  text,
    ADD COLUMN again_latest      bigint,
    ADD COLUMN again_at          timestamptz;

CREATE FUNCTION refuse_unanswered() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'visit % is being assigned: attempt % has no answer yet', OLD.id, OLD.attempt
          USING ERRCODE = '23514', CONSTRAINT = 'reserved_until_answered';
END $$;

CREATE TRIGGER reserved_until_answered BEFORE UPDATE OF state ON visits FOR EACH ROW
    WHEN (OLD.state = 'reserved' AND NEW.state <> 'reserved' AND NEW.answered IS DISTINCT FROM OLD.attempt)
    EXECUTE FUNCTION refuse_unanswered();
