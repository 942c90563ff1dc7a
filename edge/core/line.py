"""Owns how text of unknown origin is put into one line: nothing in it ends the line or steers a terminal.

Names of files, keys of the settings and words of other programs reach the journal, the terminal and sentences about
mistakes. It knows none of them.
"""

from __future__ import annotations

import re

# Controls, line ends of Unicode, marks that turn the direction of reading, halves of characters (file names that are
# no UTF-8). Joiners stay: words of many scripts need them.
STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
SHOWN = 60  # characters of a wrong value that are shown: enough to find it


def one_line(text: str) -> str:
    """`text` with everything escaped that would not stay within its line, as Python writes it: a line end is \\n."""
    return STEERING.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


def shown(value: object) -> str:
    """`value` as Python writes it, in one line and no longer than a sentence bears."""
    try:
        return brief(repr(value))
    except (ValueError, RecursionError):  # a number of thousands of digits, or tables within tables
        return f"({type(value).__name__})"


def brief(text: str, most: int = SHOWN) -> str:
    """`text` in one line and no longer than `most` characters, from its beginning."""
    line = one_line(text)
    return line if len(line) <= most else f"{line[:most]}... ({len(line)} characters)"
