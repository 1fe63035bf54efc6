-- What operators did to messages that have no recipient, and so no evidence chain to say it in.
CREATE TABLE act (
    id      TEXT PRIMARY KEY,
    message TEXT NOT NULL REFERENCES message (id),
    at      BIGINT NOT NULL,
    what    TEXT NOT NULL,
    who     TEXT NOT NULL,
    why     TEXT NOT NULL
);
CREATE INDEX act_message ON act (message);
