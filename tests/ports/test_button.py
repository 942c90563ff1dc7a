"""What holds for every button. Each is driven by a hand: press, release, and what came of it."""

from __future__ import annotations

import io
import os
import pty
import queue
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.core.errors import HardwareError, Reason
from edge.core.messages import Edge
from edge.drivers.fake import FakeButton, FakeClock
from edge.drivers.gpio import GpioButton
from edge.drivers.keyboard import REPEAT_S, KeyboardButton
from edge.ports import Button
from edge.settings import ButtonConfig


class Hand:
    """A button, a way to press it once, and the edges that came."""

    def __init__(self, button: Button, press: Callable[[], None]) -> None:
        self.button = button
        self.press = press
        self._edges: queue.Queue[Edge] = queue.Queue()
        button.listen(self._edges.put)

    def next(self) -> Edge:
        return self._edges.get(timeout=5.0)

    def nothing_more(self) -> bool:
        return self._edges.empty()


class Terminal:
    """A pseudo-terminal: what is typed at one end is read by the driver at the other."""

    def __init__(self) -> None:
        self._keys, self._line = pty.openpty()
        self.stream = os.fdopen(self._line, "r", closefd=False)

    def type(self, keys: bytes) -> None:
        os.write(self._keys, keys)

    def settings(self) -> list[object]:
        return termios.tcgetattr(self._line)

    def close(self) -> None:
        self.stream.close()
        os.close(self._line)
        os.close(self._keys)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


def fake_hand() -> Hand:
    button = FakeButton()

    def press() -> None:
        button.press()
        button.clock.advance(0.1)
        button.release()
        button.clock.advance(0.5)

    return Hand(button, press)


def gpio_hand(*, pull_up: bool = True) -> Hand:
    mock = pytest.importorskip("gpiozero.pins.mock", reason="install gpiozero: pip install saynote[pi]")
    factory = mock.MockFactory()
    button = GpioButton(ButtonConfig(pull_up=pull_up), factory=factory)
    pin = factory.pin(17)
    pressed, released = (pin.drive_low, pin.drive_high) if pull_up else (pin.drive_high, pin.drive_low)

    def press() -> None:
        pressed()
        released()

    return Hand(button, press)


@pytest.fixture(params=["fake", "gpio", "gpio pulled down", "keyboard"])
def hand(request: pytest.FixtureRequest, terminal: Terminal) -> Iterator[Hand]:
    if request.param == "keyboard":
        hand = Hand(KeyboardButton(terminal.stream), lambda: terminal.type(b" "))
    elif request.param == "fake":
        hand = fake_hand()
    else:
        hand = gpio_hand(pull_up=request.param == "gpio")
    yield hand
    hand.button.close()


def test_a_press_is_down_and_then_up(hand: Hand) -> None:
    hand.press()
    assert [hand.next().down, hand.next().down] == [True, False]
    assert hand.nothing_more()


def test_times_never_run_backwards(hand: Hand) -> None:
    hand.press()
    first, second = hand.next(), hand.next()
    hand.press()
    third, fourth = hand.next(), hand.next()
    assert first.t_s <= second.t_s <= third.t_s <= fourth.t_s


def test_a_closed_button_may_be_closed_again_and_tells_nothing(hand: Hand) -> None:
    hand.button.close()
    hand.button.close()
    hand.press()
    assert hand.nothing_more()


def test_nobody_need_listen(terminal: Terminal) -> None:
    FakeButton().press()
    KeyboardButton(terminal.stream).close()


# The keyboard


@pytest.mark.parametrize("key", [b" ", b"\n", b"\r"])
def test_space_and_enter_are_the_button(terminal: Terminal, key: bytes) -> None:
    hand = Hand(KeyboardButton(terminal.stream), lambda: terminal.type(key))
    hand.press()
    down, up = hand.next(), hand.next()
    hand.button.close()
    assert 0.04 <= up.t_s - down.t_s < 1.0


