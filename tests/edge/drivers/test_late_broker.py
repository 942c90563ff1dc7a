from __future__ import annotations

import pytest

from edge.core.errors import ConfigError, HardwareError, Reason, TransientError
from edge.drivers.fake import FakeBroker
from edge.drivers.late_broker import LateBroker
from edge.ports import Broker

NO_FILE = ConfigError(["mqtt.ca_file = '/gone.pem' cannot be used: there is no such file"])
NO_PACKAGE = HardwareError("broker", Reason.NOT_INSTALLED, "install it with: pip install paho-mqtt")


class Opening:
    """Fails with each of `errors` before it opens."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.broker = FakeBroker()

    def __call__(self) -> Broker:
        if self.errors:
            raise self.errors.pop(0)
        return self.broker


def test_a_broker_that_can_be_opened_is_opened_at_once() -> None:
    opening = Opening()
    late = LateBroker(opening)
    late.on_connect = lambda: None
    assert opening.broker.on_connect is late.on_connect
    late.publish("a", b"1", retain=True)
    assert opening.broker.retained == {"a": b"1"}


@pytest.mark.parametrize("error", [NO_FILE, NO_PACKAGE, ValueError("embedded null byte")])
def test_one_that_cannot_is_a_message_that_waits_and_is_tried_with_the_next(error: Exception) -> None:
    opening = Opening(error, error)
    late = LateBroker(opening)
    greeted: list[str] = []
    late.on_connect = lambda: greeted.append("hello")
    with pytest.raises(TransientError, match=r"gone\.pem|paho-mqtt|null byte"):
        late.publish("a", b"1")
    late.publish("a", b"1")
    assert len(opening.broker.messages) == 1
    assert opening.broker.on_connect is not None
    late.close()
    assert opening.broker.closed


def test_after_the_end_nothing_is_opened() -> None:
    opening = Opening(NO_FILE)
    late = LateBroker(opening)
    late.close()
    with pytest.raises(TransientError):
        late.publish("a", b"1")
    assert opening.broker.messages == []
