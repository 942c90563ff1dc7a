from __future__ import annotations

import threading
from decimal import Decimal

import numpy as np
import pytest

from edge.core import earcons
from edge.core.earcons import Earcon
from edge.core.errors import HardwareError, Reason
from edge.core.gestures import Timings
from edge.core.messages import (
    Decision,
    Edge,
    Fault,
    Guidance,
    Hint,
    Hold,
    Holding,
    Notice,
    Pcm,
    Recovered,
    Turn,
    Utterance,
    Verdict,
)
from edge.core.orders import Command, Done
from edge.core.session import Answer, Repeat, Reply, Total
from edge.core.speech import Speech
from edge.drivers.fake import FakeButton, FakeClock, FakeSpeaker, FakeSynth
from edge.outlets.announcer import ORDERS, STALE_ORDER_S, Announcer, Posted
from edge.outlets.phrases import Phrases


class Desk:
    """An announcer on simulated time; `turn` runs one turn of its thread."""

    def __init__(self, tones: float | None = None) -> None:
        self.clock = FakeClock(now_s=100.0)
        self.speaker = FakeSpeaker(self.clock)
        self.synth = FakeSynth()
        self.phrases = Phrases(self.synth, "en", "test")
        self.said: list[Utterance] = []
        self.told: list[Answer | Holding] = []
        self.reports: list[Fault | Recovered] = []
        self.spoke = threading.Event()  # something was said
        self.turns = 0
        self.opened = 0
        speech = Speech("en", "INR")
        self.announcer = Announcer(speech, self.phrases, self.open, self.clock, Timings(), post=self.take, tones=tones)
        self.phrases.prepare([*speech.fixed(("10", "100", "500")), *speech.ages()])
        self.button = FakeButton(self.clock)
        self.button.listen(lambda edge: self.tell(edge))

    def open(self) -> FakeSpeaker:
        self.opened += 1
        if self.speaker.fail:
            raise self.speaker.fail
        return self.speaker

    def take(self, message: Posted) -> None:
        """What it posts, by kind."""
        if isinstance(message, Utterance):
            self.said.append(message)
            self.spoke.set()
        elif isinstance(message, Turn):
            self.turns += 1
        elif isinstance(message, Fault | Recovered):
            self.reports.append(message)
        else:
            self.told.append(message)

    def tell(self, item: object, age_s: float = 0.0) -> None:
        self.announcer.turn((item, self.clock.now_s() - age_s))  # type: ignore[arg-type]

    def amount(self, label: str) -> None:
        self.tell(Decision(Verdict.AMOUNT, 1, 1.0, 1, label, 0.99, 3))

    def press(self, for_s: float = 0.1) -> None:
        self.button.press()
        self.clock.advance(for_s)
        self.button.release()
        self.wait(0.5)

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)
            self.announcer.turn(None)

    @property
    def texts(self) -> list[str]:
        return [utterance.text for utterance in self.said]

    @property
    def tones(self) -> list[Earcon]:
        """The earcons that were played by themselves."""
        known = {earcons.sound(tone, 22_050).samples.tobytes(): tone for tone in Earcon}
        heard = [known.get(sound.pcm.samples.tobytes()) for sound in self.speaker.heard]
        return [tone for tone in heard if tone]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_new_amount_cuts_off_an_old_one(desk: Desk) -> None:
    desk.amount("100")
    desk.clock.advance(0.1)
    desk.amount("500")
    assert desk.texts == ["100 rupees", "500 rupees"]
    assert [heard.whole for heard in desk.speaker.heard] == [False, True]


def test_a_hint_never_cuts_off_an_amount(desk: Desk) -> None:
    desk.amount("100")
    desk.tell(Guidance(Hint.TOO_DARK, 1.0))
    desk.wait(5)
    assert desk.texts == ["100 rupees"]


