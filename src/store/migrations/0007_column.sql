ALTER TABLE recipient ADD COLUMN evidence_due INTEGER;
