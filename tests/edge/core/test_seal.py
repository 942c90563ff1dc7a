"""The sealed bundle: what it claims, and what its archive may hold."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import app
from edge.core import bundle as bundles
from edge.core import seal
from edge.core.errors import BundleError
from edge.core.seal import Claim
from tests.sealed import archive, both, member, promising

CLAIM = Claim("xts", "0.2.0", "XTS", "ab" * 32)


def unpacked(data: bytes) -> dict[str, bytes]:
    return seal.unpack(io.BytesIO(data))


def test_what_is_packed_is_unpacked_and_the_same_files_give_the_same_bytes() -> None:
    contents = bundles.contents(app.BUNDLES / "xts")
    packed = seal.pack(contents)
    assert unpacked(packed) == contents
    assert seal.pack(dict(reversed(contents.items()))) == packed


def test_a_claim_is_read_as_it_was_written() -> None:
    assert seal.read_comment(seal.comment(CLAIM)) == CLAIM
    assert CLAIM.entry == "XTS-0.2.0-abababab"
    assert seal.ENTRY.fullmatch(CLAIM.entry)


@pytest.mark.parametrize(
    "comment",
    [
        "timestamp:1555779966 file:test",
        "saynote bundle name=xts version=0.2.0 currency=XTS",
        seal.comment(CLAIM).replace("currency=XTS", "currency=xts"),
        seal.comment(CLAIM).replace("0.2.0", "../../etc"),
        seal.comment(CLAIM).replace("0.2.0", "1.0-beta"),
        seal.comment(CLAIM).replace("ab" * 32, "ab"),
        seal.comment(CLAIM) + " more=1",
    ],
)
def test_what_is_signed_as_something_else_is_no_bundle(comment: str) -> None:
    with pytest.raises(BundleError):
        seal.read_comment(comment)


def test_versions_are_compared_as_numbers() -> None:
    assert seal.order("0.10") > seal.order("0.9.9")
    assert seal.order("1.0.0") == seal.order("1")


HOSTILE = {
    "a name that leads out": archive(member("../../etc/cron.d/x")),
    "an absolute name": archive(member("/etc/passwd")),
    "a bundle's name in a folder": archive(member("x/model.tflite")),
    "a link": archive(member("model.tflite", b"", tarfile.SYMTYPE, linkname="/etc/shadow")),
    "a hard link": archive(member("model.tflite", b"", tarfile.LNKTYPE, linkname="labels.txt")),
    "a device": archive(member("model.tflite", b"", tarfile.CHRTYPE, devmajor=1, devminor=5)),
    "a pipe": archive(member("labels.txt", b"", tarfile.FIFOTYPE)),
    "a folder of a file's name": archive(member("labels.txt", b"", tarfile.DIRTYPE)),
    "a file twice": archive(both(member("labels.txt"), member("labels.txt"))),
    "another file": archive(member("run.sh")),
    "a file that is too large": archive(member("labels.txt", bytes(17 << 10))),
    "a terabyte that is promised": promising(1 << 40),
    "32 MB that are promised and not there": promising(32 << 20),
    "an archive that is packed": gzip.compress(archive(member("labels.txt", bytes(10 << 20)))),
    "nothing of an archive": b"PK\3\4" * 1000,
    "no bytes": b"",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_an_archive_that_holds_anything_else_is_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(BundleError) as found:
        unpacked(data)
    assert "\n" not in str(found.value)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=3000), st.integers(0, 2000))
def test_whatever_stands_in_an_archive_it_is_a_bundle_error_or_known_names(noise: bytes, place: int) -> None:
    data = bytearray(seal.pack(dict.fromkeys(bundles.MOST_BYTES, b"5\nbackground\n")))
    data[place : place + len(noise)] = noise
    with contextlib.suppress(BundleError):
        assert set(unpacked(bytes(data))) <= set(bundles.MOST_BYTES)


@pytest.mark.parametrize("data", [b"", b"\n", b"a\nb\nc\n", b"x" * 5000 + b"\n\n\n\n", b"\0" * 100])
def test_what_does_not_begin_with_four_lines_is_no_sealed_bundle(data: bytes) -> None:
    with pytest.raises(BundleError, match="does not begin with a signature"):
        seal.read_signature(io.BytesIO(data))
