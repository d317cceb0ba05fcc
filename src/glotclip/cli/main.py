"""The entry point: the commands, and what becomes of every error."""

from __future__ import annotations

import errno
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import typer

from glotclip import threads
from glotclip.cli import (
    base,
    compare,
    data,
    demo,
    doctor,
    evaluate,
    export,
    extend,
    index,
    library,
    methods,
    pack,
    search,
    serve,
    translate,
)
from glotclip.cli.console import complain, complain_of, make_streams_lenient
from glotclip.errors import GlotclipError, GlotclipWarning, asks_for_torch

INTERRUPTED = 130  # what shells give for a command that Ctrl-C ended
DEBUG = "GLOTCLIP_DEBUG"
COMPLETING = "_GLOTCLIP_COMPLETE"  # set by the shell
# Errors in the arguments themselves. The name of their base class depends on Typer's version.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="glotclip",
    help="Teach any CLIP new languages, without touching those it knows; search your images in all of them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("extend")(extend.extend)
app.command("evaluate")(evaluate.evaluate)
app.command("compare")(compare.compare)
app.command("index")(index.index)
app.command("search")(search.search)
app.command("serve")(serve.serve)
app.command("export")(export.export)
app.command("doctor")(doctor.doctor)
app.command("methods")(methods.methods)
app.command("translate")(translate.translate)
app.add_typer(pack.app, name="pack")
app.add_typer(library.app, name="library")
app.add_typer(data.app, name="data")
app.command("demo")(demo.demo)
app.command("train-base")(base.train_base)
app.command("finetune")(base.finetune)


@app.callback(invoke_without_command=True)
def root(
    version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    """Teach any CLIP new languages, without touching those it knows; search your images in all of them."""
    if version:
        from glotclip import __version__

        print(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line and leave with its exit code."""
    if COMPLETING not in os.environ:  # whoever presses Tab waits, and nothing is computed
        threads.choose()  # no command has loaded torch yet
    code = run(sys.argv[1:])
    if parallel := sys.modules.get("glotclip.training.parallel"):
        parallel.leave_world()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; every error ends as one plain message on standard error."""
    make_streams_lenient()
    try:
        with _warnings_as_notes(), asks_for_torch("this command"):
            code = _command().main(list(arguments), prog_name="glotclip", standalone_mode=False)
        sys.stdout.flush()
    except GlotclipError as error:
        _show_traceback()
        complain_of(error)
        return error.exit_code
    except _UsageError as error:
        complain(_said(error), f"{_command_path(error)} --help")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except SystemExit as left:  # Typer's own end of --install-completion, and what it makes of a broken pipe
        return 0 if left.code in (0, None) else _reader_left()
    except BrokenPipeError:
        return _reader_left()
    except Exception as error:  # noqa: BLE001 -- the last resort: people get a sentence, not a traceback
        _show_traceback()
        complain(*_unexpected(error))
        return 1
    if code == INTERRUPTED:
        print("\nstopped; nothing is lost: the same command goes on from here", file=sys.stderr)
    return code if isinstance(code, int) else 0


@contextmanager
def _warnings_as_notes() -> Iterator[None]:
    """Print each of the library's own warnings once, as a line for people; others as Python does."""
    with warnings.catch_warnings():
        default, said = warnings.showwarning, set[str]()

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if not issubclass(category, GlotclipWarning):
                default(message, category, *rest, **more)
            elif str(message) not in said:
                said.add(str(message))
                print(f"note: {message}", file=sys.stderr, flush=True)

        warnings.showwarning = show
        yield


@cache
def _command() -> Any:
    """The commands as Typer runs them, put together once."""
    return typer.main.get_command(app)


def _said(error: Exception) -> str:
    """The sentence of an error in the arguments, starting small like ours."""
    text = str(error.format_message()) if hasattr(error, "format_message") else str(error)
    return f"{text[:1].lower()}{text[1:]}".rstrip(".")


def _command_path(error: Exception) -> str:
    return str(getattr(getattr(error, "ctx", None), "command_path", "glotclip"))


def _show_traceback() -> None:
    if os.environ.get(DEBUG, "0") not in ("", "0"):
        traceback.print_exc()


def _unexpected(error: Exception) -> tuple[str, str]:
    """Message and hint for an error that is none of ours: the system's refusals are no fault of the program."""
    # Libraries in Rust give the system's number in words only.
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or f"(os error {errno.ENOSPC})" in str(error):
        return "the disk is full", "free some space or choose another folder; nothing is half-written"
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}", "check the path and its permissions"
    first = (str(error).splitlines() or [""])[0]
    hint = f"this is a fault in glotclip; set {DEBUG}=1 and repeat the command to see where it happened"
    return f"unexpected {type(error).__name__}: {first}", hint


def _reader_left() -> int:
    """Leave quietly when whoever reads our output has gone (``glotclip … | head``)."""
    # The interpreter flushes standard output once more when it ends, which would raise again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141  # what shells give for a command that a closed pipe ended


if __name__ == "__main__":
    main()
