"""Owns the page that shows how a bundle does: one HTML file that needs no network, for people who look or listen.

Figures come from `evaluate`; films, ablation and limits from files that other commands wrote. The folder holds
photographs as thumbnails, so it tells git to ignore it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np

from edge.core import bundle as bundles
from edge.core.bundle import BACKGROUND, RESERVED, Bundle
from edge.drivers.tflite import TfliteEngine
from training.errors import TrainingError
from training.learn import calibrate
from training.measure import cost, figures, stills
from training.measure.figures import Row
from training.measure.films import Sequences
from training.measure.rates import digits, rate
from training.measure.specimens import Specimen
from training.measure.stills import Outcome, Report
from training.photos import dataset
from training.show import card, charts
from training.show.charts import Bin
from training.show.markup import STYLE, table

PAGE, FIGURES = "index.html", "evaluation.json"
BINS = 15
MOST_THUMBNAILS = 24
THUMBNAIL_PX = 220
MOST_CURVE_POINTS = 300


@dataclass(frozen=True)
class Speed:
    """What the model costs."""

    multiply_adds: float  # million
    kilobytes: float
    inference_ms: float  # median, here
    picture_ms: float  # the whole way of a picture through stages and decision, mean, here


@dataclass(frozen=True)
class Subject:
    """Everything that the page shows."""

    bundle: Bundle
    report: Report
    outcomes: list[Outcome]
    known: dict[Path, Specimen]
    speed: Speed
    films: Sequences | None = None
    ablation: Sequence[Row] = ()


def make(
    folder: Path,
    choose: Callable[[Bundle], list[Specimen]],
    out: Path,
    *,
    sequences: Path | None = None,
    ablation: Path | None = None,
    tick: Callable[[int, int], None] = lambda i, n: None,
    workers: int = 1,
) -> Path:
    """Measure the bundle in `folder` on what `choose` chooses and write its page into `out`; the page.

    Raises BundleError, TrainingError.
    """
    films = figures.sequences(sequences) if sequences else None
    rows = figures.ablation(ablation) if ablation else []
    bundle = bundles.read(folder)
    if films is not None and films.bundle["digest"] != bundle.manifest.digest:
        raise TrainingError(f"{sequences} was measured on another bundle than {folder}")
    known = {specimen.path: specimen for specimen in choose(bundle)}
    found, outcomes = stills.score(bundle, [(path, specimen.truth) for path, specimen in known.items()], tick, workers)
    text = page(Subject(bundle, found, outcomes, known, _speed(bundle, found), films, rows))
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / ".gitignore").write_text("# Photographs of people's money: never committed.\n*\n", encoding="utf-8")
        (out / PAGE).write_text(text, encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{out} cannot be written: {error.strerror}") from error
    figures.write_evaluation(out / FIGURES, found)
    return out / PAGE


def _speed(bundle: Bundle, found: Report) -> Speed:
    engine = TfliteEngine(bundle.model, threads=1)
    try:
        (median, _) = cost.side_by_side({"": (engine.invoke, bundle.selftest_pictures[:1])})[""]
    finally:
        engine.close()
    return Speed(cost.multiply_adds(bundle.model) / 1e6, len(bundle.model) / 1000, median, found.ms_per_picture)


def bins(outcomes: Iterable[Outcome], labels: Sequence[str], count: int = BINS) -> list[Bin]:
    """Claimed and true shares of the best label, in bins of equal width."""
    scored = [(o.probabilities, labels.index(o.truth)) for o in outcomes if o.probabilities is not None]
    sureness = np.array([probs.max() for probs, _ in scored])
    right = np.array([int(probs.argmax()) == truth for probs, truth in scored])
    found = calibrate.reliability(sureness, right, count)
    return [Bin(i / count, (i + 1) / count, n, claimed, true) for i, (n, claimed, true) in enumerate(found)]


def curves(
    outcomes: Iterable[Outcome], labels: Sequence[str]
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """For one threshold swept over all amounts: (coverage, wrong of spoken), and (coverage, announced of no notes)."""
    notes, empty, right = [], [], []
    for outcome in outcomes:
        probs = outcome.probabilities
        best = "" if probs is None else labels[int(probs.argmax())]
        sureness = 0.0 if probs is None or best in RESERVED else float(probs.max())
        if outcome.truth == BACKGROUND:
            empty.append(sureness)
        else:
            notes.append(sureness)
            right.append(best == outcome.truth)
    order = np.argsort(-np.array(notes))
    sure, good = np.array(notes)[order], np.array(right, bool)[order]
    # Only where the sureness changes can a threshold lie.
    ends = [i for i in range(len(sure)) if sure[i] > 0 and (i + 1 == len(sure) or sure[i + 1] < sure[i])]
    ends = ends[:: max(1, len(ends) // MOST_CURVE_POINTS)] + ends[-1:]
    wrong = [((i + 1) / len(sure), float((~good[: i + 1]).mean())) for i in ends]
    false = [((i + 1) / len(sure), float((np.array(empty) >= sure[i]).mean())) for i in ends] if empty else []
    return wrong, false


def mistakes(outcomes: Iterable[Outcome], labels: Sequence[str], most: int = MOST_THUMBNAILS) -> list[Outcome]:
    """Wrong amounts said to notes, amounts said to no note, then misreadings that were not said; surest first."""

    def badness(outcome: Outcome) -> tuple[int, float]:
        if outcome.said and outcome.said != outcome.truth:
            kind = 0 if outcome.truth != BACKGROUND else 1
        else:
            kind = 2 if outcome.truth != BACKGROUND and outcome.best not in ("", outcome.truth) else 3
        return kind, -sureness(outcome, labels)

    bad = sorted(outcomes, key=badness)
    return [outcome for outcome in bad if badness(outcome)[0] < 3][:most]


def sureness(outcome: Outcome, labels: Sequence[str]) -> float:
    """The probability of the most likely amount."""
    if outcome.probabilities is None or not outcome.best:
        return 0.0
    return float(outcome.probabilities[labels.index(outcome.best)])


def page(subject: Subject) -> str:
    """The whole page."""
    manifest = subject.bundle.manifest
    title = f"{manifest.name} {manifest.version} ({manifest.currency})"
    parts = [
        ("figures", "Figures", _figures(subject)),
        ("amounts", "By amount", _amounts(subject)),
        ("confusion", "What is taken for what", _confusion(subject)),
        ("sureness", "How sure, and how right", _sureness(subject)),
        ("mistakes", "Worst mistakes", _mistakes(subject)),
        ("groups", "By source and series", _groups(subject)),
        ("films", "In a moving hand", _films(subject.films) if subject.films else ""),
        ("ablation", "What each part of the training is worth", _ablation(subject.ablation)),
        ("model", "The model", _model(subject)),
        ("limits", "Limits", _limits(subject.bundle)),
    ]
    parts = [part for part in parts if part[2]]
    links = "".join(f'<li><a href="#{key}">{escape(name)}</a></li>' for key, name, _ in parts)
    body = "".join(
        f'<section aria-labelledby="{key}"><h2 id="{key}">{escape(name)}</h2>{text}</section>'
        for key, name, text in parts
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>saynote bundle {escape(title)}: report</title>
<style>{charts.COLOURS}{charts.SHAPES}{STYLE}</style>
</head>
<body>
<header><h1>Bundle {escape(title)}</h1>
<p>Says {escape(", ".join(subject.bundle.denominations))} {escape(manifest.currency)}.
<strong>{escape(card.AUTHENTICITY)}</strong></p>
<p class="soft">Digest <code>{escape(manifest.digest[:16])}</code>. Each photograph is shown as one second of still
frames to the device's own stages and its int8 model. Rates have 95 % Clopper-Pearson intervals; where nothing was found
among n, the rule of three gives 3/n.</p>
<nav aria-label="Parts of this page"><ul>{links}</ul></nav></header>
<main>{body}</main>
</body>
</html>
"""


