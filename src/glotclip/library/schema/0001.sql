-- Names of files are bytes, as the system gives them: they need not be UTF-8.
CREATE TABLE root (
    id      INTEGER PRIMARY KEY,
    path    BLOB NOT NULL UNIQUE,      -- real path of a folder that was given to `index`
    dev     TEXT NOT NULL,             -- device it was on, by which an unmounted drive is noticed
    exclude TEXT NOT NULL DEFAULT '[]' -- patterns, a JSON list
);

CREATE TABLE folder (
    id   INTEGER PRIMARY KEY,
    root INTEGER NOT NULL REFERENCES root ON DELETE CASCADE,
    path BLOB NOT NULL UNIQUE
);

-- A picture or video: one content, under however many names.
CREATE TABLE item (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    digest   BLOB NOT NULL UNIQUE,        -- SHA-256 of the content
    kind     TEXT NOT NULL,               -- image or video
    state    INTEGER NOT NULL DEFAULT 0,  -- 0 shown, 1 hidden, 2 forgotten: only the digest is kept
    taken    INTEGER,                     -- the clock's time where it was taken, as seconds since 1970
    tz       INTEGER,                     -- minutes that this clock is ahead of UTC
    dated_by TEXT,                        -- exif, name or file: where `taken` comes from
    lat      REAL,
    lon      REAL,
    camera   TEXT,
    lens     TEXT,
    w        INTEGER,
    h        INTEGER,
    duration REAL,                        -- seconds, of a video
    dhash    INTEGER                      -- 64 bits as a signed number
);
CREATE INDEX item_taken ON item (taken);
CREATE INDEX item_lat ON item (lat) WHERE lat IS NOT NULL;

CREATE TABLE file (
    id       INTEGER PRIMARY KEY,
    item     INTEGER NOT NULL REFERENCES item,
    folder   INTEGER NOT NULL REFERENCES folder,
    name     BLOB NOT NULL,
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL,
    dev      TEXT NOT NULL,               -- device and inode may need 64 bits without a sign
    ino      TEXT NOT NULL,
    settled  INTEGER NOT NULL,            -- whether its times tell it from a later state; see data/digests.py
    motion   INTEGER NOT NULL DEFAULT 0,  -- 1: the moving part of a live photo, whose still is the item
    UNIQUE (folder, name)
);
CREATE INDEX file_item ON file (item);
CREATE INDEX file_inode ON file (ino, dev);

CREATE TABLE model (
    id          INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    name        TEXT NOT NULL,
    source      TEXT NOT NULL,
    dim         INTEGER NOT NULL,
    store_url   TEXT NOT NULL,
    used        INTEGER NOT NULL          -- when it last indexed, ns: the latest answers where none is named
);

-- Which vector of a model's store belongs to what. Numbers of rows are never used twice.
CREATE TABLE vec (
    row   INTEGER PRIMARY KEY AUTOINCREMENT,
    item  INTEGER NOT NULL REFERENCES item,
    model INTEGER NOT NULL REFERENCES model,
    t     REAL                            -- second of a video
);
CREATE INDEX vec_item ON vec (item, model);
CREATE INDEX vec_model ON vec (model, row);

-- Counts the changes, so that what is kept in memory is read anew after one.
CREATE TABLE state (generation INTEGER NOT NULL);
INSERT INTO state VALUES (0);
