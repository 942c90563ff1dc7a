from __future__ import annotations

from decimal import Decimal

from edge.core.messages import Decision, Fault, Recovered, Verdict
from edge.core.session import Standing, Total
from edge.core.stands import MOST_FAULTS, Last, Stands, Stood

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
    stands.note(Recovered("board"), 50.0, None)
    assert stands.faults == (Stood(Fault("camera", "stopped", "another detail"), 10.0),)


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
        stands.note(Fault("camera", f"reason {number}"), float(number), None)
    assert len(stands.faults) == MOST_FAULTS
