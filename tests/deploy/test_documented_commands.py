"""Every command that a page shows is taken by the program it calls, with the options as they stand there."""

import argparse
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

from deploy import bootstrap, send
from deploy.rest.settings import _parser as service_parser
from edge.cli import _parser as device_parser
from training.cli.app import app

PROJECT = Path(__file__).parents[2]
PAGES = [
    PROJECT / "README.md",
    PROJECT / "CONTRIBUTING.md",
    *sorted(PROJECT.glob("docs/**/*.md")),
    PROJECT / "deploy/apt/README.md",
]
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.S | re.M)
SPAN = re.compile(r"`((?:make|saynote|sudo|systemctl|journalctl|python -m|\.venv/bin/\S+) [^`]+)`")
NOT_COMMANDS = ("mermaid", "json", "toml", "text", "swift", "kotlin")
# Programs of others, which this project neither ships nor sets up here; what they are told is for people to judge.
FOREIGN = {
    *(
        "systemctl",
        "journalctl",
        "mosquitto_sub",
        "mosquitto_pub",
        "install",
        "nano",
        "grep",
        "df",
        "usermod",
        "raspi-config",
    ),
    *("apt-get", "ssh", "ssh-copy-id", "tar", "date", "aplay", "speaker-test"),
    *("reprepro", "gpg", "tee", "cp"),
    *("curl", "serve"),
}
OURS = ("deploy.", "tests.", "training.")
UNIT = "saynote.service"


def lines_of(page: Path) -> Iterator[tuple[str, bool]]:
    """The command lines of its fenced blocks, and the commands in its text, which may be mentions alone."""
    text = page.read_text(encoding="utf-8")
    for kind, block in BLOCK.findall(text):
        if kind not in NOT_COMMANDS:
            yield from ((line, False) for line in block.replace("\\\n", " ").splitlines())
    for span in SPAN.findall(BLOCK.sub("", text)):
        yield " ".join(span.replace(r"\|", "|").split()), True


def commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a line; what is written for people in <> and [] counts as a value."""
    line = re.sub(r"<([^>]*)>", lambda found: found[1].replace(" ", "-"), line)
    line = re.sub(r"\[(?=[-A-Z])([^\]]*)\]", r"\1", line)
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    command: list[str] = []
    for word in lexer:
        if set(word) <= set("|&;"):
            yield command
            command = []
        else:
            command.append(word)
    if command:
        yield command


def check(words: list[str]) -> None:
    """Let the real parser of the program see its words. SystemExit or an error where it refuses them."""
    while words and (words[0] == "sudo" or re.fullmatch(r"[A-Z_]+=\S*", words[0])):
        words = words[1:]
    program, rest = Path(words[0]).name, words[1:]
    if program == "python" and rest[:1] == ["-m"]:
        program, rest = rest[1], rest[2:]
    elif program in ("python", "python3") and rest[:1] != ["-c"] and rest:
        program, rest = rest[0], rest[1:]
    if program in FOREIGN:
        return
    if program in PARSERS:
        PARSERS[program](rest)
    else:
        check_module(program, rest)


def check_make(words: list[str]) -> None:
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", "-C", str(PROJECT), *words],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    makefile = (PROJECT / "Makefile").read_text()
    for name in (word.partition("=")[0] for word in words if "=" in word):
        assert f"$({name})" in makefile or f"need-{name} " in makefile, f"make takes no {name}"
    for line in done.stdout.replace("\\\n", " ").splitlines():
        for command in commands(line):
            if command[0] not in (":", "printf", "awk", "rm", "find"):
                check(command)


def check_training(words: list[str]) -> None:
    group = typer.main.get_command(app)
    context = group.make_context("training", [words[0]], resilient_parsing=True)
    name, command, _ = group.resolve_command(context, words)
    command.make_context(name, words[1:], parent=context)


def check_send(words: list[str]) -> None:
    given = send.parse(words)
    if given.inventory is None:  # a file that is not there
        send.hosts_of(given)
    check_installer(given.install)


def check_installer(words: list[str]) -> None:
    """Up to --help, each option is parsed as in earnest; none is acted upon."""
    done = subprocess.run(
        ["bash", str(PROJECT / "deploy" / "install.sh"), *words, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def check_pip(words: list[str]) -> None:
    from pip._internal.commands import create_command

    create_command(words[0]).parse_args(words[1:])


def check_device(words: list[str]) -> None:
    device_parser(words).parse_args(words)


def check_service(words: list[str]) -> None:
    service_parser().parse_args([word for word in words if word != "--help"])


def check_bootstrap(words: list[str]) -> None:
    assert words[0] in bootstrap.GOALS


class Parsed(BaseException):
    """The words were taken; nothing is done with them."""


def check_module(name: str, words: list[str]) -> None:
    """A module of ours with argparse: it is run up to the point where its words are parsed."""
    assert name.startswith(OURS), f"nobody knows the program {name}"
    module = importlib.import_module(name)
    assert "argparse" in vars(module), f"{name} parses nothing: it needs a line in PARSERS"
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser: argparse.ArgumentParser, given: object = None, into: object = None) -> None:
        parse(parser, given, into)
        raise Parsed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *words])
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_and_stop)
        with pytest.raises(Parsed):
            module.main()


def check_named(words: list[str]) -> None:
    """Programs of ours that take names alone."""
    assert not [word for word in words if word.startswith("-")]


def check_development(words: list[str]) -> None:
    """Tools that `make` alone calls: it runs them itself, on every change."""


def check_code(words: list[str]) -> None:
    assert words[0] == "-c"
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    assert done.stdout


PARSERS: dict[str, Callable[[list[str]], None]] = {
    "make": check_make,
    "python": check_code,
    "edge": check_device,
    "saynote": check_device,
    "training": check_training,
    "deploy.rest": check_service,
    "deploy.send": check_send,
    "deploy.vendor": check_named,
    "deploy.wheel": check_named,
    "deploy.translations": check_named,
    "tests.peers": lambda words: check_module("tests.peers.__main__", words),
    "deploy/bootstrap.py": check_bootstrap,
    "bootstrap.py": check_bootstrap,
    "install.sh": check_installer,
    "pip": check_pip,
    **dict.fromkeys(("ruff", "mypy", "lint-imports", "pytest"), check_development),
}


@pytest.mark.integration
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_command_on_the_page_is_taken_by_its_program(page: Path) -> None:
    refused = {}
    for line, is_mention in lines_of(page):
        for command in commands(line):
            if not command or command == ["sudo"] or command[0] == UNIT:
                continue
            try:
                check(command)
            except (SystemExit, argparse.ArgumentError, Exception) as error:  # noqa: BLE001 -- each parser has its own
                if not (is_mention and "missing" in str(error).lower()):
                    refused[line] = f"{type(error).__name__}: {error}"
    assert refused == {}


def test_a_command_that_is_refused_is_noticed() -> None:
    for wrong in (
        ["python", "-m", "deploy.send"],
        ["python", "-m", "deploy.send", "host", "--nonsense"],
        ["python", "-m", "deploy.send", "host", "--", "--nonsense"],
        ["saynote", "sing"],
        ["saynote", "check", "--nonsense"],
        ["python", "-m", "training", "report", "--nonsense"],
        ["python", "-m", "training", "report"],
        ["make", "nothing"],
        ["make", "train"],
        ["make", "train", "DATA=x", "NONSENSE=x"],
        [".venv/bin/pip", "download", "--nonsense"],
        ["unheard-of"],
        ["python", "-m", "deploy.demo", "--nonsense"],
        ["python", "-m", "deploy.nothing"],
    ):
        with pytest.raises((SystemExit, Exception)):
            check(wrong)


def test_pages_show_commands_at_all() -> None:
    assert sum(len(list(lines_of(page))) for page in PAGES) > 40


@pytest.mark.integration
@pytest.mark.parametrize(
    "command", ["make", "make help", "saynote check", "saynote captures", "saynote --version", "make -n deploy PI=x"]
)
def test_what_takes_no_time_is_run(command: str, tmp_path: Path) -> None:
    words = command.split()
    if words[0] == "saynote":
        words = [sys.executable, "-m", "edge", *words[1:]]
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "STATE_DIRECTORY": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=PROJECT, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout
