"""Bundles with one thing wrong with them, for tests of whoever reads a bundle; everything else about them is right."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edge import app
from edge.core.bundle import LABELS, MANIFEST, MODEL, SELFTEST
from edge.core.manifest import DecisionSpec, InputSpec, digest

Harm = Callable[[Path], object]


def copy(folder: Path, name: str = "xts") -> Path:
    """A shipped bundle in `folder`, to be harmed."""
    return shutil.copytree(app.BUNDLES / name, folder)


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Let `change` work on the manifest as it lies there; the digest is left alone."""
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def replace(folder: Path, file: str, data: bytes) -> None:
    """Put `data` in the place of `file`, with the hash and the digest that belong to it: as if it had been made so."""
    (folder / file).write_bytes(data)

    def seal(manifest: dict[str, Any]) -> None:
        manifest["files"][file] = hashlib.sha256(data).hexdigest()
        manifest["digest"] = digest(
            hashlib.sha256((folder / MODEL).read_bytes()).hexdigest(),
            tuple((folder / LABELS).read_text().splitlines()),
            manifest["currency"],
            msgspec.convert(manifest["input"], InputSpec),
            msgspec.convert(manifest["decision"], DecisionSpec),
        )

    edit(folder, seal)


def instead(file: str, make: Callable[[Path], object]) -> Harm:
    """Something that is no file of the right size stands where `file` was."""

    def harm(folder: Path) -> None:
        (folder / file).unlink()
        make(folder / file)

    return harm


def sparse(size_bytes: int) -> Callable[[Path], object]:
    """A file of that size that takes no room."""

    def make(path: Path) -> None:
        path.touch()
        os.truncate(path, size_bytes)

    return make


def labelled(first: str) -> Harm:
    """Another first label, in the labels and the thresholds."""

    def harm(folder: Path) -> None:
        labels = (folder / LABELS).read_text().splitlines()

        def rename(manifest: dict[str, Any]) -> None:
            manifest["decision"]["thresholds"][first] = manifest["decision"]["thresholds"].pop(labels[0])

        edit(folder, rename)
        replace(folder, LABELS, "\n".join([first, *labels[1:]]).encode())

    return harm


def selftest(**members: bytes) -> Harm:
    """A self-test of these members, as they are."""

    def harm(folder: Path) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members.items():
                archive.writestr(f"{name}.npy", data)
        replace(folder, SELFTEST, packed.getvalue())

    return harm


def arrays(**changed: Any) -> Harm:
    """The self-test with other arrays."""

    def harm(folder: Path) -> None:
        with np.load(folder / SELFTEST) as found:
            members = {"pictures": found["pictures"], "logits": found["logits"]} | changed
        packed = io.BytesIO()
        np.savez(packed, **members)
        replace(folder, SELFTEST, packed.getvalue())

    return harm


def header(text: str) -> bytes:
    """The beginning of an .npy file with that header."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def promised(shape: str) -> bytes:
    """An .npy file that says it is of `shape`, and holds nothing."""
    return header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n")


def bomb(folder: Path) -> None:
    """A self-test of 2 MB that unpacks to a fifth of a gigabyte, and says so."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("pictures.npy", "w") as member:
        member.write(promised("(2000, 192, 192, 3)"))
        for _ in range(200):
            member.write(bytes(1 << 20))
    replace(folder, SELFTEST, packed.getvalue())


def packed_otherwise(folder: Path) -> None:
    """A self-test in bzip2, which zipfile unpacks whole however little of it is asked for."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("pictures.npy", bytes(100 << 20))
    replace(folder, SELFTEST, packed.getvalue())


def crowded(folder: Path) -> None:
    """A self-test of 5 MB that lists 50,000 files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number in range(50_000):
            archive.writestr(f"{number}", b"")
    replace(folder, SELFTEST, packed.getvalue())


def remodelled(change: Callable[[Any], object]) -> Harm:
    """Another model: `change` works on the root object of TensorFlow Lite's schema."""

    def harm(folder: Path) -> None:
        import flatbuffers
        from ai_edge_litert import schema_py_generated as schema

        root = schema.ModelT.InitFromPackedBuf(bytearray((folder / MODEL).read_bytes()), 0)
        change(root)
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(root.Pack(builder), b"TFL3")
        replace(folder, MODEL, bytes(builder.Output()))

    return harm


def without_inputs(root: Any) -> None:
    """The graph takes nothing."""
    root.subgraphs[0].inputs = []


def without_weights(root: Any) -> None:
    """Every constant is gone."""
    for buffer in root.buffers:
        buffer.data = None


def input_of(side: int) -> Callable[[Any], object]:
    """The graph takes a picture of that size."""

    def change(root: Any) -> None:
        graph = root.subgraphs[0]
        tensor = graph.tensors[graph.inputs[0]]
        tensor.shape, tensor.shapeSignature = [1, side, side, 3], None

    return change


def inner_tensor_of(side: int) -> Callable[[Any], object]:
    """A tensor within the graph is as large."""

    def change(root: Any) -> None:
        graph = root.subgraphs[0]
        inner = next(operator.outputs[0] for operator in graph.operators)
        graph.tensors[inner].shape = [1, side, side, 3]

    return change


