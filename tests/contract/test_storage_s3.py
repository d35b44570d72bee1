"""The behaviour of S3 storage alone: signed URLs that a real server checks, and a server's faults as our errors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3

from darkroom.adapters.storage import SignedRequest, s3_bucket
from darkroom.adapters.storage.s3 import S3Storage
from darkroom.adapters.storage.signing import Signer
from darkroom.contract.errors import DependencyUnavailableError, InputNotFoundError
from tests.contract.s3_storages import s3_storage
from tests.interpreter import python
from tests.listener import listening, threads_of_this_process
from tests.scripted_http import Reply, scripted_server
from tests.servers import S3_ACCESS_KEY, S3_SECRET_KEY, Server, running, s3_server

KEY = "uploads/1/original.jpg"


@pytest.fixture
def storage(s3: Server) -> Iterator[S3Storage]:
    made = s3_storage(s3.url)
    made.prepare()
    yield made
    made.close()


@pytest.fixture
def key() -> str:
    return f"uploads/{uuid.uuid4()}/original.jpg"


def send(signed: SignedRequest, **changes: object) -> urllib3.BaseHTTPResponse:
    request: dict[str, object] = {"method": signed.method, "url": signed.url, "headers": dict(signed.headers)}
    return urllib3.request(**{**request, **changes}, retries=False, timeout=60)  # type: ignore[arg-type]


# --- signed URLs -----------------------------------------------------------------------------------------------------


def test_a_signed_download_gives_the_picture_with_type_and_name_forced(storage: S3Storage, key: str) -> None:
    storage.put(key, b"<html>not a picture</html>", content_type="text/html")

    answer = send(storage.sign_download(key, content_type="image/jpeg", filename='a"\r\nb.jpg', lifetime_s=60))

    assert (answer.status, answer.data) == (200, b"<html>not a picture</html>")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="a___b.jpg"'


def test_a_signed_upload_stores_the_picture(storage: S3Storage, key: str) -> None:
    answer = send(storage.sign_upload(key, content_type="image/png", lifetime_s=60), body=b"a picture")

    assert answer.status == 200
    assert storage.get(key, max_bytes=100) == b"a picture"
    info = storage.info(key)
    assert info is not None
    assert info.content_type == "image/png"


def test_what_was_uploaded_cannot_be_replaced(storage: S3Storage, key: str) -> None:
    signed = storage.sign_upload(key, content_type="image/png", lifetime_s=60)
    later = storage.sign_upload(key, content_type="image/png", lifetime_s=60)
    assert send(signed, body=b"first").status == 200

    assert send(signed, body=b"second").status == 412
    assert send(later, body=b"second").status == 412
    assert send(signed, headers={"Content-Type": "image/png"}, body=b"second").status == 403, "the condition is signed"
    assert storage.get(key, max_bytes=100) == b"first"


def test_of_uploads_at_once_one_is_stored(storage: S3Storage, key: str) -> None:
    signed = storage.sign_upload(key, content_type="image/png", lifetime_s=60)
    bodies = [bytes([number]) * 3_000_000 for number in range(6)]
    with ThreadPoolExecutor(len(bodies)) as threads:
        statuses = list(threads.map(lambda body: send(signed, body=body).status, bodies))

    assert sorted(statuses) == [200] + [412] * 5
    assert storage.get(key, max_bytes=3_000_000) == bodies[statuses.index(200)]


def test_an_upload_of_a_declared_size_has_that_size(storage: S3Storage, key: str) -> None:
    signed = storage.sign_upload(key, content_type="image/png", lifetime_s=60, size_bytes=5)
    headers = {name: value for name, value in signed.headers.items() if name != "Content-Length"}

    assert send(signed, headers=headers, body=b"123456").status == 403
    assert storage.info(key) is None
    assert send(signed, headers=headers, body=b"12345").status == 200


def test_a_changed_signed_request_is_refused(storage: S3Storage, key: str) -> None:
    storage.put(key, b"mine", content_type="image/jpeg")
    storage.put("uploads/other", b"not yours", content_type="image/jpeg")
    download = storage.sign_download(key, content_type="image/jpeg", filename="a.jpg", lifetime_s=60)
    upload = storage.sign_upload(key, content_type="image/jpeg", lifetime_s=60)

    assert send(download).status == 200
    assert send(download, url=download.url.replace(key, "uploads/other")).status == 403
    assert send(download, method="DELETE").status == 403
    assert send(download, method="PUT", body=b"changed").status == 403
    assert send(download, url=download.url.replace("X-Amz-Expires=60", "X-Amz-Expires=900")).status == 403
    assert send(download, url=download.url.replace("image%2Fjpeg", "text%2Fhtml")).status == 403
    assert send(upload, headers={"Content-Type": "text/html"}, body=b"changed").status == 403
    assert storage.get(key, max_bytes=100) == b"mine"


def test_an_expired_signed_request_is_refused(storage: S3Storage, key: str) -> None:
    storage.put(key, b"mine", content_type="image/jpeg")
    signed = storage.sign_download(key, content_type="image/jpeg", filename="a.jpg", lifetime_s=1)
    give_up_at = time.monotonic() + 20

    while (status := send(signed).status) == 200 and time.monotonic() < give_up_at:
        time.sleep(0.1)

    assert status == 403


def test_urls_are_signed_for_the_host_that_clients_use(s3: Server) -> None:
    storage = s3_storage(s3.url, public_endpoint="https://pictures.example.com:443/")

    signed = storage.sign_download(KEY, content_type="image/jpeg", filename="a.jpg", lifetime_s=60)

    assert signed.url.startswith(f"https://pictures.example.com:443/pictures/{KEY}?")


def test_a_signer_never_shows_its_secret() -> None:
    signer = Signer(endpoint="http://localhost", access_key="a", secret_key="top-secret", region="us-east-1")

    assert "top-secret" not in repr(signer)


# --- faults ----------------------------------------------------------------------------------------------------------

GONE = Reply(status=503, body=b"<Error><Code>SlowDown</Code></Error>")
FINE = Reply(status=200, body=b"a picture", headers={"Content-Type": "image/jpeg"})


@pytest.mark.parametrize("fault", [GONE, Reply(hangs_up=True), Reply(status=500), Reply(status=429)])
def test_what_was_refused_for_a_moment_is_asked_once_more(fault: Reply) -> None:
    with scripted_server(fault, FINE) as server:
        assert s3_storage(server.url).get(KEY, max_bytes=100) == b"a picture"

    assert len(server.received) == 2


@pytest.mark.parametrize("fault", [GONE, Reply(hangs_up=True), Reply(status=500)])
def test_what_is_refused_twice_is_unavailable(fault: Reply) -> None:
    with scripted_server(fault) as server, pytest.raises(DependencyUnavailableError, match="storage: PutObject"):
        s3_storage(server.url).put(KEY, b"x", content_type="image/jpeg")

    assert len(server.received) == 2


def test_a_body_that_ends_early_is_never_a_picture() -> None:
    short = Reply(status=200, body=b"half a pic", declared_bytes=20)
    with scripted_server(short) as server, pytest.raises(DependencyUnavailableError):
        s3_storage(server.url).get(KEY, max_bytes=100)

    assert len(server.received) == 2


def test_a_storage_that_refuses_us_is_unavailable_and_is_not_asked_again() -> None:
    denied = Reply(status=403, body=b"<Error><Code>AccessDenied</Code></Error>")
    with (
        scripted_server(denied) as server,
        pytest.raises(DependencyUnavailableError, match="GetObject was answered 403 AccessDenied"),
    ):
        s3_storage(server.url).get(KEY, max_bytes=100)

    assert len(server.received) == 1


def test_a_404_to_what_is_stored_is_our_trouble_whoever_gave_it() -> None:
    with (
        scripted_server(Reply(status=404)) as server,
        pytest.raises(DependencyUnavailableError, match="PutObject was answered 404"),
    ):
        s3_storage(server.url).put(KEY, b"x", content_type="image/jpeg")

    assert len(server.received) == 1


def test_a_missing_bucket_is_our_trouble_and_not_a_missing_picture(s3: Server) -> None:
    storage = s3_storage(s3.url, bucket="nobody-made-this")

    with pytest.raises(DependencyUnavailableError):
        storage.check()
    with pytest.raises(DependencyUnavailableError):
        storage.get(KEY, max_bytes=100)


def test_errors_hold_neither_secrets_nor_signed_urls(s3: Server) -> None:
    storage = s3_storage(s3.url, access_key="somebody-else", secret_key="top-secret")

    with pytest.raises(DependencyUnavailableError) as raised:
        storage.get(KEY, max_bytes=100)

    for secret in ("top-secret", "somebody-else", S3_SECRET_KEY, "Signature", s3.url):
        assert secret not in str(raised.value)


def test_an_unreachable_storage_is_unavailable() -> None:
    with pytest.raises(DependencyUnavailableError, match="storage: ListObjectsV2 could not connect"):
        s3_storage("http://127.0.0.1:9").check()


def test_a_storage_that_does_not_answer_is_given_up_inside_the_lease(s3: Server, storage: S3Storage) -> None:
    impatient = s3_storage(s3.url, read_timeout_s=0.2, retry_within_s=0.1)
    with s3.paused(), pytest.raises(DependencyUnavailableError, match="got no answer in time"):
        impatient.check()

    storage.check()


def test_a_large_picture_is_given_longer_than_a_small_one() -> None:
    """The library's time limit for a response runs while it sends."""
    slow = Reply(status=200, headers={"ETag": '"x"'}, answers_after_s=1.5)
    with scripted_server(slow) as server:
        storage = s3_storage(server.url, read_timeout_s=1, retry_within_s=0)
        storage.put(KEY, bytes(17 * 1024 * 1024), content_type="image/jpeg")
        with pytest.raises(DependencyUnavailableError, match="PutObject got no answer in time"):
            storage.put(KEY, bytes(1000), content_type="image/jpeg")


