from __future__ import annotations

from decimal import Decimal

from edge.core.ledger import Tally
from edge.core.messages import Arrival, Compared, Decision, Fault, Recovered, Verdict
from edge.core.news import Newest, News, Taking
from edge.core.seal import Claim
from edge.core.session import Standing, Total
from edge.core.stands import MOST_FAULTS, Faults, Last, Stands, Stood

CAMERA = Fault("camera", "stopped", "no new picture")


def test_a_fault_stands_from_when_it_was_first_told_until_its_part_works_again() -> None:
    stands = Stands()
    stands.note(CAMERA, 10.0, None)
    stands.note(Fault("camera", "stopped", "another detail"), 20.0, None)
    stands.note(Fault("board", "too hot"), 30.0, None)
    stands.note(Fault("board", "under-voltage"), 40.0, None)
    assert [(stood.fault.reason, stood.since_t_s) for stood in stands.faults] == [
        ("stopped", 10.0),
        ("too hot", 30.0),
        ("under-voltage", 40.0),
    ]
    stands.note(Recovered("board", "too hot"), 50.0, None)
    stands.note(Recovered("board", "under-voltage"), 51.0, None)
    assert stands.faults == (Stood(Fault("camera", "stopped", "another detail"), 10.0),)


def test_a_camera_that_was_missing_and_is_busy_now_has_one_trouble_since_the_first() -> None:
    faults = Faults()
    assert faults.note(Fault("camera", "missing"), 10.0)
    assert not faults.note(Fault("camera", "busy"), 20.0)
    assert faults.standing == (Stood(Fault("camera", "busy"), 10.0),)
    faults.note(Recovered("camera"))
    assert faults.standing == ()


def test_what_is_measured_stands_beside_a_failure_of_the_same_part_and_ends_by_itself() -> None:
    faults = Faults()
    for fault in (Fault("board", "too hot"), Fault("board", "under-voltage"), Fault("disk", "broken")):
        assert faults.note(fault)
    assert faults.note(Fault("disk", "full"))
    faults.note(Recovered("board", "too hot"))
    faults.note(Recovered("disk", "full"))
    faults.note(Recovered("board"))
    assert [(stood.fault.device, stood.fault.reason) for stood in faults.standing] == [
        ("board", "under-voltage"),
        ("disk", "broken"),
    ]


def test_repairs_of_what_never_failed_change_nothing() -> None:
    stands = Stands()
    stands.note(CAMERA, 10.0, None)
    stands.note(Recovered("speaker"), 11.0, None)
    assert [stood.fault for stood in stands.faults] == [CAMERA]


def test_the_last_amount_and_the_total_are_the_newest() -> None:
    stands = Stands()
    assert (stands.last, stands.total) == (None, Total(Decimal(0), 0))
    stands.note(Decision(Verdict.AMOUNT, 1, 1.0, 1, "20"), 1.0, None)
    stands.note(Standing(Total(Decimal(20), 1)), 1.1, None)
    stands.note(Decision(Verdict.UNSURE, 2, 2.0, 2), 2.0, None)
    stands.note(Decision(Verdict.AMOUNT, 3, 3.0, 3, "500"), 3.0, 1e9)
    stands.note(Standing(Total(Decimal(0), 0)), 4.0, None)
    assert (stands.last, stands.total) == (Last("500", "", 3.0, 1e9), Total(Decimal(0), 0))


def test_faults_without_end_take_a_bounded_room() -> None:
    stands = Stands()
    for number in range(1000):
        stands.note(Fault(f"part {number}", "missing"), float(number), None)
    assert len(stands.faults) == MOST_FAULTS


def arrived(stands: Stands) -> tuple[str, str, int] | None:
    found = stands.arrived.get("INR")
    return found and (found.arrival.entry, found.arrival.what, found.tally.alike)


def test_what_became_of_the_bundle_that_came_last_stands_with_what_it_has_shown() -> None:
    stands, first, second = Stands(), "INR-1.1.0-41d07be3", "INR-1.2.0-00000000"
    stands.note(Compared(first, Tally(alike=9)), 0.0, None)
    assert arrived(stands) is None, "nobody has said that it is here"
    stands.note(Arrival(first, "in the shadow"), 1.0, None)
    stands.note(Compared(first, Tally(alike=3)), 2.0, None)
    stands.note(Arrival(first, "refused", "slow"), 3.0, None)
    assert arrived(stands) == (first, "refused", 3)
    stands.note(Arrival(second, "in the shadow"), 4.0, None)
    stands.note(Compared(first, Tally(alike=4)), 5.0, None)
    assert arrived(stands) == (second, "in the shadow", 0)
    stands.note(Arrival("configured", "switched"), 6.0, None)
    assert arrived(stands) == (second, "in the shadow", 0)


def test_what_is_newest_stands_until_it_is_taken_back_and_why_it_was_not_taken_until_there_is_another() -> None:
    stands, claim = Stands(), Claim("inr", "1.1.0", "INR", "41d07be3" * 8)
    news = News(claim, "https://example.org/x")
    stands.note(Taking("INR", busy=True), 0.0, None)
    assert stands.newest == {}
    stands.note(Newest("INR", news), 1.0, None)
    stands.note(Taking("INR", busy=False, why="no route"), 2.0, None)
    stands.note(Newest("INR", news), 3.0, None)
    assert stands.newest == {"INR": (news, Taking("INR", busy=False, why="no route"))}, "a broker says it again"
    stands.note(Newest("INR", News(claim, "https://example.org/y")), 4.0, None)
    assert stands.newest["INR"][1].why == ""
    stands.note(Newest("INR", None), 5.0, None)
    assert stands.newest == {}
