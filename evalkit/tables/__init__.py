"""Where tables are built and kept: in this process, in a pool of processes, in a cache."""
