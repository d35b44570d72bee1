"""What each variable of a function's environment changes: observed at the server, the process or the job it is for."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import time
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError
from redis import Redis

from darkroom.adapters.jobs import Lease, NewJob
from darkroom.adapters.jobs.redis import RedisJobStore
from darkroom.contract.api_keys import make_key
from darkroom.contract.errors import DarkroomError, DependencyUnavailableError
from darkroom.contract.events import requested
from darkroom.errors import SettingsError
from darkroom.imaging.photograph import make_photograph
from darkroom.local.extension import Run
from darkroom.pipeline import Pipeline
from darkroom.serving.key_file import write_key_file
from darkroom.serving.resources import Resources
from darkroom.serving.settings import Settings
from darkroom.serving.testing import HttpClient, MemoryPipeline
from functions.ingest.app import build
from tests.listener import listening
from tests.scripted_http import Received, Reply, scripted_server
from tests.servers import S3_ACCESS_KEY, S3_SECRET_KEY, Server
from tests.stack import ROOT

PICTURE = make_photograph(64, 48)


def settings(**variables: str) -> Settings:
    return Settings.load(needs=frozenset(), environment=variables)


def resources(**variables: str) -> Resources:
    return Resources(settings(**variables))


def job_store(redis: Server, **variables: str) -> RedisJobStore:
    made = resources(REDIS_URL=redis.url, **variables).jobs
    assert isinstance(made, RedisJobStore)
    return made


def asked_of_storage(**variables: str) -> Received:
    """The request that a check of the storage sends; `{address}` in a value stands for the server's."""
    with scripted_server(Reply(status=403)) as server:
        address = server.url.removeprefix("http://")
        filled = {name: value.replace("{address}", address) for name, value in variables.items()}
        with pytest.raises(DependencyUnavailableError):
            resources(**filled).storage.check()
    return server.received[0]


STORAGE = {"STORAGE_ENDPOINT": "http://{address}", "STORAGE_ACCESS_KEY": "an-id", "STORAGE_SECRET_KEY": "a-secret"}


def signed_for(request: Received) -> list[str]:
    """The credential's parts: access key, day, region, service."""
    return request.headers["authorization"].split("Credential=")[1].split(",")[0].split("/")


# --- servers ---------------------------------------------------------------------------------------------------------


def test_nats_url_is_where_dead_letters_are_kept() -> None:
    with listening() as server:
        with pytest.raises(DependencyUnavailableError):
            resources(NATS_URL=f"nats://{server.address}").dead_letters.get(1)
        assert server.was_connected_to()


def test_redis_url_is_where_jobs_are_kept(redis: Server) -> None:
    with listening() as server:
        elsewhere = resources(REDIS_URL=f"redis://{server.address}")
        with pytest.raises(DependencyUnavailableError):
            elsewhere.jobs.check()
        assert server.was_connected_to()
    resources(REDIS_URL=redis.url).jobs.check()


@pytest.mark.parametrize("endpoint", ["http://{address}", "{address}", "http://{address}/"])
def test_storage_endpoint_is_asked_with_a_scheme_or_without(endpoint: str) -> None:
    assert asked_of_storage(**{**STORAGE, "STORAGE_ENDPOINT": endpoint}).path.startswith("/processed-images?")


def test_an_s3_endpoint_without_a_scheme_is_asked_by_https() -> None:
    assert settings(STORAGE_TYPE="s3", STORAGE_ENDPOINT="s3.example:9000").storage_endpoint == "https://s3.example:9000"
    assert settings(STORAGE_TYPE="minio", STORAGE_ENDPOINT="minio:9000").storage_endpoint == "http://minio:9000"
    with listening() as server:
        made = resources(STORAGE_TYPE="s3", STORAGE_ENDPOINT=server.address, STORAGE_ACCESS_KEY="a")
        with pytest.raises(DependencyUnavailableError):
            made.storage.check()
        assert server.was_connected_to()


def test_storage_type_chooses_the_storage(tmp_path: Path) -> None:
    local = resources(STORAGE_TYPE="local", STORAGE_ENDPOINT=str(tmp_path)).storage
    local.put("uploads/a", PICTURE, content_type="image/jpeg")
    assert (tmp_path / "uploads/a").read_bytes() == PICTURE
    aws = resources(STORAGE_TYPE="s3", STORAGE_REGION="eu-central-1").storage
    signed = aws.sign_download("processed/a", content_type="image/jpeg", filename="a", lifetime_s=60)
    assert signed.url.startswith("https://s3.eu-central-1.amazonaws.com/processed-images/processed/a?")


