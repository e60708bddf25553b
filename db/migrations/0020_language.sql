-- In which language the customer's page spoke when the chat began: en, id, or not told.
ALTER TABLE sessions ADD COLUMN language text CHECK (language IN ('en', 'id'));