def test_a_hint_about_a_picture_that_is_gone_is_not_said(desk: Desk) -> None:
    desk.tell(Guidance(Hint.TOO_DARK, 1.0), age_s=1.5)
    desk.tell(Guidance(Hint.HOLD_STILL, 1.0), age_s=0.5)
    assert desk.texts == ["Hold still"]


def test_news_waits_for_its_turn_and_keeps_its_order(desk: Desk) -> None:
    desk.amount("100")
    desk.tell(Fault("camera", "stopped"))
    desk.tell(Notice("ready"))
    assert desk.texts == ["100 rupees"]
    desk.wait(10)
    assert desk.texts == ["100 rupees", "The camera has stopped, I keep trying", "Ready"]
    assert all(heard.whole for heard in desk.speaker.heard)


def test_a_press_repeats_the_last_amount_and_says_how_old_it_is(desk: Desk) -> None:
    desk.press()
    desk.amount("500")
    desk.wait(3)
    desk.press()
    desk.wait(30)
    desk.press()
    assert desk.texts[0] == "No note yet"
    assert desk.texts[1:3] == ["500 rupees", "500 rupees"]
    assert desk.texts[3].startswith("500 rupees, 3")
    assert desk.texts[3].endswith("seconds ago")


def test_the_total_counts_undoes_and_clears_after_asking(desk: Desk) -> None:
    for label in ("100", "500", "10"):
        desk.amount(label)
    desk.press(1.0)
    desk.press(0.05), desk.press(0.05)
    assert desk.texts[3] == "Total: 610 rupees, 3 notes"
    desk.said.clear()
    desk.button.press(), desk.clock.advance(0.1), desk.button.release()
    desk.clock.advance(0.1)
    desk.button.press(), desk.clock.advance(0.1), desk.button.release()
    desk.wait(1)
    desk.press(1.0)
    desk.press(5.0)
    desk.press()
    desk.press(1.0)
    assert desk.texts == [
        "Last note taken back",
        "Total: 600 rupees, 2 notes",
        "Clear the total? Press once for yes",
        "Total cleared",
        "Total: nothing",
    ]


def test_the_total_is_kept_when_nobody_confirms(desk: Desk) -> None:
    desk.amount("100")
    desk.press(5.0)
    desk.wait(10)
    desk.press(1.0)
    assert desk.texts[-2:] == ["Total kept", "Total: 100 rupees, 1 note"]


def test_nothing_is_rendered_between_a_decision_or_a_press_and_its_sound(desk: Desk) -> None:
    desk.amount("100")
    rendered = len(desk.synth.texts)
    desk.amount("100")
    after_amount = [text for text, _ in desk.synth.texts[rendered:]]
    assert after_amount == ["Total: 200 rupees, 2 notes"], "the new total, ahead of being asked for"
    rendered = len(desk.synth.texts)
    desk.press(1.0)
    assert len(desk.synth.texts) == rendered


def test_a_sound_card_that_goes_and_comes_back_loses_no_amount_from_the_total(desk: Desk) -> None:
    desk.amount("100")
    desk.speaker.fail = HardwareError("speaker", Reason.STOPPED, "unplugged")
    desk.amount("500")
    assert [utterance.sounded for utterance in desk.said] == [True, False]
    desk.speaker = FakeSpeaker(desk.clock)
    desk.clock.advance(6)
    desk.press(1.0)
    assert desk.texts[-1] == "Total: 600 rupees, 2 notes"
    assert desk.said[-1].sounded


def test_without_a_sound_card_it_is_not_tried_at_every_word(desk: Desk) -> None:
    desk.speaker.fail = HardwareError("speaker", Reason.MISSING, "no card")
    for _ in range(50):
        desk.amount("100")
        desk.clock.advance(0.1)
    assert desk.opened <= 2


def test_a_bouncing_button_is_one_press(desk: Desk) -> None:
    desk.amount("10")
    desk.button.press()
    desk.button.bounce(5)
    desk.clock.advance(0.1)
    desk.button.release()
    desk.button.bounce(5)
    desk.wait(1)
    assert desk.texts == ["10 rupees", "10 rupees"]


