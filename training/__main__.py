"""Owns the trainer's command line: `python -m training ...`. Every wrong input ends in one sentence and exit code 1."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow greets on stderr otherwise

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from edge.core.errors import EdgeError
from training.errors import TrainingError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From photographs to a model bundle.",
)
console = Console(stderr=True)

Data = Annotated[Path, typer.Argument(help="Folder with one sub-folder a denomination, named by the amount.")]
Background = Annotated[Path | None, typer.Option(help="Folder of pictures without these notes.")]
Seed = Annotated[int, typer.Option(help="Same seed, data and versions: the same bundle.")]
Size = Annotated[int, typer.Option(help="Side of the model's input in pixels, a multiple of 32.")]
Steps = Annotated[int, typer.Option(help="Steps of 32 composed samples with all layers training.")]
Trunk = Annotated[
    str, typer.Option(help="mobilenet, mobilenet_v2, mobilenet_v3_small, mobilenet_v3_large; tiny for trying out.")
]
Width = Annotated[float, typer.Option(help="Width multiplier of the trunk.")]
Weights = Annotated[
    Path | None, typer.Option(help="File of ImageNet weights without the top; else they are downloaded.")
]
FromScratch = Annotated[bool, typer.Option(help="Begin with random weights.")]


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, refresh_per_second=2)


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    currency: Annotated[str, typer.Option(help="ISO 4217 code, such as INR.")],
    background: Background = None,
    strangers: Annotated[
        list[Path] | None, typer.Option(help="Folder of other money to reject; may be given again.")
    ] = None,
    weights: Weights = None,
    from_scratch: FromScratch = False,
    run: Annotated[Path | None, typer.Option(help="Folder of checkpoints and logs [runs/NAME].")] = None,
    name: Annotated[str, typer.Option(help="Name of the bundle [the currency in lower case].")] = "",
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "0.1.0",
    trunk: Trunk = "mobilenet_v2",
    width: Width = 1.0,
    size: Size = 192,
    steps: Steps = 4000,
    seed: Seed = 1,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint of this run.")] = False,
    hold_out_source: Annotated[str | None, typer.Option(help="Hold out everything of one source.")] = None,
) -> None:
    """Train on a folder of photographs and write a bundle."""
    from edge.core.bundle import InputSpec
    from training.fit import FitSettings
    from training.prepare import from_photos
    from training.train import Identity

    with _progress() as bar:
        task = bar.add_task("reading photographs", total=None)
        prepared = from_photos(
            data,
            background,
            strangers or [],
            InputSpec(size, size, "squash"),
            held_out_source=hold_out_source,
            tick=lambda i, n: bar.update(task, completed=i, total=n),
        )
    settings = FitSettings(trunk=trunk, width=width, size=size, steps=steps, seed=seed)
    identity = Identity(name or currency.lower(), version, currency)
    start = None if from_scratch else weights or "imagenet"
    _train(prepared, settings, identity, start, run or Path("runs") / identity.name, out, resume)


@app.command()
def play(
    out: Annotated[Path, typer.Option(help="Folder of the bundle to write.")],
    run: Annotated[Path, typer.Option(help="Folder of checkpoints and logs.")] = Path("runs/xts"),
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "0.1.0",
    weights: Weights = None,
    from_scratch: FromScratch = False,
    trunk: Trunk = "mobilenet_v2",
    width: Width = 1.0,
    size: Size = 96,
    steps: Steps = 1400,
    seed: Seed = 1,
    gentle: Annotated[bool, typer.Option(help="Notes large, upright and in good light: learnt in a minute.")] = False,
    denominations: Annotated[str, typer.Option(help="Which, separated by commas [all].")] = "",
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint of this run.")] = False,
) -> None:
    """Draw play money (XTS) and train a small model on it, without a single photograph."""
    from edge.core.bundle import InputSpec
    from training.compose import GENTLE
    from training.fit import FitSettings
    from training.playmoney import notes
    from training.prepare import from_play_money
    from training.train import Identity

    chosen = [int(d) for d in denominations.split(",")] if denominations else notes.DENOMINATIONS
    with console.status("drawing play money"):
        prepared = from_play_money(InputSpec(size, size, "squash"), seed, chosen, GENTLE if gentle else None)
    settings = FitSettings(
        trunk=trunk,
        width=width,
        size=size,
        steps=steps,
        head_steps=0 if from_scratch else 40,
        warmup_steps=min(100, steps // 5),
        learning_rate=4e-3 if from_scratch else 8e-4,
        norm_momentum=0.95 if steps > 800 else 0.9,  # a short run: statistics and averages must follow
        ema=0.99 if steps > 800 else 0.98,
        dropout=0.1,
        seed=seed,
    )
    start = None if from_scratch else weights or "imagenet"
    recipe = GENTLE if gentle else None
    _train(prepared, settings, Identity("xts", version, notes.CURRENCY), start, run, out, resume, recipe)


def _train(
    prepared: Any, settings: Any, identity: Any, weights: Any, run: Path, out: Path, resume: bool, recipe: Any = None
) -> None:
    from training.train import train as whole_path

    total = settings.head_steps + settings.steps
    with _progress() as bar:
        task = bar.add_task("training", total=total)
        bar.console.print(
            f"{sum(prepared.counts.values())} pictures, {len(prepared.held_truth)} held out; logs in {run}"
        )

        def tick(step: int, losses: dict[str, float]) -> None:
            bar.update(task, completed=step, description=f"training, loss {losses['loss']:.3f}")
            if not console.is_terminal and step % 100 == 0:
                console.print(f"step {step} of {total}, loss {losses['loss']:.3f}")

        manifest = whole_path(
            prepared,
            settings,
            identity,
            weights,
            run,
            out,
            resume=resume,
            recipe=recipe,
            tick=tick,
            say=bar.console.print,
        )
    console.print(f"bundle {manifest.name} {manifest.version} in {out}, digest {manifest.digest[:12]}")


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Data,
    background: Background = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Score a bundle on photographs, each shown as one second of still frames."""
    from training import evaluate as scoring

    with _progress() as bar:
        task = bar.add_task("evaluating", total=None)
        report, _ = scoring.evaluate(bundle, data, background, lambda i, n: bar.update(task, completed=i, total=n))
    if json_ is not None:
        json_.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    _print_report(report)


