"""The service against its own OpenAPI: what it says of itself is what it does, whatever is sent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.rest import app
from deploy.rest.answers import Answers
from deploy.rest.settings import Settings
from edge import app as daemon
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from tests.deploy.rest.service import PATIENCE_S, Service

LONGEST_S = 40


class Nobody:
    """Judges nothing: the description alone is asked for."""

    def bundles(self) -> list[Bundle]:
        return [bundles.read(daemon.BUNDLES / "xts")]

    def waiting(self) -> int:
        return 0


def _without_defaults(example: dict) -> dict:  # type: ignore[type-arg]
    answers = [{k: v for k, v in one.items() if v not in ("", None)} for one in example["answers"]]
    return {**example, "answers": answers}


def description() -> dict:  # type: ignore[type-arg]
    return app.build(Settings(), Nobody()).api.openapi()  # type: ignore[arg-type]


def test_every_answer_of_a_route_is_described_with_an_example() -> None:
    found = description()
    assert set(found["paths"]) == {"/healthz", "/readyz", "/metrics", "/v1/bundles", "/v1/classify"}
    classify = found["paths"]["/v1/classify"]["post"]
    assert set(classify["requestBody"]["content"]) == {
        *("image/jpeg", "image/png", "image/webp", "application/octet-stream", "multipart/form-data")
    }
    assert {"200", "400", "401", "408", "413", "415", "422", "429", "503"} <= set(classify["responses"])
    for status, answer in classify["responses"].items():
        [kind] = [kind for kind, content in answer["content"].items() if content.keys() & {"example", "examples"}]
        assert kind == ("application/json" if status == "200" else "application/problem+json")


def test_the_examples_are_answers() -> None:
    examples = description()["paths"]["/v1/classify"]["post"]["responses"]["200"]["content"]["application/json"]
    for example in examples["examples"].values():
        shown = Answers.model_validate(example["value"])
        assert shown.model_dump(exclude_none=True, exclude_defaults=True) == _without_defaults(example["value"])


@pytest.mark.integration
@pytest.mark.timeout(LONGEST_S + 3 * PATIENCE_S)
def test_schemathesis_finds_nothing(service: Service, tmp_path: Path) -> None:
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "run", f"http://127.0.0.1:{service.port}/openapi.json",
        "--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
        "unsupported_method", "--max-examples", "30", "--phases", "examples,coverage,fuzzing", "--seed", "1",
        "--workers", "1", "--suppress-health-check", "all", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S * 3, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert service.ask("GET", "/readyz").json == {"status": "ready"}
    assert json.loads(service.ask("GET", "/openapi.json").body)["openapi"].startswith("3.1")
