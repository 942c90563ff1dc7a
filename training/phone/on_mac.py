"""Owns the look at an exported package with the real Core ML: `python -m training.phone.on_mac FOLDER`, on a Mac.

Every self-test picture goes through every kind of processor, and must give what stands beside it: the float network's
scores within what float32 and half precision may differ, the likeliest label always. Needs of all that training
installs coremltools, numpy and Pillow alone, so that it runs where no TensorFlow does.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Predict = Callable[[Path], dict[str, Any]]  # outputs by name, of a picture's file

# Of a log-probability and of a place, by the units as coremltools.ComputeUnit names them. Only the processor itself
# works a float32 program out in float32 throughout.
WITHIN = {"CPU_ONLY": 0.01, "CPU_AND_GPU": 0.25, "ALL": 0.25}
SURE = 1.0  # log-probability by which a first label leads that no rounding may overtake


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare and say what was found, a line for each kind of processor; the exit code."""
    parser = argparse.ArgumentParser(prog="on_mac", description="Let the self-test through the real Core ML.")
    parser.add_argument("folder", type=Path, help="as `training export --coreml` wrote it")
    folder: Path = parser.parse_args(arguments).folder
    if sys.platform != "darwin":
        sys.stderr.write("Core ML runs on a Mac alone: nothing was predicted\n")
        return 2
    if len(list(folder.glob("*.mlpackage"))) != 1 or len(list(folder.glob("*.json"))) != 1:
        sys.stderr.write(f"{folder} holds no export with Core ML\n")
        return 2
    problems = [problem for units in WITHIN for problem in compare(folder, core_ml(folder, units), units)]
    sys.stderr.writelines(f"error: {problem}\n" for problem in problems)
    return 1 if problems else 0


def core_ml(folder: Path, units: str) -> Predict:
    """The package in `folder`, in Core ML on these units."""
    import coremltools as ct
    from PIL import Image

    (package,) = folder.glob("*.mlpackage")
    model = ct.models.MLModel(str(package), compute_units=ct.ComputeUnit[units])
    return lambda picture: dict(model.predict({"picture": Image.open(picture).convert("RGB")}))


def compare(folder: Path, predict: Predict, units: str) -> list[str]:
    """A sentence for each self-test picture to which `predict` says something else than was written."""
    (table,) = folder.glob("*.json")
    problems, worst = [], 0.0
    rows = json.loads(table.read_text(encoding="utf-8"))["selftest"]
    for row in rows:
        found, wanted = predict(folder / row["picture"]), row["float"]
        scores, given = np.ravel(found["scores"]), np.array(wanted["scores"])
        # What is hardly possible is hardly known: one in a thousand is where a difference ends to matter.
        off = float(np.abs(np.maximum(scores, -7) - np.maximum(given, -7)).max())
        off = max(off, float(np.abs(np.ravel(found["box"]) - wanted["box"]).max()))
        worst = max(worst, off)
        second, first = np.sort(given)[-2:]
        if not off <= WITHIN[units]:  # a NaN is no agreement
            problems.append(f"{units}: {row['picture']} is off by {off:.4f}, more than {WITHIN[units]}")
        elif first - second > SURE and scores.argmax() != given.argmax():
            problems.append(f"{units}: {row['picture']} is taken for another label")
    sys.stdout.write(f"{units}: {len(rows)} pictures, off by {worst:.5f} at most, {len(problems)} wrong\n")
    return problems


if __name__ == "__main__":
    sys.exit(main())