def _print_report(report: Any) -> None:
    table = Table("figure", "value", "of", "95 % interval")
    rows = (
        ("accuracy", report.n),
        ("coverage", report.n),
        ("wrong_announcement_rate", report.announced),
        ("false_announcement_rate", report.n_background),
    )
    for key, of in rows:
        low, high = report.intervals[key]
        table.add_row(key, f"{getattr(report, key):.4f}", str(of), f"{low:.4f} to {high:.4f}")
    table.add_row("calibration_error", f"{report.calibration_error:.4f}", str(report.n + report.n_background), "")
    table.add_row("ms_per_picture", f"{report.ms_per_picture:.2f}", str(report.n + report.n_background), "")
    out = Console()
    out.print(table)
    confusion = Table("shown", "taken for (most likely label: count)")
    for truth, row in report.confusion.items():
        confusion.add_row(truth, ", ".join(f"{label}: {count}" for label, count in row.items()))
    out.print(confusion)
    for path in report.broken:
        out.print(f"not opened, left out: {path}")


@app.command()
def synth(
    out: Annotated[
        Path, typer.Argument(help="PNG file for a sheet to look at, or a new folder for pictures and labels.")
    ],
    data: Annotated[Path | None, typer.Option(help="Folder of photographs; without it, play money.")] = None,
    background: Background = None,
    strangers: Annotated[
        list[Path] | None, typer.Option(help="Folder of other money to reject; may be given again.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many samples.")] = 64,
    size: Size = 192,
    seed: Seed = 1,
    without: Annotated[
        list[str] | None,
        typer.Option(help="Family of operations to leave out (docs/synthesiser.md); may be given again."),
    ] = None,
    stats: Annotated[bool, typer.Option("--stats", help="Print how labels, operations and places are spread.")] = False,
) -> None:
    """Compose training samples: a sheet to look at, or pictures with label, place and what was done to each."""
    import cv2

    from edge.core.bundle import InputSpec
    from training import synth as samples
    from training.compose import Composer, Recipe
    from training.prepare import from_photos, from_play_money, preview

    recipe = Recipe().without(*(without or []))
    spec = InputSpec(size, size, "squash")
    with _progress() as bar:
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
            if not cv2.imwrite(str(out), preview(composer, count)[..., ::-1]):
                raise TrainingError(f"{out} cannot be written: is there such a folder?")
            bar.update(task, completed=count)
        else:
            samples.write(composer, count, out, lambda done: bar.update(task, completed=done))
    if stats:
        table = Table("figure", "", "samples")
        for figure, name, n in samples.statistics(map(composer.sample, range(count)), composer.labels):
            table.add_row(figure, name, str(n))
        Console().print(table)
    console.print(f"{count} samples in {out}")


@app.command()
def recording(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    seed: Seed = 7,
) -> None:
    """Draw the recording in which play notes are shown one after another."""
    from training.playmoney import recording as recordings

    amounts = recordings.write(out, seed)
    console.print(f"recording of {', '.join(map(str, amounts))} play crowns in {out}")


def main() -> None:
    """Run the command line; wrong input is one sentence."""
    try:
        app()
    except (TrainingError, EdgeError) as error:
        console.print(f"[red]error:[/red] {error}", highlight=False, soft_wrap=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
