"""The command `evalkit`: its verbs, and how every failure ends."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from contextlib import nullcontext, suppress
from typing import Annotated, Any, NoReturn

import typer

import evalkit
from evalkit.cli import cache, catalogue, compare, gate, results, score
from evalkit.cli.output import inert, json_alone, print_error
from evalkit.errors import EvalkitError, ServiceError
from evalkit.interrupts import ENDING, Terminated

BUG = 70
INTERRUPTED = 130
TERMINATED = 143
ClickException: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)

app = typer.Typer(
    name="evalkit",
    help="How good is it, and how sure are we? Metrics with honest intervals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
score.register(app)
compare.register(app)
gate.register(app)
results.register(app)
catalogue.register(app)
cache.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"evalkit {evalkit.__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    for number in ENDING:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, _terminate)
    sys.exit(run(sys.argv[1:]))


def _terminate(*_: object) -> NoReturn:
    raise Terminated(TERMINATED)


def run(arguments: list[str]) -> int:
    """The exit code: 0 ok, 2 input or usage, 4 a service, 70 a bug, 130 interrupted."""
    as_json = "--json" in arguments
    with json_alone() if as_json else nullcontext():
        return _run(arguments, as_json)


def _run(arguments: list[str], as_json: bool) -> int:
    try:
        code = app(arguments, prog_name="evalkit", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED:  # how typer reports Ctrl-C
            raise KeyboardInterrupt
        return int(code or 0)
    except EvalkitError as error:
        print_error(error.kind, error.message, error.where, as_json=as_json)
        return error.exit_code
    except ClickException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stdout.write(error.format_message() + "\n")
            return 0
        print_error("usage", " ".join(error.format_message().split()), None, as_json=as_json)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        print_error("interrupted", "interrupted; nothing was written", None, as_json=as_json)
        return INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EBADF, errno.EIO):
            return _output_failed(error)
        sys.stderr.write(inert(traceback.format_exc()))
        message = (
            f"a bug in evalkit: {type(error).__name__}: {error}; please report the lines above"
        )
        print_error("bug", message, None, as_json=as_json)
        return BUG


def _output_failed(error: OSError) -> int:
    print_error("output", f"cannot write the output: {error.strerror}", None, as_json=False)
    _silence_stdout()
    return ServiceError.exit_code


def _silence_stdout() -> None:
    """So that Python does not fail once more when it flushes at exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
