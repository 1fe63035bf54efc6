-- Name of the key under which a form is encrypted at rest; NULL where it lies as it is.
ALTER TABLE payload_form ADD COLUMN sealed TEXT;
-- A start looks for the files that rows name, and reads no content for it.
CREATE INDEX payload_form_file ON payload_form (file) WHERE file IS NOT NULL;
