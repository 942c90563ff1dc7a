"""Owns the commands that measure a bundle and tell what was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from training.cli import tables
from training.cli.films import Films, with_films
from training.cli.options import (
    Background,
    BundleFolder,
    Data,
    FiguresFile,
    HeldOut,
    HoldOutSource,
    Seed,
    SequencesFile,
    Series,
    Shared,
    SourcesFile,
    require_file,
    require_folder,
)
from training.cli.progress import console, counting, say_passed_over, stages
from training.errors import TrainingError
from training.learn.settings import USUAL
from training.measure import compare as comparing
from training.measure import figures, films, hints, pocket, specimens, stills
from training.measure import haste as hastes
from training.measure import reels as filmed
from training.measure.specimens import Specimen
from training.show import card as cards
from training.show import drawings
from training.show import report as pages


def _chooser(
    data: Path, background: Path | None, held_out: bool, hold_out_source: str | None, series: Path | None
) -> Callable[[Bundle], list[Specimen]]:
    """What a bundle is shown: all photographs, or those that its training holds out."""
    if held_out or hold_out_source:
        return lambda bundle: specimens.held_out(data, background, bundle, hold_out_source, series)
    if series is not None:
        raise TrainingError("--series goes with --held-out: it corrects the labels that training corrects")
    return lambda bundle: specimens.gather(data, background, bundle)


def _chosen(asked: Films) -> Callable[[Bundle], list[Specimen]]:
    say_passed_over(asked.data, asked.background, asked.several)
    return _chooser(asked.data, asked.background, asked.held_out, asked.hold_out_source, asked.series)


def evaluate(
    bundle: Annotated[
        list[Path],
        typer.Argument(metavar="BUNDLE...", help="Folder of the bundle; DATA shows notes of the first."),
    ],
    data: Data,
    background: Background = None,
    held_out: HeldOut = False,
    hold_out_source: HoldOutSource = None,
    series: Series = None,
    json_: FiguresFile = None,
    workers: Shared = 1,
) -> None:
    """Score a bundle on photographs, each shown as one second of still frames; or several bundles in one pocket."""
    require_file(json_)
    if len(bundle) > 1 and json_ is not None:
        raise TrainingError("--json holds the figures of one bundle: name one")
    say_passed_over(data, background)
    read = [bundles.read(folder) for folder in bundle]
    chosen = _chooser(data, background, held_out, hold_out_source, series)(read[0])
    pictures = [(specimen.path, specimen.truth) for specimen in chosen]
    if len(read) > 1:
        with counting("evaluating") as tick:
            tables.print_pocket(pocket.score(read, pictures, tick, workers))
        return
    with counting("evaluating") as tick:
        found, _ = stills.score(read[0], pictures, tick, workers)
    if json_ is not None:
        figures.write_evaluation(json_, found)
    tables.print_evaluation(found)


@with_films
def sequences(bundle: BundleFolder, asked: Films, json_: FiguresFile = None) -> None:
    """Score a bundle on films: photographs moved, turned, blurred and lit as a hand would."""
    require_file(json_)
    with stages("looking for photographs") as tick:
        found = films.measure(bundle, _chosen(asked), asked.plan, asked.several, tick, asked.workers)
    if json_ is not None:
        figures.write(json_, asdict(found))
    tables.print_sequences(found)


@with_films
def reels(
    bundle: BundleFolder,
    asked: Films,
    out: Annotated[Path, typer.Option(help="File to keep what was seen in, .npz.")],
) -> None:
    """Keep what a bundle sees in the films of `sequences`, for `haste`."""
    require_file(out)
    with stages("looking for photographs") as tick:
        found, labels = filmed.keep(bundle, _chosen(asked), asked.plan, asked.several, tick, asked.workers)
    filmed.write(out, found, labels)
    console.print(f"{len(found)} films in {out}", soft_wrap=True)


def haste(
    bundle: BundleFolder,
    films: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files that `reels` kept of this bundle.")],
    json_: FiguresFile = None,
    workers: Shared = 1,
) -> None:
    """Compare rules of decision on kept films: how soon an amount is said, against wrong and false ones."""
    require_file(json_)
    read = bundles.read(bundle)
    found = [reel for file in films for reel in filmed.read(file, read.labels)]
    with counting("deciding") as tick:
        rows = hastes.compare(found, read.labels, hastes.rules(read.manifest.decision), tick, workers)
    if json_ is not None:
        figures.write(json_, [asdict(row) for row in rows])
    tables.print_haste(rows, hastes.alike(found, read.labels))


def guidance(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Annotated[Path, typer.Argument(help="The folder it was trained on, with boxes in its manifest.csv.")],
    background: Annotated[Path, typer.Argument(help="Folder of pictures without these notes.")],
    scenes: Annotated[int, typer.Option(help="Scenes of each case, composed from held-out pictures.")] = 100,
    photographs: Annotated[bool, typer.Option(help="One scene of each photograph with a box instead.")] = False,
    series: Series = None,
    seed: Seed = USUAL.seed,
    workers: Shared = 1,
) -> None:
    """Score the hints: is the right one said to scenes in which a note is held so that it cannot be read?"""
    say_passed_over(data, background)
    with counting("showing scenes") as tick:
        outcomes = hints.evaluate(
            bundle,
            data,
            background,
            scenes=scenes,
            seed=seed,
            photographs=photographs,
            series=series,
            tick=tick,
            workers=workers,
        )
    tables.print_hints(hints.score(outcomes))


def report(
    bundle: BundleFolder,
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder to write the page into; git is told to ignore it.")],
    background: Background = None,
    held_out: HeldOut = False,
    hold_out_source: HoldOutSource = None,
    series: Series = None,
    sequences: SequencesFile = None,
    ablation: Annotated[
        Path | None,
        typer.Option(help="JSON file: a list of rows with a name and figures, of trainings with parts left out."),
    ] = None,
    workers: Shared = 1,
) -> None:
    """Write one HTML page on how a bundle does: figures, curves, confusions, worst mistakes."""
    require_folder(out)
    say_passed_over(data, background)
    choose = _chooser(data, background, held_out, hold_out_source, series)
    with counting("evaluating") as tick:
        page = pages.make(bundle, choose, out, sequences=sequences, ablation=ablation, tick=tick, workers=workers)
    console.print(f"report in {page}", soft_wrap=True)


def compare(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="Folders of the bundles.")],
    data: Annotated[Path, typer.Option(help="Folder with one sub-folder a denomination, named by the amount.")],
    background: Background = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the drawings and the figures.")] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--must-not-be-worse-than", help="Fail where the first bundle is worse than this one."),
    ] = None,
    workers: Shared = 1,
) -> None:
    """Measure bundles side by side: how good on the same photographs, at what cost."""
    folders = list(bundles)
    if baseline is not None and baseline.absolute() not in [folder.absolute() for folder in folders]:
        folders.append(baseline)
    require_folder(out)
    say_passed_over(data, background)
    with stages("evaluating") as tick:
        found = comparing.compare(folders, data, background, tick, workers)
    tables.print_comparison(found)
    if out is not None:
        for path in drawings.write(found, out):
            console.print(f"written: {path}", soft_wrap=True)
    if baseline is not None:
        place = [folder.absolute() for folder in folders].index(baseline.absolute())
        refused = comparing.worse(found, 0, place)
        if refused:
            raise TrainingError(refused)


def card(
    bundle: BundleFolder,
    evaluation: Annotated[Path | None, typer.Option(help="File that `evaluate --json` wrote.")] = None,
    sequences: SequencesFile = None,
    sources: SourcesFile = None,
) -> None:
    """Write a bundle's model card and the manifest's figures anew, without training."""
    manifest = cards.refresh(
        bundle,
        figures.evaluation(evaluation) if evaluation else None,
        figures.sequences(sequences) if sequences else None,
        cards.read_sources(sources) if sources else None,
    )
    console.print(f"card of {manifest.name} {manifest.version} in {bundle}, digest {manifest.digest[:12]} as before")
