-- URLs that are a credential: for clients that can send no header. Off, unless server and organisation turn them on.

ALTER TABLE organisation ADD COLUMN tokenized_urls INTEGER NOT NULL DEFAULT 0;

CREATE TABLE tokenized_url (
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    id           INTEGER NOT NULL,
    -- SHA-256 of the token; the URL itself is shown once and kept nowhere.
    hash         BLOB NOT NULL UNIQUE,
    label        TEXT NOT NULL,
    read_only    INTEGER NOT NULL,
    -- From where it may be used: addresses and networks, separated by commas; empty for everywhere.
    networks     TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at   INTEGER,
    PRIMARY KEY (organisation, id)
) STRICT;