def test_storage_public_endpoint_is_the_host_of_signed_urls(tmp_path: Path) -> None:
    for variables, prefix in (
        ({"STORAGE_ENDPOINT": "minio:9000"}, "http://minio:9000/processed-images/"),
        ({"STORAGE_ENDPOINT": "minio:9000", "STORAGE_PUBLIC_ENDPOINT": "https://pictures.example"}, "https://pictures"),
        ({"STORAGE_ENDPOINT": "minio:9000", "STORAGE_PUBLIC_ENDPOINT": "pictures.example:81"}, "http://pictures"),
        ({"STORAGE_TYPE": "local", "STORAGE_ENDPOINT": str(tmp_path)}, "/api/v1/files/"),
        (
            {
                "STORAGE_TYPE": "local",
                "STORAGE_ENDPOINT": str(tmp_path),
                "STORAGE_PUBLIC_ENDPOINT": "https://api.example",
            },
            "https://api.example/api/v1/files/",
        ),
    ):
        storage = resources(STORAGE_ACCESS_KEY="a", STORAGE_SECRET_KEY="b", **variables).storage
        assert storage.sign_upload("uploads/a", content_type="image/png", lifetime_s=60).url.startswith(prefix)


@pytest.mark.parametrize("prefix", ["STORAGE", "MINIO"])
def test_the_keys_of_the_storage_are_those_of_requests(prefix: str) -> None:
    keys = {f"{prefix}_ACCESS_KEY": "the-id", f"{prefix}_SECRET_KEY": "the-secret"}
    request = asked_of_storage(STORAGE_ENDPOINT="{address}", **keys)
    assert signed_for(request)[0] == "the-id"
    assert "the-secret" not in str(request)
    assert "the-secret" not in repr(settings(**keys))


def test_a_wrong_secret_key_is_refused_by_the_storage(s3: Server) -> None:
    right = {"STORAGE_ENDPOINT": s3.url, "STORAGE_ACCESS_KEY": S3_ACCESS_KEY, "STORAGE_SECRET_KEY": S3_SECRET_KEY}
    made = resources(**right, BUCKET_NAME="of-settings").storage
    made.prepare()
    made.check()
    with pytest.raises(DependencyUnavailableError, match="403"):
        resources(**{**right, "STORAGE_SECRET_KEY": "wrong"}, BUCKET_NAME="of-settings").storage.check()


def test_bucket_name_is_the_bucket_of_requests() -> None:
    assert asked_of_storage(**STORAGE, BUCKET_NAME="other-pictures").path.startswith("/other-pictures?")


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({}, "us-east-1"),
        ({"STORAGE_REGION": "eu-central-1"}, "eu-central-1"),
        ({"AWS_REGION": "eu-central-1"}, "eu-central-1"),
        ({"AWS_REGION": "eu-central-1", "STORAGE_REGION": "ap-south-1"}, "ap-south-1"),
        ({"AWS_REGION": "eu-central-1", "STORAGE_REGION": ""}, "eu-central-1"),
    ],
)
def test_storage_region_is_the_region_that_is_signed_for(variables: dict[str, str], region: str) -> None:
    assert signed_for(asked_of_storage(**STORAGE, **variables))[2] == region
    storage = resources(**{**STORAGE, "STORAGE_ENDPOINT": "minio:9000"}, **variables).storage
    assert f"%2F{region}%2Fs3%2F" in storage.sign_upload("a", content_type="image/png", lifetime_s=60).url


def test_k_sink_is_where_events_go(redis: Server) -> None:
    job = NewJob(
        job_id=uuid.uuid4(), type="resize", owner="", parameters={"width": 1}, storage_key="uploads/a", request_id="r"
    )
    with closing(job_store(redis)) as jobs:
        event = requested(jobs.accept(job).record, source="/darkroom/ingest")
    with scripted_server(Reply(status=202)) as sink:
        resources(K_SINK=f"{sink.url}/a/broker").emitter.emit(event)
    assert [(one.method, one.path, one.headers["ce-type"]) for one in sink.received] == [
        ("POST", "/a/broker", "dev.darkroom.resize.requested")
    ]


# --- processes and jobs ----------------------------------------------------------------------------------------------

GUNICORN = """
    import json, sys
    import functions_framework
    from functions_framework._http.gunicorn import GunicornApplication
    app = functions_framework.create_app(sys.argv[1], sys.argv[2])
    made = GunicornApplication(app, "127.0.0.1", 0, False).cfg
    print(json.dumps([made.workers, made.threads, made.timeout, made.worker_class_str]))
"""
"""What gunicorn is told, as `python -m functions_framework` tells it."""


