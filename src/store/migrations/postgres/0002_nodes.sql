-- Signs of life, by the server's own clock, in microseconds since 1970.
CREATE TABLE node (
    id      TEXT COLLATE "C" PRIMARY KEY,
    seen    BIGINT NOT NULL
);
CREATE INDEX message_leased ON message (lease_by) WHERE lease_until IS NOT NULL;
CREATE INDEX delivery_leased ON delivery (lease_by) WHERE lease_until IS NOT NULL;
