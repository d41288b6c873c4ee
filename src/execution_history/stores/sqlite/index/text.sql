-- Which row has which token; no content, no places, no columns. The tokens are made by query.text.tokens, with spaces between.
CREATE VIRTUAL TABLE words USING fts5 (
    tokens,
    content = '',
    contentless_delete = 1,
    detail = none,
    tokenize = "ascii tokenchars '^=~'"
);

-- Memory for what a transaction adds, in bytes: a large one leaves one segment, not many that have to be merged.
INSERT INTO words (words, rank) VALUES ('hashsize', 33554432);

-- So many segments of a level are merged at once: more are written less often again, and each question reads more of them.
INSERT INTO words (words, rank) VALUES ('automerge', 8);
