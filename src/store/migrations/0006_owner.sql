-- What a bucket says of whose payloads it holds, so that no other database takes them for left over.
CREATE TABLE owner (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    id      TEXT NOT NULL
);
