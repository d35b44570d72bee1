"""API keys as text."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from darkroom.contract.api_keys import key_id_of, make_key


def test_a_key_bears_its_id_and_fits_what_is_kept_of_it() -> None:
    key, stored = make_key("shop")
    assert key_id_of(key) == stored.id
    assert stored.matches(key)
    assert stored.sha256 == hashlib.sha256(key.encode()).hexdigest()
    assert key.split("_")[2] not in repr(stored)


def test_a_secret_has_at_least_160_bits_and_no_two_keys_are_alike() -> None:
    keys = {make_key("")[0] for _ in range(200)}
    assert len(keys) == 200
    secret = keys.pop().split("_")[2][:-6]
    assert 62 ** len(secret) >= 2**160


@given(st.integers(0, 54), st.characters(min_codepoint=33, max_codepoint=126))
def test_a_mistyped_key_is_recognised_by_its_checksum(position: int, character: str) -> None:
    key, _ = make_key("")
    mistyped = key[:position] + character + key[position + 1 :]
    assert mistyped == key or key_id_of(mistyped) is None


def test_another_key_of_the_same_id_does_not_fit() -> None:
    key, stored = make_key("")
    other, _ = make_key("")
    assert not stored.matches(other)
    assert not stored.matches(key + "x")
