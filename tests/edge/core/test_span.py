from __future__ import annotations

from edge.core.span import Span


def test_two_spans_that_follow_each_other_make_the_span_of_both() -> None:
    first, later, whole = Span(0.0), Span(10.0), Span(0.0)
    for number in range(20):
        ms = {"scene": 1.0 + number, "classify": 20.0} if number % 2 else {"scene": 2.0}
        (first if number < 8 else later).count(ms)
        whole.count(ms)
    later.speech.add(300.0)
    first.merge(later)
    assert (first.frames, first.means()) == (20, whole.means())
    assert {stage: spread.counts for stage, spread in first.stages.items()} == {
        stage: spread.counts for stage, spread in whole.stages.items()
    }
    assert first.speech.counts == later.speech.counts
    assert first.began_s == 0.0


def test_a_span_without_frames_has_no_means() -> None:
    assert Span(0.0).means() == {}
