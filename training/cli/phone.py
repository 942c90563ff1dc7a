"""Owns the commands that make of a bundle what phones take, and what a port of the decision is checked against."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.core import bundle as bundles
from training.cli import tables
from training.cli.options import BundleFolder, require_folder
from training.cli.progress import console, counting, say, say_passed_over
from training.phone import agreement, decisions, pack, pixels


def export(
    bundle: BundleFolder,
    out: Annotated[Path | None, typer.Option(help="New folder to write; left out: runs/phone/NAME.")] = None,
    coreml: Annotated[bool, typer.Option("--coreml", help="Write a Core ML package, for iOS.")] = False,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write an ONNX file.")] = False,
    check: Annotated[
        Path | None, typer.Option(help="Folder of photographs to compare each with the device's model on.")
    ] = None,
    check_play: Annotated[
        int, typer.Option(min=0, max=600, help="So many drawn notes to compare on, for a bundle of play money.")
    ] = 0,
    licence: Annotated[
        str | None, typer.Option(help="Licence to name in the files; left out: saynote's for the bundles it ships.")
    ] = None,
) -> None:
    """Write a bundle as phones take it: Core ML from its float network, ONNX from its int8 model."""
    folder = out or Path("runs/phone") / bundle.absolute().name
    pack.require_start(folder, to_coreml=coreml, to_onnx=onnx)
    read = bundles.read(bundle)
    broken: list[str] = []
    pictures = agreement.play_money(read, check_play) if check_play else []
    if check is not None:
        say_passed_over(check)
        pictures += agreement.photographs(check, read, broken.append)
    pack.export(read, folder, to_coreml=coreml, to_onnx=onnx, licence=licence, say=say)
    say(f"{read.manifest.name} {read.manifest.version} for phones in {folder}")
    if pictures:
        with counting("comparing") as tick:
            rows = agreement.compare(read, pack.ways(read, folder), pictures, tick)
        tables.print_agreement(rows, broken)


def vectors(
    out: Annotated[Path, typer.Argument(help="Folder to write decisions.json, pixels.json and their pictures into.")],
) -> None:
    """Write what a port of the device's decision and of its picture is checked against (docs/phone.md)."""
    require_folder(out)
    for path in [*decisions.write(out), *pixels.write(out)]:
        console.print(f"written: {path}", soft_wrap=True)
