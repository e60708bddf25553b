-- How much room a tenant's files take, without reading their rows.
CREATE INDEX attachments_of_tenant ON attachments (tenant) INCLUDE (size);
