-- Times are microseconds since 1970 UTC; ids are UUIDv7 text; digests are raw SHA-256 octets.

CREATE TABLE payload (
    id          TEXT PRIMARY KEY,
    size        INTEGER NOT NULL,
    sha256      BLOB NOT NULL,
    refs        INTEGER NOT NULL DEFAULT 0,
    created     INTEGER NOT NULL
) STRICT;

CREATE TABLE payload_form (
    payload     TEXT NOT NULL REFERENCES payload (id) ON DELETE CASCADE,
    form        TEXT NOT NULL,
    size        INTEGER NOT NULL,
    sha256      BLOB NOT NULL,
    content     BLOB,
    file        TEXT,
    PRIMARY KEY (payload, form),
    CHECK ((content IS NULL) <> (file IS NULL))
) STRICT;

CREATE TABLE submission (
    id          TEXT PRIMARY KEY,
    channel     TEXT NOT NULL,
    client_id   TEXT NOT NULL,
    digest      BLOB NOT NULL,
    envelope    BLOB NOT NULL,
    metadata    TEXT NOT NULL,
    created     INTEGER NOT NULL,
    UNIQUE (channel, client_id)
) STRICT;

CREATE TABLE recipient (
    id              TEXT PRIMARY KEY,
    submission      TEXT NOT NULL REFERENCES submission (id),
    position        INTEGER NOT NULL,
    address         TEXT NOT NULL,
    participant     TEXT,
    domain          TEXT NOT NULL,
    deadline        INTEGER,
    policy          TEXT NOT NULL,
    profile         TEXT NOT NULL,
    original_sender TEXT NOT NULL,
    document_type   TEXT,
    process         TEXT,
    service         TEXT,
    service_type    TEXT,
    action          TEXT,
    properties      TEXT NOT NULL,
    state           TEXT NOT NULL,
    send            TEXT NOT NULL,
    delivery        TEXT NOT NULL,
    sent_at         INTEGER,
    delivered_at    INTEGER,
    provisional     INTEGER NOT NULL DEFAULT 0,
    record          TEXT NOT NULL,
    chain_length    INTEGER NOT NULL DEFAULT 0,
    chain_head      BLOB,
    unsealed        INTEGER NOT NULL DEFAULT 0,
    UNIQUE (submission, position)
) STRICT;
CREATE INDEX recipient_state ON recipient (state);
CREATE INDEX recipient_unsealed ON recipient (unsealed) WHERE unsealed = 1;
CREATE INDEX recipient_deadline ON recipient (deadline) WHERE deadline IS NOT NULL;

