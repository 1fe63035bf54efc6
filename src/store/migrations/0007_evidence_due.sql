-- When evidence should have come of a recipient whose access point has agreed to send it, and has only sent a receipt.
UPDATE recipient SET evidence_due = (SELECT max(received) + 86400000000 FROM evidence WHERE recipient = recipient.id)
    WHERE profile = 'rem' AND state = 'at-remote-gateway';
CREATE INDEX recipient_evidence_due ON recipient (evidence_due) WHERE evidence_due IS NOT NULL;
-- What stands is asked before it is told once more.
CREATE INDEX notice_open ON notice (kind, subject) WHERE cleared IS NULL;
