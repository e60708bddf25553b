-- Search finds the parts of what is written in one: `001` of INV-2024-001, `biru` of merah/biru, `lebaran` of an address.
-- PostgreSQL's own parser takes such things for one word each, and of a text made for it the square of its length in time:
-- three seconds for the longest message, at each insert.
CREATE FUNCTION words_of(written text) RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_tsvector('simple', regexp_replace(translate(written, '._-/@:&<+~', '          '),
                                                '(?<=[0-9])(?=[^0-9\s])|(?<=[^0-9\s])(?=[0-9])', ' ', 'g'))
$$;

DROP INDEX messages_by_text;
DROP INDEX attachments_by_name;
CREATE INDEX messages_by_words ON messages USING gin (words_of(body));
CREATE INDEX attachments_by_words ON attachments USING gin (words_of(name));

-- Of the preview of a picture, in pixels: pages know how much room it takes before it is there. NULL: none was made yet;
-- 0: none can be made.
ALTER TABLE attachments ADD COLUMN preview_width integer, ADD COLUMN preview_height integer;
