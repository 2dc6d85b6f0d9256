"""Finding Java, and running its programs so that none is left behind."""
