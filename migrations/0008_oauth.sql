-- The authorization server: which apps there are, what people allowed them, and the tokens that came of it.
-- Of every secret, its SHA-256 alone.

-- An app that registered itself (RFC 7591), or that the operator entered.
CREATE TABLE oauth_client (
    id            TEXT PRIMARY KEY,
    kind          TEXT NOT NULL CHECK (kind IN ('registered', 'operator')),
    name          TEXT NOT NULL,
    -- JSON array.
    redirect_uris TEXT NOT NULL,
    auth_method   TEXT NOT NULL CHECK (auth_method IN ('none', 'client_secret_post', 'client_secret_basic')),
    secret_hash   BLOB,
    -- Whether it gets refresh tokens.
    refreshes     INTEGER NOT NULL,
    -- SHA-256 of what was registered, so that the same registration again finds the same row; null for a client with a
    -- secret, which cannot be told again.
    digest        BLOB UNIQUE,
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_client_by_use ON oauth_client (kind, last_used_at);

-- Client id metadata documents as they were last fetched. A stale one serves while the app's server is out of order.
CREATE TABLE oauth_client_document (
    url        TEXT PRIMARY KEY,
    document   TEXT NOT NULL,
    fetched_at INTEGER NOT NULL,
    -- Until when it is used without asking again.
    fresh_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An authorization request that a person is looking at; the form carries an opaque id, whose SHA-256 this is.
CREATE TABLE oauth_request (
    hash       BLOB PRIMARY KEY,
    -- The browser_session it belongs to.
    session    BLOB NOT NULL REFERENCES browser_session (hash) ON DELETE CASCADE,
    -- The request, checked, as JSON.
    request    TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_request_by_session ON oauth_request (session, created_at);
CREATE INDEX oauth_request_by_expiry ON oauth_request (expires_at);

-- What a person allowed an app: one row a consent, and the family of every token that comes of it.
CREATE TABLE oauth_grant (
    organisation    INTEGER NOT NULL REFERENCES organisation (id),
    id              INTEGER NOT NULL,
    -- Who allowed it: the user's id and address then. The person may be gone since.
    user            INTEGER NOT NULL,
    email           TEXT NOT NULL,
    client_id       TEXT NOT NULL,
    -- What the app calls itself.
    client_name     TEXT NOT NULL,
    client_kind     TEXT NOT NULL CHECK (client_kind IN ('document', 'registered', 'operator')),
    redirect_origin TEXT NOT NULL,
    endpoint        TEXT NOT NULL CHECK (endpoint IN ('full', 'readonly')),
    -- Whether mcp:write was allowed.
    write           INTEGER NOT NULL,
    -- What the dashboard narrowed since: to reading, to these chatbots (a JSON array of ids; null is all).
    read_only       INTEGER NOT NULL DEFAULT 0,
    chatbots        TEXT,
    created_at      INTEGER NOT NULL,
    last_used_at    INTEGER,
    -- When the family ends whatever is refreshed; until the app redeems its code, when the code ends.
    expires_at      INTEGER NOT NULL,
    revoked_at      INTEGER,
    -- Why: 'member', 'client', 'replay', 'reuse', 'removed', 'password' …
    revoked_why     TEXT,
    -- The rotation of refresh tokens: the generation that is current, how many tokens it has, when its first one was
    -- made of the generation before, and the newest generation of which a token was used.
    generation      INTEGER NOT NULL DEFAULT 0,
    siblings        INTEGER NOT NULL DEFAULT 0,
    rotated_at      INTEGER,
    used_generation INTEGER NOT NULL DEFAULT -1,
    PRIMARY KEY (organisation, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_grant_by_user ON oauth_grant (user);
CREATE INDEX oauth_grant_by_client ON oauth_grant (client_id);

CREATE TABLE oauth_code (
    hash         BLOB PRIMARY KEY,
    organisation INTEGER NOT NULL,
    grant_id     INTEGER NOT NULL,
    redirect_uri TEXT NOT NULL,
    -- S256 (RFC 7636), as it came.
    challenge    TEXT NOT NULL,
    expires_at   INTEGER NOT NULL,
    -- When it was redeemed.
    used_at      INTEGER,
    -- Attempts that did not verify; they neither use the code nor revoke anything.
    failures     INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (organisation, grant_id) REFERENCES oauth_grant (organisation, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_code_by_grant ON oauth_code (organisation, grant_id);
CREATE INDEX oauth_code_by_expiry ON oauth_code (expires_at);

CREATE TABLE oauth_token (
    hash         BLOB PRIMARY KEY,
    organisation INTEGER NOT NULL,
    grant_id     INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('access', 'refresh')),
    -- Counts the rotations, from 0; an access token has that of the refresh token it came with.
    generation   INTEGER NOT NULL,
    -- Whether it carries mcp:write.
    write        INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL,
    -- When it was first used: an access token for a request, a refresh token for its successor.
    used_at      INTEGER,
    FOREIGN KEY (organisation, grant_id) REFERENCES oauth_grant (organisation, id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX oauth_token_by_grant ON oauth_token (organisation, grant_id);
CREATE INDEX oauth_token_by_expiry ON oauth_token (expires_at);
