from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkroom.local.eventing.delivery import (
    Action,
    Answered,
    DeliveryResult,
    DeliverySpec,
    Disposition,
    ReplyFailed,
    Step,
    TimedOut,
    Unreachable,
    classify,
    consumer_settings,
    dead_letter_extensions,
    delivery_of,
    explain_failure,
    format_result,
    is_sent_again,
    next_step,
)
from darkroom.manifests import Broker, ChannelTemplate, Destination, Trigger

SINK = Destination.model_validate({"uri": "http://example.com/"})


@pytest.mark.parametrize(("policy", "waits"), [("linear", [0, 2, 4, 6]), ("exponential", [2, 4, 8, 16])])
def test_the_backoff_index_starts_at_zero(policy: Any, waits: list[float]) -> None:
    delivery = DeliverySpec(backoff_policy=policy, backoff_delay_s=2.0, retry=3)
    assert [delivery.backoff_s(index) for index in range(4)] == waits


@pytest.mark.parametrize(
    ("result", "disposition"),
    [
        (Answered(status=204), Disposition.ACCEPTED),
        (Answered(status=200), Disposition.ACCEPTED),
        (Answered(status=202), Disposition.ACCEPTED),
        (Answered(status=200, body=b"{}", is_event=True), Disposition.REPLY),
        (Answered(status=200, is_event=True), Disposition.REPLY),
        (Answered(status=200, body=b"OK"), Disposition.RETRY),
        (Answered(status=500), Disposition.RETRY),
        (Answered(status=502), Disposition.RETRY),
        (Answered(status=503), Disposition.RETRY),
        (Answered(status=429), Disposition.RETRY),
        (Answered(status=408), Disposition.RETRY),
        (Answered(status=400), Disposition.LOST),
        (Answered(status=404), Disposition.LOST),
        (Answered(status=409), Disposition.LOST),
        (Answered(status=301), Disposition.LOST),
        (Unreachable(reason="connection refused"), Disposition.RETRY),
        (TimedOut(timeout_s=110.3), Disposition.RETRY),
    ],
)
def test_a_result_is_classified_as_by_the_jetstream_dispatcher(
    result: DeliveryResult, disposition: Disposition
) -> None:
    assert classify(result) is disposition


def test_what_failed_is_delivered_again_until_the_retries_are_spent_then_dead_lettered() -> None:
    delivery = DeliverySpec(retry=2, backoff_policy="exponential", backoff_delay_s=1.0, dead_letter_sink=SINK)
    steps = [next_step(delivery, Disposition.RETRY, index) for index in range(3)]
    assert steps == [
        Step(action=Action.REDELIVER, delay_s=1.0),
        Step(action=Action.REDELIVER, delay_s=2.0),
        Step(action=Action.DEAD_LETTER),
    ]


def test_a_client_error_is_dropped_while_retries_are_left_and_dead_lettered_on_the_last_delivery() -> None:
    delivery = DeliverySpec(retry=1, backoff_delay_s=1.0, dead_letter_sink=SINK)
    assert next_step(delivery, Disposition.LOST, 0) == Step(action=Action.DROP)
    assert next_step(delivery, Disposition.LOST, 1) == Step(action=Action.DEAD_LETTER)


def test_without_a_dead_letter_sink_the_event_is_dropped_at_the_end() -> None:
    assert next_step(DeliverySpec(retry=0), Disposition.RETRY, 0) == Step(action=Action.DROP)


@pytest.mark.parametrize("index", [0, 1, 5])
def test_success_needs_no_further_delivery(index: int) -> None:
    delivery = DeliverySpec(retry=1, dead_letter_sink=SINK)
    assert next_step(delivery, Disposition.ACCEPTED, index) == Step(action=Action.ACK)
    assert next_step(delivery, Disposition.REPLY, index) == Step(action=Action.REPLY)


@given(
    retry=st.integers(0, 10), dispositions=st.lists(st.sampled_from([Disposition.RETRY, Disposition.LOST]), min_size=11)
)
def test_there_are_never_more_deliveries_than_retry_plus_one(retry: int, dispositions: list[Disposition]) -> None:
    delivery = DeliverySpec(retry=retry, backoff_delay_s=1.0, dead_letter_sink=SINK)
    deliveries = 1
    while next_step(delivery, dispositions[deliveries - 1], deliveries - 1).action is Action.REDELIVER:
        deliveries += 1
    assert deliveries <= delivery.max_deliveries


