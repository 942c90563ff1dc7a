import itertools
import tomllib
from pathlib import Path

import msgspec

from edge import config, settings

EXAMPLE = Path(__file__).parents[2] / "deploy" / "edge.example.toml"


def test_the_example_is_the_defaults() -> None:
    assert config.load(EXAMPLE) == settings.Config()


def test_the_example_shows_every_key() -> None:
    shown = tomllib.loads(EXAMPLE.read_text())
    known = {
        group.name: {key.encode_name for key in msgspec.structs.fields(group.type)}
        for group in msgspec.structs.fields(settings.Config)
    }
    assert {name: set(table) for name, table in shown.items()} == known


def test_every_key_of_the_example_is_explained_on_the_line_above() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if " = " in line and not line.startswith("#"):
            assert before.startswith("# "), f"{line} has no comment"


def test_the_example_holds_no_secret() -> None:
    assert not any(line.startswith("password") for line in EXAMPLE.read_text().splitlines())