def test_on_its_own_thread_it_speaks_and_finishes_what_it_says() -> None:
    desk = Desk()
    desk.announcer.start()
    assert desk.announcer.offer(Decision(Verdict.AMOUNT, 1, 1.0, 1, "500", 0.99, 3))
    assert desk.spoke.wait(30)
    desk.announcer.close()
    assert desk.speaker.heard[0].whole
    assert desk.speaker.closed
    assert not desk.announcer.offer(Edge(True, 1.0))


def test_two_hundred_notes_are_counted_without_a_mistake(desk: Desk) -> None:
    total = Decimal(0)
    for number in range(200):
        label = ("10", "100", "500")[number % 3]
        total += Decimal(label)
        desk.amount(label)
        desk.wait(0.2)
    desk.press(1.0)
    assert desk.texts[-1] == f"Total: {total} rupees, 200 notes"


def test_news_that_an_amount_cut_off_are_said_again(desk: Desk) -> None:
    desk.tell(Fault("camera", "missing"))
    desk.clock.advance(0.2)
    desk.amount("500")
    desk.wait(5)
    fault = "No camera, I keep looking for it"
    assert desk.texts == [fault, "500 rupees", fault]
    assert [heard.whole for heard in desk.speaker.heard] == [False, True, True]


def test_news_that_were_heard_are_not_said_again(desk: Desk) -> None:
    desk.tell(Fault("camera", "missing"))
    desk.wait(5)
    desk.amount("500")
    desk.wait(5)
    assert len(desk.texts) == 2


def test_a_doubt_is_said_into_silence_only(desk: Desk) -> None:
    desk.amount("100")
    desk.tell(Decision(Verdict.UNSURE, 1, 1.0, 2))
    desk.wait(5)
    desk.tell(Decision(Verdict.SEVERAL, 1, 1.0, 3))
    desk.tell(Decision(Verdict.GONE, 1, 1.0, 3))
    desk.wait(5)
    assert desk.texts == ["100 rupees", "One note at a time"]


def test_a_voice_that_fails_for_one_text_does_not_silence_the_next_amount(desk: Desk) -> None:
    desk.amount("100")
    desk.synth.fail = HardwareError("speech", Reason.STOPPED, "no answer")
    desk.amount("500")
    desk.press(1.0)
    desk.amount("500")
    assert [(utterance.text, utterance.sounded) for utterance in desk.said[1:]] == [
        ("500 rupees", True),
        ("Total: 600 rupees, 2 notes", False),
        ("500 rupees", True),
    ]
    assert desk.opened == 1


def test_a_sound_card_that_is_plugged_in_again_is_found_and_heard_of_without_a_press(desk: Desk) -> None:
    desk.amount("100")
    desk.speaker.fail = HardwareError("speaker", Reason.STOPPED, "unplugged")
    desk.amount("500")
    desk.tell(Fault("camera", "stopped"))
    desk.wait(4)
    desk.speaker = FakeSpeaker(desk.clock)
    desk.wait(10)
    heard = [utterance.text for utterance in desk.said if utterance.sounded]
    assert heard == ["100 rupees", "The sound works again", "The camera has stopped, I keep trying"]


def test_a_sound_card_that_went_and_came_back_between_two_notes_says_the_second_amount(desk: Desk) -> None:
    desk.amount("100")
    desk.wait(10)
    desk.speaker.close()  # unplugged
    desk.speaker = FakeSpeaker(desk.clock)  # and plugged in again, before anybody looked
    desk.amount("500")
    assert [(one.text, one.sounded) for one in desk.said] == [("100 rupees", True), ("500 rupees", True)]
    desk.wait(5)
    assert desk.texts[2:] == ["The sound works again"]


