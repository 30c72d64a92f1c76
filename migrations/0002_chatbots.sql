-- Chatbots with every setting, the history of those settings, and the sales rules of their widgets.
-- `row` is the hidden integer key that full-text tables refer to; people and tools see (organisation, id).

CREATE TABLE chatbot (
    row               INTEGER PRIMARY KEY,
    organisation      INTEGER NOT NULL REFERENCES organisation (id),
    id                INTEGER NOT NULL,
    external_id       TEXT,
    name              TEXT NOT NULL,
    description       TEXT NOT NULL,
    platform          TEXT NOT NULL CHECK (platform IN ('web', 'whatsapp', 'messenger')),
    enabled           INTEGER NOT NULL,
    is_primary        INTEGER NOT NULL,
    instructions      TEXT NOT NULL,
    model             TEXT NOT NULL,
    temperature       REAL NOT NULL,
    -- A BCP 47 tag, or 'automatic'.
    language          TEXT NOT NULL,
    -- How closely answers follow the knowledge base.
    strictness        TEXT NOT NULL CHECK (strictness IN ('relaxed', 'balanced', 'strict')),
    primary_color     TEXT NOT NULL,
    background_color  TEXT NOT NULL,
    text_color        TEXT NOT NULL,
    position          TEXT NOT NULL CHECK (position IN ('left', 'center', 'right')),
    bubble_style      TEXT NOT NULL CHECK (bubble_style IN ('rounded', 'square', 'minimal')),
    welcome_message   TEXT NOT NULL,
    input_placeholder TEXT NOT NULL,
    thinking_label    TEXT NOT NULL,
    submit_label      TEXT NOT NULL,
    -- Counts the changes of the settings, from 1.
    version           INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    UNIQUE (organisation, id),
    UNIQUE (organisation, external_id)
) STRICT;

-- One main chatbot.
CREATE UNIQUE INDEX chatbot_primary ON chatbot (organisation) WHERE is_primary = 1;

-- All that a list shows, so that it does not read the rows, which hold the instructions.
CREATE INDEX chatbot_list ON chatbot (organisation, id, name, model, language, platform, enabled, is_primary);

-- Every version of a chatbot's settings, the present one among them, whole, as JSON.
CREATE TABLE chatbot_version (
    organisation INTEGER NOT NULL,
    chatbot      INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    settings     TEXT NOT NULL,
    -- What made it (a tool's name, 'import', 'undo' …), and whose credential.
    origin       TEXT NOT NULL,
    actor        TEXT NOT NULL,
    at           INTEGER NOT NULL,
    PRIMARY KEY (organisation, chatbot, version),
    FOREIGN KEY (organisation, chatbot) REFERENCES chatbot (organisation, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE sales_rule (
    organisation   INTEGER NOT NULL REFERENCES organisation (id),
    id             INTEGER NOT NULL,
    external_id    TEXT,
    chatbot        INTEGER NOT NULL,
    name           TEXT NOT NULL,
    -- When the widget speaks up: what is watched, and the value that sets it off.
    trigger_kind   TEXT NOT NULL CHECK (trigger_kind IN
        ('time_on_page', 'scroll_depth', 'exit_intent', 'cart_value', 'page_url', 'returning_visitor')),
    trigger_value  TEXT NOT NULL,
    message        TEXT NOT NULL,
    active         INTEGER NOT NULL,
    times_shown    INTEGER NOT NULL,
    times_accepted INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (organisation, id),
    UNIQUE (organisation, external_id),
    FOREIGN KEY (organisation, chatbot) REFERENCES chatbot (organisation, id)
) STRICT;
