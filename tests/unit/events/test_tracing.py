"""W3C trace context: what is accepted, what is refused, and how a job's trace continues."""

from __future__ import annotations

import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from darkroom.contract import traces
from darkroom.events import tracing
from darkroom.events.tracing import TraceContext

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"
GOOD = f"00-{TRACE_ID}-{SPAN_ID}-01"


def test_a_traceparent_is_read_and_written_back_as_it_was() -> None:
    context = tracing.parse(GOOD, "congo=t61rcWkgMzE,rojo@acme=00f067aa0ba902b7")
    assert context == TraceContext(
        trace_id=TRACE_ID, span_id=SPAN_ID, flags=1, tracestate="congo=t61rcWkgMzE,rojo@acme=00f067aa0ba902b7"
    )
    assert context.sampled
    assert context.attributes() == {"traceparent": GOOD, "tracestate": context.tracestate}


@pytest.mark.parametrize(
    "text",
    [
        "",
        None,
        7,
        "garbage",
        GOOD.upper(),
        GOOD[:-1],
        f"{GOOD}-more",
        f"ff-{TRACE_ID}-{SPAN_ID}-01",
        f"00-{'0' * 32}-{SPAN_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"00-{TRACE_ID}-{SPAN_ID}-zz",
        f"00-{TRACE_ID}-{SPAN_ID}",
        f"{GOOD}\n",
        f"{GOOD},{GOOD}",
    ],
)
def test_what_is_no_traceparent_is_none(text: object) -> None:
    assert tracing.parse(text) is None


def test_a_version_to_come_may_say_more_than_we_know() -> None:
    context = tracing.parse(f"cc-{TRACE_ID}-{SPAN_ID}-ff-what.the.future.brings")
    assert context is not None
    assert context.traceparent == f"00-{TRACE_ID}-{SPAN_ID}-03"


@pytest.mark.parametrize(
    "state",
    [
        "Upper=1",
        "a=1,a=2",
        "noequals",
        "a=b=c",
        "a=\x7f",
        ",".join(f"k{n}=1" for n in range(33)),
        "a=" + "x" * 600,
        f"a=drk_{'a' * 12}_{'k' * 34}",
    ],
)
def test_a_tracestate_that_breaks_the_rules_is_dropped_and_the_trace_goes_on(state: str) -> None:
    context = tracing.parse(GOOD, state)
    assert context is not None
    assert context.trace_id == TRACE_ID
    assert context.attributes() == {"traceparent": GOOD}


def test_empty_members_of_a_tracestate_are_allowed() -> None:
    context = tracing.parse(GOOD, "a=1, ,b=2")
    assert context is not None
    assert context.tracestate == "a=1,b=2"


def test_a_child_is_another_span_of_the_same_trace() -> None:
    parent = tracing.parse(GOOD, "a=1")
    assert parent is not None
    child = parent.child()
    assert (child.trace_id, child.flags, child.tracestate) == (TRACE_ID, 1, "a=1")
    assert child.span_id != SPAN_ID


@given(st.booleans())
def test_every_new_root_can_be_read(sampled: bool) -> None:
    root = tracing.new_root(sampled=sampled)
    assert tracing.parse(root.traceparent) == root
    assert root.sampled is sampled


_NEARLY_TRACEPARENTS = st.builds(
    "-".join,
    st.tuples(
        *(
            st.text("0123456789abcdefAF", min_size=size - 1, max_size=size) | st.just("0" * (size - 1) + "1")
            for size in (2, 32, 16, 2)
        )
    ),
)


@given(st.text(max_size=80) | _NEARLY_TRACEPARENTS)
@example(GOOD)
def test_whatever_is_sent_nothing_breaks_and_what_is_read_can_be_written(text: str) -> None:
    context = tracing.parse(text, text)
    assert context is None or tracing.parse(context.traceparent) is not None


def test_a_redriven_job_has_a_trace_of_its_own_that_all_agree_on() -> None:
    first, again, third = (traces.of_job(GOOD, redrives) for redrives in range(3))
    assert first == tracing.parse(GOOD)
    assert again is not None
    assert third is not None
    assert len({TRACE_ID, again.trace_id, third.trace_id}) == 3
    assert again == traces.of_job(GOOD, 1)
    assert tracing.parse(again.traceparent) == again


def test_a_job_without_a_trace_has_none_after_a_redrive_either() -> None:
    assert traces.of_job("", 0) is None
    assert traces.of_job("", 1) is None


def test_the_current_context_is_the_blocks_and_the_threads_own() -> None:
    root, seen = tracing.new_root(), []
    with tracing.use(root):
        thread = threading.Thread(target=lambda: seen.append(tracing.current()))
        thread.start()
        thread.join()
        assert tracing.current() is root
    assert tracing.current() is None
    assert seen == [None]
