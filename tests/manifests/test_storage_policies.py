"""Each function's storage policy on a real S3 server, as far as that one judges: SeaweedFS, which reads AWS' language.

MinIO, for which they are, runs on no machine without a container engine; that its own reading is the same is not shown
here.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session

from darkroom.adapters.storage.s3 import S3Storage
from darkroom.contract.errors import DependencyUnavailableError
from tests.contract.s3_storages import s3_storage
from tests.servers import S3_ACCESS_KEY, S3_SECRET_KEY, running, s3_server

POLICIES = Path(__file__).parents[2] / "knative" / "components" / "minio" / "policies"
BUCKET = "processed-images"
NOT_JUDGED = {"setup", "eraser"}
"""SeaweedFS' IAM API refuses a policy that names CreateBucket or ListBucketMultipartUploads. Its own policy for the
eraser, which the server reads at its start, is judged by test_seaweedfs.py."""
ERASED = ("uploads/4/original", "processed/4.png", "elsewhere/4")
"""What is tried to be erased: refusing to erase nothing would show nothing."""
DENIED = {"AccessDenied", "403", "Forbidden"}


@dataclass(frozen=True, kw_only=True)
class Keys:
    access_key: str
    secret_key: str


def client(service: str, url: str, keys: Keys) -> Any:
    return Session().create_client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
    )


@dataclass(frozen=True, kw_only=True)
class User:
    storage: S3Storage
    """As the functions ask."""
    s3: Any
    """For what they never ask for."""


@pytest.fixture(scope="module")
def users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], User]]:
    """One with each policy."""
    server = s3_server(tmp_path_factory.mktemp("s3"))
    server.command.append("-s3.iam.readOnly=false")
    with running(server):
        admin = Keys(access_key=S3_ACCESS_KEY, secret_key=S3_SECRET_KEY)
        storage = client("s3", server.url, admin)
        storage.create_bucket(Bucket=BUCKET)
        for key in ("uploads/1/original", "processed/1.png", *ERASED):
            storage.put_object(Bucket=BUCKET, Key=key, Body=b"a picture")
        iam = client("iam", server.url, admin)
        made = {policy.stem: user(server.url, make_user(iam, policy)) for policy in judged()}
        yield made.__getitem__


def user(url: str, keys: Keys) -> User:
    storage = s3_storage(url, access_key=keys.access_key, secret_key=keys.secret_key, bucket=BUCKET)
    return User(storage=storage, s3=client("s3", url, keys))


def judged() -> list[Path]:
    return [policy for policy in POLICIES.glob("*.json") if policy.stem not in NOT_JUDGED]


def make_user(iam: Any, policy: Path) -> Keys:
    name = policy.stem
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName=name, PolicyDocument=policy.read_text())
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Keys(access_key=key["AccessKeyId"], secret_key=key["SecretAccessKey"])


ACTIONS: dict[str, Callable[[User], object]] = {
    "read an upload": lambda user: user.storage.get("uploads/1/original", max_bytes=100),
    "store an upload": lambda user: put(user, f"uploads/{uuid.uuid4()}/original"),
    "store a large upload": lambda user: stream(user, f"uploads/{uuid.uuid4()}/original"),
    "drop a large upload": lambda user: user.storage.begin_put("uploads/3/original", content_type="image/png").abort(),
    "remove an upload": lambda user: user.storage.delete("uploads/2/original"),
    "read a result": lambda user: user.storage.get("processed/1.png", max_bytes=100),
    "store a result": lambda user: put(user, f"processed/{uuid.uuid4()}.png"),
    "remove a result": lambda user: user.storage.delete("processed/2.png"),
    "erase an upload": lambda user: user.storage.erase("uploads/4/original"),
    "erase a result": lambda user: user.storage.erase("processed/4.png"),
    "read a keeper": lambda user: user.storage.info("uploads/1/job.json"),
    "store a keeper": lambda user: put(user, "uploads/1/job.json"),
    "erase elsewhere": lambda user: user.s3.delete_object(Bucket=BUCKET, Key="elsewhere/4", VersionId="null"),
    "store elsewhere": lambda user: put(user, "elsewhere/1"),
    "remove the bucket": lambda user: user.s3.delete_bucket(Bucket=BUCKET),
    "make a bucket": lambda user: user.s3.create_bucket(Bucket="another"),
    "ask for the bucket": lambda user: user.storage.check(),
}
MAY = {
    "ingest": {
        "read an upload",
        "read a keeper",
        "store a keeper",
        "store an upload",
        "store a large upload",
        "drop a large upload",
        "remove an upload",
        "ask for the bucket",
    },
    "status": {"read a result", "ask for the bucket"},
    "eraser": {
        "remove an upload",
        "read a result",
        "remove a result",
        "erase an upload",
        "erase a result",
        "read a keeper",
        "store a keeper",
        "ask for the bucket",
    },
    "console": {"read an upload", "read a result", "read a keeper", "store a keeper", "ask for the bucket"},
    "renderer": {"read an upload", "read a keeper", "store a result", "ask for the bucket"},
}


def test_every_policy_is_tried() -> None:
    assert {policy.stem for policy in POLICIES.glob("*.json")} == set(MAY) | NOT_JUDGED


@pytest.mark.parametrize("user", sorted(MAY.keys() - NOT_JUDGED))
def test_a_user_may_do_what_its_function_does_and_nothing_else(users: Callable[[str], User], user: str) -> None:
    assert {what for what, act in ACTIONS.items() if not is_denied(act, users(user))} == MAY[user]


def put(user: User, key: str) -> None:
    user.storage.put(key, b"x", content_type="image/png")


def stream(user: User, key: str) -> None:
    streamed = user.storage.begin_put(key, content_type="image/png")
    streamed.write([b"x"])
    streamed.commit()


def is_denied(act: Callable[[User], object], user: User) -> bool:
    try:
        act(user)
    except ClientError as exc:
        if exc.response["Error"]["Code"] not in DENIED:
            raise
        return True
    except DependencyUnavailableError as exc:
        if not any(word in exc.detail for word in DENIED):
            raise
        return True
    return False
