"""Owns the trainer's command line: `python -m training ...`. Every wrong input ends in one sentence and exit code 1."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
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
from training.learn.settings import Only

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="From photographs to a model bundle.",
)
console = Console(stderr=True)

Data = Annotated[Path, typer.Argument(help="Folder with one sub-folder a denomination, named by the amount.")]
BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder of the bundle.")]
Background = Annotated[Path | None, typer.Option(help="Folder of pictures without these notes.")]
SequencesFile = Annotated[Path | None, typer.Option("--sequences", help="File that `sequences --json` wrote.")]
SourcesFile = Annotated[
    Path | None, typer.Option("--sources", help="TOML file of data sources, limits and whose test it is, for the card.")
]
Seed = Annotated[int, typer.Option(help="Same seed, data and versions: the same bundle.")]
Size = Annotated[int, typer.Option(help="Side of the model's input in pixels, a multiple of 32.")]
Steps = Annotated[int, typer.Option(help="Steps with all layers training.")]
Minutes = Annotated[
    float | None, typer.Option(min=0.1, help="Train no longer than that; the learning rate falls in time for it.")
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes that compose samples; left out: one for each processor.")
]
Trunk = Annotated[
    str, typer.Option(help="mobilenet, mobilenet_v2, mobilenet_v3_small, mobilenet_v3_large; tiny for trying out.")
]
Without = Annotated[
    list[str] | None,
    typer.Option(help="Family of operations to leave out (docs/synthesiser.md); may be given again."),
]
Width = Annotated[float, typer.Option(help="Width multiplier of the trunk.")]
Weights = Annotated[
    Path | None, typer.Option(help="File of ImageNet weights without the top; else they are downloaded.")
]
Series = Annotated[
    Path | None, typer.Option(help="Table (file,series,label) of what people saw; a label of - leaves a picture out.")
]
HeldOut = Annotated[
    bool, typer.Option("--held-out", help="Show only what training on DATA and the background holds out.")
]
HoldOutSource = Annotated[str | None, typer.Option(help="The source that training held out.")]
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


@contextlib.contextmanager
def _counting(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for one task: how many are done, of how many."""
    with _stages(what) as tick:
        yield lambda done, total: tick(what, done, total)