# --- the consumer ----------------------------------------------------------------------------------------------------


def test_a_delivery_timeout_sets_the_ack_wait_whatever_the_template_says() -> None:
    settings = consumer_settings(
        DeliverySpec(retry=4, timeout_s=60.0), ChannelTemplate(ack_wait_s=120.0, max_ack_pending=40)
    )
    assert (settings.max_deliver, settings.max_ack_pending) == (5, 40)
    assert settings.ack_wait_s == pytest.approx(60.5)
    assert settings.http_timeout_s == pytest.approx(60.3)


def test_without_a_delivery_timeout_the_template_decides() -> None:
    settings = consumer_settings(DeliverySpec(), ChannelTemplate(ack_wait_s=120.0))
    assert (settings.max_deliver, settings.ack_wait_s) == (1, 120.0)
    assert settings.http_timeout_s == pytest.approx(119.8)


def test_the_defaults_are_those_of_the_channel() -> None:
    settings = consumer_settings(DeliverySpec(), ChannelTemplate())
    assert (settings.ack_wait_s, settings.max_ack_pending) == (30.0, 1000)
    assert settings.http_timeout_s == pytest.approx(29.8)


# --- Trigger and Broker ----------------------------------------------------------------------------------------------

RECOVERY = {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": "recovery"}}
BACKOFF = {"backoffPolicy": "linear", "backoffDelay": "PT2S"}


def broker(delivery: dict[str, Any] | None = None) -> Broker:
    return Broker.model_validate(
        {
            "apiVersion": "eventing.knative.dev/v1",
            "kind": "Broker",
            "metadata": {
                "name": "b",
                "namespace": "n",
                "annotations": {"eventing.knative.dev/broker.class": "MTChannelBasedBroker"},
            },
            "spec": {"config": {"apiVersion": "v1", "kind": "ConfigMap", "name": "c"}, "delivery": delivery},
        }
    )


def trigger(delivery: dict[str, Any] | None = None) -> Trigger:
    return Trigger.model_validate(
        {
            "apiVersion": "eventing.knative.dev/v1",
            "kind": "Trigger",
            "metadata": {"name": "t", "namespace": "n"},
            "spec": {"broker": "b", "subscriber": RECOVERY, "delivery": delivery},
        }
    )


def test_a_delivery_block_is_read_with_its_durations_in_seconds() -> None:
    delivery = delivery_of(trigger({**BACKOFF, "retry": 3, "timeout": "PT1M50S", "deadLetterSink": RECOVERY}), broker())
    assert (delivery.retry, delivery.backoff_policy, delivery.backoff_delay_s) == (3, "linear", 2.0)
    assert delivery.timeout_s == 110.0
    assert delivery.dead_letter_sink is not None
    assert delivery.dead_letter_sink.ref is not None
    assert delivery.dead_letter_sink.ref.namespace == "n"


def test_a_triggers_block_replaces_the_brokers_except_for_the_dead_letter_sink() -> None:
    inherited = broker({**BACKOFF, "retry": 7, "timeout": "PT9S", "deadLetterSink": RECOVERY})
    delivery = delivery_of(trigger({**BACKOFF, "backoffDelay": "PT1S"}), inherited)
    assert (delivery.retry, delivery.timeout_s, delivery.backoff_delay_s) == (0, None, 1.0)
    assert delivery.dead_letter_sink is not None


def test_a_trigger_without_a_block_takes_the_brokers() -> None:
    assert delivery_of(trigger(), broker({**BACKOFF, "retry": 7})).retry == 7
    assert delivery_of(trigger(), broker()).max_deliveries == 1


# --- dead letters ----------------------------------------------------------------------------------------------------

DESTINATION = "http://resize.darkroom.svc.cluster.local"


def test_a_dead_letter_says_where_it_failed_and_how() -> None:
    extensions = dead_letter_extensions(Answered(status=503, body=b"storage is down"), DESTINATION)
    assert extensions["knativeerrordest"] == DESTINATION
    assert extensions["knativeerrorcode"] == "503"
    assert base64.b64decode(extensions["knativeerrordata"]) == b"storage is down"


def test_a_network_error_is_recorded_as_500() -> None:
    extensions = dead_letter_extensions(Unreachable(reason="connection refused"), DESTINATION)
    assert extensions["knativeerrorcode"] == "500"


@pytest.mark.parametrize("result", [TimedOut(timeout_s=1.3), Answered(status=200, body=b"OK")])
def test_after_a_timeout_or_a_wrong_body_a_dead_letter_says_nothing(result: DeliveryResult) -> None:
    assert dead_letter_extensions(result, DESTINATION) == {}


def test_an_answer_without_a_body_gives_no_data() -> None:
    assert "knativeerrordata" not in dead_letter_extensions(Answered(status=500), DESTINATION)


@given(body=st.binary(max_size=3000))
def test_error_data_is_base64_of_at_most_1024_bytes_of_what_is_printable(body: bytes) -> None:
    data = dead_letter_extensions(Answered(status=500, body=body), DESTINATION).get("knativeerrordata", "")
    printable = bytes(byte for byte in body if 31 <= byte <= 127)
    assert len(data) <= 1024
    assert printable.startswith(base64.b64decode(data, validate=True))


def test_long_error_data_is_cut_to_1024_bytes_that_still_decode() -> None:
    data = dead_letter_extensions(Answered(status=500, body=b"x" * 3000), DESTINATION)["knativeerrordata"]
    assert len(data) == 1024
    assert base64.b64decode(data, validate=True) == b"x" * 768


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (Answered(status=200, body=b"OK"), "200 with a body that is no CloudEvent counts as a failure: answer 204"),
        (Answered(status=202, body=b"{}"), "202 with a body that is no CloudEvent counts as a failure: answer 204"),
        (Answered(status=302), "redirects are not followed"),
        (Answered(status=404, body=b"no such path"), "404 is neither retried nor dead-lettered"),
        (Answered(status=429), "takes no more for now"),
        (Answered(status=503, body=b"busy"), "503 counts as a failure, and is retried"),
        (Unreachable(reason="refused"), "there was no connection"),
        (TimedOut(timeout_s=2.3), "did not answer within 2.3 s"),
    ],
)
def test_a_failed_delivery_says_why_and_what_to_do(result: DeliveryResult, said: str) -> None:
    assert said in explain_failure(result)


