"""The files that serve on others' machines hold together, as far as can be told without running them.

What they name of this project is compared with it; what others' programs read is held to the keys that their reference
pages name. They were never run: docs/rest.md says so.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.rest import app
from deploy.rest.settings import Settings, parse
from edge.app import BUNDLES
from tests.deploy import cloudcheck

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "deploy" / "cloud" / "serve"
CONTAINER = FOLDER / "Containerfile"
KEY = {"SAYNOTE_REST_KEY": "a-key-of-some-length"}
ROUTES = {"/healthz", "/readyz", "/v1/classify"}

# Reference pages of the CLI's YAML schemas, version 2.
PROBE = {"initial_delay", "period", "timeout", "success_threshold", "failure_threshold"}
AZURE = {
    "azure-endpoint.yaml": {
        "$schema", "name", "description", "tags", "auth_mode", "identity", "traffic", "public_network_access",
    },
    "azure-deployment.yaml": {
        "$schema", "name", "description", "tags", "endpoint_name", "model", "code_configuration",
        "environment_variables",
        "environment", "instance_type", "instance_count", "app_insights_enabled", "scale_settings", "data_collector",
        "request_settings", "liveness_probe", "readiness_probe", "egress_public_network_access",
    },
}  # fmt: skip


def read(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def instructions() -> list[tuple[str, str]]:
    joined = CONTAINER.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]  # type: ignore[misc]


@pytest.mark.parametrize("path", sorted(FOLDER.iterdir()), ids=lambda path: path.name)
def test_each_says_that_it_was_not_run(path: Path) -> None:
    assert "ot run here" in path.read_text(encoding="utf-8").split("\n\n")[0]


def test_what_the_container_copies_is_there_and_is_all_that_the_service_imports() -> None:
    copied = [source for word, rest in instructions() if word == "COPY" for source in rest.split()[:-1]]
    assert all((PROJECT / source).exists() for source in copied)
    imported = set()
    for file in (PROJECT / "deploy" / "rest").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deploy"):
                imported.add(".".join((node.module or "").split(".")[:2]))
    assert imported == {"deploy.rest"}
    assert {"pyproject.toml", "edge", "deploy/__init__.py", "deploy/rest"} <= set(copied)


def test_the_container_runs_the_service_for_nobody_without_a_key_and_not_as_root() -> None:
    found = dict(instructions())
    command = json.loads(found["ENTRYPOINT"]) + json.loads(found["CMD"])
    assert command[:3] == ["python", "-m", "deploy.rest"]
    assert parse(command[3:], KEY).host == "0.0.0.0"
    with pytest.raises(ValueError, match="without a key"):
        parse(command[3:], {})
    assert found["USER"] != "0"
    assert found["EXPOSE"] == str(parse(command[3:], KEY).port)
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {"rest", "ray"} <= set(extras)
    assert re.search(r"python:3\.(11|12|13)-", found["FROM"])
    assert all(shlex.split(rest) for word, rest in instructions() if word == "RUN")


def test_the_cluster_serves_what_there_is_with_settings_that_there_are() -> None:
    found = read("rayservice.yaml")
    assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", "RayService")
    assert set(found["spec"]) == {"serveConfigV2", "rayClusterConfig"}
    [served] = yaml.safe_load(found["spec"]["serveConfigV2"])["applications"]
    module, builder = served["import_path"].split(":")
    source = PROJECT / (module.replace(".", "/") + ".py")
    functions = [n.name for n in ast.parse(source.read_text()).body if isinstance(n, ast.FunctionDef)]
    assert builder in functions
    own = {"bundle", "key_file", "min_replicas", "max_replicas"}
    assert set(served["args"]) <= own | set(Settings.__dataclass_fields__)
    assert "local" not in served["args"]
    assert (BUNDLES / served["args"]["bundle"]).is_dir()


def test_the_key_that_the_cluster_reads_is_mounted_where_it_reads_it() -> None:
    found = read("rayservice.yaml")["spec"]
    [served] = yaml.safe_load(found["serveConfigV2"])["applications"]
    pod = found["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]
    [mount] = pod["containers"][0]["volumeMounts"]
    assert served["args"]["key_file"].startswith(mount["mountPath"] + "/")
    assert mount["name"] in [volume["name"] for volume in pod["volumes"]]
    pods = [pod, *(group["template"]["spec"] for group in found["rayClusterConfig"]["workerGroupSpecs"])]
    assert all(one["securityContext"]["runAsNonRoot"] for one in pods)
    assert all(set(c["resources"]) == {"limits", "requests"} for one in pods for c in one["containers"])


@pytest.mark.parametrize("name", AZURE)
def test_what_azure_reads_holds_the_keys_that_it_knows(name: str) -> None:
    found = read(name)
    assert set(found) <= AZURE[name]
    kind = "Endpoint" if "endpoint" in name else "Deployment"
    assert found["$schema"].endswith(f"/managedOnline{kind}.schema.json")
    assert re.fullmatch("[a-z][a-z0-9-]{2,31}", found["name"])


def test_azure_asks_the_container_at_the_service_s_port_and_routes() -> None:
    deployment, container = read("azure-deployment.yaml"), dict(instructions())
    assert deployment["endpoint_name"] == read("azure-endpoint.yaml")["name"]
    routes = deployment["environment"]["inference_config"]
    assert set(routes) == {"liveness_route", "readiness_route", "scoring_route"}
    assert {route["path"] for route in routes.values()} == ROUTES
    assert {str(route["port"]) for route in routes.values()} == {container["EXPOSE"]}
    assert all(f'"{path}"' in Path(app.__file__).read_text() for path in ROUTES)
    assert set(deployment["liveness_probe"]) | set(deployment["readiness_probe"]) <= PROBE
    assert set(deployment["environment_variables"]) == set(KEY)


def test_a_schema_that_takes_a_mistake_is_no_check(capsys: pytest.CaptureFixture[str]) -> None:
    def blind(content: Any) -> list[str]:
        return []

    def refuses(content: Any) -> list[str]:
        return ["no"] if content.keys() - {"a"} else []

    assert cloudcheck.told("it", refuses, {"a": 1}, cloudcheck.wrong({"a": 1}))
    assert not cloudcheck.told("it", blind, {"a": 1}, cloudcheck.wrong({"a": 1}))
    assert not cloudcheck.told("it", refuses, {"b": 1}, {"b": 1})
    assert "takes a mistake as well" in capsys.readouterr().out


def test_a_schema_of_kuberay_s_is_held_to_the_keys_that_it_lists(tmp_path: Path) -> None:
    listed = {"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "integer"}}}}}
    versions = [{"storage": True, "schema": {"openAPIV3Schema": listed}}, {"storage": False}]
    (tmp_path / "crd.yaml").write_text(yaml.safe_dump({"spec": {"versions": versions}}))
    check = cloudcheck.kuberay(tmp_path / "crd.yaml")
    assert check({"a": {"b": 1}}) == []
    assert check({"a": {"b": "1"}})[0].startswith("$.a.b: ")
    assert check(cloudcheck.wrong({"a": {"b": 1}}, "a"))[0].startswith("$.a: ")
