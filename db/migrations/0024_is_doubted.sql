-- Whether some refusal of the desk is not judged yet. A function with a snapshot of its own: a statement that waited for
-- the tenant's row sees the row as it is now, and what stands beside it as it was before.
CREATE FUNCTION is_doubted(of_tenant text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM doubts WHERE tenant = of_tenant) OR EXISTS (SELECT FROM refusals WHERE tenant = of_tenant);
END $$;

-- Nothing asks it any more.
DROP FUNCTION is_attended(text);
