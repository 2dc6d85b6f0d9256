"""Comparisons: their records, their page, and what they refuse."""
