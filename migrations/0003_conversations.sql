-- What visitors said and left: conversations, tickets, leads.

CREATE TABLE conversation (
    row               INTEGER PRIMARY KEY,
    organisation      INTEGER NOT NULL REFERENCES organisation (id),
    id                INTEGER NOT NULL,
    external_id       TEXT,
    chatbot           INTEGER NOT NULL,
    platform          TEXT NOT NULL CHECK (platform IN ('web', 'whatsapp', 'messenger')),
    started_at        INTEGER NOT NULL,
    last_message_at   INTEGER NOT NULL,
    message_count     INTEGER NOT NULL,
    -- The first words of the visitor, cut at 200 characters.
    first_question    TEXT NOT NULL,
    visitor_name      TEXT,
    visitor_email     TEXT,
    visitor_phone     TEXT,
    visitor_country   TEXT,
    visitor_language  TEXT,
    visitor_page      TEXT,
    visitor_agent     TEXT,
    -- From the visitor's first message to the first answer; null while there is none.
    first_response_ms INTEGER,
    -- When a person took over from the chatbot.
    handed_over_at    INTEGER,
    UNIQUE (organisation, id),
    UNIQUE (organisation, external_id),
    FOREIGN KEY (organisation, chatbot) REFERENCES chatbot (organisation, id)
) STRICT;
-- What stands after the id lets filtered lists, and the parts of days that analytics need, be counted from the index alone.
CREATE INDEX conversation_by_start ON conversation (organisation, started_at, id, chatbot, message_count, platform);
CREATE INDEX conversation_by_chatbot ON conversation (organisation, chatbot, started_at, id, platform);

CREATE TABLE message (
    organisation INTEGER NOT NULL,
    conversation INTEGER NOT NULL,
    -- Position within the conversation, from 1.
    position     INTEGER NOT NULL,
    external_id  TEXT,
    role         TEXT NOT NULL CHECK (role IN ('visitor', 'assistant', 'agent', 'system')),
    text         TEXT NOT NULL,
    sent_at      INTEGER NOT NULL,
    PRIMARY KEY (organisation, conversation, position),
    FOREIGN KEY (organisation, conversation) REFERENCES conversation (organisation, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE ticket (
    row           INTEGER PRIMARY KEY,
    organisation  INTEGER NOT NULL REFERENCES organisation (id),
    id            INTEGER NOT NULL,
    external_id   TEXT,
    chatbot       INTEGER,
    conversation  INTEGER,
    subject       TEXT NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('new', 'in_progress', 'resolved', 'closed')),
    priority      TEXT NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    assignee      TEXT,
    contact_name  TEXT,
    contact_email TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    UNIQUE (organisation, id),
    UNIQUE (organisation, external_id),
    FOREIGN KEY (organisation, chatbot) REFERENCES chatbot (organisation, id),
    FOREIGN KEY (organisation, conversation) REFERENCES conversation (organisation, id)
) STRICT;
CREATE INDEX ticket_by_creation ON ticket (organisation, created_at, id);
CREATE INDEX ticket_by_status ON ticket (organisation, status, created_at, id);
CREATE INDEX ticket_by_chatbot ON ticket (organisation, chatbot, created_at, id) WHERE chatbot IS NOT NULL;
CREATE INDEX ticket_by_conversation ON ticket (organisation, conversation) WHERE conversation IS NOT NULL;

CREATE TABLE ticket_message (
    organisation INTEGER NOT NULL,
    ticket       INTEGER NOT NULL,
    position     INTEGER NOT NULL,
    role         TEXT NOT NULL CHECK (role IN ('customer', 'agent', 'note')),
    author       TEXT,
    text         TEXT NOT NULL,
    sent_at      INTEGER NOT NULL,
    PRIMARY KEY (organisation, ticket, position),
    FOREIGN KEY (organisation, ticket) REFERENCES ticket (organisation, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE ticket_status_change (
    organisation INTEGER NOT NULL,
    ticket       INTEGER NOT NULL,
    position     INTEGER NOT NULL,
    -- Null for the status the ticket was opened with.
    from_status  TEXT,
    to_status    TEXT NOT NULL,
    actor        TEXT,
    at           INTEGER NOT NULL,
    PRIMARY KEY (organisation, ticket, position),
    FOREIGN KEY (organisation, ticket) REFERENCES ticket (organisation, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE lead (
    row          INTEGER PRIMARY KEY,
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    id           INTEGER NOT NULL,
    external_id  TEXT,
    chatbot      INTEGER,
    conversation INTEGER,
    email        TEXT,
    name         TEXT,
    phone        TEXT,
    captured_at  INTEGER NOT NULL,
    UNIQUE (organisation, id),
    UNIQUE (organisation, external_id),
    FOREIGN KEY (organisation, chatbot) REFERENCES chatbot (organisation, id),
    FOREIGN KEY (organisation, conversation) REFERENCES conversation (organisation, id)
) STRICT;
CREATE INDEX lead_by_capture ON lead (organisation, captured_at, id);
CREATE INDEX lead_by_conversation ON lead (organisation, conversation) WHERE conversation IS NOT NULL;