CREATE TABLE message (
    id              TEXT PRIMARY KEY,
    message_id      TEXT NOT NULL,
    direction       TEXT NOT NULL,
    class           TEXT NOT NULL,
    recipient       TEXT REFERENCES recipient (id),
    inbound         TEXT REFERENCES message (id),
    conversation    TEXT NOT NULL,
    ref_to          TEXT,
    from_party      TEXT,
    from_type       TEXT,
    to_party        TEXT,
    to_type         TEXT,
    service         TEXT,
    service_type    TEXT,
    action          TEXT,
    original_sender TEXT,
    final_recipient TEXT,
    properties      TEXT NOT NULL,
    messaging       BLOB,
    signed_references TEXT,
    pmode           TEXT,
    endpoint        TEXT,
    lookup          TEXT,
    signer          BLOB,
    receipt         BLOB,
    state           TEXT NOT NULL,
    detail          TEXT,
    due             INTEGER,
    lease_until     INTEGER,
    deadline        INTEGER,
    attempts        INTEGER NOT NULL DEFAULT 0,
    created         INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX message_out ON message (message_id) WHERE direction = 'out';
CREATE UNIQUE INDEX message_in ON message (from_party, from_type, message_id) WHERE direction = 'in';
CREATE INDEX message_due ON message (due) WHERE state = 'queued';
CREATE INDEX message_recipient ON message (recipient);
CREATE INDEX message_by_id ON message (message_id);

CREATE TABLE part (
    owner       TEXT NOT NULL,
    position    INTEGER NOT NULL,
    payload     TEXT NOT NULL REFERENCES payload (id),
    form        TEXT NOT NULL,
    cid         TEXT NOT NULL,
    media_type  TEXT NOT NULL,
    properties  TEXT NOT NULL,
    PRIMARY KEY (owner, position)
) STRICT;
CREATE INDEX part_payload ON part (payload);

CREATE TABLE attempt (
    id          INTEGER PRIMARY KEY,
    message     TEXT NOT NULL REFERENCES message (id),
    number      INTEGER NOT NULL,
    url         TEXT NOT NULL,
    certificate BLOB,
    started     INTEGER NOT NULL,
    ended       INTEGER,
    outcome     TEXT,
    detail      TEXT,
    signal      BLOB,
    UNIQUE (message, number)
) STRICT;

CREATE TABLE evidence (
    recipient   TEXT NOT NULL REFERENCES recipient (id),
    sequence    INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    signal      TEXT NOT NULL,
    event_time  INTEGER NOT NULL,
    received    INTEGER NOT NULL,
    identifier  TEXT NOT NULL,
    signed      INTEGER NOT NULL,
    acceptance  TEXT,
    detail      TEXT,
    format      TEXT NOT NULL,
    issuer      BLOB,
    raw         BLOB NOT NULL,
    sha256      BLOB NOT NULL,
    previous    BLOB NOT NULL,
    hash        BLOB NOT NULL,
    PRIMARY KEY (recipient, sequence)
) STRICT;

CREATE TABLE stray_evidence (
    id          INTEGER PRIMARY KEY,
    inbound     TEXT REFERENCES message (id),
    original    TEXT NOT NULL,
    reason      TEXT NOT NULL,
    kind        TEXT NOT NULL,
    signal      TEXT NOT NULL,
    event_time  INTEGER NOT NULL,
    received    INTEGER NOT NULL,
    identifier  TEXT NOT NULL,
    format      TEXT NOT NULL,
    issuer      BLOB,
    raw         BLOB NOT NULL
) STRICT;

CREATE TABLE checkpoint (
    number      INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    leaves      INTEGER NOT NULL,
    root        BLOB NOT NULL,
    previous    BLOB NOT NULL,
    hash        BLOB NOT NULL
) STRICT;

CREATE TABLE checkpoint_leaf (
    checkpoint  INTEGER NOT NULL REFERENCES checkpoint (number),
    position    INTEGER NOT NULL,
    recipient   TEXT NOT NULL REFERENCES recipient (id),
    sequence    INTEGER NOT NULL,
    head        BLOB NOT NULL,
    PRIMARY KEY (checkpoint, position)
) STRICT;
CREATE INDEX checkpoint_leaf_recipient ON checkpoint_leaf (recipient);

CREATE TABLE delivery (
    id          TEXT PRIMARY KEY,
    message     TEXT NOT NULL UNIQUE REFERENCES message (id),
    backend     TEXT NOT NULL,
    state       TEXT NOT NULL,
    due         INTEGER NOT NULL,
    lease_until INTEGER,
    tries       INTEGER NOT NULL DEFAULT 0,
    deadline    INTEGER,
    listed_at   INTEGER,
    settled_at  INTEGER,
    code        TEXT,
    reason      TEXT,
    created     INTEGER NOT NULL
) STRICT;
CREATE INDEX delivery_open ON delivery (backend, state, id);
CREATE INDEX delivery_deadline ON delivery (deadline) WHERE deadline IS NOT NULL;

CREATE TABLE rejected (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    from_party  TEXT,
    message_id  TEXT,
    code        TEXT NOT NULL,
    detail      TEXT NOT NULL,
    source      TEXT NOT NULL
) STRICT;

CREATE TABLE event (
    sequence    INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    channel     TEXT,
    data        TEXT NOT NULL
) STRICT;

CREATE TABLE notice (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    subject     TEXT NOT NULL,
    text        TEXT NOT NULL,
    cleared     INTEGER
) STRICT;

CREATE TABLE alias (
    alias       TEXT PRIMARY KEY,
    address     TEXT NOT NULL UNIQUE
) STRICT;