def test_news_that_find_the_card_gone_and_back_are_said_once(desk: Desk) -> None:
    desk.amount("100")
    desk.wait(10)
    desk.speaker.close()
    desk.speaker = FakeSpeaker(desk.clock)
    desk.tell(Fault("camera", "stopped"))
    desk.wait(10)
    assert sorted(desk.texts[1:]) == ["The camera has stopped, I keep trying", "The sound works again"]


def test_a_sound_card_that_goes_in_silence_is_noticed_before_the_next_note(desk: Desk) -> None:
    desk.amount("100")
    desk.wait(10)
    desk.speaker.close()
    desk.speaker = FakeSpeaker(desk.clock)
    desk.wait(1)
    assert desk.texts == ["100 rupees", "The sound works again"]
    assert [type(report) for report in desk.reports] == [Fault, Recovered]


def test_news_that_a_vanishing_card_cut_off_are_said_again_and_those_heard_are_not(desk: Desk) -> None:
    desk.tell(Notice("ready"))
    desk.wait(10)
    desk.tell(Fault("camera", "stopped"))
    desk.clock.advance(0.5)
    desk.speaker.close()
    desk.speaker = FakeSpeaker(desk.clock)
    desk.wait(10)
    stopped = "The camera has stopped, I keep trying"
    assert desk.texts == ["Ready", stopped, "The sound works again", stopped]


def test_a_card_that_opens_and_fails_as_no_driver_should_is_not_opened_without_end(desk: Desk) -> None:
    class Sulking(FakeSpeaker):
        def play(self, pcm: Pcm) -> None:
            raise RuntimeError("what no driver should raise")

    desk.speaker = Sulking(desk.clock)
    for _ in range(60):
        desk.amount("100")
        desk.wait(1)
    assert 2 <= desk.opened <= 13
    assert [report.reason for report in desk.reports if isinstance(report, Fault)] == ["broken"]


def test_turns_that_all_fail_are_none_for_the_watchdog_and_one_that_works_is_one(desk: Desk) -> None:
    turns = desk.turns
    with pytest.raises(AttributeError):
        desk.tell(object())
    assert desk.turns == turns
    desk.announcer.turn(None)
    assert desk.turns == turns + 1


def test_a_sound_card_that_stays_away_is_tried_every_five_seconds_and_named_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.speaker.fail = HardwareError("speaker", Reason.MISSING, "no card")
    desk.tell(Notice("ready"))
    desk.wait(60)
    assert 11 <= desk.opened <= 13
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    assert desk.reports == [Fault("speaker", "missing", "no card")]
    desk.speaker = FakeSpeaker(desk.clock)
    desk.wait(10)
    assert [utterance.text for utterance in desk.said if utterance.sounded] == ["The sound works again", "Ready"]
    assert desk.reports[1:] == [Recovered("speaker")]