def test_a_client_made_before_a_fork_serves_in_the_fork(s3: Server, storage: S3Storage, key: str) -> None:
    run = python(_USED_IN_A_FORK, s3.url, key)
    assert run.returncode == 0, run.stderr

    assert storage.get(key, max_bytes=100) == b"from the fork"


_USED_IN_A_FORK = """
import os, sys
from tests.contract.s3_storages import s3_storage
_, url, key = sys.argv
made_before = s3_storage(url)
made_before.warm()
assert len(os.listdir("/proc/self/task")) == 1, "warming has started threads"
pid = os.fork()
if pid == 0:
    made_before.put(key, b"from the fork", content_type="image/jpeg")
    os._exit(0)
sys.exit(os.waitpid(pid, 0)[1])
"""


def test_a_storage_that_restarts_serves_on_with_what_it_had(tmp_path: Path) -> None:
    with running(s3_server(tmp_path)) as server:
        storage = s3_storage(server.url)
        storage.prepare()
        storage.put(KEY, b"a picture", content_type="image/jpeg")

        server.kill()
        with pytest.raises(DependencyUnavailableError):
            storage.get(KEY, max_bytes=100)
        server.start()

        assert _eventually_get(storage) == b"a picture"


def _eventually_get(storage: S3Storage) -> bytes:
    """SeaweedFS answers 5xx for a while after its port is open."""
    give_up_at = time.monotonic() + 30
    while True:
        try:
            return storage.get(KEY, max_bytes=100)
        except (DependencyUnavailableError, InputNotFoundError):
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.1)


