-- The names under which this library keeps vectors in engines that others use, too. A name is drawn when a move begins,
-- so that no two libraries share one, and given up when the vectors have left.
CREATE TABLE engine (
    place TEXT PRIMARY KEY,            -- the engine's URL, without the table or collection
    name  TEXT NOT NULL UNIQUE
);

-- What a model's scores mean, for queries that need no encoder.
ALTER TABLE model ADD COLUMN slope REAL;
ALTER TABLE model ADD COLUMN middle REAL;
