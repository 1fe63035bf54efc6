INSERT INTO plan SELECT id, messaging, signed_references, pmode, endpoint, lookup FROM message
    WHERE direction = 'out' AND (messaging IS NOT NULL OR lookup IS NOT NULL);
UPDATE message SET messaging = NULL, signed_references = NULL WHERE direction = 'out' AND messaging IS NOT NULL;
ALTER TABLE message DROP COLUMN endpoint;
ALTER TABLE message DROP COLUMN lookup;

-- Each index is a page more to write for every message: none for what another one finds as well, none for rows that nobody looks for.
DROP INDEX message_by_id;
DROP INDEX message_in;
CREATE UNIQUE INDEX message_in ON message (message_id, from_party, from_type) WHERE direction = 'in';
DROP INDEX message_recipient;
CREATE INDEX message_recipient ON message (recipient) WHERE recipient IS NOT NULL;
