"""Language packs on disk and in memory, and the polyglot: a base with packs."""
