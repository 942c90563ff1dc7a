"""Owns the table of commands, in the order in which the help lists them."""

from __future__ import annotations

import typer

from training.cli import learning, looking, measuring, phone

COMMANDS = (
    learning.train,
    learning.sweep,
    learning.play,
    learning.bench,
    measuring.evaluate,
    looking.check,
    measuring.sequences,
    measuring.report,
    measuring.compare,
    measuring.card,
    looking.synth,
    measuring.guidance,
    measuring.reels,
    measuring.haste,
    looking.recording,
    phone.export,
    phone.vectors,
)

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From photographs to a model bundle.",
)
for command in COMMANDS:
    app.command()(command)