@contextlib.contextmanager
def _stages(first: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for tasks one after the other: what is being done, how many are done, of how many."""
    with _progress() as bar:
        task = bar.add_task(first, total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)


def _chooser(
    data: Path, background: Path | None, held_out: bool, hold_out_source: str | None, series: Path | None
) -> Callable[[Any], list[Any]]:
    """What a bundle is shown: all photographs, or those that its training holds out."""
    from training.measure import specimens

    if held_out or hold_out_source:
        return lambda bundle: specimens.held_out(data, background, bundle, hold_out_source, series)
    if series is not None:
        raise TrainingError("--series goes with --held-out: it corrects the labels that training corrects")
    return lambda bundle: specimens.gather(data, background, bundle)


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
    run: Annotated[Path | None, typer.Option(help="Folder of checkpoints and logs; left out: runs/NAME.")] = None,
    name: Annotated[str, typer.Option(help="Name of the bundle; left out: the currency in lower case.")] = "",
    version: Annotated[str, typer.Option(help="Version of the bundle.")] = "0.1.0",
    trunk: Trunk = "mobilenet_v2",
    width: Width = 1.0,
    size: Size = 192,
    steps: Steps = 4000,
    seed: Seed = 1,
    start_from: Annotated[
        Path | None,
        typer.Option(
            help="Bundle, or a run's model.keras, whose network is trained on further, instead of ImageNet's."
        ),
    ] = None,
    head_steps: Annotated[int, typer.Option(help="Steps of the heads alone, before the others.")] = 150,
    last_layers: Annotated[
        int | None, typer.Option(min=0, help="Layers of the trunk that learn after the heads; left out: all.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples of a step.")] = 32,
    learning_rate: Annotated[
        float | None, typer.Option(help="Its peak, after the warm-up; left out: 8e-4, and 4e-4 to train on further.")
    ] = None,
    minutes: Minutes = None,
    workers: Workers = None,
    without: Without = None,
    only: Annotated[
        Only | None, typer.Option(help="Compose from cut-out notes or from whole photographs alone; left out: both.")
    ] = None,
    series: Series = None,
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint of this run.")] = False,
    hold_out_source: Annotated[str | None, typer.Option(help="Hold out everything of one source.")] = None,
    sources: SourcesFile = None,
) -> None:
    """Train on a folder of photographs and write a bundle."""
    from edge.core.bundle import InputSpec
    from training.learn.prepare import from_photos
    from training.learn.settings import FitSettings
    from training.show import card as cards
    from training.synth.recipe import Recipe
    from training.train import Identity

    told = cards.read_sources(sources) if sources else None
    with _counting("reading photographs") as tick:
        prepared = from_photos(
            data,
            background,
            strangers or [],
            InputSpec(size, size, "squash"),
            series=series,
            held_out_source=hold_out_source,
            tick=tick,
        )
    settings = FitSettings(
        trunk=trunk,
        width=width,
        size=size,
        steps=steps,
        head_steps=head_steps,
        last_layers=last_layers,
        batch=batch,
        seed=seed,
        # What has learnt notes already is not to forget how: half the rate that ImageNet's weights need.
        learning_rate=learning_rate or (4e-4 if start_from else 8e-4),
    )
    if only is not None:
        prepared = prepared.of(cut_outs=only is Only.CUT_OUTS)
    recipe = Recipe().without(*without or ())
    identity = Identity(name or currency.lower(), version, currency)
    begin = None if from_scratch or start_from else weights or "imagenet"
    folder = run or Path("runs") / identity.name
    _train(
        prepared,
        settings,
        identity,
        begin,
        folder,
        out,
        resume,
        recipe,
        start=start_from,
        minutes=minutes,
        workers=workers,
    )
    if told is not None:
        cards.refresh(out, sources=told)


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(help="TOML file of trainings (docs/evaluation.md).")],
    data: Data,
    run: Annotated[Path, typer.Option(help="Folder for the run of each training.")],
    background: Background = None,
    strangers: Annotated[
        list[Path] | None, typer.Option(help="Folder of other money to reject; may be given again.")
    ] = None,
    series: Series = None,
    test: Annotated[Path | None, typer.Option(help="Folder of photographs to score each training on.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Folder of the weights that the file names; left out: its own.")
    ] = None,
    pick: Annotated[list[str] | None, typer.Option(help="Name of one training; may be given again.")] = None,
    minutes: Minutes = None,
    at_once: Annotated[int, typer.Option(min=1, help="Recipes whose samples are composed at the same time.")] = 1,
    workers: Workers = None,
) -> None:
    """Train several networks or recipes side by side and score them alike; needs no TensorFlow."""
    from training import sweep as sweeps

    variants = sweeps.read(file, weights, pick)
    rows = sweeps.sweep(
        variants,
        data,
        background,
        strangers or [],
        run,
        series=series,
        test=test,
        at_once=at_once,
        workers=workers,
        minutes=minutes,
        say=lambda line: console.print(line, highlight=False, markup=False, soft_wrap=True),
    )
    table = Table("", *(row["name"] for row in rows))
    for key in dict.fromkeys(key for row in rows for key in row if key != "name"):
        values = (row.get(key, "") for row in rows)
        table.add_row(key.replace("_", " "), *(f"{v:.4f}" if isinstance(v, float) else str(v) for v in values))
    Console().print(table)
    if len(rows) < len(variants):
        raise TrainingError(f"{len(variants) - len(rows)} of {len(variants)} trainings did not come to their end")


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
    denominations: Annotated[str, typer.Option(help="Which, separated by commas; left out: all.")] = "",
    resume: Annotated[bool, typer.Option(help="Go on from the last checkpoint of this run.")] = False,
) -> None:
    """Draw play money (XTS) and train a small model on it, without a single photograph."""
    from edge.core.bundle import InputSpec
    from training.learn.prepare import from_play_money
    from training.learn.settings import FitSettings
    from training.playmoney import notes
    from training.synth.recipe import GENTLE
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
    prepared: Any,
    settings: Any,
    identity: Any,
    weights: Any,
    run: Path,
    out: Path,
    resume: bool,
    recipe: Any = None,
    start: Path | None = None,
    minutes: float | None = None,
    workers: int | None = None,
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
            start=start,
            resume=resume,
            recipe=recipe,
            minutes=minutes,
            workers=workers,
            tick=tick,
            say=bar.console.print,
        )
    console.print(f"bundle {manifest.name} {manifest.version} in {out}, digest {manifest.digest[:12]}")


@app.command()
def evaluate(
    bundle: BundleFolder,
    data: Data,
    background: Background = None,
    held_out: HeldOut = False,
    hold_out_source: HoldOutSource = None,
    series: Series = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Score a bundle on photographs, each shown as one second of still frames."""
    from edge.core import bundle as bundles
    from training.measure import figures
    from training.measure import stills as scoring

    read = bundles.read(bundle)
    chosen = _chooser(data, background, held_out, hold_out_source, series)(read)
    with _counting("evaluating") as tick:
        report, _ = scoring.score(read, [(specimen.path, specimen.truth) for specimen in chosen], tick)
    if json_ is not None:
        figures.write(json_, asdict(report))
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
def check(
    data: Data,
    background: Background = None,
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
    from training.check import look as checking
    from training.check import page

    if groups and (out is None or (weights is None and bundle is None)):
        raise TrainingError("--groups needs --out for its sheets, and --weights or --bundle to tell pictures apart")
    if out is not None:
        page.make_folder(out)
        if groups:
            page.keep_names(out)
    with _progress() as bar:
        tasks: dict[str, Any] = {}

        def tick(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        checked = checking.check(data, background, against, series, weights, bundle, seed, tick)
    if json_ is not None:
        page.write_json(checked.report, json_)
    _print_check(checked.report)
    if out is not None:
        with console.status("writing the report"):
            written = page.write_page(checked.report, out)
            if checked.features is not None:
                named = checking.name_series(checked, checked.features)
                page.write_table(named, ("file", "series"), out / "series.csv")
                if groups:
                    page.write_groups(checking.group(checked, checked.features, groups, seed), out)
        console.print(f"report in {written}", soft_wrap=True)
    if checked.report.faults:
        raise TrainingError(f"{data} has {checked.report.faults} fault(s) to mend before training")


def _print_check(report: Any) -> None:
    from training.check.findings import KINDS

    out = Console()
    counted = Table("label", "source", "series", "pictures")
    for label, sources in report.counts.items():
        for source, of in sources.items():
            for series, number in of.items():
                counted.add_row(label, source, series or "?", str(number))
    out.print(counted)
    found = Table("found", "how many", "", "why it matters")
    for kind, findings in report.by_kind().items():
        found.add_row(KINDS[kind].title, str(len(findings)), "fault" if KINDS[kind].fault else "", KINDS[kind].why)
    if report.findings:
        out.print(found)
    if report.agreement is not None:
        out.print(f"{report.agreement:.1%} of the labels are what the other pictures say")
    for finding in report.findings:
        if finding.fault:
            out.print(finding.sentence, highlight=False, markup=False, soft_wrap=True)


@app.command()
def sequences(
    bundle: BundleFolder,
    data: Data,
    background: Background = None,
    several: Annotated[Path | None, typer.Option(help="Folder of photographs with several notes in view.")] = None,
    held_out: HeldOut = False,
    hold_out_source: HoldOutSource = None,
    series: Series = None,
    notes: Annotated[int, typer.Option(min=0, help="Most notes to show, evenly of each amount; 0: all.")] = 0,
    seconds: Annotated[float, typer.Option(min=1.0, max=30.0, help="How long a note is in view.")] = 2.5,
    empty_frames: Annotated[int, typer.Option(min=0, help="Frames without a note; ten are one second.")] = 36_000,
    scenes: Annotated[int, typer.Option(min=0, help="Scenes of each kind with more than one note.")] = 40,
    seed: Seed = 1,
    json_: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
) -> None:
    """Score a bundle on films: photographs moved, turned, blurred and lit as a hand would."""
    from training.measure import figures, films

    plan = films.Plan(seed, seconds, notes, empty_frames, scenes)
    with _stages("looking for photographs") as tick:
        found = films.measure(
            bundle,
            _chooser(data, background, held_out, hold_out_source, series),
            plan,
            several,
            tick,
        )
    if json_ is not None:
        figures.write(json_, asdict(found))
    _print_sequences(found)


def _print_sequences(found: Any) -> None:
    out = Console()
    table = Table("one note in the hand", "share (95 % interval), count")
    for event, share in found.events.items():
        table.add_row(event, str(share))
    table.add_row("wrong, of those spoken to", str(found.wrong_of_spoken))
    table.add_row("wrong, then right", str(found.wrong_then_right))
    table.add_row("the same amount said twice", str(found.double))
    table.add_row('"one note at a time" to one note', str(found.several))
    if found.seconds_median is not None:
        times = f"median {found.seconds_median:.2f} s, 95 % within {found.seconds_p95:.2f} s"
        table.add_row("from half in view to the amount", times)
    out.print(table)
    table = Table("more than one note", "outcome", "share (95 % interval), count")
    for scene in found.scenes:
        for number, (outcome, share) in enumerate(scene.outcomes.items()):
            table.add_row("" if number else scene.name, outcome, str(share))
    out.print(table)
    table = Table("no note, in view", "amounts announced")
    for kind, pace in found.walk.by_kind.items():
        table.add_row(kind, str(pace))
    table.add_row("all", str(found.walk.announced))
    out.print(table)
    for presence in found.mistakes:
        out.print(f"shown {presence.truth}, said {', '.join(presence.said)}: {presence.path}", soft_wrap=True)
    for path in found.broken:
        out.print(f"not opened, left out: {path}", soft_wrap=True)


@app.command()
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
) -> None:
    """Write one HTML page on how a bundle does: figures, curves, confusions, worst mistakes."""
    from training.show import report as pages

    with _counting("evaluating") as tick:
        page = pages.make(
            bundle,
            _chooser(data, background, held_out, hold_out_source, series),
            out,
            sequences=sequences,
            ablation=ablation,
            tick=tick,
        )
    console.print(f"report in {page}", soft_wrap=True)


@app.command()
def compare(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="Folders of the bundles.")],
    data: Annotated[Path, typer.Option(help="Folder with one sub-folder a denomination, named by the amount.")],
    background: Background = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the drawings and the figures.")] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--must-not-be-worse-than", help="Fail where the first bundle is worse than this one."),
    ] = None,
) -> None:
    """Measure bundles side by side: how good on the same photographs, at what cost."""
    from training.measure import compare as comparing
    from training.show import drawings

    folders = list(bundles)
    if baseline is not None and baseline.absolute() not in [folder.absolute() for folder in folders]:
        folders.append(baseline)
    with _stages("evaluating") as tick:
        found = comparing.compare(
            folders,
            data,
            background,
            tick,
        )
    _print_comparison(found)
    if out is not None:
        for path in drawings.write(found, out):
            console.print(f"written: {path}", soft_wrap=True)
    if baseline is not None:
        place = [folder.absolute() for folder in folders].index(baseline.absolute())
        refused = comparing.worse(found, 0, place)
        if refused:
            raise TrainingError(refused)


