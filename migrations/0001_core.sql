-- Who may ask, what they asked, and what is left of their quota.
-- Times are milliseconds since 1970-01-01T00:00:00Z. Every tenant's table is keyed by (organisation, …).

CREATE TABLE organisation (
    id           INTEGER PRIMARY KEY,
    slug         TEXT NOT NULL UNIQUE,
    name         TEXT NOT NULL,
    plan         TEXT NOT NULL DEFAULT 'free' CHECK (plan IN ('free', 'trial', 'paid')),
    -- An operator's own numbers in place of the plan's; -1 is no limit.
    per_minute   INTEGER,
    per_day      INTEGER,
    -- Whether e-mail addresses and phone numbers in visitors' texts are masked.
    redact       INTEGER NOT NULL DEFAULT 1,
    timezone     TEXT NOT NULL DEFAULT 'UTC',
    created_at   INTEGER NOT NULL,
    suspended_at INTEGER
) STRICT;

CREATE TABLE user (
    -- Never used again: what a person granted must not become another's.
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    email      TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE member (
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    user         INTEGER NOT NULL REFERENCES user (id),
    role         TEXT NOT NULL CHECK (role IN ('owner', 'admin', 'analyst')),
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (organisation, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    id           INTEGER NOT NULL,
    -- SHA-256 of the whole key; the key itself is shown once and kept nowhere.
    hash         BLOB NOT NULL UNIQUE,
    -- The first characters, to tell keys apart.
    prefix       TEXT NOT NULL,
    label        TEXT NOT NULL,
    read_only    INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    revoked_at   INTEGER,
    PRIMARY KEY (organisation, id)
) STRICT;

-- The last id given out in each organisation for each kind of thing; ids are never used again.
CREATE TABLE counter (
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    kind         TEXT NOT NULL,
    last         INTEGER NOT NULL,
    PRIMARY KEY (organisation, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE quota (
    organisation INTEGER PRIMARY KEY REFERENCES organisation (id),
    -- The UTC day the count is of, and the calls of that day.
    day          INTEGER NOT NULL,
    used         INTEGER NOT NULL,
    -- The times of the calls of the last minute, eight bytes each, oldest first.
    minute       BLOB NOT NULL
) STRICT;

-- A legacy MCP session: the id the client holds is signed, this row is what it stands for.
CREATE TABLE mcp_session (
    id           BLOB PRIMARY KEY,
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    credential   TEXT NOT NULL,
    endpoint     TEXT NOT NULL,
    -- The handshake's outcome, as protocol::session has it, in JSON.
    peer         TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX mcp_session_by_last_seen ON mcp_session (last_seen_at);
CREATE INDEX mcp_session_by_owner ON mcp_session (organisation, credential, last_seen_at);

-- Every tools/call, refused ones too. Appended to within its organisation, so one page is touched a call.
CREATE TABLE call_log (
    organisation   INTEGER NOT NULL REFERENCES organisation (id),
    id             INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    credential     TEXT NOT NULL,
    client         TEXT NOT NULL,
    client_version TEXT NOT NULL,
    transport      TEXT NOT NULL,
    endpoint       TEXT NOT NULL,
    tool           TEXT NOT NULL,
    arguments      TEXT NOT NULL,
    -- 'ok', or the code of the error or refusal.
    outcome        TEXT NOT NULL,
    duration_us    INTEGER NOT NULL,
    day_remaining  INTEGER,
    PRIMARY KEY (organisation, id)
) STRICT, WITHOUT ROWID;
