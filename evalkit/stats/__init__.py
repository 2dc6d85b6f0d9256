"""Weights, resamples and intervals: what evalkit knows of chance."""