def _print_comparison(found: Any) -> None:
    table = Table("", *(entry.name for entry in found.entries))
    for name, key in (
        ("accuracy", "accuracy"),
        ("coverage", "coverage"),
        ("wrong, of what is spoken", "wrong"),
        ("announced, of no notes", "false"),
    ):
        table.add_row(name, *(str(getattr(entry, key)) for entry in found.entries))
    table.add_row("calibration error", *(f"{entry.calibration_error:.4f}" for entry in found.entries))
    table.add_row("million multiply-adds", *(f"{entry.multiply_adds:.1f}" for entry in found.entries))
    table.add_row("kilobytes", *(f"{entry.kilobytes:.0f}" for entry in found.entries))
    table.add_row("ms an inference (ratio)", *(f"{entry.ms:.2f} ({entry.ratio:.2f})" for entry in found.entries))
    agreements = ("" if entry.agreement is None else f"{entry.agreement:.4f}" for entry in found.entries)
    table.add_row("int8 agrees with float", *agreements)
    fronts = (", ".join(key.replace("_", "-") for key in entry.fronts) or "none" for entry in found.entries)
    table.add_row("on the front of accuracy by", *fronts)
    Console().print(table)


@app.command()
def card(
    bundle: BundleFolder,
    evaluation: Annotated[Path | None, typer.Option(help="File that `evaluate --json` wrote.")] = None,
    sequences: SequencesFile = None,
    sources: SourcesFile = None,
) -> None:
    """Write a bundle's model card and the manifest's figures anew, without training."""
    from training.measure import figures
    from training.show import card as cards

    manifest = cards.refresh(
        bundle,
        figures.evaluation(evaluation) if evaluation else None,
        figures.sequences(sequences) if sequences else None,
        cards.read_sources(sources) if sources else None,
    )
    console.print(f"card of {manifest.name} {manifest.version} in {bundle}, digest {manifest.digest[:12]} as before")


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
    without: Without = None,
    stats: Annotated[bool, typer.Option("--stats", help="Print how labels, operations and places are spread.")] = False,
) -> None:
    """Compose training samples: a sheet to look at, or pictures with label, place and what was done to each."""
    import cv2

    from edge.core.bundle import InputSpec
    from training.learn.prepare import from_photos, from_play_money
    from training.synth import sheet as samples
    from training.synth.compose import Composer
    from training.synth.recipe import Recipe

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
            if not cv2.imwrite(str(out), samples.preview(composer, count)[..., ::-1]):
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
def guidance(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Annotated[Path, typer.Argument(help="The folder it was trained on, with boxes in its manifest.csv.")],
    background: Annotated[Path, typer.Argument(help="Folder of pictures without these notes.")],
    scenes: Annotated[int, typer.Option(help="Scenes of each case, composed from held-out pictures.")] = 100,
    photographs: Annotated[bool, typer.Option(help="One scene of each photograph with a box instead.")] = False,
    seed: Seed = 1,
) -> None:
    """Score the hints: is the right one said to scenes in which a note is held so that it cannot be read?"""
    from training.measure import hints

    with _counting("showing scenes") as tick:
        outcomes = hints.evaluate(
            bundle,
            data,
            background,
            scenes=scenes,
            seed=seed,
            photographs=photographs,
            tick=tick,
        )
    table = Table("scene", "right", "judged", "of", "share right", "95 % interval", "said (hints: scenes)")
    for row in hints.score(outcomes):
        said = ", ".join(f"{hint}: {count}" for hint, count in row.said.items())
        share = f"{row.right / row.judged:.3f}" if row.judged else "-"
        low, high = row.interval
        table.add_row(row.case, row.wanted, str(row.judged), str(row.scenes), share, f"{low:.3f} to {high:.3f}", said)
    Console().print(table)


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
