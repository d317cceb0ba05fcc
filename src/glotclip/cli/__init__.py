"""The command line: one file a command group. Only here does glotclip print."""