def test_a_sound_card_that_opens_and_plays_nothing_is_told_once_and_what_waits_is_not_pushed_out(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    refuses = HardwareError("speaker", Reason.STOPPED, "it takes no samples")

    class Deaf(FakeSpeaker):
        """Opens whenever it is asked to."""

        def play(self, pcm: Pcm) -> None:
            raise refuses

    desk.speaker = Deaf(desk.clock)
    for item in (Notice("ready"), Fault("camera", "missing"), Fault("button", "")):
        desk.tell(item)
    desk.wait(120)
    assert desk.opened > 20
    assert desk.reports == [Fault.of(refuses)]
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
    desk.speaker = FakeSpeaker(desk.clock)
    desk.wait(20)
    heard = [utterance.text for utterance in desk.said if utterance.sounded]
    assert sorted(heard) == sorted(
        ["The sound works again", "Ready", "No camera, I keep looking for it", "The button does not work"]
    )
    assert desk.reports[1:] == [Recovered("speaker")]


def test_a_voice_that_renders_nothing_any_more_is_told_once_and_its_return_too(desk: Desk) -> None:
    desk.synth.fail = HardwareError("speech", Reason.BROKEN, "espeak-ng crashed")
    desk.amount("100")
    desk.amount("500")
    desk.press(1.0)
    assert [utterance.sounded for utterance in desk.said] == [True, True, False]
    assert desk.reports == [Fault("speech", "broken", "espeak-ng crashed")]
    desk.synth.fail = None
    desk.press(1.0)
    assert desk.said[-1].sounded
    assert desk.reports[1:] == [Recovered("speech")]


def test_a_note_shown_while_it_asks_about_the_total_is_not_cleared_by_the_next_press(desk: Desk) -> None:
    desk.amount("100")
    desk.press(5.0)
    desk.amount("500")
    desk.press()
    desk.press(1.0)
    assert desk.texts[-2:] == ["500 rupees", "Total: 600 rupees, 2 notes"]


@pytest.mark.parametrize("answer_s", [1.0, 5.0])
def test_only_a_short_press_clears_the_total(desk: Desk, answer_s: float) -> None:
    desk.amount("100")
    desk.press(5.0)
    desk.press(answer_s)
    assert desk.texts[-1] == "Total kept"


def late(desk: Desk, *presses: float) -> list[str]:
    """What is said to bouncing presses that all lie in the inbox before the thread gets to turn."""
    for for_s in presses:
        for down in (True, False):
            desk.announcer.offer(Edge(down, desk.clock.now_s()))
            for bounce in range(4):
                desk.clock.advance(0.001)
                desk.announcer.offer(Edge(down ^ (bounce % 2 == 0), desk.clock.now_s()))
            desk.clock.advance(for_s if down else 0.1)
    desk.clock.advance(3)
    desk.announcer.start()
    assert desk.spoke.wait(30)
    desk.announcer.close()
    return desk.texts


def test_presses_that_come_late_are_read_as_they_were_made() -> None:
    assert late(Desk(), 0.1) == ["No note yet"]
    assert late(Desk(), 0.1, 0.1) == ["Nothing to take back"]
    assert late(Desk(), 1.0) == ["Total: nothing"]


def test_at_the_end_what_waits_is_still_said(desk: Desk) -> None:
    for item in (Decision(Verdict.AMOUNT, 1, 1.0, 1, "500", 0.99, 3), Fault("camera", "stopped"), Notice("goodbye")):
        desk.announcer.offer(item)
    desk.announcer.start()
    desk.announcer.close()
    assert desk.texts == ["500 rupees", "The camera has stopped, I keep trying", "Goodbye"]
    assert all(heard.whole for heard in desk.speaker.heard)


def test_at_the_end_nobody_waits_for_a_sound_card_that_is_gone(desk: Desk) -> None:
    desk.speaker.fail = HardwareError("speaker", Reason.MISSING, "no card")
    desk.announcer.offer(Notice("goodbye"))
    desk.announcer.start()
    desk.announcer.close()
    assert not desk.announcer._thread.is_alive()


def test_every_turn_is_seen_by_the_watchdog(desk: Desk) -> None:
    turns = desk.turns
    desk.announcer.turn(None)
    assert desk.turns == turns + 1


def test_a_thousand_totals_leave_little_behind(desk: Desk) -> None:
    fixed = len(desk.phrases._kept)
    for _ in range(1000):
        desk.amount("10")
    assert len(desk.phrases._passing) <= 8
    assert len(desk.phrases._kept) <= fixed


def test_news_that_come_when_others_wait_are_said_after_them(desk: Desk) -> None:
    desk.amount("100")
    desk.tell(Fault("camera", "stopped"))
    desk.clock.advance(5)  # the amount has ended, and the thread has not turned since
    desk.tell(Notice("ready"))
    desk.wait(10)
    assert desk.texts == ["100 rupees", "The camera has stopped, I keep trying", "Ready"]


@pytest.fixture
def singing() -> Desk:
    """With earcons, after "ready": the sound card is open and silent."""
    desk = Desk(tones=1.0)
    desk.tell(Notice("ready"))
    desk.wait(3)
    return desk


def seen() -> Decision:
    return Decision(Verdict.SEEN, 1, 1.0, 1, frames=2)


def test_how_old_an_amount_is_takes_no_process_to_say(desk: Desk) -> None:
    desk.amount("500")
    desk.wait(20)
    rendered = len(desk.synth.texts)
    desk.press()
    assert desk.texts[-1] == "500 rupees, 20 seconds ago"
    assert desk.said[-1].sounded
    assert len(desk.synth.texts) == rendered
    amount, whole = desk.phrases.sound("500 rupees").samples, desk.speaker.heard[-1].pcm.samples
    age = desk.phrases.sound("20 seconds ago").samples
    assert np.array_equal(whole[: len(amount)], amount)
    assert np.array_equal(whole[-len(age) :], age)


def test_what_comes_into_view_is_a_tone_into_silence_and_an_amount_cuts_it_off(singing: Desk) -> None:
    singing.tell(seen())
    singing.clock.advance(0.03)
    singing.amount("500")
    assert singing.tones == [Earcon.SEEN]
    assert [heard.whole for heard in singing.speaker.heard[-2:]] == [False, True]
    assert singing.texts == ["Ready", "500 rupees"], "a tone is nothing that is said"


def test_no_tone_sounds_over_an_amount(singing: Desk) -> None:
    singing.amount("500")
    singing.tell(seen())
    singing.button.press()
    singing.clock.advance(0.1)
    singing.announcer.turn(None)
    assert singing.tones == []
    assert singing.speaker.heard[-1].whole


def test_a_tone_holds_up_no_words(singing: Desk) -> None:
    for item in (Guidance(Hint.HOLD_STILL, 1.0), Fault("camera", "stopped")):
        singing.tell(seen())
        singing.clock.advance(0.01)
        singing.tell(item)
        singing.clock.advance(5)
    assert singing.texts[1:] == ["Hold still", "The camera has stopped, I keep trying"]


def test_a_tone_that_comes_late_is_not_played(singing: Desk) -> None:
    singing.tell(seen(), age_s=0.5)
    assert singing.tones == []


def test_a_doubt_is_a_falling_tone_and_words_in_one(singing: Desk) -> None:
    singing.tell(Decision(Verdict.UNSURE, 1, 1.0, 2))
    tone = earcons.sound(Earcon.UNSURE, 22_050).samples
    assert np.array_equal(singing.speaker.heard[-1].pcm.samples[: len(tone)], tone)
    assert singing.texts[-1] == "Not sure, turn the note"


def test_the_button_ticks_when_it_is_felt_and_again_when_it_was_held_long_enough(singing: Desk) -> None:
    singing.button.press()
    singing.wait(5)
    assert singing.tones == [Earcon.ACCEPTED, Earcon.LONG, Earcon.VERY_LONG]
    singing.button.release()
    singing.wait(1)
    assert singing.texts[-1] == "Clear the total? Press once for yes"


def test_without_earcons_there_are_none(desk: Desk) -> None:
    desk.tell(Notice("ready"))
    desk.wait(3)
    desk.tell(seen())
    desk.press(5.0)
    assert len(desk.speaker.heard) == len(desk.said) == 2


def test_the_first_tone_opens_no_sound_card() -> None:
    desk = Desk(tones=1.0)
    desk.tell(seen())
    assert desk.opened == 0


def test_every_answer_is_told_to_others_as_it_is_said() -> None:
    desk = Desk()
    for press_s in (0.1, 1.0, 5.0, 1.0):
        desk.press(press_s)
    answers = [one for one in desk.told if not isinstance(one, Holding)]
    assert answers == [Reply.NOTHING_YET, Total(0, 0), Reply.ASK_CLEAR, Reply.KEPT]  # type: ignore[arg-type]
    assert len(desk.said) == 4
    desk.amount("500")
    desk.press(5.0)
    desk.wait(7)
    desk.press()
    assert [type(one) for one in desk.told[-2:]] == [Holding, Repeat]
    assert Reply.KEPT in desk.told[-4:]


def test_others_feel_a_press_as_it_is_held() -> None:
    desk = Desk()
    desk.button.press()
    desk.wait(5)
    assert [one.hold for one in desk.told if isinstance(one, Holding)] == [Hold.DOWN, Hold.LONG, Hold.VERY_LONG]


def test_an_amount_that_waited_too_long_is_counted_and_not_said(desk: Desk) -> None:
    desk.tell(Decision(Verdict.AMOUNT, 1, 1.0, 1, "500", 0.99, 3), age_s=4.0)
    assert desk.texts == []
    desk.press(1.0)
    assert desk.texts == ["Total: 500 rupees, 1 note"]


def done(desk: Desk) -> list[Done]:
    """What became of commands."""
    return [message for message in desk.told if isinstance(message, Done)]


def order(desk: Desk, id_: str, verb: str, text: str = "") -> None:
    """Ask from afar, once the voice has had the time to render it."""
    desk.tell(Command(id_, verb, text))
    if text:
        desk.phrases.prepare([desk.announcer._speech.message(text)])


def test_a_message_from_afar_is_framed_and_answered_once_it_was_said(desk: Desk) -> None:
    order(desk, "c1", "say", "Tea is ready")
    desk.wait(0.1)
    assert desk.texts == ["Message: Tea is ready"]
    assert done(desk) == [Done("c1")]


def test_a_message_from_afar_waits_until_an_amount_was_heard(desk: Desk) -> None:
    desk.amount("500")
    order(desk, "c1", "say", "Tea is ready")
    assert desk.texts == ["500 rupees"]
    assert done(desk) == []
    desk.wait(5)
    assert desk.texts == ["500 rupees", "Message: Tea is ready"]


def test_what_could_not_be_heard_in_time_is_not_said_any_more(desk: Desk) -> None:
    desk.speaker.fail = HardwareError("speaker", Reason.MISSING, "unplugged")
    order(desk, "c1", "say", "Tea is ready")
    desk.wait(STALE_ORDER_S + 1)
    desk.speaker.fail = None
    desk.wait(8)
    assert "Message: Tea is ready" not in [one.text for one in desk.said if one.sounded]
    assert [(one.id, bool(one.why)) for one in done(desk)] == [("c1", True)]


def test_a_repeat_from_afar_says_that_it_is_one(desk: Desk) -> None:
    desk.phrases.prepare(["Once more: 500 rupees"])
    desk.amount("500")
    desk.wait(5)
    desk.tell(Command("c1", "repeat"))
    desk.wait(1)
    assert desk.texts == ["500 rupees", "Once more: 500 rupees"]


def test_a_tone_that_nothing_else_sounds_shows_which_device_it_is(desk: Desk) -> None:
    desk.tell(Command("c1", "identify"))
    assert desk.tones == [Earcon.HERE]
    assert done(desk) == [Done("c1")]


def test_of_many_commands_those_that_nobody_could_wait_for_are_refused(desk: Desk) -> None:
    desk.amount("500")
    for number in range(ORDERS + 1):
        desk.tell(Command(f"c{number}", "identify"))
    assert done(desk) == [Done(f"c{ORDERS}", "others wait to be heard")]


def test_what_is_asked_of_others_makes_no_sound(desk: Desk) -> None:
    desk.tell(Command("c1", "snapshot"))
    desk.wait(1)
    assert (desk.speaker.heard, done(desk)) == ([], [])


def test_what_an_amount_cut_off_of_a_repeat_from_afar_is_not_said_after_that_amount(desk: Desk) -> None:
    desk.phrases.prepare(["Once more: 500 rupees"])
    desk.amount("500")
    desk.wait(5)
    desk.tell(Command("c1", "repeat"))
    desk.amount("100")
    desk.wait(5)
    assert desk.texts == ["500 rupees", "Once more: 500 rupees", "100 rupees"]
