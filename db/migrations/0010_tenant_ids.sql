-- New tenants have ids without `:`: the limit key of tenant `a:b` was that of agent `b` of tenant `a`. One that is here
-- already stays as it is, can be served to its end and removed.

ALTER TABLE tenants DROP CONSTRAINT tenants_id_check;

CREATE FUNCTION refuse_tenant_id() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'not a valid tenant id: %', NEW.id USING ERRCODE = '23514', CONSTRAINT = 'tenant_id';
END $$;

CREATE TRIGGER tenant_id BEFORE INSERT ON tenants FOR EACH ROW
    WHEN (NEW.id !~ '^[A-Za-z0-9_.@-]{1,64}$') EXECUTE FUNCTION refuse_tenant_id();