NESTED = b'{"format": 1, "training": ' + b"[" * 100_000
HARMS: dict[str, Harm] = {
    "the manifest is missing": lambda folder: (folder / MANIFEST).unlink(),
    "the manifest is a pipe": instead(MANIFEST, os.mkfifo),
    "the manifest is a folder": instead(MANIFEST, Path.mkdir),
    "the manifest is of 200 MB": instead(MANIFEST, sparse(200 << 20)),
    "the manifest is nested without an end": lambda folder: (folder / MANIFEST).write_bytes(NESTED),
    "the manifest is a list": lambda folder: (folder / MANIFEST).write_bytes(b"[]"),
    "the manifest is not UTF-8": lambda folder: (folder / MANIFEST).write_bytes(b'{"name": "\xff"}'),
    "the manifest is of zeros": lambda folder: (folder / MANIFEST).write_bytes(bytes(2000)),
    "a number is too large": lambda folder: (folder / MANIFEST).write_text('{"format": 1, "digest": 1e999}'),
    "the format is a number of 400 digits": lambda folder: edit(folder, lambda m: m.update(format=10**400)),
    "a name leads out of the folder": lambda folder: edit(folder, lambda m: m.update(name="../../../escaped")),
    "a name ends a line": lambda folder: edit(folder, lambda m: m.update(name='xts"\nvolume = 0')),
    "a name is an option": lambda folder: edit(folder, lambda m: m.update(name="-n")),
    "a name is empty": lambda folder: edit(folder, lambda m: m.update(name="")),
    "a version has a space": lambda folder: edit(folder, lambda m: m.update(version="1.0 beta")),
    "a currency ends a line": lambda folder: edit(folder, lambda m: m.update(currency="XTS\n")),
    "a threshold is not a number": lambda folder: (folder / MANIFEST).write_text(
        (folder / MANIFEST).read_text().replace('"5": 0.', '"5": NaN, "x": 0.')
    ),
    "it remembers for ever": lambda folder: edit(folder, lambda m: m["decision"].update(window_s=1e300)),
    "the labels never end": instead(LABELS, lambda path: path.symlink_to("/dev/zero")),
    "the labels are a pipe": instead(LABELS, os.mkfifo),
    "the labels lead to themselves": instead(LABELS, lambda path: path.symlink_to(LABELS)),
    "a label has 400 digits": labelled("9" * 400),
    "a label is a digit of another script": labelled("٥"),
    "a label is less than nothing": labelled("-5"),
    "the self-test promises a terabyte": selftest(pictures=promised("(9000000, 192, 192, 3)"), logits=promised("(1,)")),
    "the self-test promises less than nothing": selftest(pictures=promised("(-1, -192, 192, 3)")),
    "the self-test promises too many dimensions": selftest(pictures=promised("(" + "1," * 500 + ")")),
    "the self-test's header is nested": selftest(pictures=header("-" * 9000 + "1\n")),
    "the self-test's header is of 4 GB": selftest(pictures=b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(1 << 20)),
    "the self-test unpacks to a fifth of a gigabyte": bomb,
    "the self-test is packed in another way": packed_otherwise,
    "the self-test lists too many files": crowded,
    "the self-test holds objects": arrays(pictures=np.array([{}], dtype=object)),
    "the self-test holds texts": arrays(pictures=np.array(["note"])),
    "the self-test holds one array": arrays(logits=np.zeros(0, np.float32)),
    "the self-test's answers are not numbers": arrays(logits=np.full((6, 8), np.nan, np.float32)),
    "the self-test's pictures are of another kind": arrays(pictures=np.zeros((6, 192, 192, 3), np.int16)),
    "the self-test's pictures are of another size": arrays(pictures=np.zeros((6, 8, 8, 3), np.uint8)),
    "the self-test is no archive": lambda folder: replace(folder, SELFTEST, b"PK\3\4" + bytes(1000)),
    "the self-test is cut off": lambda folder: replace(folder, SELFTEST, (folder / SELFTEST).read_bytes()[:-30]),
    "the model is missing": lambda folder: (folder / MODEL).unlink(),
    "the model is a folder": instead(MODEL, Path.mkdir),
    "the model is a device": instead(MODEL, lambda path: path.symlink_to("/dev/full")),
    "the model is of 1 GB": instead(MODEL, sparse(1 << 30)),
    "the model is empty": lambda folder: replace(folder, MODEL, b""),
    "the model is a text": lambda folder: replace(folder, MODEL, b"a model, once"),
    "the model is cut off": lambda folder: replace(folder, MODEL, (folder / MODEL).read_bytes()[:2_000_000]),
    "the model takes nothing": remodelled(without_inputs),
    "the model has no weights": remodelled(without_weights),
    "the model gives nothing": remodelled(lambda root: setattr(root.subgraphs[0], "outputs", [])),
    "the model has no graph": remodelled(lambda root: setattr(root, "subgraphs", [])),
    "the model wants a picture of 30,000 x 30,000": remodelled(input_of(30_000)),
    "the model works on 30,000 x 30,000": remodelled(inner_tensor_of(30_000)),
}
