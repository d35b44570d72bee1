"""`darkroom webhooks`: what it writes, shows and refuses; and the dead letters of webhooks."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from standardwebhooks import Webhook, WebhookVerificationError

from darkroom.adapters.broker.memory import MemoryEmitter
from darkroom.adapters.deadletters import KeptDeadLetter
from darkroom.adapters.deadletters.memory import MemoryDeadLetters
from darkroom.adapters.jobs.memory import MemoryJobStore
from darkroom.adapters.jobs.owed import SendOutcome
from darkroom.cli.commands import command
from darkroom.contract import events
from darkroom.contract.errors import ImageCorruptError
from darkroom.contract.webhooks import MAX_ENDPOINTS_PER_KEY, subscriptions
from darkroom.redriving.redrive import Redrive
from darkroom.redriving.selection import Selection, select
from darkroom.serving.testing import MemoryPipeline
from darkroom.serving.webhook_file import read_endpoints, read_secrets
from functions.recovery.webhooks import WebhookSweep
from tests.scripted_http import Reply, scripted_server

URL = "https://shop.example/hooks/darkroom?token=secret"


class Shop:
    def __init__(self, folder: Path) -> None:
        self.endpoints, self.secrets, self.keys = folder / "w.json", folder / "s.json", folder / "keys.json"

    def run(self, *arguments: str) -> Result:
        files = ["--file", str(self.endpoints), "--secrets-file", str(self.secrets)]
        return CliRunner().invoke(command, ["webhooks", *arguments, *files], standalone_mode=False)

    def create(self, *options: str, url: str = URL) -> tuple[str, str]:
        """Returns the endpoint's id and its secret."""
        done = self.run("create", "--url", url, "--json", "--keys-file", str(self.keys), *options)
        assert done.exception is None, done.exception
        made = json.loads(done.stdout)
        return made["id"], made["secret"]

    def refused(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.exception is not None
        return str(getattr(done.exception, "message", done.exception))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_an_endpoint_belongs_to_the_key_that_is_named(shop: Shop) -> None:
    CliRunner().invoke(command, ["keys", "create", "--name", "shop", "--file", str(shop.keys)], standalone_mode=False)
    endpoint_id, secret = shop.create("--key", "shop", "--events", "job.failed")
    (endpoint,) = read_endpoints(shop.endpoints)
    assert endpoint.key_id in shop.keys.read_text()
    assert subscriptions([endpoint]) == f"{endpoint_id}:f"
    assert [one.secret for one in read_secrets(shop.secrets)[endpoint_id]] == [secret]
    assert secret not in shop.endpoints.read_text()
    assert stat.S_IMODE(shop.secrets.stat().st_mode) == 0o600
    assert "no valid key" in shop.refused("create", "--url", URL, "--key", "other", "--keys-file", str(shop.keys))


def test_the_list_shows_no_secret_and_of_the_url_the_host_alone(shop: Shop) -> None:
    endpoint_id, secret = shop.create()
    for options in ([], ["--json"]):
        shown = shop.run("list", *options).stdout
        assert endpoint_id in shown
        assert "shop.example" in shown
        assert secret not in shown
        assert "token" not in shown


def test_after_a_rotation_both_secrets_are_valid_and_the_new_one_comes_first(shop: Shop) -> None:
    endpoint_id, old = shop.create()
    new = json.loads(shop.run("rotate", endpoint_id[:6], "--json").stdout)["secret"]
    assert [one.secret for one in read_secrets(shop.secrets)[endpoint_id]] == [new, old]
    assert read_secrets(shop.secrets)[endpoint_id][1].valid_until is not None


def test_a_test_message_is_verified_with_the_old_and_the_new_secret(shop: Shop) -> None:
    allow = ("--allow-private", "127.0.0.0/8")
    with scripted_server(Reply(status=204)) as server:
        endpoint_id, old = shop.create(*allow, url=server.url)
        new = json.loads(shop.run("rotate", endpoint_id, "--json").stdout)["secret"]
        assert shop.run("test", endpoint_id, *allow).exception is None
        newest = json.loads(shop.run("rotate", endpoint_id, "--keep-old", "0s", "--json").stdout)["secret"]
        assert shop.run("test", endpoint_id, *allow).exception is None
    first, second = server.received
    for secret in (old, new):
        assert Webhook(secret).verify(first.body, first.headers)["test"] is True
    Webhook(newest).verify(second.body, second.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(second.body, second.headers)


def test_a_test_that_is_not_taken_says_why(shop: Shop) -> None:
    with scripted_server(Reply(status=500)) as server:
        endpoint_id, _ = shop.create("--allow-private", "127.0.0.0/8", url=f"{server.url}/?token=secret")
        said = shop.refused("test", endpoint_id, "--allow-private", "127.0.0.0/8")
        assert "webhook.answered" in said
        assert "500" in said
        assert "token" not in said
        assert "webhook.address_refused" in shop.refused("test", endpoint_id)


def test_loopback_is_refused_with_the_setting_that_allows_it(shop: Shop) -> None:
    said = shop.refused("create", "--url", "http://127.0.0.1:9000/hook")
    assert "WEBHOOK_ALLOW_PRIVATE=127.0.0.0/8" in said
    assert not shop.endpoints.exists()


def test_a_revoked_endpoint_is_told_nothing_and_its_secret_is_gone(shop: Shop) -> None:
    endpoint_id, secret = shop.create()
    assert shop.run("revoke", endpoint_id).exception is None
    assert subscriptions(read_endpoints(shop.endpoints)) == ""
    assert secret not in shop.secrets.read_text()
    assert "no valid endpoint" in shop.refused("rotate", endpoint_id)


def test_a_key_has_a_bounded_number_of_endpoints(shop: Shop) -> None:
    for _ in range(MAX_ENDPOINTS_PER_KEY):
        shop.create()
    assert f"at most {MAX_ENDPOINTS_PER_KEY}" in shop.refused("create", "--url", URL)


def test_a_file_that_is_none_of_ours_is_named_without_its_content(shop: Shop) -> None:
    shop.endpoints.write_text('{"endpoints": [{"id": "secret-text"}]}')
    said = shop.refused("list")
    assert str(shop.endpoints) in said
    assert "secret-text" not in said


# --- dead letters ----------------------------------------------------------------------------------------------------


def _given_up() -> tuple[MemoryJobStore, MemoryDeadLetters, KeptDeadLetter]:
    pipeline = MemoryPipeline("recovery")
    job_id = pipeline.accept(webhooks="we_aaaaaaaaaaa1")
    pipeline.jobs.fail(pipeline.claim(job_id), ImageCorruptError("not a picture"))
    owed = pipeline.jobs.owed.take("we_aaaaaaaaaaa1")
    assert owed is not None
    pipeline.jobs.owed.settle(owed, SendOutcome.GIVEN_UP, error="webhook.timeout")
    WebhookSweep(pipeline.resources).sweep()
    (kept,) = select(pipeline.dead_letters, Selection(kind="webhook", reason="webhook.timeout"))
    return pipeline.jobs, pipeline.dead_letters, kept


def test_a_redriven_webhook_is_owed_again_under_its_id_and_its_job_is_left_alone() -> None:
    jobs, letters, kept = _given_up()
    emitter = MemoryEmitter()
    done = Redrive(jobs, letters, emitter).redrive(kept, {})
    owed = jobs.owed.take("we_aaaaaaaaaaa1")
    assert owed is not None
    assert (owed.webhook_id, owed.tries) == (kept.letter.event["id"], 0)
    assert owed.webhook_id in done
    assert [event.type for event in emitter.events] == [events.WEBHOOK_DUE]
    assert letters.list() == []
    record = jobs.get(owed.job_id)
    assert record is not None
    assert record.redrives == 0


def test_a_dry_run_owes_nothing() -> None:
    jobs, letters, kept = _given_up()
    assert "would owe webhook" in Redrive(jobs, letters, None).redrive(kept, {}, dry_run=True)
    assert jobs.owed.due() == {}
    assert len(letters.list()) == 1
