-- The words of each conversation's transcript, for list_conversations. `rowid` is conversation.row.
-- Every word begins with its organisation ('o3xreturn'), so that an organisation's search reads its own part of the
-- index alone, and neither its result nor its time depends on others' rows. The words come folded from
-- store/words.rs; whatever is not ASCII is a letter to this tokenizer, so that each of them is one token.
CREATE VIRTUAL TABLE transcript_words USING fts5 (
    words,
    content = '',
    contentless_delete = 1,
    detail = none,
    tokenize = 'ascii'
);
