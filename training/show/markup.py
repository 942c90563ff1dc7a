"""Owns how the report's page looks: its style, and its tables with what each rate is of and how sure it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from training.measure.rates import Pace, Rate, digits

STYLE = """
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .5rem; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
a { color: var(--first); } .soft, figcaption, caption { color: var(--soft); }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: 0 0 1rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 0 0 .4rem; }
th, td { padding: .3rem .75rem; border-bottom: 1px solid var(--line); }
th { text-align: left; font-weight: 600; } td { text-align: right; } td.text { text-align: left; }
thead th.number { text-align: right; } .matrix thead th { text-align: center; }
td small { color: var(--soft); display: block; font-size: .8rem; white-space: nowrap; line-height: 1.3; }
.matrix td { text-align: center; border: 1px solid var(--line); min-width: 3.2rem; }
.matrix td.hit { background: color-mix(in srgb, var(--good) calc(var(--share) * 55%), transparent); }
.matrix td.slip { background: color-mix(in srgb, var(--bad) calc(20% + var(--share) * 60%), transparent); }
.matrix td.mute { background: color-mix(in srgb, var(--soft) calc(12% + var(--share) * 40%), transparent); }
.matrix td.none { color: var(--soft); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1.5rem; }
figure { margin: 0; } svg.chart { width: 100%; height: auto; }
.prints { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1rem; padding: 0;
  list-style: none; }
.prints img { width: 100%; height: 9rem; object-fit: contain;
  background: color-mix(in srgb, var(--soft) 15%, transparent); }
.prints p { margin: .25rem 0 0; font-size: .85rem; line-height: 1.35; overflow-wrap: anywhere; }
@media print { nav { display: none; } section { break-inside: avoid; } }
"""


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]], kind: str = "") -> str:
    """The first cell of each row is its heading; cells that are Rates show how many of how many below."""
    rows = [list(row) for row in rows]
    numbers = [any(not isinstance(cell := row[i], str) or _numeric(cell) for row in rows) for i in range(len(heads))]
    top = "".join(
        f'<th scope="col"{_class("number", i and number)}>{escape(head)}</th>'
        for i, (head, number) in enumerate(zip(heads, numbers, strict=True))
    )
    body = "".join(f'<tr><th scope="row">{escape(str(row[0]))}</th>{"".join(map(_cell, row[1:]))}</tr>' for row in rows)
    return (
        f'<div class="wide"><table class="{kind}"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _class(name: str, wanted: object) -> str:
    return f' class="{name}"' if wanted else ""


def _numeric(text: str) -> bool:
    return not text or text[0].isdigit()


def _cell(value: object) -> str:
    if not isinstance(value, (Rate, Pace)):
        text = str(value)
        return f"<td{_class('text', not _numeric(text))}>{escape(text)}</td>"
    if isinstance(value, Pace):
        share, of, bound = f"{value.per_hour:.2f} an hour", f"{value.count} in {value.hours:.2f} h", "3/h"
        spread = f"{value.low:.2f} to {value.high:.2f}"
    elif value.of:
        share, of, bound = digits(value.share), f"{value.count} of {value.of}", "3/n"
        spread = f"{digits(value.low)} to {digits(value.high)}"
    else:
        return '<td><span class="soft">none shown</span></td>'
    bounded = "" if value.bound is None else f"; {bound} = {digits(value.bound)}"
    return f"<td>{share}<small>{spread}</small><small>{of}{bounded}</small></td>"
