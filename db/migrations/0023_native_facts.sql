-- Customers of our own chat are routed by the rules, too.

ALTER TABLE sessions
    ADD COLUMN facts jsonb,                           -- what the rules ask about its customer, until it has ended
    ADD COLUMN topic jsonb;                           -- what they chose, by language; until it has ended

CREATE FUNCTION forget_session_facts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.facts = NULL;
    NEW.topic = NULL;
    RETURN NEW;
END $$;

CREATE TRIGGER facts_while_open BEFORE UPDATE OF status ON sessions FOR EACH ROW
    WHEN (NEW.status = 'ended' AND (NEW.facts IS NOT NULL OR NEW.topic IS NOT NULL))
    EXECUTE FUNCTION forget_session_facts();
