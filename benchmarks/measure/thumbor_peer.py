"""Runs thumbor as a server with several processes: from S3 to S3 with thumbor-aws, or from a local file to nowhere.

No rendering is answered from a store: each request names the same picture under another path, and its sources are not
kept. From S3 to S3, the result storage really stores; the benchmark counts the objects.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure.cpu_time import Family
from darkroom.local.children import guard
from tests.servers import LOOPBACK, Server, accepts, free_port, running

RESULTS_PREFIX = "thumbor-results"
QUALITY = 80
"""Darkroom's default for JPEG."""
_BOTH = f"""
from urllib.parse import unquote
STORAGE = "thumbor.storages.no_storage"
QUALITY = {QUALITY}
PROGRESSIVE_JPEG = False
MAX_AGE = 0
ALLOW_UNSAFE_URL = True
HTTP_LOADER_FOLLOW_REDIRECTS = False
"""
_FROM_S3 = """
LOADER = "thumbor_aws.loader"
RESULT_STORAGE = "thumbor_aws.result_storage"
RESULT_STORAGE_STORES_UNSAFE = True
# thumbor-aws' loader looks at the settings of its storage, which nobody else would define.
AWS_LOADER_REGION_NAME = AWS_STORAGE_REGION_NAME = AWS_RESULT_STORAGE_REGION_NAME = "us-east-1"
AWS_STORAGE_S3_ACL = None
AWS_LOADER_BUCKET_NAME = AWS_STORAGE_BUCKET_NAME = AWS_RESULT_STORAGE_BUCKET_NAME = {bucket!r}
AWS_LOADER_S3_ENDPOINT_URL = AWS_STORAGE_S3_ENDPOINT_URL = AWS_RESULT_STORAGE_S3_ENDPOINT_URL = {endpoint!r}
AWS_LOADER_S3_ACCESS_KEY_ID = AWS_STORAGE_S3_ACCESS_KEY_ID = AWS_RESULT_STORAGE_S3_ACCESS_KEY_ID = {access_key!r}
AWS_LOADER_S3_SECRET_ACCESS_KEY = AWS_STORAGE_S3_SECRET_ACCESS_KEY = {secret_key!r}
AWS_RESULT_STORAGE_S3_SECRET_ACCESS_KEY = {secret_key!r}
AWS_LOADER_ROOT_PATH = ""
AWS_RESULT_STORAGE_ROOT_PATH = {results!r}
# A source is asked for as request-<number>/<key>: every result has a key of its own, all have one source.
# Defaults instead of names: thumbor runs this file where a lambda does not see them.
AWS_NORMALIZER = lambda path, unquote=unquote: (
    unquote(path).lstrip("/").partition("/")[2]
    if path.lstrip("/").startswith("request-")
    else unquote(path).lstrip("/")
)
"""
_FROM_FILES = """
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = {folder!r}
"""


@dataclass(frozen=True, kw_only=True)
class S3:
    endpoint: str
    bucket: str
    access_key: str
    secret_key: str


@dataclass(frozen=True, kw_only=True)
class Thumbor:
    url: str
    family: Family


def is_installed(python: str) -> bool:
    probe = [python, "-c", "import thumbor.engines.pil, thumbor_aws.loader"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@contextmanager
def thumbor_from_s3(python: str, s3: S3, folder: Path, *, processes: int) -> Iterator[Thumbor]:
    settings = _FROM_S3.format(
        bucket=s3.bucket,
        endpoint=s3.endpoint,
        access_key=s3.access_key,
        secret_key=s3.secret_key,
        results=RESULTS_PREFIX,
    )
    with _running(python, _BOTH + settings, folder, processes, "thumbor from S3") as peer:
        yield peer


@contextmanager
def thumbor_from_files(python: str, pictures: Path, folder: Path, *, processes: int) -> Iterator[Thumbor]:
    settings = _FROM_FILES.format(folder=str(pictures))
    with _running(python, _BOTH + settings, folder, processes, "thumbor from a file") as peer:
        yield peer


@contextmanager
def _running(python: str, settings: str, folder: Path, processes: int, name: str) -> Iterator[Thumbor]:
    folder.mkdir(parents=True)
    (folder / "thumbor.conf").write_text(settings)
    port = free_port()
    # Through the guard, so that thumbor's forks end with it, and thumbor with us.
    guarded = [python, "-P", guard.__file__, str(os.getpid()), "python", "thumbor.server"]
    command = [*guarded, f"--port={port}", f"--ip={LOOPBACK}", f"--processes={processes}"]
    server = Server(
        url=f"http://{LOOPBACK}:{port}",
        command=[*command, "--conf=thumbor.conf", "--log-level=error"],
        folder=folder,
        is_ready=lambda: accepts(port),
    )
    with running(server):
        yield Thumbor(url=server.url, family=Family(pid=server.pid, name=name))