def test_other_keys_are_not(terminal: Terminal) -> None:
    hand = Hand(KeyboardButton(terminal.stream), lambda: terminal.type(b"q\t\x1b[A "))
    hand.press()
    assert [hand.next().down, hand.next().down] == [True, False]
    hand.button.close()
    assert hand.nothing_more()


def test_a_key_that_repeats_is_one_long_press(terminal: Terminal) -> None:
    button = KeyboardButton(terminal.stream, clock=FakeClock())
    edges: queue.Queue[Edge] = queue.Queue()

    def repeat(edge: Edge) -> None:
        edges.put(edge)
        if edge.down and edges.qsize() == 1:
            terminal.type(b" ")  # from the driver's own thread: it is there before the press can end

    button.listen(repeat)
    terminal.type(b" ")
    assert [edges.get(timeout=5.0).down, edges.get(timeout=5.0).down] == [True, False]
    button.close()
    assert edges.empty()


def test_the_terminal_is_as_before_after_closing(terminal: Terminal) -> None:
    before = terminal.settings()
    button = KeyboardButton(terminal.stream)
    assert terminal.settings() != before
    button.close()
    assert terminal.settings() == before


def test_the_terminal_is_as_before_even_if_a_listener_fails(terminal: Terminal) -> None:
    before = terminal.settings()
    button = KeyboardButton(terminal.stream)

    def broken(edge: Edge) -> None:
        raise OSError("a listener that does more than hand on")

    button.listen(broken)
    terminal.type(b" ")
    button._thread.join(5.0)
    assert not button._thread.is_alive()
    assert terminal.settings() == before
    button.close()


@pytest.mark.parametrize("stream", ["pipe", "memory"])
def test_without_a_terminal_there_is_no_keyboard(stream: str, tmp_path: Path) -> None:
    file = io.StringIO() if stream == "memory" else (tmp_path / "input").open("w+", encoding="utf-8")
    with file, pytest.raises(HardwareError, match=r"button\.driver") as caught:
        KeyboardButton(file)
    assert (caught.value.device, caught.value.reason) == ("button", Reason.MISSING)


def test_repeats_are_told_from_presses_by_a_tenth_of_a_second() -> None:
    assert 0.04 < REPEAT_S < 0.25, "keyboards repeat every 30 to 40 ms, after a quarter of a second at least"


# The pin


def test_bounces_are_passed_on_for_our_own_code_to_judge() -> None:
    hand = gpio_hand()
    for _ in range(3):
        hand.press()
    assert [hand.next().down for _ in range(6)] == [True, False] * 3
    hand.button.close()


def test_a_pin_in_use_is_busy() -> None:
    mock = pytest.importorskip("gpiozero.pins.mock", reason="install gpiozero: pip install saynote[pi]")
    factory = mock.MockFactory()
    first = GpioButton(ButtonConfig(), factory=factory)
    with pytest.raises(HardwareError) as caught:
        GpioButton(ButtonConfig(), factory=factory)
    first.close()
    assert caught.value.reason is Reason.BUSY


def test_a_machine_without_pins_says_so() -> None:
    if any(Path("/dev").glob("gpiochip*")):
        pytest.skip("there are pins: run this where there are none")
    with pytest.raises(HardwareError, match=r"button\.driver") as caught:
        GpioButton(ButtonConfig())
    assert (caught.value.device, caught.value.reason) == ("button", Reason.MISSING)


@pytest.mark.hardware
def test_a_real_button_is_felt() -> None:
    try:
        button = GpioButton(ButtonConfig())
    except HardwareError as error:
        pytest.skip(f"wire a button between GPIO 17 and ground, run with -s and press it within 20 s: {error}")
    edges: queue.Queue[Edge] = queue.Queue()
    button.listen(edges.put)
    assert edges.get(timeout=20.0).down
    button.close()


# The fake


def test_the_fake_bounces_as_metal_does() -> None:
    button = FakeButton()
    button.press()
    button.bounce(2)
    assert [edge.down for edge in button.edges] == [True, False, True, False, True]
    assert [edge.t_s for edge in button.edges] == pytest.approx([0, 0.001, 0.002, 0.003, 0.004])
