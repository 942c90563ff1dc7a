"""Who is let in, how much of it, what is told of it, and how it ends."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge import app
from edge.core.errors import EXIT_CONFIG
from tests.deploy.rest.conftest import Start
from tests.deploy.rest.service import PROJECT, Load, Service, press

pytestmark = pytest.mark.integration

PICTURES = [path.read_bytes() for path in sorted(app.REPLAY.glob("*.jpg"))[::9]]
NOTE = PICTURES[2]
KEY, OTHER = "a-key-of-some-length-1", "a-key-of-some-length-2"


def test_without_a_key_it_listens_to_this_machine_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.rest", "--bundle", "xts", "--port", "0", "--host", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=PROJECT)
    assert (done.returncode, done.stdout) == (EXIT_CONFIG, "")
    assert done.stderr.startswith("saynote: without a key it listens to this machine alone: 0.0.0.0 needs --key-file")
    assert len(done.stderr.splitlines()) == 1


def test_with_keys_each_of_them_opens_and_nothing_else_does(start: Start, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY}\n{OTHER}\n")
    service = start("--key-file", str(tmp_path / "keys"), "--host", "0.0.0.0", "--most-waiting", "5")
    for headers in ({}, {"x_api_key": "x" * 20}, {"authorization": "Basic " + KEY}, {"authorization": "Bearer "}):
        told = service.classify(NOTE, **headers)
        assert (told.status, told.headers["www-authenticate"]) == (401, 'Bearer realm="saynote"')
        assert "answers" not in told.json
    for path in ("/metrics", "/v1/bundles", "/openapi.json", "/nothing"):
        assert service.ask("GET", path).status == 401
    assert service.ask("GET", "/healthz").status == service.ask("GET", "/readyz").status == 200
    assert service.classify(NOTE, x_api_key=KEY).status == 200
    assert service.classify(NOTE, authorization=f"Bearer {OTHER}").status == 200
    assert service.classify(NOTE, x_api_key=OTHER, host="some.where", origin="https://some.where").status == 200
    assert service.stop() == 0
    log = service.log.read_text()
    assert KEY not in log
    assert OTHER not in log
    assert {line["client"] for line in service.lines() if line.get("status") == 200} >= {"key 1", "key 2"}


def test_a_key_may_come_from_the_environment_or_a_credential(start: Start, tmp_path: Path) -> None:
    assert start(env={"SAYNOTE_REST_KEY": KEY}).classify(NOTE, x_api_key=KEY).status == 200
    (tmp_path / "rest-key").write_text(OTHER)
    service = start(env={"CREDENTIALS_DIRECTORY": str(tmp_path), "SAYNOTE_REST_KEY": KEY})
    assert [service.classify(NOTE, x_api_key=key).status for key in (KEY, OTHER)] == [401, 200]


def test_a_page_of_somebody_else_s_in_a_browser_on_this_machine_gets_nothing(service: Service) -> None:
    assert service.classify(NOTE, host="evil.example").status == 421
    assert service.classify(NOTE, origin="https://evil.example").status == 403
    assert service.classify(NOTE, sec_fetch_site="cross-site").status == 403
    assert service.classify(NOTE, origin="http://localhost:3000").status == 200


def test_a_client_that_sends_too_much_waits(start: Start) -> None:
    service = start("--pictures-per-s", "0.01", "--burst", "3")
    assert [service.classify(NOTE).status for _ in range(3)] == [200] * 3
    told = service.classify(NOTE)
    assert (told.status, told.headers["content-type"]) == (429, "application/problem+json")
    assert int(told.headers["retry-after"]) > 0
    assert service.ask("GET", "/v1/bundles").status == 200


def test_where_too_many_wait_the_next_is_told_when_to_come_again(start: Start) -> None:
    service = start("--workers", "1", "--most-waiting", "1", "--most-pictures", "5")
    assert service.classify_all([("a", NOTE)] * 3).status == 503, "all of a request's pictures or none"
    assert service.classify_all([("a", NOTE)] * 2).status == 200
    load = asyncio.run(pressed(service, clients=20, until=lambda load: 503 in load.statuses and 200 in load.statuses))
    assert set(load.statuses) == {200, 503}
    assert load.lost == []


async def pressed(service: Service, *, clients: int, until, keep_alive: bool = True) -> Load:  # type: ignore[no-untyped-def]
    """Press until what was told satisfies `until`."""
    stop = asyncio.Event()
    load = Load()
    pressing = asyncio.create_task(press(service.port, PICTURES, clients, stop, keep_alive=keep_alive, load=load))
    while not until(load) and not pressing.done():
        await asyncio.sleep(0.02)
    stop.set()
    return await pressing


def test_many_clients_at_once_all_get_their_own_answers(service: Service) -> None:
    alone = [service.classify(picture).first["said"] or "" for picture in PICTURES]
    load = asyncio.run(pressed(service, clients=40, until=lambda load: len(load.statuses) >= 400))
    assert (load.lost, load.refused, set(load.statuses)) == ([], 0, {200})
    assert all(said == alone[which] for which, said in load.verdicts)


@pytest.mark.parametrize("keep_alive", [True, False])
def test_an_end_under_load_loses_no_request_that_was_let_in(start: Start, keep_alive: bool) -> None:
    service = start("--pictures-per-s", "0")

    async def end() -> Load:
        load = Load()
        pressing = asyncio.create_task(
            press(service.port, PICTURES, 60, asyncio.Event(), keep_alive=keep_alive, load=load)
        )
        while len(load.statuses) < 120:
            await asyncio.sleep(0.01)
        service.process.send_signal(signal.SIGTERM)
        return await pressing  # every client goes on until it is not let in any more

    load = asyncio.run(end())
    assert (load.lost, set(load.statuses)) == ([], {200})
    assert load.refused == 60
    assert service.stop() == 0
    assert sum(line.get("route") == "/v1/classify" for line in service.lines()) == len(load.statuses)


def test_while_others_are_still_let_in_it_says_that_it_is_not_ready(start: Start) -> None:
    service = start("--notice-s", "600")
    service.process.send_signal(signal.SIGTERM)
    while (told := service.ask("GET", "/readyz")).status == 200:
        pass
    assert (told.status, told.headers["connection"]) == (503, "close")
    assert service.classify(NOTE).status == 200
    service.process.kill()
    service.process.wait()


def test_every_request_has_an_id_a_line_and_a_count(start: Start) -> None:
    service = start()
    told = service.classify(NOTE, x_request_id="order-17.a")
    assert told.headers["x-request-id"] == told.json["request_id"] == "order-17.a"
    evil = service.classify(NOTE, x_request_id='a" , "level": "x')
    assert re.fullmatch("[0-9a-f]{32}", evil.headers["x-request-id"])
    service.ask("GET", "/%0d%0aSet-Cookie:%20a=b%0a{}")
    service.ask("BREW", "/v1/classify")
    page = service.ask("GET", "/metrics").body.decode()
    assert 'saynote_requests_total{method="POST",route="/v1/classify",status="200"} 2.0' in page
    assert 'method="other"' in page
    assert "saynote_waiting 0.0" in page
    assert not re.search(r'="(5|10|20|50|100|500)"', page), "no amount becomes a metric"
    assert service.stop() == 0
    requests = [line for line in service.lines() if line["message"] == "request"]
    assert [line["request_id"] for line in requests][-5] == "order-17.a"
    assert all(line["client"] == "127.0.0.1" for line in requests)
    assert "Set-Cookie" not in service.log.read_text()
