"""`make cloud-check`: the files of deploy/cloud/serve against the schemas of the programs that read them.

    Containerfile              hadolint
    rayservice.yaml            Kubernetes' own schema for its pods, and KubeRay's for all of it where CRDS= has it
    azure-*.yaml               what Azure's client for machine learning reads them with

Each must also refuse a copy with a mistake: a check that refuses nothing checks nothing. Nothing here asks a network.
It runs in an environment of its own, 300 MB, which `python -m tests.deploy.cloudcheck` makes.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.environments import PROJECT, environment

FOLDER = PROJECT / "deploy" / "cloud" / "serve"
MISTAKE = "replicass"
KUBERAY = "ray.io_rayservices.yaml"  # below helm-chart/kuberay-operator/crds of KubeRay's project

Complaints = list[str]
Check = Callable[[Any], Complaints]  # of a file's content


def main() -> int:
    """Check all; 1 where a schema refuses a file, or takes a mistake."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--here", action="store_true", help="in this environment, which has the checkers")
    parser.add_argument("--crds", type=Path, help=f"folder with KubeRay's {KUBERAY}")
    given = parser.parse_args()
    if given.here:
        return measure(given.crds)
    command = [str(environment("cloud") / "bin" / "python"), "-m", "tests.deploy.cloudcheck", "--here"]
    more = ["--crds", str(given.crds.absolute())] if given.crds else []
    return subprocess.call([*command, *more], cwd=PROJECT, env={**os.environ, "PYTHONPATH": str(PROJECT)})


def measure(crds: Path | None) -> int:
    """All of it, in an environment with the checkers."""
    cluster, container = read("rayservice.yaml"), (FOLDER / "Containerfile").read_text(encoding="utf-8")
    results = [told("Containerfile, hadolint", hadolint, container, container.replace("FROM", "FORM", 1))]
    for name, pod in pods(cluster):
        results.append(told(f"rayservice.yaml, pod {name}, Kubernetes", kubernetes, pod, wrong(pod, "spec")))
    for name in ("azure-endpoint.yaml", "azure-deployment.yaml"):
        found = read(name)
        results.append(told(f"{name}, Azure's client", azure(name), found, wrong(found)))
    if crds is None:
        say(f"rayservice.yaml as a whole: not checked, KubeRay's schema is in no package; CRDS=folder with {KUBERAY}")
    else:
        schema = kuberay(crds / KUBERAY)
        results.append(told("rayservice.yaml, KubeRay", schema, cluster, wrong(cluster, "spec", "rayClusterConfig")))
    return int(not all(results))


def read(name: str) -> Any:
    """A file of YAML."""
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def told(what: str, check: Check, content: Any, mistaken: Any) -> bool:
    """Whether `content` is right and `mistaken` is not, said."""
    complaints = check(content)
    blind = not check(mistaken)
    for complaint in complaints:
        say(f"{what}: {complaint}")
    if blind:
        say(f"{what}: takes a mistake as well")
    if not complaints and not blind:
        say(f"{what}: right")
    return not complaints and not blind


def wrong(content: Any, *where: str) -> Any:
    """A copy with a key that nobody knows."""
    found = copy.deepcopy(content)
    inner = found
    for key in where:
        inner = inner[key]
    inner[MISTAKE] = 1
    return found


def hadolint(text: str) -> Complaints:
    """Of a container file."""
    command = [str(Path(sys.executable).parent / "hadolint"), "--no-color", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines() if done.returncode else []


def pods(cluster: Any) -> list[tuple[str, Any]]:
    """What KubeRay makes pods of, as Kubernetes sees them."""
    spec = cluster["spec"]["rayClusterConfig"]
    groups = [("head", spec["headGroupSpec"]), *((one["groupName"], one) for one in spec["workerGroupSpecs"])]
    head = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}
    return [(name, {**head, **group["template"]}) for name, group in groups]


def kubernetes(pod: Any) -> Complaints:
    """Of a pod, keys that are not known included."""
    checker = importlib.import_module("kubernetes_validate")
    try:
        checker.validate(pod, checker.latest_version(), strict=True)
    except checker.ValidationError as error:
        return [f"{'.'.join(map(str, error.path))}: {error.message}"]
    return []


def azure(name: str) -> Check:
    """Of a file for `az ml`, by the client that it calls."""
    client = importlib.import_module("azure.ai.ml")
    load = client.load_online_endpoint if "endpoint" in name else client.load_online_deployment

    def check(content: Any) -> Complaints:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_text(yaml.safe_dump(content), encoding="utf-8")
            try:
                found = load(source=str(file))
            except Exception as error:  # noqa: BLE001 - whatever the client says of it
                return [" ".join(str(error).split())[:600]]
        return [] if found.name == content["name"] else ["it is read as something else"]

    return check


def kuberay(file: Path) -> Check:
    """Of a RayService, by the schema that KubeRay gives Kubernetes; keys that it does not know are mistakes."""
    from jsonschema import Draft202012Validator

    [version] = [one for one in yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]["versions"] if one["storage"]]
    validator = Draft202012Validator(strict(version["schema"]["openAPIV3Schema"]))
    return lambda content: [f"{one.json_path}: {one.message[:300]}" for one in validator.iter_errors(content)]


def strict(schema: Any) -> Any:
    """The same, where an object whose keys are listed has no others."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: strict(value) for key, value in schema.items()}
    listed = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if listed and "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        found["additionalProperties"] = False
    return found


def say(text: str) -> None:
    """Show a line now."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