def test_nothing_is_connected_or_started_before_the_first_call() -> None:
    with listening() as server:
        before = threads_of_this_process()
        storage = s3_storage(f"http://{server.address}", read_timeout_s=0.2, retry_within_s=0)
        storage.warm()
        storage.sign_download(KEY, content_type="image/jpeg", filename="a.jpg", lifetime_s=60)
        # Without a thread more, nobody is left to connect later.
        assert threads_of_this_process() <= before
        assert not server.was_connected_to()

        with pytest.raises(DependencyUnavailableError):
            storage.check()
        assert server.was_connected_to()


# --- pages in browsers -----------------------------------------------------------------------------------------------


def cors_of(url: str, origin: str) -> urllib3.BaseHTTPResponse:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    return urllib3.request("OPTIONS", url, headers=headers, retries=False)


def test_pages_of_allowed_origins_may_use_signed_urls_and_other_rules_stay(s3: Server) -> None:
    bucket = f"pages-{uuid.uuid4().hex[:12]}"
    s3_storage(s3.url, bucket=bucket).prepare()
    client = s3_bucket.client(s3.url, S3_ACCESS_KEY, S3_SECRET_KEY, "us-east-1")
    others: Any = {"ID": "theirs", "AllowedOrigins": ["https://theirs.example"], "AllowedMethods": ["PUT"]}
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [others]})
    for origins in (("https://first.example",), ("https://shop.example", "http://127.0.0.1:3000")):
        storage = s3_storage(s3.url, bucket=bucket, allowed_origins=origins)
        storage.prepare()

    signed = storage.sign_upload("uploads/a", content_type="image/png", lifetime_s=60)
    for origin in ("https://shop.example", "http://127.0.0.1:3000", "https://theirs.example"):
        assert cors_of(signed.url, origin).headers.get("Access-Control-Allow-Origin") == origin
    for origin in ("https://first.example", "https://evil.example"):
        assert "Access-Control-Allow-Origin" not in cors_of(signed.url, origin).headers
    assert {rule["ID"] for rule in client.get_bucket_cors(Bucket=bucket)["CORSRules"]} == {"theirs", "darkroom-pages"}
    client.close()


