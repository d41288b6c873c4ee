-- Documents of the bin that are too large to be copied in one transaction: their pieces, which come one by one before
-- their row does. Pieces without a row are those of a copy under way, or of one that was never finished.
CREATE TABLE bin_pieces (
    pieces INTEGER NOT NULL,
    number INTEGER NOT NULL,
    piece BLOB NOT NULL,
    PRIMARY KEY (pieces, number)
) STRICT;

-- The number of a document's pieces; null where the row itself has it.
ALTER TABLE bin ADD COLUMN pieces INTEGER;

CREATE INDEX bin_by_pieces ON bin (pieces) WHERE pieces IS NOT NULL;

CREATE TRIGGER bin_dropped AFTER DELETE ON bin WHEN old.pieces IS NOT NULL
BEGIN
    DELETE FROM bin_pieces WHERE pieces = old.pieces;
END;

CREATE TRIGGER bin_replaced AFTER UPDATE OF pieces ON bin WHEN old.pieces IS NOT NULL
BEGIN
    DELETE FROM bin_pieces WHERE pieces = old.pieces;
END;
