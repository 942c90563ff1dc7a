import re
import tomllib
from pathlib import Path

import pytest

from edge.core import speech
from edge.core.wire import Topics

PROJECT = Path(__file__).parents[2]
ROOMS = [mark.parent for mark in sorted(PROJECT.glob("training/*/__init__.py"))]
PAGES = [
    *PROJECT.glob("*.md"),
    *PROJECT.glob("docs/**/*.md"),
    *(PROJECT / folder / "README.md" for folder in ("edge", "training", "deploy", "systemd", "tests")),
    *PROJECT.glob("training/*/README.md"),
    PROJECT / "deploy" / "apt" / "README.md",
]


def text(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("sentences", [speech.PHRASES, speech.HINTS, speech.FAULTS, speech.RECOVERED])
def test_every_sentence_it_can_say_is_explained_under_operations(sentences: dict[object, str]) -> None:
    page = text("docs/operations.md")
    assert [sentence for sentence in sentences.values() if f'"{sentence}"' not in page] == []


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    wanted = {re.match(r"[\w-]+", line)[0] for line in project["dependencies"] + project["optional-dependencies"]["pi"]}
    given = set(re.findall(r"^\| `([\w-]+)` \|", text("docs/decisions/0002-dependencies.md"), re.M))
    assert given == wanted


def test_the_readme_lists_the_topics() -> None:
    topics = Topics("saynote", "DEVICE")
    listed = re.findall(r"^\| `(\w+)` \|", text("README.md"), re.M)
    assert [f"saynote/DEVICE/{name}" for name in listed] == [
        topics.availability(),
        topics.detection(),
        topics.event(),
        topics.health(),
        topics.state(),
        topics.summary(),
    ]


def test_the_readme_says_what_it_does_not_do() -> None:
    assert "does **not** tell genuine notes from counterfeits" in text("README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", text("Makefile"), re.M))
    named = set(re.findall(r"(?:^|`)make ([a-z0-9-]+)", page.read_text(encoding="utf-8"), re.M))
    assert named <= targets


def test_every_top_level_folder_says_what_belongs_there() -> None:
    for folder in ("edge", "training", "deploy", "systemd", "tests"):
        assert 5 <= len(text(f"{folder}/README.md").splitlines()) <= 12


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_every_room_of_training_names_each_of_its_files(room: Path) -> None:
    page = (room / "README.md").read_text(encoding="utf-8")
    assert [file.name for file in room.glob("[!_]*.py") if f"`{file.stem}" not in page] == []
