"""Neural models: where they run, how they are found on disk, and texts as vectors of tokens."""