def _figures(subject: Subject) -> str:
    found = subject.report
    shares = found.shares
    rows: list[tuple[str, object, str]] = [
        ("accuracy", shares.accuracy, "the most likely amount is the right one"),
        ("coverage", shares.coverage, "notes that are spoken to"),
        ("wrong announcements", shares.wrong, "of what is spoken to notes"),
        ("false announcements", shares.false, "of pictures without these notes"),
        ("calibration error", digits(found.calibration_error), f"ECE, {BINS} bins, all pictures"),
    ]
    figures_ = table("All photographs", ("figure", "value", "meaning"), rows)
    return figures_ + "".join(f"<p>Left out: {escape(Path(sentence).name)}</p>" for sentence in found.broken)


def _amounts(subject: Subject) -> str:
    rows = []
    for label in subject.bundle.denominations:
        shown = [o for o in subject.outcomes if o.truth == label]
        said = [o for o in subject.outcomes if o.said == label]
        right = sum(o.said == label for o in shown)
        rows.append(
            (
                label,
                rate(sum(o.best == label for o in shown), len(shown)),
                rate(right, len(shown)),
                rate(right, len(said)),
                f"{subject.bundle.manifest.decision.thresholds[label]:g}",
            )
        )
    heads = ("amount", "most likely is right", "recall: said, of those shown", "precision: right, of those said")
    return table(
        "For each amount; precision counts amounts said to pictures without a note too",
        (*heads, "least probability"),
        rows,
    )


