//! The tables, version by version. A step that was released is never changed: another follows it.

/// Step `n` leads from version `n` to `n + 1`; SQLite keeps the version in `user_version`.
pub const STEPS: &[&str] = &[
    // 1: the journal and the key slots.
    "CREATE TABLE session (
        id TEXT PRIMARY KEY,
        started_ms INTEGER NOT NULL,
        -- NULL: under way, or cut off by a crash.
        ended_ms INTEGER,
        -- What a restart needs to go on, as JSON.
        snapshot TEXT NOT NULL
    ) STRICT;
    CREATE TABLE event (
        number INTEGER PRIMARY KEY,
        at_ms INTEGER NOT NULL,
        session TEXT,
        kind TEXT NOT NULL,
        -- The whole entry as JSON.
        entry TEXT NOT NULL
    ) STRICT;
    CREATE INDEX event_of_session ON event (session, number);
    CREATE TABLE slot (
        name TEXT PRIMARY KEY,
        -- Nonce and ciphertext.
        sealed BLOB NOT NULL,
        -- A keyed hash: tells that two keys are the same, and nothing else.
        mark BLOB NOT NULL,
        -- The key's last characters, for the operator to know it by.
        tail TEXT NOT NULL,
        saved_ms INTEGER NOT NULL,
        single_use INTEGER NOT NULL,
        occurrence TEXT
    ) STRICT;
    CREATE TABLE used_key (
        mark BLOB PRIMARY KEY,
        session TEXT NOT NULL,
        used_ms INTEGER NOT NULL
    ) STRICT;",
    // 2: who may use the panel. Of passwords, sessions and tokens there are hashes only.
    "CREATE TABLE user (
        name TEXT PRIMARY KEY,
        role TEXT NOT NULL,
        -- PHC string of argon2id.
        password TEXT NOT NULL,
        created_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE login (
        -- SHA-256 of what the cookie holds.
        mark BLOB PRIMARY KEY,
        user TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        seen_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE token (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        role TEXT NOT NULL,
        -- SHA-256 of the token.
        mark BLOB NOT NULL,
        created_ms INTEGER NOT NULL,
        expires_ms INTEGER
    ) STRICT;",
    // 3: shows, what became of their occurrences, and the calendar's token.
    "CREATE TABLE show (
        id TEXT PRIMARY KEY,
        -- The keys of a [[show]], as somebody wrote them.
        text TEXT NOT NULL,
        saved_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE show_run (
        occurrence TEXT PRIMARY KEY,
        show TEXT NOT NULL,
        start_ms INTEGER NOT NULL,
        -- NULL: under way, or cut off by a crash.
        ended_ms INTEGER,
        -- What a restart needs to go on, as JSON.
        snapshot TEXT NOT NULL
    ) STRICT;
    CREATE TABLE show_told (
        occurrence TEXT NOT NULL,
        -- Of what people were told: once is enough.
        what TEXT NOT NULL,
        at_ms INTEGER NOT NULL,
        PRIMARY KEY (occurrence, what)
    ) STRICT;
    CREATE TABLE feed_token (
        -- SHA-256 of the token: there is one.
        hash BLOB PRIMARY KEY,
        made_ms INTEGER NOT NULL
    ) STRICT;",
];
