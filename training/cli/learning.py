"""Owns the commands that train: from photographs, from play money, and several trainings side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from edge.core.bundle import InputSpec, Manifest
from training import onray, pace, variants
from training import sweep as sweeps
from training.cli import tables
from training.cli.options import (
    Background,
    BundleOut,
    Data,
    FiguresFile,
    FromScratch,
    Minutes,
    Resume,
    Seed,
    Series,
    Size,
    SourcesFile,
    Steps,
    Strangers,
    Trunk,
    Version,
    Weights,
    Width,
    Without,
    Workers,
    require_file,
)
from training.cli.progress import console, counting, progress, say, say_passed_over
from training.errors import TrainingError
from training.learn import settings
from training.learn.prepare import Prepared, from_photos, from_play_money
from training.learn.settings import USUAL, FitSettings, Identity, Only
from training.measure import figures
from training.playmoney import notes
from training.show import card
from training.synth.recipe import GENTLE, Recipe

FIRST_VERSION = "0.1.0"
IMAGENET = "imagenet"  # weights that keras.applications downloads
Tick = Callable[[int, dict[str, float]], None]


def train(
    data: Data,
    out: BundleOut,
    currency: Annotated[str, typer.Option(help="ISO 4217 code, such as INR.")],
    background: Background = None,
    strangers: Strangers = None,
    weights: Weights = None,
    from_scratch: FromScratch = False,
    run: Annotated[Path | None, typer.Option(help="Folder of checkpoints and logs; left out: runs/NAME.")] = None,
    name: Annotated[str, typer.Option(help="Name of the bundle; left out: the currency in lower case.")] = "",
    version: Version = FIRST_VERSION,
    trunk: Trunk = USUAL.trunk,
    width: Width = USUAL.width,
    size: Size = USUAL.size,
    steps: Steps = USUAL.steps,
    seed: Seed = USUAL.seed,
    start_from: Annotated[
        Path | None,
        typer.Option(
            help="Bundle, or a run's model.keras, whose network is trained on further, instead of ImageNet's."
        ),
    ] = None,
    head_steps: Annotated[
        int, typer.Option(min=0, help="Steps of the heads alone, before the others.")
    ] = USUAL.head_steps,
    last_layers: Annotated[
        int | None, typer.Option(min=0, help="Layers of the trunk that learn after the heads; left out: all.")
    ] = USUAL.last_layers,
    keep: Annotated[
        int,
        typer.Option(
            min=0,
            help="Samples that are composed once, run through the layers that learn no more, and learnt from again and "
            "again: with --last-layers, from a bundle.",
        ),
    ] = USUAL.kept,
    batch: Annotated[int, typer.Option(min=1, help="Samples of a step.")] = USUAL.batch,
    learning_rate: Annotated[
        float | None,
        typer.Option(min=1e-9, help="Its peak, after the warm-up; left out: 8e-4, and 4e-4 to train on further."),
    ] = None,
    minutes: Minutes = None,
    workers: Workers = None,
    without: Without = None,
    only: Annotated[
        Only | None, typer.Option(help="Compose from cut-out notes or from whole photographs alone; left out: both.")
    ] = None,
    series: Series = None,
    resume: Resume = False,
    hold_out_source: Annotated[str | None, typer.Option(help="Hold out everything of one source.")] = None,
    sources: SourcesFile = None,
) -> None:
    """Train on a folder of photographs and write a bundle."""
    told = card.read_sources(sources) if sources else None
    recipe = Recipe().without(*without or ())
    identity = Identity(name or currency.lower(), version, currency)
    say_passed_over(data, background, *strangers or ())
    with counting("reading photographs") as tick:
        prepared = from_photos(
            data,
            background,
            strangers or [],
            InputSpec(size, size, "squash"),
            series=series,
            held_out_source=hold_out_source,
            tick=tick,
        )
    if only is not None:
        prepared = prepared.of(only)
    for caution in prepared.cautions:
        say(caution)
    chosen = FitSettings(
        trunk=trunk,
        width=width,
        size=size,
        steps=steps,
        head_steps=head_steps,
        last_layers=last_layers,
        kept=keep,
        batch=batch,
        seed=seed,
        learning_rate=learning_rate or settings.peak_rate(further=start_from is not None),
    )
    folder = run or Path("runs") / identity.name
    with _watched(prepared, chosen, folder) as (tick_step, say_line):
        manifest = _path().train(
            prepared,
            chosen,
            identity,
            None if from_scratch or start_from else weights or IMAGENET,
            folder,
            out,
            start=start_from,
            resume=resume,
            recipe=recipe,
            minutes=minutes,
            workers=workers,
            tick=tick_step,
            say=say_line,
        )
    _print_end(manifest, out)
    if told is not None:
        card.refresh(out, sources=told)


def play(
    out: BundleOut,
    run: Annotated[Path, typer.Option(help="Folder of checkpoints and logs.")] = Path("runs/xts"),
    version: Version = FIRST_VERSION,
    weights: Weights = None,
    from_scratch: FromScratch = False,
    trunk: Trunk = USUAL.trunk,
    width: Width = USUAL.width,
    size: Size = settings.PLAY.size,
    steps: Steps = settings.PLAY.steps,
    seed: Seed = settings.PLAY.seed,
    gentle: Annotated[bool, typer.Option(help="Notes large, upright and in good light: learnt in a minute.")] = False,
    denominations: Annotated[str, typer.Option(help="Which, separated by commas; left out: all.")] = "",
    resume: Resume = False,
) -> None:
    """Draw play money (XTS) and train a small model on it, without a single photograph."""
    drawn = _drawn(denominations)
    with console.status("drawing play money"):
        prepared = from_play_money(InputSpec(size, size, "squash"), seed, drawn, GENTLE if gentle else None)
    chosen = settings.for_play_money(trunk, width, size, steps, seed, from_scratch=from_scratch)
    with _watched(prepared, chosen, run) as (tick, say_line):
        manifest = _path().train(
            prepared,
            chosen,
            Identity("xts", version, notes.CURRENCY),
            None if from_scratch else weights or IMAGENET,
            run,
            out,
            resume=resume,
            recipe=GENTLE if gentle else None,
            tick=tick,
            say=say_line,
        )
    _print_end(manifest, out)


def _drawn(denominations: str) -> Sequence[int]:
    """The play notes that are meant. Raises TrainingError for one that there is not."""
    if not denominations:
        return notes.DENOMINATIONS
    known = {str(amount): amount for amount in notes.DENOMINATIONS}
    wanted = [text.strip() for text in denominations.split(",")]
    if strange := [text for text in wanted if text not in known]:
        raise TrainingError(f"there is no play note of {strange[0] or 'nothing'}: there are {', '.join(known)}")
    if len(set(wanted)) < 2:
        raise TrainingError("a reader needs at least two denominations to tell apart")
    return [known[text] for text in dict.fromkeys(wanted)]


def _path() -> ModuleType:
    """The whole path, and with it Keras, which takes seconds to import."""
    from training import train as path

    return path


@contextlib.contextmanager
def _watched(prepared: Prepared, chosen: FitSettings, run: Path) -> Iterator[tuple[Tick, Callable[[str], None]]]:
    """A bar of the steps: what to call with each step and its losses, and what to call with a line."""
    total = chosen.head_steps + chosen.steps
    with progress() as bar:
        task = bar.add_task("training", total=total)
        pictures = f"{sum(prepared.counts.values())} pictures, {len(prepared.held_truth)} held out"
        bar.console.print(f"{pictures}; logs in {run}")

        def tick(step: int, losses: dict[str, float]) -> None:
            bar.update(task, completed=step, description=f"training, loss {losses['loss']:.3f}")
            if not console.is_terminal and step % 100 == 0:
                console.print(f"step {step} of {total}, loss {losses['loss']:.3f}")

        yield tick, bar.console.print


def _print_end(manifest: Manifest, out: Path) -> None:
    console.print(f"bundle {manifest.name} {manifest.version} in {out}, digest {manifest.digest[:12]}")


def bench(
    data: Annotated[Path | None, typer.Option(help="Folder of photographs; without it, play money.")] = None,
    background: Background = None,
    strangers: Strangers = None,
    trunk: Trunk = USUAL.trunk,
    width: Width = USUAL.width,
    size: Size = USUAL.size,
    steps: Steps = 20,
    seed: Seed = USUAL.seed,
    workers: Workers = None,
    json_: FiguresFile = None,
) -> None:
    """Measure what limits a training here: composing samples, or the step that learns from them."""
    require_file(json_)
    say_passed_over(data, background, *strangers or ())
    spec = InputSpec(size, size, "squash")
    with counting("reading photographs") as tick:
        prepared = (
            from_photos(data, background, strangers or [], spec, tick=tick) if data else from_play_money(spec, seed)
        )
    chosen = FitSettings(trunk=trunk, width=width, size=size, seed=seed)
    found = pace.measure(prepared, chosen, steps, workers=workers, say=say)
    if json_ is not None:
        figures.write(json_, asdict(found))
    tables.print_pace(found)


def sweep(
    file: Annotated[Path, typer.Argument(help="TOML file of trainings (docs/evaluation.md).")],
    data: Data,
    run: Annotated[Path, typer.Option(help="Folder for the run of each training.")],
    background: Background = None,
    strangers: Strangers = None,
    series: Series = None,
    test: Annotated[Path | None, typer.Option(help="Folder of photographs to score each training on.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Folder of the weights that the file names; left out: its own.")
    ] = None,
    pick: Annotated[list[str] | None, typer.Option(help="Name of one training; may be given again.")] = None,
    minutes: Minutes = None,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Recipes at the same time; left out: one, with --ray one a machine.")
    ] = None,
    workers: Workers = None,
    ray: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster that trains, or auto (docs/evaluation.md).")
    ] = None,
) -> None:
    """Train several networks or recipes side by side and score them alike; needs no TensorFlow."""
    wanted = variants.read(file, weights, pick)
    say_passed_over(data, background, test, *strangers or ())
    rows = sweeps.sweep(
        wanted,
        data,
        background,
        strangers or [],
        run,
        series=series,
        test=test,
        do=sweeps.here(at_once or 1) if ray is None else onray.on(ray, at_once),
        workers=workers,
        minutes=minutes,
        say=say,
    )
    tables.print_sweep(rows)
    if len(rows) < len(wanted):
        raise TrainingError(f"{len(wanted) - len(rows)} of {len(wanted)} trainings did not come to their end")
