"""Owns the sealing of a bundle: `python -m deploy.sign BUNDLE --key KEY` makes the one file that devices take in.

`--new-key KEY` makes a key pair: KEY, which stays here and is kept safe, and KEY.pub, which devices are told to trust
with `saynote bundle keys --add`. `--url ADDRESS` seals the news of the bundle as well, for devices that listen to them.
Keys and signatures are minisign's, so either can be made and checked with it too. The key's password is asked for, or
stands in SAYNOTE_KEY_PASSWORD; empty means none.
"""

from __future__ import annotations

import argparse
import base64
import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import minisign

from edge.core import bundle as bundles
from edge.core import seal
from edge.core.errors import EdgeError
from edge.core.news import News, write
from edge.core.seal import Claim

PASSWORD = "SAYNOTE_KEY_PASSWORD"
SUFFIX = ".saynote"
NEWS_SUFFIX = ".news"


class SignError(Exception):
    """It cannot be sealed; `str()` is one sentence."""


def sealed(bundle: Path, key: minisign.SecretKey) -> tuple[bytes, Claim]:
    """The sealed file of the bundle in the folder `bundle`, and what it claims. Raises BundleError."""
    contents = bundles.contents(bundle)
    claim = Claim.of(bundles.about(bundle))
    archive = seal.pack(contents)
    return _signed(archive, seal.comment(claim), f"saynote bundle {claim.entry}", key), claim


def told(news: News, key: minisign.SecretKey) -> bytes:
    """The news of a bundle, signed. Raises BundleError for addresses that no device would take."""
    body, comment = write(news)
    return _signed(body, comment, f"saynote news {news.claim.entry}", key)


def _signed(body: bytes, comment: str, for_people: str, key: minisign.SecretKey) -> bytes:
    signature = key.sign(body, trusted_comment=comment, untrusted_comment=for_people)
    return bytes(signature).rstrip(b"\n") + b"\n" + body


def read_key(path: Path) -> minisign.SecretKey:
    """The secret key in a file. Raises SignError."""
    try:
        key = minisign.SecretKey.from_file(path)
        if key.is_encrypted():
            key.decrypt(_password(f"password of {path}: "))
    except OSError as error:
        raise SignError(f"{path} cannot be read: {error.strerror}") from error
    except minisign.Error as error:
        raise SignError(f"{path} is no secret key of minisign, or the password is wrong: {error}") from error
    return key


def new_key(path: Path) -> Path:
    """Make a key pair: `path`, for its owner's eyes, and the public one, whose path is returned. Raises SignError."""
    public = path.with_name(f"{path.name}.pub")
    pair = minisign.KeyPair.generate()
    # As minisign itself shows the number: the least byte last.
    number = base64.b64decode(pair.public_key.to_base64())[2:10][::-1].hex().upper()
    pair.public_key.untrusted_comment = f"minisign public key {number}"
    told = bytes(pair.public_key) + b"\n"
    if password := _password(f"password for {path} (empty for none): "):
        pair.secret_key.encrypt(password)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(bytes(pair.secret_key) + b"\n")
        public.write_bytes(told)
    except FileExistsError:
        raise SignError(f"{path} is there already, and a key is never written over") from None
    except OSError as error:
        raise SignError(f"{path} cannot be written: {error.strerror}") from error
    return public


def _password(prompt: str) -> str:
    if PASSWORD in os.environ:
        return os.environ[PASSWORD]
    return getpass.getpass(prompt) if sys.stdin.isatty() else ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(prog="sign", description="Seal a bundle for devices that are in use.")
    parser.add_argument("bundle", type=Path, nargs="?", help="folder of the bundle")
    parser.add_argument("--key", type=Path, help="secret key, minisign's")
    parser.add_argument("--new-key", type=Path, help="make a key pair: this file and, beside it, the .pub")
    parser.add_argument("--out", type=Path, default=Path("dist"), help="folder of the sealed file [dist]")
    parser.add_argument("--url", default="", help="https address of the sealed file: its news are made, too")
    parser.add_argument("--page", default="", help="https address of a page about the bundle, for the news")
    given = parser.parse_args(arguments)
    try:
        if given.new_key:
            sys.stdout.write(f"{new_key(given.new_key)}\n")
        if given.bundle:
            if given.key is None:
                raise SignError("--key is missing; make one with --new-key")
            key = read_key(given.key)
            data, claim = sealed(given.bundle, key)
            files = {f"{claim.entry}{SUFFIX}": data}
            if given.url:
                files[f"{claim.entry}{NEWS_SUFFIX}"] = told(News(claim, given.url, given.page), key)
            given.out.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (given.out / name).write_bytes(content)
                sys.stdout.write(f"{given.out / name}\n")
        elif not given.new_key:
            raise SignError("a bundle is missing")
    except (SignError, EdgeError) as error:
        sys.stderr.write(f"sign: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"sign: {error.filename} cannot be written: {error.strerror}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