# --- erasing ---------------------------------------------------------------------------------------------------------


def test_every_version_and_every_unfinished_upload_is_erased(s3: Server, storage: S3Storage, key: str) -> None:
    bucket = f"versioned-{uuid.uuid4()}"
    versioned = s3_storage(s3.url, bucket=bucket)
    versioned.prepare()
    client = s3_bucket.client(s3.url, S3_ACCESS_KEY, S3_SECRET_KEY, "us-east-1")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"first", b"second"):
        versioned.put(key, body, content_type="image/jpeg")
    versioned.delete(key)
    versioned.begin_put(key, content_type="image/jpeg").write([b"part of a picture"])
    assert everything(client, bucket) == {"Versions": 2, "DeleteMarkers": 1, "Uploads": 1}

    assert versioned.erase(key) == 4

    assert everything(client, bucket) == {"Versions": 0, "DeleteMarkers": 0, "Uploads": 0}
    client.close()
    versioned.close()


def everything(client: Any, bucket: str) -> dict[str, int]:
    versions, uploads = client.list_object_versions(Bucket=bucket), client.list_multipart_uploads(Bucket=bucket)
    found = {name: len(versions.get(name, ())) for name in ("Versions", "DeleteMarkers")}
    return {**found, "Uploads": len(uploads.get("Uploads", ()))}


def test_more_versions_than_a_page_has_are_erased(storage: S3Storage) -> None:
    prefix = f"processed/{uuid.uuid4()}/"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: storage.put(f"{prefix}{n}.jpg", b"x", content_type="image/jpeg"), range(1005)))
    assert storage.erase_all(prefix) == 1005
    assert storage.erase_all(prefix) == 0


def test_a_server_that_refuses_to_erase_is_reported_by_its_answer_alone(s3: Server) -> None:
    storage = s3_storage(s3.url, secret_key="wrong")
    with pytest.raises(DependencyUnavailableError, match=r"^storage: ListMultipartUploads was answered 403 \w+$"):
        storage.erase("uploads/1/original")
