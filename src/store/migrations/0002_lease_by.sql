-- Who holds a lease: a node that starts again ends its own, and nobody begins an attempt under another's.
ALTER TABLE message ADD COLUMN lease_by TEXT;
ALTER TABLE delivery ADD COLUMN lease_by TEXT;