def _confusion(subject: Subject) -> str:
    confusion = subject.report.confusion
    columns = [*subject.bundle.denominations, *(label for label in RESERVED if label in subject.bundle.labels)]
    columns += [stills.SILENT] if any(stills.SILENT in row for row in confusion.values()) else []
    head = "".join(f'<th scope="col">{escape(label)}</th>' for label in columns)
    body = []
    for truth in [label for label in (*subject.bundle.denominations, BACKGROUND) if label in confusion]:
        row, total = confusion[truth], sum(confusion[truth].values())
        cells = "".join(_shade(row.get(label, 0), total, label, truth) for label in columns)
        body.append(f'<tr><th scope="row">{escape(truth)}</th>{cells}<td>{total}</td></tr>')
    return (
        '<div class="wide"><table class="matrix"><caption>Rows: what is shown. Columns: the most likely label, "silent"'
        " where the scene gate let nothing through. Green is right, red another amount, grey no amount.</caption>"
        f'<thead><tr><th scope="col">shown</th>{head}<th scope="col">all</th></tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _shade(count: int, total: int, label: str, truth: str) -> str:
    if not count:
        return '<td class="none">0</td>'
    quiet = label in (*RESERVED, stills.SILENT)
    kind = "hit" if label == truth else "mute" if quiet else "slip"
    return f'<td class="{kind}" style="--share: {count / total:.3f}">{count}</td>'


def _sureness(subject: Subject) -> str:
    labels, found = subject.bundle.labels, subject.report
    wrong, false = curves(subject.outcomes, labels)
    drawn = charts.reliability(bins(subject.outcomes, labels))
    swept = charts.risk_coverage(wrong, false, (found.shares.coverage.share, found.shares.wrong.share))
    return (
        f'<div class="pair"><figure>{drawn}<figcaption>Reliability: bars are what was right, the orange part how far '
        "that is from what was claimed, the number how many pictures. A perfect model follows the dashed line."
        f"</figcaption></figure><figure>{swept}<figcaption>Risk against coverage, one threshold for all amounts swept "
        "from 1 to 0: what it costs to speak more often.</figcaption></figure></div>"
    )


def _mistakes(subject: Subject) -> str:
    labels = subject.bundle.labels
    worst = mistakes(subject.outcomes, labels)
    if not worst:
        return "<p>None: no wrong amount was said, and none was the most likely.</p>"
    prints = "".join(_print(outcome, labels) for outcome in worst)
    return (
        f"<p>Wrong amounts said to notes first, then amounts said to no note, then wrong ones that were not said; at "
        f'most {MOST_THUMBNAILS}.</p><ul class="prints">{prints}</ul>'
    )


def _print(outcome: Outcome, labels: Sequence[str]) -> str:
    said = f"said {outcome.said}" if outcome.said else f"not said, likeliest {outcome.best}"
    text = f"shown {outcome.truth}, {said}, sureness {sureness(outcome, labels):.2f}"
    pixels = dataset.load(outcome.path, THUMBNAIL_PX)
    _, packed = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    data = base64.b64encode(packed.tobytes()).decode("ascii")
    name = "/".join(outcome.path.parts[-2:])
    return (
        f'<li><img src="data:image/jpeg;base64,{data}" alt="Photograph: {escape(text)}">'
        f'<p>{escape(text)}<br><span class="soft">{escape(name)}</span></p></li>'
    )


def _groups(subject: Subject) -> str:
    return _group(subject, "source", lambda s: s.source) + _group(subject, "series", lambda s: s.series)


def _group(subject: Subject, name: str, of: Callable[[Specimen], str]) -> str:
    groups: dict[str, list[Outcome]] = {}
    for outcome in subject.outcomes:
        specimen = subject.known.get(outcome.path)
        groups.setdefault((specimen and of(specimen)) or "not written down", []).append(outcome)
    if set(groups) <= {"not written down"}:
        return ""
    found = {key: stills.shares(group) for key, group in sorted(groups.items())}
    notes = [(key, s.accuracy, s.coverage, s.wrong) for key, s in found.items() if s.accuracy.of]
    empty = [(key, s.false) for key, s in found.items() if s.false.of]
    heads = (name, "accuracy", "coverage", "wrong, of what is spoken")
    return table(f"Notes by {name}", heads, notes) + (
        table(f"Pictures without these notes by {name}", (name, "announced"), empty) if empty else ""
    )


def _films(films: Sequences) -> str:
    notes = table(
        f"{films.presences} notes carried into view, held and taken away; {films.frames_per_s} frames a second",
        ("event", "share of all"),
        [
            *films.events.items(),
            ("wrong, of those spoken to", films.wrong_of_spoken),
            ("wrong, then right", films.wrong_then_right),
            ("the same amount said twice", films.double),
            ('"one note at a time" to one note', films.several),
        ],
    )
    times = "" if films.seconds_median is None else _seconds(films)
    amounts = table(
        "By amount", ("amount", *films.events), [(label, *events.values()) for label, events in films.by_truth.items()]
    )
    scenes = "".join(
        table(f"{scene.name.capitalize()}, {scene.of} scenes", ("outcome", "share"), scene.outcomes.items())
        for scene in films.scenes
    )
    scenes = f'<div class="pair">{scenes}</div>' if scenes else ""
    walked = [*films.walk.by_kind.items(), ("all", films.walk.announced)]
    empty = table(
        f"Amounts said in {films.walk.frames} frames without these notes, by what was in view",
        ("in view", "amounts"),
        walked,
    )
    drawn = "<p>What lay behind the notes was drawn, not photographed.</p>" if films.drawn_grounds else ""
    return notes + times + amounts + scenes + empty + drawn


def _seconds(films: Sequences) -> str:
    return (
        f"<p>From half of the note in view to the right amount: median {films.seconds_median:.2f} s, 95 % within "
        f"{films.seconds_p95:.2f} s.</p>"
    )


def _ablation(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    keys = list(dict.fromkeys(key for row in rows for key in row if key != "name"))
    cells = [(row["name"], *(_plain(row.get(key, "")) for key in keys)) for row in rows]
    heads = ("training", *(key.replace("_", " ") for key in keys))
    return table("The same training with parts of the augmentation left out", heads, cells)


def _plain(value: str | float) -> str:
    """A share with as many digits as tell; what is more than one is a count."""
    if isinstance(value, str):
        return value
    return digits(value) if value <= 1 else f"{value:.10g}"


def _model(subject: Subject) -> str:
    manifest, speed = subject.bundle.manifest, subject.speed
    made: Mapping[str, object] = manifest.training
    rows: list[tuple[str, object]] = [
        ("input", f"{manifest.input.width} x {manifest.input.height} pixels"),
        ("multiply-adds", f"{speed.multiply_adds:.1f} million"),
        ("size", f"{speed.kilobytes:.0f} kB"),
        ("bare inference here, one thread, median", f"{speed.inference_ms:.2f} ms"),
        ("a picture through stages and decision here, mean", f"{speed.picture_ms:.2f} ms"),
    ]
    parity = [
        (key.replace("_", " "), f"{manifest.figures[key]:g}")
        for key in ("int8_float_agreement", "held_out_accuracy", "held_out_pictures", "held_out_calibration_error")
        if key in manifest.figures
    ]
    tables = table("What it costs", ("figure", "value"), rows)
    if parity:
        tables += table("int8 against float, when it was exported", ("figure", "value"), parity)
    if made:
        facts = [(key.replace("_", " "), value) for key, value in made.items()]
        tables += table("What it was made from", ("fact", "value"), facts)
    return tables


def _limits(bundle: Bundle) -> str:
    """The card's, as a list; `**` is the only mark that cards use in them."""
    path = bundle.path / bundles.CARD
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    limits = card.limits(text)
    if not any("counterfeit" in limit for limit in limits):
        limits = [card.AUTHENTICITY, *limits]
    marked = (re.sub(r"[*][*](.+?)[*][*]", r"<strong>\1</strong>", escape(limit)) for limit in limits)
    items = "".join(f"<li>{limit}</li>" for limit in marked)
    return f"<ul>{items}</ul>"
