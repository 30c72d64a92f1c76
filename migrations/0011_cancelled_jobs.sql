-- Training jobs can be cancelled. SQLite cannot change a CHECK, so the table is made anew.

CREATE TABLE training_job_new (
    organisation INTEGER NOT NULL,
    id           INTEGER NOT NULL,
    chatbot      INTEGER NOT NULL,
    status       TEXT NOT NULL
        CHECK (status IN ('queued', 'running', 'done', 'failed', 'interrupted', 'cancelled')),
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
INSERT INTO training_job_new SELECT * FROM training_job;
DROP TABLE training_job;
ALTER TABLE training_job_new RENAME TO training_job;
-- One job a chatbot at a time.
CREATE UNIQUE INDEX training_job_active ON training_job (organisation, chatbot) WHERE status IN ('queued', 'running');
CREATE INDEX training_job_by_chatbot ON training_job (organisation, chatbot, id);
CREATE INDEX training_job_by_status ON training_job (status, requested_at);
