"""Owns the model card: what a bundle was made from, what it was measured to do, and what it cannot.

The card is written from the manifest's figures and a file of sources, so that no part of it has to be edited by hand;
only "Made from" is known at training alone and is kept as it is when the card is written anew.
"""

from __future__ import annotations

import re
import tempfile
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.core import bundle as bundles
from edge.core.bundle import DecisionSpec, Manifest
from training.errors import TrainingError
from training.learn.prepare import Prepared
from training.learn.settings import FitSettings, Identity
from training.measure.films import EVENTS, SEVERAL_OUTCOMES, SWAP_OUTCOMES, Sequences
from training.measure.rates import Pace, Rate, pace, rate
from training.measure.stills import Report

WIDTH = 120
AUTHENTICITY = "It does not tell genuine notes from counterfeits."
FEW = "Trained on few photographers' pictures; other light, cameras, wear and older series may do worse."
NO_TEST = "No independent test: nobody's photographs but those of the training's sources were measured, which flatters."
DRAWN = "No photograph is part of the bundle: the self-test pictures are drawn play money."
INDEPENDENT = "Independent test: "
COUNTS = {"held_out_accuracy": "held_out_right", "int8_float_agreement": "int8_float_agreed"}  # of held_out_looks


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Photographs or weights that a bundle was made or measured with."""

    name: str
    what: str
    origin: str = msgspec.field(name="from")
    licence: str = "not stated"


class Sources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What only people know of a bundle: a TOML file."""

    source: list[Source] = []
    independent_test: str = ""  # whose photographs the evaluation was made on, "" where it was not independent
    limits: list[str] = []  # one sentence each


@dataclass(frozen=True)
class Texts:
    """The parts of a card that its figures do not give."""

    made_from: str
    sources: str  # a table, "" for none
    independent: str
    limits: list[str]


