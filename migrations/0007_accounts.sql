-- Accounts: passwords, sign-ins in browsers, and the links by which people come in.

-- An Argon2id hash in PHC form; null until the person has chosen a password.
ALTER TABLE user ADD COLUMN password TEXT;
-- A membership counts from when the person took it up; null while an invitation is open. Members from before there were
-- accounts have no password and nothing they could reach: they too come in by a link, of `chaterimo user invite`.
ALTER TABLE member ADD COLUMN accepted_at INTEGER;

-- A browser that is signed in. The cookie is opaque and signed; here is its SHA-256.
CREATE TABLE browser_session (
    hash             BLOB PRIMARY KEY,
    user             INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    -- The organisation that the pages show.
    organisation     INTEGER NOT NULL REFERENCES organisation (id),
    created_at       INTEGER NOT NULL,
    last_seen_at     INTEGER NOT NULL,
    -- When the password was last given: making keys and the like wants that recently.
    authenticated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX browser_session_by_user ON browser_session (user);
CREATE INDEX browser_session_by_last_seen ON browser_session (last_seen_at);

-- A link that works once: to take up a membership and choose a password, or to choose a new one. Only its SHA-256.
CREATE TABLE invitation (
    hash         BLOB PRIMARY KEY,
    user         INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    kind         TEXT NOT NULL CHECK (kind IN ('invitation', 'reset')),
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX invitation_by_user ON invitation (user);