def gunicorn(function: str, **variables: str) -> list[Any]:
    environment = {
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT),
        "REDIS_URL": "redis://127.0.0.1:1",
        "STORAGE_ENDPOINT": "127.0.0.1:1",
        "STORAGE_ACCESS_KEY": "a",
        "STORAGE_SECRET_KEY": "b",
        "FUNCTION_TARGET": function,
        **variables,
    }
    command = [sys.executable, "-c", textwrap.dedent(GUNICORN), function, f"functions/{function}/main.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    told: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_worker_concurrency_and_job_timeout_are_what_gunicorn_is_told() -> None:
    assert gunicorn("resize", WORKER_CONCURRENCY="3", JOB_TIMEOUT="45s") == [3, 1, 45, "sync"]
    others = {"WORKERS": "7", "THREADS": "8", "CLOUD_RUN_TIMEOUT_SECONDS": "999"}
    assert gunicorn("crop", WORKER_CONCURRENCY="2", JOB_TIMEOUT="1500ms", **others) == [2, 1, 2, "sync"]


def test_max_retries_is_how_often_a_job_is_tried_again(redis: Server) -> None:
    for retries in (0, 1):
        with closing(job_store(redis, MAX_RETRIES=str(retries))) as jobs:
            new = NewJob(
                job_id=uuid.uuid4(), type="resize", owner="", parameters={}, storage_key="uploads/a", request_id="r"
            )
            jobs.accept(new)
            attempts = 0
            while isinstance(claim := jobs.claim(new.job_id, worker="w"), Lease):
                attempts += 1
                jobs.release(claim, DependencyUnavailableError("jobs", "again"), counts=True)
            assert attempts == retries + 1


def submitted(pipeline: MemoryPipeline, picture: bytes = PICTURE, **headers: str) -> httpx.Response:
    client = HttpClient(build(pipeline.resources))
    return client.post("/api/v1/resize?width=8", content=picture, headers={"content-type": "image/jpeg", **headers})


def test_max_input_bytes_and_max_pixels_are_the_limits_of_pictures() -> None:
    exact = MemoryPipeline("ingest", settings={"MAX_INPUT_BYTES": str(len(PICTURE)), "MAX_PIXELS": str(64 * 48)})
    assert submitted(exact).status_code == 202
    for name, value, code in (
        ("MAX_INPUT_BYTES", len(PICTURE) - 1, "input.too_large"),
        ("MAX_PIXELS", 64 * 48 - 1, "image.too_many_pixels"),
    ):
        refused = submitted(MemoryPipeline("ingest", settings={name: str(value)}))
        assert refused.json()["code"] == code
        assert str(value) in refused.json()["detail"]


def test_api_keys_file_names_the_keys_that_are_admitted(tmp_path: Path) -> None:
    key, stored = make_key("shop")
    write_key_file(tmp_path / "keys.json", [stored])
    pipeline = MemoryPipeline("ingest", settings={"API_KEYS": "on", "API_KEYS_FILE": str(tmp_path / "keys.json")})
    assert submitted(pipeline).status_code == 401
    assert submitted(pipeline, authorization=f"Bearer {key}").status_code == 202


def test_rate_limit_is_the_rate_of_jobs() -> None:
    pipeline = MemoryPipeline("ingest", settings={"RATE_LIMIT": "2/hour"})
    assert [submitted(pipeline).status_code for _ in range(3)] == [202, 202, 429]


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [("QUOTA_JOBS_UNFINISHED", 429, "quota.exceeded"), ("MAX_BACKLOG", 503, "backlog.full")],
)
def test_how_many_jobs_may_be_unfinished_is_what_the_settings_say(
    redis: Server, name: str, status: int, code: str
) -> None:
    pipeline = MemoryPipeline("ingest", settings={name: "2"})
    answers = [submitted(pipeline) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, status]
    assert answers[2].json()["code"] == code
    for off in ("off", ""):
        assert submitted(MemoryPipeline("ingest", settings={name: off})).status_code == 202

    owner = uuid.uuid4().hex
    with closing(job_store(redis, **{name: "1"})) as jobs:
        redis_client = Redis.from_url(redis.url)
        redis_client.flushall()
        redis_client.close()
        jobs.accept(_job_of(owner))
        with pytest.raises(DarkroomError) as refused:
            jobs.accept(_job_of(owner))
        assert (refused.value.status, refused.value.code) == (status, code)


