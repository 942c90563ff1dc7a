"""The page on scale says what the program computes, and the program computes with packets as they are sent."""

from __future__ import annotations

import re

import pytest

from deploy import scale
from edge.core import wire
from edge.drivers.mqtt import KEEPALIVE_S, PahoBroker
from edge.settings import HealthConfig, MqttConfig
from tests.ports.standins import StubBroker

PAGE = scale.PAGE.read_text(encoding="utf-8")


def test_the_tables_of_the_page_are_those_of_the_program() -> None:
    assert scale.written(PAGE) == PAGE
    assert set(re.findall(r"<!-- computed: (\w+) -->", PAGE)) == set(scale.TABLES)


def test_a_table_that_is_out_of_date_is_found_out() -> None:
    old = PAGE.replace("| 1,000 | `counts` |", "| 999 | `counts` |")
    assert old != PAGE
    assert scale.written(old) == PAGE


def test_it_reckons_with_the_defaults_of_the_device() -> None:
    assert HealthConfig().interval_s == scale.INTERVAL_S
    assert scale.KEEPALIVE_S == KEEPALIVE_S


@pytest.mark.parametrize("name", sorted(scale.kinds()))
def test_a_packet_is_as_large_as_paho_makes_it(name: str) -> None:
    kind = scale.kinds()[name]
    stub = StubBroker()
    stub.acknowledge = True
    broker = PahoBroker(
        MqttConfig(enabled=True, host="127.0.0.1", port=stub.port), None, "a/b/availability", b"offline"
    )
    try:
        broker.publish(kind.topic, b"x" * kind.payload_bytes)
    finally:
        broker.close()
        stub.close()
    assert len(stub.received[0]) == kind.packet_bytes


def test_who_shares_more_sends_more_and_who_reports_less_often_sends_less() -> None:
    health, counts, amounts = (scale.line_bytes_a_day(share) for share in scale.SHARES)
    assert health < counts < amounts
    assert scale.line_bytes_a_day("amounts", 600.0) < amounts / 2
    assert scale.messages_a_day("health") == pytest.approx(1440 + 1440 + 42 + 24 + 2)


def test_the_levels_are_those_of_the_settings() -> None:
    assert tuple(scale.SHARES) == wire.LEVELS


@pytest.mark.parametrize(("value", "said"), [(0.0344, "0.034"), (34120.4, "34,120"), (3.05e9, "3,050,000,000")])
def test_numbers_are_rounded_to_what_means_something(value: float, said: str) -> None:
    assert scale.number(value) == said


def test_the_program_prints_every_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert scale.main([]) == 0
    printed = capsys.readouterr().out
    assert all(make() in printed for make in scale.TABLES.values())
