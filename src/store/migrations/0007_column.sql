ALTER TABLE recipient ADD COLUMN evidence_due INTEGER;
-- How long sending is tried: as long again where an operator orders it after the deadline.
ALTER TABLE message ADD COLUMN send_window INTEGER;
