"""Signatures of bundles, and the keys that are trusted."""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
from pathlib import Path

import minisign
import pytest

from edge.core.errors import BundleError, ConfigError
from edge.drivers import signature
from tests.sealed import pair, trusting

DATA = b"an archive"


def signed(which: str = "owner", data: bytes = DATA, comment: str = "a comment") -> bytes:
    return bytes(pair(which).secret_key.sign(data, trusted_comment=comment)).rstrip(b"\n") + b"\n"


def verified(made: bytes, folder: Path, data: bytes = DATA) -> str:
    return signature.verify(made, io.BytesIO(data), signature.trusted(folder))[0]


def test_what_a_trusted_key_has_signed_is_right(tmp_path: Path) -> None:
    assert verified(signed(), trusting(trusting(tmp_path), "other")) == "a comment"


def meant(made: bytes) -> list[bytes]:
    """What the lines of a signature say: the last bits before base64's = mean nothing."""
    try:
        return [base64.b64decode(line) if at % 2 else line for at, line in enumerate(made.splitlines())]
    except ValueError:
        return []


def test_another_key_and_no_key_are_not_trusted(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="which is not trusted here; trusted are none"):
        verified(signed(), tmp_path / "nowhere")
    with pytest.raises(BundleError, match="which is not trusted here"):
        verified(signed("other"), trusting(tmp_path))


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    made, folder = signed(), trusting(tmp_path)
    for data in (DATA + b"x", DATA[:-1], b"", b"another!!!"):
        with pytest.raises(BundleError, match="was changed or cut off"):
            verified(made, folder, data)
    begins = made.index(b"\n") + 1  # the first line is for people, and says so
    for place in range(begins, len(made)):
        spoilt = made[:place] + bytes([made[place] ^ 1]) + made[place + 1 :]
        if meant(spoilt) != meant(made):
            with pytest.raises(BundleError):
                verified(spoilt, folder)


def test_a_key_that_only_has_the_number_of_a_trusted_one_signs_nothing(tmp_path: Path) -> None:
    ours, theirs = (base64.b64decode(pair(which).public_key.to_base64()) for which in ("owner", "other"))
    made = signed("other").splitlines()
    line = base64.b64decode(made[1])
    made[1] = base64.b64encode(line[:2] + ours[2:10] + line[10:])
    assert theirs[2:10] != ours[2:10]
    with pytest.raises(BundleError, match="was changed or cut off"):
        verified(b"\n".join([*made, b""]), trusting(tmp_path))


def test_the_old_form_is_refused(tmp_path: Path) -> None:
    made = pair().secret_key.sign(DATA, prehash=False, trusted_comment="a comment")
    with pytest.raises(BundleError, match="old form"):
        verified(bytes(made), trusting(tmp_path))


def test_keys_are_trusted_and_trusted_no_more(tmp_path: Path) -> None:
    file = tmp_path / "key.pub"
    file.write_bytes(bytes(pair().public_key) + b"\n")
    folder = tmp_path / "keys"
    by_file = signature.trust(folder, str(file))
    by_line = signature.trust(folder, pair("other").public_key.to_base64().decode())
    assert {key.id for key in signature.trusted(folder)} == {by_file.id, by_line.id}
    assert (folder / f"{by_file.id}.pub").stat().st_mode & 0o777 == 0o644, "the service's user reads it"
    assert signature.distrust(folder, by_file.id.lower()).fingerprint == by_file.fingerprint
    assert [key.id for key in signature.trusted(folder)] == [by_line.id]
    with pytest.raises(ConfigError, match="there is no key"):
        signature.distrust(folder, by_file.id)


@pytest.mark.parametrize("given", ["", "no key", "RWQf6LRCGA9i5", "/etc/hostname", "/dev/zero", "/tmp"])
def test_what_is_no_key_is_not_trusted(tmp_path: Path, given: str) -> None:
    with pytest.raises((ConfigError, OSError)):
        signature.trust(tmp_path / "keys", given)
    assert not (tmp_path / "keys").exists()


def test_a_secret_key_is_not_taken_for_a_public_one(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(minisign.KeyPair.generate().secret_key))
    with pytest.raises(ConfigError, match="is no public key"):
        signature.trust(tmp_path / "keys", str(tmp_path / "key"))


@pytest.mark.integration
def test_minisign_itself_verifies_and_makes_the_same(tmp_path: Path) -> None:
    program = shutil.which("minisign")
    if program is None:
        pytest.skip("install minisign to run this test")
    (tmp_path / "data").write_bytes(DATA)
    (tmp_path / "data.minisig").write_bytes(signed())
    (tmp_path / "key.pub").write_bytes(bytes(pair().public_key) + b"\n")

    def call(*words: str) -> str:
        done = subprocess.run([program, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout

    assert "a comment" in call("-V", "-m", "data", "-p", "key.pub")
    call("-G", "-W", "-p", "theirs.pub", "-s", "theirs.key")
    call("-S", "-m", "data", "-s", "theirs.key", "-t", "of minisign", "-x", "theirs.minisig")
    key = signature.trust(tmp_path / "keys", str(tmp_path / "theirs.pub"))
    assert key.id in (tmp_path / "theirs.pub").read_text(), "the number that minisign shows"
    assert verified((tmp_path / "theirs.minisig").read_bytes(), tmp_path / "keys") == "of minisign"
