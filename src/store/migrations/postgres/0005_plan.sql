-- What planning fixes is written once and is long; the row of a message changes several times and should be short.
CREATE TABLE plan (
    message         TEXT COLLATE "C" PRIMARY KEY REFERENCES message (id),
    plan_messaging  BYTEA,
    plan_references TEXT COLLATE "C",
    plan_pmode      TEXT COLLATE "C",
    endpoint        TEXT COLLATE "C",
    lookup          TEXT COLLATE "C"
);
