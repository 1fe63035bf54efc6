-- What is asked on a timer and for the metrics must not grow with what is long done.
DROP INDEX delivery_deadline;
CREATE INDEX delivery_deadline ON delivery (deadline) WHERE deadline IS NOT NULL AND state IN ('waiting', 'at-disposal');
CREATE INDEX delivery_due ON delivery (due) WHERE state = 'waiting';
CREATE INDEX delivery_lease_end ON delivery (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX message_lease_end ON message (lease_until) WHERE lease_until IS NOT NULL;
DROP INDEX recipient_deadline;
CREATE INDEX recipient_deadline ON recipient (deadline)
    WHERE deadline IS NOT NULL AND state IN ('at-remote-gateway', 'available');
-- For counting alone: without its condition SQLite would take it for a way to the messages of a recipient, of which there are few.
CREATE INDEX message_counts ON message (direction, class, state) WHERE class <> '';
CREATE INDEX message_inbound ON message (inbound) WHERE inbound IS NOT NULL;
