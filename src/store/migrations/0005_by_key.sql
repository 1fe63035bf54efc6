-- Short rows live in the tree of their key.
CREATE TABLE part_by_key (
    owner       TEXT NOT NULL,
    position    INTEGER NOT NULL,
    payload     TEXT NOT NULL REFERENCES payload (id),
    form        TEXT NOT NULL,
    cid         TEXT NOT NULL,
    media_type  TEXT NOT NULL,
    properties  TEXT NOT NULL,
    PRIMARY KEY (owner, position)
) STRICT, WITHOUT ROWID;
INSERT INTO part_by_key SELECT owner, position, payload, form, cid, media_type, properties FROM part;
DROP TABLE part;
ALTER TABLE part_by_key RENAME TO part;
CREATE INDEX part_payload ON part (payload);

CREATE TABLE delivery_by_key (
    id          TEXT PRIMARY KEY,
    message     TEXT NOT NULL UNIQUE REFERENCES message (id),
    backend     TEXT NOT NULL,
    state       TEXT NOT NULL,
    due         INTEGER NOT NULL,
    lease_until INTEGER,
    lease_by    TEXT,
    tries       INTEGER NOT NULL DEFAULT 0,
    deadline    INTEGER,
    listed_at   INTEGER,
    settled_at  INTEGER,
    code        TEXT,
    reason      TEXT,
    created     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO delivery_by_key SELECT id, message, backend, state, due, lease_until, lease_by, tries, deadline, listed_at, settled_at,
    code, reason, created FROM delivery;
DROP TABLE delivery;
ALTER TABLE delivery_by_key RENAME TO delivery;
CREATE INDEX delivery_open ON delivery (backend, state, id);
CREATE INDEX delivery_deadline ON delivery (deadline) WHERE deadline IS NOT NULL AND state IN ('waiting', 'at-disposal');
CREATE INDEX delivery_due ON delivery (due) WHERE state = 'waiting';
CREATE INDEX delivery_lease_end ON delivery (lease_until) WHERE lease_until IS NOT NULL;

-- Events are never removed, so that the next number is one more than the last.
CREATE TABLE event_numbered (
    sequence    INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    channel     TEXT,
    data        TEXT NOT NULL
) STRICT;
INSERT INTO event_numbered SELECT sequence, at, kind, channel, data FROM event;
DROP TABLE event;
ALTER TABLE event_numbered RENAME TO event;