def read_sources(path: Path) -> Sources:
    """The file of sources. Raises TrainingError."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Sources)
    except OSError as error:
        raise TrainingError(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise TrainingError(f"{path} is no file of sources: {str(error).lower()}") from error


def write(
    identity: Identity,
    prepared: Prepared,
    settings: FitSettings,
    decision: DecisionSpec,
    figures: Mapping[str, float],
    sources: Sources | None = None,
) -> str:
    """The card as Markdown, at the end of a training."""
    texts = _texts(_made_from(prepared, settings), sources or Sources(), identity.currency)
    title = f"{identity.name} {identity.version} ({identity.currency})"
    return _card(title, identity.currency, decision, figures, texts)


def refresh(
    folder: Path,
    evaluation: Report | None = None,
    sequences: Sequences | None = None,
    sources: Sources | None = None,
) -> Manifest:
    """Write the card and the manifest's figures of the bundle in `folder` anew; the rest stays, its digest too.

    What is not given stays as it was. Raises BundleError, TrainingError.
    """
    manifest = bundles.read(folder).manifest
    if sequences is not None and sequences.bundle["digest"] != manifest.digest:
        raise TrainingError(f"these sequences were measured on another bundle than {folder}")
    figures = _with_looks(manifest)
    figures |= _of_evaluation(evaluation) if evaluation else {}
    figures |= _of_sequences(sequences) if sequences else {}
    manifest = msgspec.structs.replace(manifest, figures=figures)
    old = _old(folder / bundles.CARD, manifest)
    texts = _texts(old.made_from, sources, manifest.currency) if sources else old
    title = f"{manifest.name} {manifest.version} ({manifest.currency})"
    text = _card(title, manifest.currency, manifest.decision, figures, texts)
    _replace(folder, {bundles.CARD: text.encode(), bundles.MANIFEST: bundles.encode(manifest)})
    return manifest


def _with_looks(manifest: Manifest) -> dict[str, float]:
    """The figures; older manifests do not say that each held-out picture was looked at once for each turn."""
    figures = dict(manifest.figures)
    if "held_out_pictures" in figures:
        figures.setdefault("held_out_looks", figures["held_out_pictures"] * len(manifest.input.turns))
    return figures


def _replace(folder: Path, contents: Mapping[str, bytes]) -> None:
    """All files are whole beside the old ones before the first takes its place."""
    try:
        with tempfile.TemporaryDirectory(dir=folder) as beside:
            for file, data in contents.items():
                (Path(beside) / file).write_bytes(data)
            for file in contents:
                (Path(beside) / file).replace(folder / file)
    except OSError as error:
        raise TrainingError(f"{folder} cannot be written: {error.strerror}") from error


def _of_evaluation(report: Report) -> dict[str, float]:
    shares = report.shares
    return {
        "test_pictures": float(shares.accuracy.of),
        "test_right": float(shares.accuracy.count),
        "test_accuracy": round(shares.accuracy.share, 4),
        "test_announced": float(shares.coverage.count),
        "test_wrong": float(shares.wrong.count),
        "test_background": float(shares.false.of),
        "test_false": float(shares.false.count),
        "test_calibration_error": round(report.calibration_error, 4),
    }


def _of_sequences(found: Sequences) -> dict[str, float]:
    figures = {f"film_{event}": float(found.events[event].count) for event in EVENTS}
    figures["film_presences"] = float(found.presences)
    figures["film_wrong_then_right"] = float(found.wrong_then_right.count)
    figures["film_said_twice"] = float(found.double.count)
    if found.seconds_median is not None and found.seconds_p95 is not None:
        figures["film_seconds_median"] = round(found.seconds_median, 2)
        figures["film_seconds_p95"] = round(found.seconds_p95, 2)
    figures["film_empty_hours"] = round(found.walk.announced.hours, 4)
    figures["film_empty_announced"] = float(found.walk.announced.count)
    for kind, bad in (("several", SEVERAL_OUTCOMES[-1]), ("swaps", SWAP_OUTCOMES[-1])):
        rows = [scene for scene in found.scenes if bad in scene.outcomes]
        figures[f"film_{kind}"] = float(sum(scene.of for scene in rows))
        figures[f"film_{kind}_wrong"] = float(sum(scene.outcomes[bad].count for scene in rows))
    return figures


def _made_from(prepared: Prepared, settings: FitSettings) -> str:
    counts = "\n".join(f"| {label} | {count} |" for label, count in sorted(prepared.counts.items()))
    text = _filled(
        f"{settings.trunk} at width {settings.width:g}, {settings.size} x {settings.size} pixels, {settings.steps} "
        f"steps of {settings.batch} composed samples, seed {settings.seed}; int8 throughout. Sources of the notes: "
        f"{', '.join(prepared.sources)}. Held out for temperature, thresholds and the first figures below: "
        f"{prepared.by}."
    )
    return f"{text}\n\n| label | pictures |\n|---|---|\n{counts}"


def _texts(made_from: str, sources: Sources, currency: str) -> Texts:
    rows = "\n".join(f"| {s.name} | {s.what} | {s.origin} | {s.licence} |" for s in sources.source)
    table = f"| source | what | from | licence stated |\n|---|---|---|---|\n{rows}\n\n{DRAWN}" if rows else ""
    unlisted = (
        f"Other denominations of {currency} than these have no training data; they are meant to be rejected, which was "
        "not measured for each."
    )
    return Texts(made_from, table, sources.independent_test.strip(), [unlisted, *sources.limits, FEW])


def _old(path: Path, manifest: Manifest) -> Texts:
    """What the card that is there says beyond its figures."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    parts = _sections(text)
    tested = re.search(rf"^{INDEPENDENT}(.+?)\n\n", parts.get("Measured", "") + "\n\n", re.M | re.S)
    fallback = _texts("", Sources(), manifest.currency)
    made = "; ".join(f"{key.replace('_', ' ')} {value}" for key, value in manifest.training.items())
    return Texts(
        parts.get("Made from") or _filled(f"{made or 'Not recorded'}."),
        parts.get("Sources", ""),
        " ".join(tested[1].split()) if tested else "",
        [limit for limit in limits(text) if limit not in (AUTHENTICITY, NO_TEST)] or fallback.limits,
    )


def limits(text: str) -> list[str]:
    """The sentences under "Limits" of a card, one each."""
    return [" ".join(limit.split()) for limit in re.split(r"^- ", _sections(text).get("Limits", ""), flags=re.M)[1:]]


def _sections(text: str) -> dict[str, str]:
    return dict(re.findall(r"^## (.+?)\n+(.*?)\s*(?=^## |\Z)", text, re.M | re.S))


