"""Owns what options that several commands share are called and mean; their defaults are learn/settings's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from training.errors import TrainingError

Data = Annotated[Path, typer.Argument(help="Folder with one sub-folder a denomination, named by the amount.")]
BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of the bundle.")]
Background = Annotated[Path | None, typer.Option(help="Folder of pictures without these notes.")]
Strangers = Annotated[list[Path] | None, typer.Option(help="Folder of other money to reject; may be given again.")]
SequencesFile = Annotated[Path | None, typer.Option("--sequences", help="File that `sequences --json` wrote.")]
SourcesFile = Annotated[
    Path | None, typer.Option("--sources", help="TOML file of data sources, limits and whose test it is, for the card.")
]
FiguresFile = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")]
BundleOut = Annotated[Path, typer.Option(help="Folder of the bundle to write.")]
Version = Annotated[str, typer.Option(help="Version of the bundle.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 2, help="Same seed, data and versions: the same bundle.")]
Size = Annotated[int, typer.Option(min=32, max=1024, help="Side of the model's input in pixels, a multiple of 32.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps with all layers training.")]
Minutes = Annotated[
    float | None, typer.Option(min=0.1, help="Train no longer than that; the learning rate falls in time for it.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes that compose samples; left out: one for each processor.")
]
Shared = Annotated[int, typer.Option("--workers", min=1, help="Processes that share the work; the result is the same.")]
Trunk = Annotated[
    str, typer.Option(help="mobilenet, mobilenet_v2, mobilenet_v3_small, mobilenet_v3_large; tiny for trying out.")
]
Without = Annotated[
    list[str] | None,
    typer.Option(help="Family of operations to leave out (docs/synthesiser.md); may be given again."),
]
Width = Annotated[float, typer.Option(min=0.1, help="Width multiplier of the trunk.")]
Weights = Annotated[
    Path | None, typer.Option(help="File of ImageNet weights without the top; else they are downloaded.")
]
FromScratch = Annotated[bool, typer.Option(help="Begin with random weights.")]
Resume = Annotated[bool, typer.Option(help="Go on from the last checkpoint of this run.")]
Series = Annotated[
    Path | None, typer.Option(help="Table (file,series,label) of what people saw; a label of - leaves a picture out.")
]
HeldOut = Annotated[
    bool, typer.Option("--held-out", help="Show only what training on DATA and the background holds out.")
]
HoldOutSource = Annotated[str | None, typer.Option(help="The source that training held out.")]


def require_file(path: Path | None) -> None:
    """Raises TrainingError where a file of results cannot be written, before the hours that lead to them."""
    if path is not None and (path.is_dir() or not os.access(path.absolute().parent, os.W_OK)):
        raise TrainingError(f"{path} cannot be written: is there such a folder, and may you write there?")


def require_folder(path: Path | None) -> None:
    """The same for a folder of results, which need not be there yet."""
    if path is None:
        return
    there = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    if not (there.is_dir() and os.access(there, os.W_OK)):
        raise TrainingError(f"{path} cannot be written: {there} is no folder in which you may write")
