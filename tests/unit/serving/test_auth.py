"""Keys from a file: which are accepted, and how soon a change takes effect."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from darkroom.contract.api_keys import make_key
from darkroom.contract.errors import AuthInvalidError, AuthMissingError, DependencyUnavailableError
from darkroom.errors import SettingsError
from darkroom.serving.auth import KeyFileAuthenticator, NoKeys, authenticator
from darkroom.serving.client_address import client_address, parse_networks
from darkroom.serving.key_file import KeyFileError, read_key_file, write_key_file
from darkroom.serving.settings import Settings


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def test_the_holder_of_a_key_is_known_by_its_id(path: Path) -> None:
    (key, stored), (other, other_stored) = make_key("a"), make_key("b")
    write_key_file(path, [stored, other_stored])
    auth = KeyFileAuthenticator(path)
    assert auth.owner_of(bearer(key)) == stored.id
    assert auth.owner_of({"authorization": f"bearer  {other} "}) == other_stored.id


def test_a_key_has_the_weight_that_it_was_made_with(path: Path) -> None:
    (key, plain), (_, heavy) = make_key("a"), make_key("b", weight=2.5)
    write_key_file(path, [plain, heavy])
    assert "weight" not in path.read_text().split(heavy.id)[0], "versions before would refuse the file"
    auth = KeyFileAuthenticator(path)
    assert auth.owner_of(bearer(key)) == plain.id
    assert (auth.weight_of(plain.id), auth.weight_of(heavy.id), auth.weight_of("unknown")) == (1.0, 2.5, 1.0)


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": ""}, {"authorization": "Bearer "}, {"authorization": "Basic eA=="}]
)
def test_a_missing_key_is_distinguished_from_a_wrong_one(path: Path, headers: dict[str, str]) -> None:
    write_key_file(path, [])
    with pytest.raises(AuthMissingError):
        KeyFileAuthenticator(path).owner_of(headers)


def test_a_wrong_key_is_refused_and_not_repeated(path: Path) -> None:
    (_, stored), (stranger, _) = make_key("a"), make_key("b")
    write_key_file(path, [stored])
    auth = KeyFileAuthenticator(path)
    for key in (stranger, stranger[:-1], f"drk_{stored.id}_{stranger[17:]}", "ü", "x" * 10_000):
        with pytest.raises(AuthInvalidError) as refused:
            auth.owner_of(bearer(key))
        assert key not in str(refused.value)


def test_a_revoked_key_is_refused_within_a_second_without_a_restart(path: Path, clock: Clock) -> None:
    (key, stored), (kept, kept_stored) = make_key("a"), make_key("b")
    write_key_file(path, [stored, kept_stored])
    auth = KeyFileAuthenticator(path, clock=clock)
    assert auth.owner_of(bearer(key)) == stored.id
    write_key_file(path, [replace(stored, revoked_at=datetime.now(UTC)), kept_stored])
    clock.now_s += 0.99
    with pytest.raises(AuthInvalidError):
        auth.owner_of(bearer(key))
    assert auth.owner_of(bearer(kept)) == kept_stored.id


def test_a_new_key_is_taken_at_its_first_use(path: Path, clock: Clock) -> None:
    (key, stored), (new, new_stored) = make_key("a"), make_key("b")
    write_key_file(path, [stored])
    auth = KeyFileAuthenticator(path, clock=clock)
    assert auth.owner_of(bearer(key)) == stored.id
    write_key_file(path, [stored, new_stored])
    clock.now_s += 0.03
    assert auth.owner_of(bearer(new)) == new_stored.id


def test_made_up_keys_do_not_have_the_file_read_for_each(path: Path, clock: Clock) -> None:
    write_key_file(path, [])
    auth = KeyFileAuthenticator(path, clock=clock)
    late, stored = make_key("late")
    with pytest.raises(AuthInvalidError):
        auth.owner_of(bearer(make_key("made up")[0]))
    write_key_file(path, [stored])
    with pytest.raises(AuthInvalidError):
        auth.owner_of(bearer(late))
    clock.now_s += 0.03
    assert auth.owner_of(bearer(late)) == stored.id


def test_a_new_key_is_taken_within_a_second(path: Path, clock: Clock) -> None:
    write_key_file(path, [])
    auth = KeyFileAuthenticator(path, clock=clock)
    key, stored = make_key("a")
    with pytest.raises(AuthInvalidError):
        auth.owner_of(bearer(key))
    write_key_file(path, [stored])
    clock.now_s += 0.99
    assert auth.owner_of(bearer(key)) == stored.id


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"keys": [{"id": "short"}]}'])
def test_a_list_that_cannot_be_read_lets_nobody_in_until_it_can(path: Path, clock: Clock, content: str | None) -> None:
    key, stored = make_key("a")
    write_key_file(path, [stored])
    auth = KeyFileAuthenticator(path, clock=clock)
    auth.owner_of(bearer(key))
    path.unlink()
    if content is not None:
        path.write_text(content)
    clock.now_s += 1
    with pytest.raises(DependencyUnavailableError):
        auth.owner_of(bearer(key))
    write_key_file(path, [stored])
    clock.now_s += 1
    assert auth.owner_of(bearer(key)) == stored.id


def test_the_file_is_for_its_owner_only_and_holds_no_key(path: Path) -> None:
    key, stored = make_key("a")
    write_key_file(path, [stored])
    assert path.stat().st_mode & 0o077 == 0
    assert key[17:] not in path.read_text()
    assert read_key_file(path) == [stored]
    assert list(path.parent.iterdir()) == [path]


def test_the_error_of_a_file_does_not_show_its_content(path: Path) -> None:
    path.write_text('{"keys": [{"id": "canary", "sha256": "canary", "created_at": "canary"}]}')
    with pytest.raises(KeyFileError) as refused:
        read_key_file(path)
    assert "keys.0.id" in str(refused.value)
    assert "canary" not in str(refused.value)


def settings(**variables: str) -> Settings:
    return Settings.load(needs=frozenset(), environment=variables)


def test_keys_are_off_only_by_an_explicit_setting(path: Path) -> None:
    assert isinstance(authenticator(settings(API_KEYS="off")), NoKeys)
    with pytest.raises(SettingsError, match="API_KEYS_FILE"):
        authenticator(settings())
    with pytest.raises(SettingsError, match="API_KEYS_FILE"):
        authenticator(settings(API_KEYS_FILE=str(path)))
    with pytest.raises(SettingsError, match="API_KEYS"):
        settings(API_KEYS="no")


@pytest.mark.parametrize(
    ("variables", "name"),
    [({"RATE_LIMIT": "many"}, "RATE_LIMIT"), ({"TRUSTED_PROXIES": "proxy.local"}, "TRUSTED_PROXIES")],
)
def test_wrong_settings_of_the_front_door_are_named(variables: dict[str, str], name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        settings(**variables)


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "trusted", "address"),
    [
        ("1.1.1.1", "", "", "1.1.1.1"),
        ("1.1.1.1", "9.9.9.9", "", "1.1.1.1"),
        ("10.0.0.1", "9.9.9.9", "10.0.0.0/8", "9.9.9.9"),
        ("10.0.0.1", "6.6.6.6, 9.9.9.9, 10.0.0.2", "10.0.0.0/8", "9.9.9.9"),
        ("9.9.9.9", "6.6.6.6", "10.0.0.0/8", "9.9.9.9"),
        ("10.0.0.1", "nonsense", "10.0.0.0/8", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.0/8", "10.0.0.3"),
        ("::1", "2001:db8::7", "::1", "2001:db8::7"),
        ("unknown", "9.9.9.9", "10.0.0.0/8", "unknown"),
    ],
)
def test_only_trusted_proxies_are_believed(peer: str, forwarded_for: str, trusted: str, address: str) -> None:
    assert client_address(peer, forwarded_for, parse_networks(trusted)) == address
