"""The command line: parse, call one function, print."""

from evalkit.cli.app import main

__all__ = ["main"]
