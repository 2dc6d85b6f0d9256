"""What was scored, in memory and in folders."""

from evalkit.results.folder import check, load, write
from evalkit.results.result import SCHEMA, Result, encode

__all__ = ["SCHEMA", "Result", "check", "encode", "load", "write"]
