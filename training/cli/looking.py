"""Owns the commands that show what training is made of: photographs before it, composed samples, drawn recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge.core.bundle import InputSpec
from training.check import look, page
from training.cli import tables
from training.cli.options import Background, Data, Seed, Series, Shared, Size, Strangers, Without, require_file
from training.cli.progress import console, progress, say_passed_over, side_by_side
from training.errors import TrainingError
from training.learn.prepare import from_photos, from_play_money
from training.learn.settings import USUAL
from training.playmoney import recording as recordings
from training.synth import sheet
from training.synth.compose import Composer
from training.synth.recipe import Recipe


def check(
    data: Data,
    background: Background = None,
    strangers: Strangers = None,
    against: Annotated[Path | None, typer.Option(help="Test folder: pictures in both are a fault.")] = None,
    series: Series = None,
    weights: Annotated[
        Path | None, typer.Option(help="File of MobileNetV2's ImageNet weights without the top: finds wrong labels.")
    ] = None,
    bundle: Annotated[Path | None, typer.Option(help="Without --weights: a bundle that finds wrong labels.")] = None,
    groups: Annotated[int, typer.Option(min=0, help="Sort each class into so many groups, a sheet each.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder of the page with thumbnails, the sheets and tables.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the report to this file.")] = None,
    seed: Annotated[int, typer.Option(help="Of the folds and the groups.")] = 1,
) -> None:
    """Look at the photographs before training: what is there, and what is wrong with it."""
    if groups and (out is None or (weights is None and bundle is None)):
        raise TrainingError("--groups needs --out for its sheets, and --weights or --bundle to tell pictures apart")
    require_file(json_)
    say_passed_over(data, background, against, *strangers or ())
    if out is not None:
        page.make_folder(out)
        if groups:
            page.keep_names(out)
    with side_by_side() as tick:
        checked = look.check(data, background, against, series, weights, bundle, seed, tick, strangers=strangers or ())
    if json_ is not None:
        page.write_json(checked.report, json_)
    tables.print_check(checked.report)
    if out is not None:
        with console.status("writing the report"):
            written = page.write_page(checked.report, out)
            if checked.features is not None:
                named = look.name_series(checked, checked.features)
                page.write_table(named, ("file", "series"), out / "series.csv")
                if groups:
                    page.write_groups(look.group(checked, checked.features, groups, seed), out)
        console.print(f"report in {written}", soft_wrap=True)
    if checked.report.faults:
        raise TrainingError(f"{data} has {checked.report.faults} fault(s) to mend before training")


def synth(
    out: Annotated[
        Path, typer.Argument(help="PNG file for a sheet to look at, or a new folder for pictures and labels.")
    ],
    data: Annotated[Path | None, typer.Option(help="Folder of photographs; without it, play money.")] = None,
    background: Background = None,
    strangers: Strangers = None,
    count: Annotated[int, typer.Option(min=1, help="How many samples.")] = 64,
    size: Size = USUAL.size,
    seed: Seed = USUAL.seed,
    without: Without = None,
    workers: Shared = 1,
    stats: Annotated[bool, typer.Option("--stats", help="Print how labels, operations and places are spread.")] = False,
) -> None:
    """Compose training samples: a sheet to look at, or pictures with label, place and what was done to each."""
    recipe = Recipe().without(*(without or []))
    spec = InputSpec(size, size, "squash")
    say_passed_over(data, background, *strangers or ())
    with progress() as bar:
        task = bar.add_task("reading photographs" if data else "drawing play money", total=None)
        prepared = (
            from_photos(
                data, background, strangers or [], spec, tick=lambda i, n: bar.update(task, completed=i, total=n)
            )
            if data
            else from_play_money(spec, seed)
        )
        composer = Composer(prepared.material, prepared.labels, size, seed, recipe)
        task = bar.add_task("composing", total=count)
        if out.suffix.lower() == ".png":
            sheet.write_preview(composer, count, out)
            bar.update(task, completed=count)
        else:
            sheet.write(composer, count, out, lambda done: bar.update(task, completed=done), workers)
    if stats:
        tables.print_spread(sheet.statistics(map(composer.sample, range(count)), composer.labels))
    console.print(f"{count} samples in {out}")


def recording(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    seed: Seed = 7,
) -> None:
    """Draw the recording in which play notes are shown one after another."""
    amounts = recordings.write(out, seed)
    console.print(f"recording of {', '.join(map(str, amounts))} play crowns in {out}")
