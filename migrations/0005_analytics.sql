-- Counts of conversations by the UTC day they began on. Triggers keep them, within the statement that changes the
-- conversation, so that they cannot drift from the rows. Days of other time zones are made of whole UTC days and of the
-- conversations between midnight there and midnight UTC, which conversation_by_start finds.

CREATE TABLE analytics_day (
    organisation INTEGER NOT NULL REFERENCES organisation (id),
    -- Days since 1970-01-01.
    day          INTEGER NOT NULL,
    chatbot      INTEGER NOT NULL,
    platform     TEXT NOT NULL,
    sessions     INTEGER NOT NULL,
    -- All messages of those conversations, whenever they were sent.
    messages     INTEGER NOT NULL,
    -- How many of them have a first response, and the sum of the times those took.
    answered     INTEGER NOT NULL,
    response_ms  INTEGER NOT NULL,
    handed_over  INTEGER NOT NULL,
    PRIMARY KEY (organisation, day, chatbot, platform)
) STRICT, WITHOUT ROWID;

-- What the counts are of. Division truncates, so a moment before 1970 is moved on to the day before.
INSERT INTO analytics_day
SELECT organisation, started_at / 86400000 - (started_at % 86400000 < 0) AS day, chatbot, platform,
       count(*), sum(message_count), count(first_response_ms), sum(coalesce(first_response_ms, 0)), count(handed_over_at)
FROM conversation GROUP BY organisation, day, chatbot, platform;

-- A place to put one conversation's columns, to be added (by = 1) or taken away (by = -1). It holds nothing.
CREATE VIEW analytics_change (by, organisation, started_at, chatbot, platform, message_count, first_response_ms, handed_over_at)
AS SELECT 0, 0, 0, 0, '', 0, 0, 0 WHERE 0;

CREATE TRIGGER analytics_counts INSTEAD OF INSERT ON analytics_change BEGIN
    INSERT INTO analytics_day
    VALUES (new.organisation, new.started_at / 86400000 - (new.started_at % 86400000 < 0), new.chatbot, new.platform,
            new.by, new.by * new.message_count, new.by * (new.first_response_ms IS NOT NULL),
            new.by * coalesce(new.first_response_ms, 0), new.by * (new.handed_over_at IS NOT NULL))
    ON CONFLICT DO UPDATE SET
        sessions = sessions + excluded.sessions, messages = messages + excluded.messages,
        answered = answered + excluded.answered, response_ms = response_ms + excluded.response_ms,
        handed_over = handed_over + excluded.handed_over;
    DELETE FROM analytics_day
    WHERE new.by < 0 AND organisation = new.organisation AND chatbot = new.chatbot AND platform = new.platform
      AND day = new.started_at / 86400000 - (new.started_at % 86400000 < 0) AND sessions = 0;
END;

CREATE TRIGGER analytics_of_new_conversation AFTER INSERT ON conversation BEGIN
    INSERT INTO analytics_change VALUES (1, new.organisation, new.started_at, new.chatbot, new.platform,
        new.message_count, new.first_response_ms, new.handed_over_at);
END;

CREATE TRIGGER analytics_of_gone_conversation AFTER DELETE ON conversation BEGIN
    INSERT INTO analytics_change VALUES (-1, old.organisation, old.started_at, old.chatbot, old.platform,
        old.message_count, old.first_response_ms, old.handed_over_at);
END;

-- Added first, taken away after: so a day of one conversation is not dropped in between.
CREATE TRIGGER analytics_of_changed_conversation
AFTER UPDATE OF organisation, started_at, chatbot, platform, message_count, first_response_ms, handed_over_at
ON conversation BEGIN
    INSERT INTO analytics_change VALUES (1, new.organisation, new.started_at, new.chatbot, new.platform,
        new.message_count, new.first_response_ms, new.handed_over_at);
    INSERT INTO analytics_change VALUES (-1, old.organisation, old.started_at, old.chatbot, old.platform,
        old.message_count, old.first_response_ms, old.handed_over_at);
END;

-- The dashboard's latest changes of settings; the first version of a chatbot is not one.
CREATE INDEX chatbot_version_by_time ON chatbot_version (organisation, at) WHERE version > 1;