def _job_of(owner: str) -> NewJob:
    return NewJob(
        job_id=uuid.uuid4(), type="resize", owner=owner, parameters={}, storage_key="uploads/a", request_id="r"
    )


def test_job_retention_is_how_long_a_record_is_kept_after_its_end(redis: Server) -> None:
    client: Redis = Redis.from_url(redis.url)
    for value, expected_s in (("60s", 60), ("1d12h", 129_600), ("off", -1)):
        variables = {"JOB_RETENTION": value} | ({"ORIGINAL_RETENTION": "off"} if value == "off" else {})
        with closing(job_store(redis, **variables)) as jobs:
            job = NewJob(
                job_id=uuid.uuid4(),
                type="resize",
                owner=f"of-{value}",
                parameters={},
                storage_key="uploads/a",
                request_id="r",
                idempotency_key="k",
            )
            jobs.accept(job)
            claim = jobs.claim(job.job_id, worker="w")
            assert isinstance(claim, Lease)
            jobs.fail(claim, DependencyUnavailableError("jobs", "away"))
        assert expected_s - 30 < int(str(client.ttl(f"darkroom:job:{job.job_id}"))) <= max(expected_s, -1)
        bound_s = int(str(client.ttl(f"darkroom:idempotency:of-{value}:k")))
        assert bound_s <= (86_400 if value != "60s" else 3_660)
        assert bound_s > 3_600
        indexed_s = int(str(client.ttl(f"darkroom:owner:of-{value}")))
        assert (indexed_s == -1) if value == "off" else (indexed_s > expected_s)
    client.close()


def test_original_and_result_retention_are_the_rules_of_the_bucket(s3: Server) -> None:
    right = {"STORAGE_ENDPOINT": s3.url, "STORAGE_ACCESS_KEY": S3_ACCESS_KEY, "STORAGE_SECRET_KEY": S3_SECRET_KEY}
    for originals, results, expected in (
        ("8d", "off", {"uploads/": 8}),
        ("200h", "36h", {"uploads/": 9, "processed/": 2}),
        ("off", "30d", {"processed/": 30}),
        ("off", "off", {}),
    ):
        kept = {"ORIGINAL_RETENTION": originals, "RESULT_RETENTION": results}
        resources(**right, **kept, BUCKET_NAME="kept-for").storage.prepare()
        assert expiries(s3, "kept-for") == expected


def test_darkroom_up_makes_the_rules_of_what_its_functions_are_told(s3: Server) -> None:
    bucket = {"BUCKET_NAME": "of-up", "STORAGE_ACCESS_KEY": S3_ACCESS_KEY, "STORAGE_SECRET_KEY": S3_SECRET_KEY}
    for kept, expected in (
        ({"ORIGINAL_RETENTION": "10d", "RESULT_RETENTION": "3d"}, {"uploads/": 10, "processed/": 3}),
        ({}, {"uploads/": 8}),
    ):
        run = Run(project_root=ROOT, variables={"STORAGE_ENDPOINT": s3.url, **bucket}, settings=kept)
        Pipeline(run).prepare({"s3"})
        assert expiries(s3, "of-up") == expected
    wrong = Run(
        project_root=ROOT,
        variables={"STORAGE_ENDPOINT": s3.url, **bucket},
        settings={"ORIGINAL_RETENTION": "a week"},
    )
    with pytest.raises(SettingsError, match="ORIGINAL_RETENTION"):
        Pipeline(wrong).prepare({"s3"})


def expiries(s3: Server, bucket: str) -> dict[str, int]:
    """Days by prefix."""
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=s3.url,
        aws_access_key_id=S3_ACCESS_KEY,
        aws_secret_access_key=S3_SECRET_KEY,
        region_name="us-east-1",
    )
    try:
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except ClientError as exc:
        if exc.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
            raise
        return {}
    finally:
        client.close()
    return {rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in rules if "Expiration" in rule}


def test_preparing_a_folder_deletes_what_is_older_than_its_retention(tmp_path: Path) -> None:
    folder = {"STORAGE_TYPE": "local", "STORAGE_ENDPOINT": str(tmp_path)}
    storage = resources(**folder).storage
    keys = ("uploads/1/original.jpg", "uploads/2/original.jpg", "processed/1.jpg")
    for key in keys:
        storage.put(key, PICTURE, content_type="image/jpeg")
    nine_days_ago = time.time() - 9 * 86_400
    for key in (keys[0], keys[2]):
        os.utime(tmp_path / key, (nine_days_ago, nine_days_ago))

    resources(**folder).storage.prepare()
    assert [storage.info(key) is not None for key in keys] == [False, True, True]

    resources(**folder, RESULT_RETENTION="1d").storage.prepare()
    assert [storage.info(key) is not None for key in keys] == [False, True, False]


