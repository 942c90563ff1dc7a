"""Owns how a check is shown: the page with thumbnails, the contact sheets, the tables and the JSON. Finds nothing.

The folder it writes holds pictures, so it tells git to leave it alone.
"""

from __future__ import annotations

import base64
import csv
import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.core import picture
from training.check.findings import KINDS, Finding, Report
from training.errors import TrainingError
from training.photos import dataset, manifest

THUMB_PX = 128
SHOWN = 300  # findings of one kind with thumbnails; the rest by name
SHOWN_OF_ONE = 6  # pictures of one finding
IGNORE_ALL = "*\n"
GROUPS = "groups.csv"
SHEET_COLUMNS, SHEET_ROWS = 12, 10
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 1.5rem; max-width: 80rem; color: #111; background: #fff }
table { border-collapse: collapse } th, td { border: 1px solid #999; padding: .2rem .6rem; text-align: left }
figure { display: inline-block; vertical-align: top; margin: .3rem; max-width: 17rem }
figcaption { font-size: .8rem; overflow-wrap: anywhere } .fault { color: #900 }
"""


def make_folder(out: Path) -> None:
    """Make the report's folder, ignored by git. Raises TrainingError where it cannot be, or holds something else."""
    mark = out / ".gitignore"
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()) and not (mark.is_file() and mark.read_text(encoding="utf-8") == IGNORE_ALL):
            raise TrainingError(f"{out} holds other things than a report: name a new folder")
        mark.write_text(IGNORE_ALL, encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"the report cannot be written to {out}: {error.strerror}") from None


def keep_names(out: Path) -> None:
    """Raise TrainingError where a new table of groups would overwrite names that a person wrote into the last one."""
    table = out / GROUPS
    if table.is_file() and manifest.read_series(table):
        raise TrainingError(f"{table} holds names that you gave: move it elsewhere first")


def write_json(report: Report, file: Path) -> None:
    """The whole report, for machines."""
    found = [{"kind": f.kind, "fault": f.fault, "sentence": f.sentence, "files": f.files} for f in report.findings]
    facts = {**asdict(report), "faults": report.faults, "findings": found}
    try:
        file.write_text(json.dumps(facts, indent=2, default=str) + "\n", encoding="utf-8")
    except OSError as error:
        raise TrainingError(f"{file} cannot be written: {error.strerror}") from None


def write_table(rows: Iterable[Sequence[str]], header: Sequence[str], file: Path) -> None:
    """A table as CSV."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_groups(groups: dict[str, list[list[Path]]], out: Path) -> None:
    """One contact sheet for each group of a class, and a table of all of them in which a person names the series."""
    rows = []
    for label, sets in groups.items():
        for number, paths in enumerate(sets):
            cv2.imwrite(str(out / f"group-{label}-{number}.png"), sheet(paths)[..., ::-1])
            rows += [(manifest.name_of(path), "", label, str(number)) for path in paths]
    write_table(rows, ("file", "series", "label", "group"), out / GROUPS)


def sheet(paths: Sequence[Path]) -> NDArray[np.uint8]:
    """A contact sheet, RGB, of as many pictures as it holds, taken evenly from all."""
    room = SHEET_COLUMNS * SHEET_ROWS
    chosen = [paths[i] for i in np.linspace(0, len(paths) - 1, min(room, len(paths))).round().astype(int)]
    rows = -(-len(chosen) // SHEET_COLUMNS)
    canvas = np.full((rows * THUMB_PX, SHEET_COLUMNS * THUMB_PX, 3), 255, np.uint8)
    for number, path in enumerate(chosen):
        thumb = _thumb(path)
        if thumb is not None:
            top, left = number // SHEET_COLUMNS * THUMB_PX, number % SHEET_COLUMNS * THUMB_PX
            canvas[top : top + thumb.shape[0], left : left + thumb.shape[1]] = thumb
    return canvas


def write_page(report: Report, out: Path) -> Path:
    """The page with every finding, in one file that needs no other."""
    parts = [
        f"<h1>{html.escape(str(report.data))}</h1>",
        f"<p>{report.pictures} pictures, {report.faults} faults, {len(report.findings) - report.faults} remarks, "
        f"passed over: {len(report.passed_over)}.</p>",
        _counts(report),
    ]
    parts += [_section(kind, found) for kind, found in report.by_kind().items()]
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Check of {html.escape(report.data.name)}'
        f"</title><style>{STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )
    file = out / "index.html"
    file.write_text(text, encoding="utf-8", errors="replace")
    return file


def _counts(report: Report) -> str:
    rows = [
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in (label, source, series or "?", str(n))) + "</tr>"
        for label, sources in report.counts.items()
        for source, of in sources.items()
        for series, n in of.items()
    ]
    return f"<table><tr><th>label</th><th>source</th><th>series</th><th>pictures</th></tr>{''.join(rows)}</table>"


def _section(kind: str, found: Sequence[Finding]) -> str:
    described = KINDS[kind]
    title = f"<h2{' class=fault' if described.fault else ''}>{described.title}: {len(found)}</h2><p>{described.why}</p>"
    rest = "".join(f"<li>{html.escape(finding.sentence)}</li>" for finding in found[SHOWN:])
    more = f"<details><summary>{len(found) - SHOWN} more</summary><ul>{rest}</ul></details>" if rest else ""
    return title + "".join(_figure(finding) for finding in found[:SHOWN]) + more


def _figure(finding: Finding) -> str:
    images = "".join(_image(path) for path in finding.files[:SHOWN_OF_ONE])
    return f"<figure>{images}<figcaption>{html.escape(finding.sentence)}</figcaption></figure>"


def _image(path: Path) -> str:
    thumb = _thumb(path)
    if thumb is None:
        return ""
    _, data = cv2.imencode(".jpg", thumb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])
    coded = base64.b64encode(data.tobytes()).decode()
    return f'<img alt="{html.escape(path.name, quote=True)}" src="data:image/jpeg;base64,{coded}">'


def _thumb(path: Path) -> NDArray[np.uint8] | None:
    """A small picture, None where it cannot be opened."""
    try:
        return dataset.load(path, THUMB_PX) if path.suffix.lower() in picture.SUFFIXES and path.is_file() else None
    except TrainingError:
        return None
