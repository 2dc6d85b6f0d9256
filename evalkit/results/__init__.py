"""What was scored, in memory and in folders."""

from evalkit.results.comparison import Comparison
from evalkit.results.folder import check, write
from evalkit.results.reading import load, read_document
from evalkit.results.result import SCHEMA, Result, encode

__all__ = ["SCHEMA", "Comparison", "Result", "check", "encode", "load", "read_document", "write"]
