"""Owns the command line: which commands there are, and that every error ends in a sentence and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge import __version__, config, journal
from edge.commands.shell import tell
from edge.core.errors import EXIT_OK, EXIT_USAGE, ConfigError, EdgeError

if TYPE_CHECKING:
    from typing import NoReturn

log = logging.getLogger("edge")

# Name, module of `edge.commands` and help; only the module of the one that is called is imported.
COMMANDS = (
    ("run", "run", "look, decide and speak until stopped"),
    ("replay", "replay", "print what would be said to a folder of pictures or a recording"),
    ("check", "check", "print the effective configuration, or every mistake in it; opens no device"),
    ("doctor", "doctor", "try every part of the device and say what to do about what does not work"),
    ("listen-test", "listening", "hear whether the beginning of words is swallowed, and the amounts"),
    ("snapshot", "snapshot", "take one picture and print what the device makes of it"),
    ("say", "say", "speak a text, to hear whether it can be heard"),
    ("bench", "bench", "milliseconds of each stage, and the whole over the bare inference"),
    ("bundle", "bundle", "install, list, use and roll back model bundles, and the keys they are signed with"),
    ("captures", "captures", "say how many pictures are kept for training, or delete them"),
)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = argparse.Namespace()
    try:
        _parser(sys.argv[1:] if arguments is None else arguments).parse_args(arguments, options)
        _set_up_logging(options)
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except ConfigError as error:
        for problem in error.problems:
            tell(f"configuration: {problem}")
        return _end(options, error)
    except EdgeError as error:
        tell(str(error))
        return _end(options, error)
    except KeyboardInterrupt:
        return EXIT_OK
    except BrokenPipeError:
        # Whoever read our output has gone; nothing more can be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except Exception as error:  # outermost: a mistake of ours, and the person who hears of it can do nothing
        log.exception("a mistake in saynote itself")
        tell(f"a mistake in saynote itself, please report it: {type(error).__name__}: {error}")
        return _end(options, EdgeError())


class _Parser(argparse.ArgumentParser):
    """A wrong call ends with our exit code: systemd must not repeat it."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def _parser(words: list[str]) -> argparse.ArgumentParser:
    parser = _Parser(prog="saynote", description="Says what banknote is in your hand.")
    parser.add_argument("--version", action="version", version=f"saynote {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    called = next((word for word in words if not word.startswith("-")), "")
    for name, file, about in COMMANDS:
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("--config", type=Path, help=f"configuration file [{config.DEFAULT} where it exists]")
        command.add_argument("--verbose", action="store_true", help="log every frame")
        if name == called:
            module = importlib.import_module(f"edge.commands.{file}")
            module.arguments(command)
            command.set_defaults(run=module.run)
    return parser


def _set_up_logging(options: argparse.Namespace) -> None:
    # The live view owns the terminal: a log line in it would tear the picture.
    quiet = getattr(options, "view", False) and sys.stdout.isatty() and sys.stderr.isatty()
    journal.set_up(verbose=options.verbose, quiet=quiet)


def _end(options: argparse.Namespace, error: EdgeError) -> int:
    """The exit code; the reason is spoken where whoever holds the device cannot read it.

    Under systemd the fault service says it, after the last of the restarts.
    """
    if getattr(options, "speaks_faults", False) and "NOTIFY_SOCKET" not in os.environ:
        from edge.commands.say import speak_reason

        with contextlib.suppress(EdgeError):
            speak_reason(options, str(error.exit_code))
    return error.exit_code
