-- How many calls there were of each kind on each UTC day, for the pages that count and search the log.
--
-- The log is appended to on every call, so it has no index beside its key: ids grow with time, and a moment is found by
-- halving. Counting is done 1,024 rows at once, by the call that completes them: a fraction of a microsecond a call,
-- where a row of counts kept up to date by each call would cost several. What is not yet counted, at most 1,023 rows at
-- the end of the log, is counted by whoever asks.

CREATE TABLE call_day (
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    -- Days since 1970-01-01.
    day          INTEGER NOT NULL,
    credential   TEXT NOT NULL,
    tool         TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    calls        INTEGER NOT NULL,
    -- All of these calls have numbers from first_id to last_id; so do others.
    first_id     INTEGER NOT NULL,
    last_id      INTEGER NOT NULL,
    PRIMARY KEY (organisation, day, credential, tool, outcome)
) STRICT, WITHOUT ROWID;

INSERT INTO call_day
SELECT organisation, at / 86400000, credential, tool, outcome, count(*), min(id), max(id)
FROM call_log JOIN (SELECT organisation AS whose, max(id) / 1024 * 1024 AS counted FROM call_log GROUP BY organisation)
     ON whose = organisation
WHERE id <= counted
GROUP BY 1, 2, 3, 4, 5;

CREATE TRIGGER call_day_counts AFTER INSERT ON call_log WHEN new.id % 1024 = 0 BEGIN
    INSERT INTO call_day
    SELECT organisation, at / 86400000, credential, tool, outcome, count(*), min(id), max(id)
    FROM call_log WHERE organisation = new.organisation AND id > new.id - 1024 AND id <= new.id
    GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT DO UPDATE SET calls = calls + excluded.calls, last_id = max(last_id, excluded.last_id);
END;
