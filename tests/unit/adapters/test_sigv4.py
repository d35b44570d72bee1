"""Held against AWS' own examples, and against the signer of AWS' own library."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as LibraryCredentials

from darkroom.adapters.storage import sigv4
from darkroom.adapters.storage.sigv4 import Credentials

EXAMPLE = Credentials(access_key="AKIAIOSFODNN7EXAMPLE", secret_key="wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
EXAMPLE_HOST = "examplebucket.s3.amazonaws.com"
EXAMPLE_MOMENT = datetime(2013, 5, 24, tzinfo=UTC)
EMPTY = hashlib.sha256(b"").hexdigest()
TEMPORARY = Credentials(access_key="ASIA", secret_key="secret", session_token="to/ken+=")


def test_a_request_is_signed_as_in_the_example_of_aws() -> None:
    """Signature Calculations for the Authorization Header, "Example: GET Object"."""
    headers = sigv4.signed_headers(
        EXAMPLE,
        method="GET",
        host=EXAMPLE_HOST,
        path="/test.txt",
        headers={"range": "bytes=0-9"},
        payload=EMPTY,
        region="us-east-1",
        now=EXAMPLE_MOMENT,
    )

    assert headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


def test_a_url_is_signed_as_in_the_example_of_aws() -> None:
    """Authenticating Requests: Using Query Parameters, "An Example"."""
    query = sigv4.signed_query(
        EXAMPLE,
        method="GET",
        host=EXAMPLE_HOST,
        path="/test.txt",
        parameters={},
        headers={},
        lifetime_s=86400,
        region="us-east-1",
        now=EXAMPLE_MOMENT,
    )

    assert query.endswith("&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


@pytest.mark.parametrize("credentials", [EXAMPLE, TEMPORARY])
@pytest.mark.parametrize("path", ["/bucket", "/bucket/uploads/a b/~ü%2F+.jpg"])
@pytest.mark.parametrize("query", ["", "lifecycle="])
def test_requests_are_signed_as_by_the_library_of_aws(credentials: Credentials, path: str, query: str) -> None:
    encoded, body = sigv4.encoded_path(path), b"a picture"
    url = f"http://127.0.0.1:9000{encoded}" + (f"?{query}" if query else "")
    request = AWSRequest(method="PUT", url=url, data=body, headers={"content-type": "image/jpeg"})
    request.context["payload_signing_enabled"] = True
    S3SigV4Auth(_library(credentials), "s3", "eu-north-1").add_auth(request)
    moment = datetime.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    headers = sigv4.signed_headers(
        credentials,
        method="PUT",
        host="127.0.0.1:9000",
        path=encoded,
        query=query,
        headers={"content-type": "image/jpeg"},
        payload=hashlib.sha256(body).hexdigest(),
        region="eu-north-1",
        now=moment,
    )

    assert headers["authorization"] == request.headers["Authorization"]


@pytest.mark.parametrize("credentials", [EXAMPLE, TEMPORARY])
def test_urls_are_signed_as_by_the_library_of_aws(credentials: Credentials) -> None:
    parameters = {
        "response-content-disposition": 'attachment; filename="a b.jpg"',
        "response-content-type": "image/jpeg",
    }
    request = AWSRequest(method="PUT", url="https://pictures.example.com/bucket/a.jpg", params=parameters)
    request.headers["Content-Type"] = "image/png"
    S3SigV4QueryAuth(_library(credentials), "s3", "us-east-1", expires=60).add_auth(request)
    moment = datetime.strptime(request.context["timestamp"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)

    query = sigv4.signed_query(
        credentials,
        method="PUT",
        host="pictures.example.com",
        path="/bucket/a.jpg",
        parameters=parameters,
        headers={"content-type": "image/png"},
        lifetime_s=60,
        region="us-east-1",
        now=moment,
    )

    assert query.partition("X-Amz-Signature=")[2] == request.url.partition("X-Amz-Signature=")[2]


def test_a_moment_of_another_time_zone_is_signed_in_utc() -> None:
    def signed(now: datetime) -> dict[str, str]:
        return sigv4.signed_headers(
            EXAMPLE, method="GET", host="h", path="/", headers={}, payload=EMPTY, region="us-east-1", now=now
        )

    elsewhere = timezone(timedelta(hours=5))
    evening = datetime(2026, 1, 1, 22, 30, tzinfo=UTC)

    assert signed(evening) == signed(evening.astimezone(elsewhere))


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("http://127.0.0.1:9000", "127.0.0.1:9000"),
        ("https://pictures.example.com:443/", "pictures.example.com"),
        ("http://pictures.example.com:80", "pictures.example.com"),
        ("https://pictures.example.com:80", "pictures.example.com:80"),
        ("http://[::1]:9000", "[::1]:9000"),
    ],
)
def test_the_host_is_what_clients_send(endpoint: str, host: str) -> None:
    assert sigv4.host_of(endpoint) == host


def test_credentials_never_show_their_secrets() -> None:
    assert "secret" not in repr(TEMPORARY).replace("secret_key", "")
    assert "to/ken" not in repr(TEMPORARY)


def _library(credentials: Credentials) -> LibraryCredentials:
    return LibraryCredentials(credentials.access_key, credentials.secret_key, credentials.session_token)
