"""Owns what the service may be told, each with its default, and which of it is refused. It shows no key."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.core import intake
from edge.core.errors import ConfigError
from edge.drivers.http import is_loopback

MIB = 1 << 20
PORT = 8739
KEY, VARIABLE = "rest-key", "SAYNOTE_REST_KEY"  # of the systemd credential, and of the environment
SHORTEST_KEY = 16  # characters
KEYS_MOST_BYTES = 4096


@dataclass(frozen=True)
class Settings:
    """All of them."""

    bundles: tuple[str, ...] = ("inr",)
    language: str = "en"  # of the sentences in the answers
    host: str = "127.0.0.1"
    port: int = PORT  # 0 takes any free one
    keys: tuple[str, ...] = field(default=(), repr=False)  # any of them opens; none: this machine alone
    workers: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))  # interpreters, one thread each
    most_waiting: int = 256  # pictures that wait for one, before requests are turned away
    picture_most_bytes: int = 16 * MIB
    body_most_bytes: int = 64 * MIB
    most_pixels: int = 32 * MIB  # 32 megapixels: about 400 MB for each worker while it decodes a progressive JPEG
    most_pictures: int = 16  # of one request
    bodies_most_bytes: int = 512 * MIB  # of all requests that are being read or wait
    pictures_per_s: float = 100.0  # of one client; 0: as many as it likes
    burst: int = 200  # pictures that it may send at once
    head_s: float = 10.0  # to send the head of a request
    body_s: float = 30.0  # and its body
    answer_s: float = 30.0  # to take an answer that no buffer holds
    notice_s: float = 0.0  # from the signal to end until nobody new is let in: for balancers to look away
    linger_s: float = 2.0  # for connections without a request, once nobody new is let in
    end_s: float = 30.0  # for requests under way at the end
    collect: Path | None = None
    collect_mb: int = 1000
    collect_days: int = 30


def parse(arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The command line. Raises ConfigError for what cannot be served."""
    given = _parser().parse_args(arguments)
    keys = read_keys(given.key_file, environment)
    plain = {name: value for name, value in vars(given).items() if name not in ("key_file", "bundle")}
    found = Settings(bundles=tuple(given.bundle or Settings.bundles), keys=keys, **plain)
    require(found)
    return found


def require(settings: Settings) -> None:
    """Raises ConfigError, a sentence for each mistake."""
    problems = []
    if not settings.keys and not is_loopback(settings.host):
        problems.append(
            f"without a key it listens to this machine alone: {settings.host} needs --key-file, {VARIABLE} or the "
            f"credential {KEY}"
        )
    if any(len(key) < SHORTEST_KEY or not (key.isascii() and key.isprintable()) for key in settings.keys):
        problems.append(f"a key needs {SHORTEST_KEY} or more characters, letters, digits and signs of ASCII")
    for name in ("workers", "most_waiting", "picture_most_bytes", "body_most_bytes", "most_pixels", "most_pictures",
                 "bodies_most_bytes", "burst", "head_s", "body_s", "answer_s", "end_s", "collect_mb",
                 "collect_days"):  # fmt: skip
        if not getattr(settings, name) > 0:
            problems.append(f"{name} must be more than 0")
    if not 0 <= settings.port < 65536:
        problems.append("port must be 0 to 65535")
    for name in ("pictures_per_s", "notice_s", "linger_s"):
        if not getattr(settings, name) >= 0:
            problems.append(f"{name} must be 0 or more")
    if problems:
        raise ConfigError(problems)


def read_keys(file: Path | None, environment: Mapping[str, str]) -> tuple[str, ...]:
    """One key a line, of the file, else the credential, else the environment; none where nothing is given.

    Raises ConfigError for a place that is named and gives no key: it must not open the door instead.
    """
    if folder := environment.get("CREDENTIALS_DIRECTORY"):
        file = file or next((path for path in [Path(folder) / KEY] if path.exists()), None)
    if file is None and VARIABLE not in environment:
        return ()
    try:
        text = environment[VARIABLE] if file is None else intake.read(file, KEYS_MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigError([f"the file of keys {file} cannot be used: {why}"]) from None
    keys = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not keys:
        raise ConfigError([f"there is no key in {VARIABLE if file is None else file}"])
    return keys


def _parser() -> argparse.ArgumentParser:
    defaults = Settings()
    parser = argparse.ArgumentParser(prog="make serve", description="Say what banknote is on a picture, over HTTP.")
    parser.add_argument("--bundle", action="append", help="name or folder of a bundle; once a currency")
    parser.add_argument("--key-file", type=Path, help="one key a line; without any it listens to this machine alone")
    parser.add_argument("--collect", type=Path, help="folder that keeps pictures and answers for training; off without")
    for name, kind, text in (
        ("language", str, "of the sentences in the answers"),
        ("host", str, "address to listen at"),
        ("port", int, "0 takes any free one"),
        ("workers", int, "pictures judged at a time"),
        ("most_waiting", int, "pictures that may wait"),
        ("picture_most_bytes", int, "of one picture"),
        ("body_most_bytes", int, "of one request"),
        ("most_pixels", int, "of one picture"),
        ("most_pictures", int, "of one request"),
        ("bodies_most_bytes", int, "of all requests that are read or wait"),
        ("pictures_per_s", float, "of one client; 0: no limit"),
        ("burst", int, "pictures at once of one client"),
        ("head_s", float, "seconds to send the head of a request"),
        ("body_s", float, "seconds to send its body"),
        ("answer_s", float, "seconds to take an answer"),
        ("notice_s", float, "seconds after SIGTERM in which others are still let in"),
        ("linger_s", float, "seconds after that for connections without a request"),
        ("end_s", float, "seconds for requests under way at the end"),
        ("collect_mb", int, "megabytes that are kept at most"),
        ("collect_days", int, "days that they are kept at most"),
    ):
        default = getattr(defaults, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, help=f"{text} ({default})")
    return parser
