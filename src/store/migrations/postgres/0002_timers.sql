-- What is asked on a timer and for the metrics must not grow with what is long done.
DROP INDEX delivery_deadline;
CREATE INDEX delivery_deadline ON delivery (deadline) WHERE deadline IS NOT NULL AND state IN ('waiting', 'at-disposal');
CREATE INDEX delivery_waiting ON delivery (backend, due) WHERE state = 'waiting';
DROP INDEX recipient_deadline;
CREATE INDEX recipient_deadline ON recipient (deadline)
    WHERE deadline IS NOT NULL AND state IN ('at-remote-gateway', 'available');
CREATE INDEX message_counts ON message (direction, class, state);