@pytest.mark.parametrize(("originals", "jobs"), [("7d", "8d"), ("8d", "off"), ("24h", "24h1s")])
def test_originals_that_would_not_outlive_jobs_stop_the_start(originals: str, jobs: str) -> None:
    with pytest.raises(SettingsError, match=r"ORIGINAL_RETENTION: is .* s, and JOB_RETENTION is"):
        settings(ORIGINAL_RETENTION=originals, JOB_RETENTION=jobs)
    settings(ORIGINAL_RETENTION="off", JOB_RETENTION=jobs)


def test_rates_are_kept_where_redis_url_says(redis: Server) -> None:
    made = settings(RATE_LIMIT="1/day")
    assert made.rate_limit is not None

    async def ask(name: str) -> list[bool]:
        rates = resources(REDIS_URL=redis.url).rates
        try:
            return [(await rates.ask(name, made.rate_limit)).admitted for _ in range(2)]  # type: ignore[arg-type]
        finally:
            await rates.close()

    assert asyncio.run(ask(f"settings:{uuid.uuid4()}")) == [True, False]


# --- malformed values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("STORAGE_ENDPOINT", value) for value in ("http://", "ftp://minio:9000", "minio:port", "http://minio:99999")),
        *(("STORAGE_ENDPOINT", value) for value in ("http:/minio:9000", "//minio", "mi nio", "http://[::1", "minio:")),
        *(("STORAGE_ENDPOINT", value) for value in ("http://minio/path", "http://minio?x=1", "http://minio:0")),
        ("STORAGE_PUBLIC_ENDPOINT", "https://"),
        ("STORAGE_TYPE", "gcs"),
        ("STORAGE_REGION", "EU (Frankfurt)"),
        ("AWS_REGION", "eu central"),
        ("BUCKET_NAME", ""),
        ("BUCKET_NAME", "a/b"),
        *(("REDIS_URL", value) for value in ("redis:6379", "http://redis", "redis://", "redis://redis:port/0")),
        *(("NATS_URL", value) for value in ("http://nats", "nats://", "nats://a:1,nats://")),
        *(("K_SINK", value) for value in ("broker", "http://a:port/", "http:///path")),
        *(("WORKER_CONCURRENCY", value) for value in ("0", "-1", "two", "1.5")),
        *(("MAX_RETRIES", value) for value in ("-1", "many")),
        *(("JOB_TIMEOUT", value) for value in ("0s", "-1s", "30", "half a minute")),
        *(("MAX_INPUT_BYTES", value) for value in ("0", "-5", "much")),
        ("MAX_PIXELS", "0"),
        *(("RATE_LIMIT", value) for value in ("60", "0/minute", "60/fortnight")),
        *(("RATE_LIMIT_BYTES", value) for value in ("60", "0/minute", "1MiB/minute")),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        *((name, value) for name in ("QUOTA_JOBS_UNFINISHED", "MAX_BACKLOG") for value in ("0", "-1", "many", "1.5")),
        *(("JOB_RETENTION", value) for value in ("", "0s", "-7d", "a week", "7", "4000d")),
        *(("ORIGINAL_RETENTION", value) for value in ("1h", "0d", "for ever", "4000d")),
        *(("RESULT_RETENTION", value) for value in ("23h", "")),
    ],
)
def test_a_malformed_value_stops_the_start_and_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings(**{name: value})
    assert str(raised.value).startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "redis://:pass-word@redis:port/0"),
        ("NATS_URL", "nats://user:pass-word@nats:port"),
        ("STORAGE_ENDPOINT", "http://user:pass-word@minio:9000"),
    ],
)
def test_the_error_of_a_malformed_address_does_not_show_its_password(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        settings(**{name: value})
    assert name in str(raised.value)
    assert "pass-word" not in str(raised.value)


# --- what is no Exception --------------------------------------------------------------------------------------------


def test_a_panic_in_the_storages_library_is_an_unavailable_storage() -> None:
    """Such an address passes no settings; the library panics on it, with a BaseException."""
    from darkroom.adapters.storage.s3 import S3Storage

    storage = S3Storage(endpoint="minio:9000", public_endpoint=None, access_key="a", secret_key="b", bucket="pictures")
    with pytest.raises(DependencyUnavailableError, match="PanicException"):
        storage.check()
    with pytest.raises(DependencyUnavailableError, match="PanicException"):
        storage.put("uploads/a", PICTURE, content_type="image/jpeg")
