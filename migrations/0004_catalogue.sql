-- What the chatbots know: products, documents, which chatbot uses which source, and the jobs that index them.

CREATE TABLE product (
    row           INTEGER PRIMARY KEY,
    organisation  INTEGER NOT NULL REFERENCES organisation (id),
    id            INTEGER NOT NULL,
    external_id   TEXT,
    -- The catalogue it was synced from, for example 'shopify'.
    source        TEXT NOT NULL,
    handle        TEXT NOT NULL,
    title         TEXT NOT NULL,
    -- Plain text: the shop's HTML without its tags.
    description   TEXT NOT NULL,
    vendor        TEXT NOT NULL,
    product_type  TEXT NOT NULL,
    -- Comma-separated, as shops write them.
    tags          TEXT NOT NULL,
    -- Hundredths of the currency's unit: the lowest and the highest of the variants; null when the shop gives none.
    price_min     INTEGER,
    price_max     INTEGER,
    currency      TEXT,
    availability  TEXT NOT NULL CHECK (availability IN ('in_stock', 'out_of_stock', 'preorder', 'unknown')),
    url           TEXT,
    image_url     TEXT,
    -- JSON array of {sku, barcode, title, price, available}.
    variants      TEXT NOT NULL,
    -- JSON object of the columns that have no place of their own.
    extra         TEXT NOT NULL,
    updated_at    INTEGER NOT NULL,
    UNIQUE (organisation, id),
    UNIQUE (organisation, external_id)
) STRICT;
-- All that products are filtered by, so that a filter reads no descriptions.
CREATE INDEX product_filter ON product
    (organisation, id, source, availability, price_min, price_max, vendor, product_type, updated_at);

-- SKUs, barcodes and handles, upper-cased, for exact look-ups.
CREATE TABLE product_code (
    organisation INTEGER NOT NULL,
    code         TEXT NOT NULL,
    product      INTEGER NOT NULL,
    PRIMARY KEY (organisation, code, product),
    FOREIGN KEY (organisation, product) REFERENCES product (organisation, id)
) STRICT, WITHOUT ROWID;
-- What a product is found by, to be replaced with it.
CREATE INDEX product_code_by_product ON product_code (organisation, product);

CREATE TABLE document (
    row          INTEGER PRIMARY KEY,
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    id           INTEGER NOT NULL,
    external_id  TEXT,
    -- The chatbot it belongs to; null for every chatbot of the organisation.
    chatbot      INTEGER,
    kind         TEXT NOT NULL CHECK (kind IN ('document', 'custom')),
    title        TEXT NOT NULL,
    url          TEXT,
    text         TEXT NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (organisation, id),
    UNIQUE (organisation, external_id),
    FOREIGN KEY (organisation, chatbot) REFERENCES chatbot (organisation, id)
) STRICT;

CREATE INDEX document_by_kind ON document (organisation, kind, chatbot, id);

-- The sources a chatbot answers from. One without any of kind 'products' uses every catalogue.
CREATE TABLE knowledge_source (
    organisation INTEGER NOT NULL,
    chatbot      INTEGER NOT NULL,
    kind         TEXT NOT NULL CHECK (kind IN ('products', 'documents', 'custom')),
    -- For products the catalogue's source, or empty for every catalogue; else empty.
    name         TEXT NOT NULL,
    -- When the last retraining indexed it.
    indexed_at   INTEGER,
    PRIMARY KEY (organisation, chatbot, kind, name),
    FOREIGN KEY (organisation, chatbot) REFERENCES chatbot (organisation, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE training_job (
    organisation INTEGER NOT NULL,
    id           INTEGER NOT NULL,
    chatbot      INTEGER NOT NULL,
    status       TEXT NOT NULL CHECK (status IN ('queued', 'running', 'done', 'failed', 'interrupted')),
    done         INTEGER NOT NULL,
    total        INTEGER NOT NULL,
    requested_by TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    started_at   INTEGER,
    finished_at  INTEGER,
    -- The process that runs it, and when it last said that it lives.
    worker       TEXT,
    heartbeat_at INTEGER,
    error        TEXT,
    PRIMARY KEY (organisation, id),
    FOREIGN KEY (organisation, chatbot) REFERENCES chatbot (organisation, id)
) STRICT, WITHOUT ROWID;
-- One job a chatbot at a time.
CREATE UNIQUE INDEX training_job_active ON training_job (organisation, chatbot) WHERE status IN ('queued', 'running');
CREATE INDEX training_job_by_chatbot ON training_job (organisation, chatbot, id);
CREATE INDEX training_job_by_status ON training_job (status, requested_at);

-- Full text: an inverted index whose every key begins with the organisation, so that what one organisation finds, and
-- how it is scored, cannot depend on another's rows (the statistics of an FTS5 table are of the whole table).
-- `space` says what is indexed: 1 words of products, 2 trigrams of products' titles and SKUs, 3 words of documents.

-- The items that have a term, 128 a row: six bytes an item, as store::index has them.
CREATE TABLE search_posting (
    organisation INTEGER NOT NULL,
    space        INTEGER NOT NULL,
    term         TEXT NOT NULL,
    block        INTEGER NOT NULL,
    postings     BLOB NOT NULL,
    PRIMARY KEY (organisation, space, term, block)
) STRICT, WITHOUT ROWID;

-- What an item was indexed with, so that it can be taken out again: its distinct terms, separated by spaces.
CREATE TABLE search_entry (
    organisation INTEGER NOT NULL,
    space        INTEGER NOT NULL,
    item         INTEGER NOT NULL,
    length       INTEGER NOT NULL,
    terms        TEXT NOT NULL,
    PRIMARY KEY (organisation, space, item)
) STRICT, WITHOUT ROWID;

-- How many items a space has, and how many words they have in all.
CREATE TABLE search_total (
    organisation INTEGER NOT NULL,
    space        INTEGER NOT NULL,
    items        INTEGER NOT NULL,
    length       INTEGER NOT NULL,
    PRIMARY KEY (organisation, space)
) STRICT, WITHOUT ROWID;
