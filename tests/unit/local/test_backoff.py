from __future__ import annotations

from darkroom.local.children.backoff import Backoff


def test_the_delay_doubles_from_a_tenth_of_a_second_up_to_five() -> None:
    backoff = Backoff()

    delays = [backoff.next_delay_s(uptime_s=0) for _ in range(8)]

    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_process_that_stayed_up_for_half_a_minute_resets_the_delays() -> None:
    backoff = Backoff()
    for _ in range(5):
        backoff.next_delay_s(uptime_s=29.9)

    assert backoff.next_delay_s(uptime_s=30) == 0.1
