-- What planning fixes is written once and is long; the row of a message changes several times and should be short.
CREATE TABLE plan (
    message         TEXT PRIMARY KEY REFERENCES message (id),
    plan_messaging  BLOB,
    plan_references TEXT,
    plan_pmode      TEXT,
    endpoint        TEXT,
    lookup          TEXT
) STRICT;