@pytest.mark.parametrize("result", [Answered(status=204), Answered(status=200, body=b"{}", is_event=True)])
def test_a_delivery_that_succeeded_has_nothing_to_explain(result: DeliveryResult) -> None:
    assert explain_failure(result) == ""


# --- what differs for a Subscription of a channel --------------------------------------------------------------------


def test_after_a_timeout_without_a_brokers_filter_a_dead_letter_says_500() -> None:
    extensions = dead_letter_extensions(TimedOut(timeout_s=1.3), DESTINATION, through_filter=False)
    assert (extensions["knativeerrordest"], extensions["knativeerrorcode"]) == (DESTINATION, "500")


def test_a_reply_that_failed_is_dead_lettered_at_once_with_its_own_error() -> None:
    failed = ReplyFailed(destination="http://reply.example/", result=Answered(status=503))
    delivery = DeliverySpec(retry=3, dead_letter_sink=SINK)
    assert next_step(delivery, classify(failed), 0) == Step(action=Action.DEAD_LETTER)
    assert next_step(DeliverySpec(retry=3), classify(failed), 0) == Step(action=Action.DROP)
    extensions = dead_letter_extensions(failed, DESTINATION)
    assert (extensions["knativeerrordest"], extensions["knativeerrorcode"]) == ("http://reply.example/", "503")
    assert format_result(failed) == "the reply to http://reply.example/: 503"
    assert "http://reply.example/" in explain_failure(failed)


@pytest.mark.parametrize("status", [404, 408, 409, 429, 500, 503])
def test_a_reply_is_sent_again_by_the_delivery_specification(status: int) -> None:
    assert is_sent_again(Answered(status=status))


@pytest.mark.parametrize("status", [200, 202, 304, 400, 410])
def test_a_reply_is_not_sent_again_after_success_or_refusal(status: int) -> None:
    assert not is_sent_again(Answered(status=status))