def _card(title: str, currency: str, decision: DecisionSpec, figures: Mapping[str, float], texts: Texts) -> str:
    amounts = ", ".join(sorted(decision.thresholds, key=float))
    independent = texts.independent if "test_pictures" in figures else ""
    known = [AUTHENTICITY, *texts.limits, *([] if independent else [NO_TEST])]
    parts = [
        f"# Model card: {title}",
        f"Says which denomination of {currency} a photograph shows: {amounts}.\n"
        "Everything else (other amounts, other currencies, no note, two different notes) is to be rejected.",
        f"**{AUTHENTICITY}**",
        f"## Made from\n\n{texts.made_from}",
        "## Measured\n\n" + "\n\n".join(_measured(figures, independent)),
        f"## Decides\n\n{_decides(decision)}",
        f"## Sources\n\n{texts.sources}" if texts.sources else "",
        "## Limits\n\n" + "\n".join(_filled(limit, "- ", "  ") for limit in known),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _decides(decision: DecisionSpec) -> str:
    least = ", ".join(f"{label}: {decision.thresholds[label]:g}" for label in sorted(decision.thresholds, key=float))
    soon = ""
    if decision.soon is not None:
        soon = f", or {decision.soon.evidence:g} nats of evidence, at most {decision.soon.most:g} of one look"
    return _filled(
        f"Temperature {decision.temperature:g}; least probabilities {least}; at least {decision.min_frames} frames "
        f"within {decision.window_s:g} s, the first and the last of them {decision.span_s:g} s apart{soon}; "
        f"at least {decision.least_visible:.0%} of a note seen."
    )


def _measured(figures: Mapping[str, float], independent: str) -> list[str]:
    """All tables: each rate with its 95 % Clopper-Pearson interval, and 3/n where nothing was found among n."""
    return [
        *_held_out(figures),
        *(_test(figures, independent) if "test_pictures" in figures else []),
        *(_films(figures) if "film_presences" in figures else []),
    ]


def _held_out(figures: Mapping[str, float]) -> list[str]:
    """What training counted, and whatever else it put there."""
    pictures = round(figures.get("held_out_pictures", 0))
    looks = round(figures.get("held_out_looks", pictures))
    rows: dict[str, object] = {}
    for key, value in figures.items():
        if key.startswith(("test_", "film_")) or key in COUNTS.values():
            continue
        counted = looks and key in COUNTS
        rows[key.replace("_", " ")] = _right(figures, COUNTS[key], key, looks) if counted else f"{value:g}"
    if not rows:
        return []
    return [
        "Pictures not trained on, given to the int8 model once for each way in which a look is turned:",
        _table(rows),
        "They come from the same sources as the training's, which flatters any model.",
    ]


def _right(figures: Mapping[str, float], count: str, share: str, of: int) -> Rate:
    """The rate of a count; older manifests have its share alone."""
    return rate(round(figures[count] if count in figures else figures[share] * of), of)


def _test(figures: Mapping[str, float], independent: str) -> list[str]:
    pictures, announced = round(figures["test_pictures"]), round(figures["test_announced"])
    whose = f"{INDEPENDENT}{independent}" if independent else "Other photographs; whose, was not stated."
    rows: dict[str, object] = {
        "right, most likely amount": _right(figures, "test_right", "test_accuracy", pictures),
        "spoken at all": rate(announced, pictures),
        "wrong, of what was spoken": rate(round(figures["test_wrong"]), announced),
        "amounts said to pictures without these notes": rate(
            round(figures["test_false"]), round(figures["test_background"])
        ),
        "calibration error, 15 bins": f"{figures['test_calibration_error']:.4f}",
    }
    return [_filled(whose), "Each picture is shown as one second of still frames:", _table(rows)]


def _films(figures: Mapping[str, float]) -> list[str]:
    shown = round(figures["film_presences"])
    rows: dict[str, object] = {event: _count(figures, f"film_{event}", shown) for event in EVENTS}
    rows["wrong, then right"] = _count(figures, "film_wrong_then_right", shown)
    rows["the same amount said twice"] = _count(figures, "film_said_twice", shown)
    if "film_seconds_median" in figures:
        rows["from half in view to the amount"] = (
            f"median {figures['film_seconds_median']:g} s, 95 % within {figures['film_seconds_p95']:g} s"
        )
    rows["several notes at once, an amount said"] = _count(
        figures, "film_several_wrong", round(figures["film_several"])
    )
    rows["one note straight after another, a wrong amount"] = _count(
        figures, "film_swaps_wrong", round(figures["film_swaps"])
    )
    rows["no note in view, amounts said"] = _pace(figures)
    return ["Films of notes in a moving hand, each carried into view, held and taken away:", _table(rows)]


def _count(figures: Mapping[str, float], key: str, of: int) -> Rate:
    return rate(round(figures[key]), of)


def _pace(figures: Mapping[str, float]) -> Pace:
    return pace(round(figures["film_empty_announced"]), figures["film_empty_hours"])


def _table(rows: Mapping[str, object]) -> str:
    body = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"| figure | value (95 % interval), count |\n|---|---|\n{body}"


def _filled(text: str, first: str = "", rest: str = "") -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
