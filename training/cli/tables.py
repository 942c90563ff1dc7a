"""Owns results as tables on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from edge.core.line import one_line
from training.check.findings import KINDS
from training.check.findings import Report as Findings
from training.measure.compare import Comparison
from training.measure.films import Sequences
from training.measure.haste import Alike
from training.measure.haste import Row as Haste
from training.measure.hints import Row
from training.measure.pocket import Said
from training.measure.rates import rate as rate_of
from training.measure.stills import Report
from training.pace import Pace
from training.phone.agreement import Agreement


def print_evaluation(report: Report) -> None:
    """What a bundle did with photographs."""
    shares = report.shares
    table = Table("figure", "value", "of", "95 % interval")
    for name, rate in (
        ("accuracy", shares.accuracy),
        ("coverage", shares.coverage),
        ("wrong_announcement_rate", shares.wrong),
        ("false_announcement_rate", shares.false),
    ):
        table.add_row(name, f"{rate.share:.4f}", str(rate.of), f"{rate.low:.4f} to {rate.high:.4f}")
    pictures = str(shares.accuracy.of + shares.false.of)
    table.add_row("calibration_error", f"{report.calibration_error:.4f}", pictures, "")
    table.add_row("ms_per_picture", f"{report.ms_per_picture:.2f}", pictures, "")
    out = Console()
    out.print(table)
    confusion = Table("shown", "taken for (most likely label: count)")
    for truth, row in report.confusion.items():
        confusion.add_row(truth, ", ".join(f"{label}: {count}" for label, count in row.items()))
    out.print(confusion)
    _print_left_out(out, report.broken)


def print_pocket(found: Said) -> None:
    """What several bundles together did with photographs of the first one's currency."""
    table = Table("figure", "how many", "of", "95 % interval")
    for name, count, of in (
        ("said right", found.right, found.notes),
        ("another amount said", found.wrong_amount, found.notes),
        ("another currency said", found.wrong_currency, found.notes),
        ("an amount said to no such note", found.false, found.background),
    ):
        counted = rate_of(count, of)
        table.add_row(name, str(count), str(of), f"{counted.low:.4f} to {counted.high:.4f}")
    out = Console()
    out.print(table)
    for mistake in found.mistakes:
        out.print(one_line(mistake), highlight=False, markup=False, soft_wrap=True)
    _print_left_out(out, found.broken)


def print_agreement(rows: Iterable[Agreement], broken: Iterable[str]) -> None:
    """How far each way of running a bundle says what the device says."""
    table = Table("way", "same likeliest label", "same amount or none", "right amount, of notes", "wrong amounts")
    for row in rows:
        table.add_row(row.way, str(row.best), str(row.said), str(row.right), str(row.wrong))
    out = Console()
    out.print(table)
    _print_left_out(out, broken)


def _print_left_out(out: Console, sentences: Iterable[str]) -> None:
    for sentence in sentences:
        out.print(f"left out: {one_line(sentence)}", highlight=False, markup=False, soft_wrap=True)


def print_check(report: Findings) -> None:
    """What is in a folder of photographs, what is wrong with it, and each fault by its file."""
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
            out.print(one_line(finding.sentence), highlight=False, markup=False, soft_wrap=True)
    for kind, findings in report.by_kind().items():  # of the rest, an example: the page has all of them
        if not KINDS[kind].fault and findings[0].files:
            more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
            out.print(one_line(findings[0].sentence + more), highlight=False, markup=False, soft_wrap=True)


def print_sequences(found: Sequences) -> None:
    """What a bundle did with films."""
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
    _print_left_out(out, found.broken)


def print_haste(rows: Sequence[Haste], likeness: Sequence[Alike]) -> None:
    """Rules side by side, and what their bounds rest on."""
    out = Console()
    table = Table(
        "rule", "right", "wrong", "median s", "95 % s", "swaps: both", "wrong", "several: an amount", "nothing"
    )
    for row in rows:
        table.add_row(
            row.rule,
            f"{row.right} of {row.notes}",
            str(row.wrong),
            f"{row.median_s:.3f}",
            f"{row.p95_s:.3f}",
            f"{row.swaps_right} of {row.swaps}",
            str(row.swaps_wrong),
            f"{row.several_said} of {row.several}",
            f"{row.false} in {row.empty_frames}",
        )
    out.print(table)
    table = Table("two looks, seconds apart", *(f"{pair.apart_s:g}" for pair in likeness))
    table.add_row("alike, both whole or both near", *(f"{pair.same:.2f}" for pair in likeness))
    table.add_row("alike, one of each", *(f"{pair.other:.2f}" for pair in likeness))
    out.print(table)


def print_hints(rows: Sequence[Row]) -> None:
    """Which hints were said to which scenes."""
    table = Table("scene", "right", "judged", "of", "share right", "95 % interval", "said (hints: scenes)")
    for row in rows:
        said = ", ".join(f"{hint}: {count}" for hint, count in row.said.items())
        share = f"{row.right / row.judged:.3f}" if row.judged else "-"
        low, high = row.interval
        table.add_row(row.case, row.wanted, str(row.judged), str(row.scenes), share, f"{low:.3f} to {high:.3f}", said)
    Console().print(table)


def print_comparison(found: Comparison) -> None:
    """Bundles side by side."""
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


def print_sweep(rows: Sequence[Mapping[str, Any]]) -> None:
    """Trainings side by side."""
    table = Table("", *(row["name"] for row in rows))
    for key in dict.fromkeys(key for row in rows for key in row if key != "name"):
        values = (row.get(key, "") for row in rows)
        table.add_row(key.replace("_", " "), *(f"{v:.4f}" if isinstance(v, float) else str(v) for v in values))
    Console().print(table)


def print_pace(found: Pace) -> None:
    """What limits a training."""
    table = Table("a sample", "ms")
    table.add_row("composing, CPU", f"{found.compose_cpu_ms:.1f}")
    table.add_row("learning, CPU of all threads", f"{found.step_cpu_ms:.1f}")
    table.add_row("learning from ready samples", f"{found.step_ms:.1f}")
    table.add_row(f"learning while {found.workers} process(es) compose", f"{found.together_ms:.1f}")
    Console().print(table)
    waited = f"the step waits for samples {100 * found.waited:.0f} % of its time"
    Console().print(
        f"{found.samples_per_s:.0f} samples a second; {waited}: {found.limit} sets the pace", soft_wrap=True
    )


def print_spread(rows: Iterable[tuple[str, str, int]]) -> None:
    """How composed samples are spread."""
    table = Table("figure", "", "samples")
    for figure, name, count in rows:
        table.add_row(figure, name, str(count))
    Console().print(table)
