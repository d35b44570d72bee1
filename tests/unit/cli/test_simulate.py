"""`darkroom simulate`: from files to an answer, a page and a patch."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from darkroom.simulate.observed import InstanceStart
from darkroom.simulate.observed.measured import Measured, format_measured
from darkroom.simulate.observed.recording import Recording, format_recording
from tests.scripted_http import Received, Reply, answering_server
from tests.servers import script
from tests.unit.cli.conftest import Darkroom

SERVICE = """\
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: hello, namespace: default}
spec:
  template:
    spec:
      containerConcurrency: 1
      containers:
        - image: dev.local/hello
          env: [{name: FUNCTION_TARGET, value: hello}]
          resources: {requests: {cpu: "1", memory: 1Gi}}
"""

BROKER = """\
apiVersion: eventing.knative.dev/v1
kind: Broker
metadata: {name: default, namespace: default}
---
apiVersion: eventing.knative.dev/v1
kind: Trigger
metadata: {name: hello, namespace: default}
spec:
  broker: default
  subscriber: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: hello}}
"""


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    folder = tmp_path / "knative"
    folder.mkdir()
    (folder / "hello.yaml").write_text(SERVICE)
    return folder


def run(darkroom: Darkroom, manifests: Path, *arguments: str) -> dict[str, Any]:
    # Away from the project's own extension, which these manifests have nothing to do with.
    done = darkroom("simulate", str(manifests), "--runs", "2", "--json", *arguments)
    assert done.exit_code == 0, done.output
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_it_answers_how_many_pods_how_long_and_at_what_price(darkroom: Darkroom, manifests: Path) -> None:
    document = run(darkroom, manifests, "--traffic", "burst*0.2", "--times", "250ms", "--starts", "1s")
    [answer] = document["settings"]
    assert document["traffic"] == {"source": "burst*0.2", "requests": 100, "seconds": 10.0}
    assert answer["p99_s"]["high"] > answer["p50_s"]["low"] >= 0.25
    assert answer["starts"]["median"] > 1
    # A core and a GiB for an hour cost 0.045 by the example's prices.
    seconds = answer["pod_seconds"]["median"]
    assert answer["price_per_million"] == pytest.approx(seconds * 0.045 / 3600 / 100 * 1e6)
    assert answer["bends"][0]["sentence"].startswith("a request came while the revision was at zero")
    assert document["remarks"] == []


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(darkroom: Darkroom, manifests: Path) -> None:
    options = ("simulate", str(manifests), "--traffic", "spike*0.5", "--runs", "2", "--json")
    first, again = (darkroom(*options, "--seed", "5").stdout for _ in range(2))
    assert first == again
    assert darkroom(*options, "--seed", "6").stdout != first


def test_settings_stand_side_by_side_on_the_page(darkroom: Darkroom, manifests: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    options = ("--traffic", "burst*0.2", "--set", "hello.max-scale=2,4", "--html", str(page))
    document = run(darkroom, manifests, *options)
    text = page.read_text()
    assert [each["setting"] for each in document["settings"]] == ["max-scale 2", "max-scale 4"]
    assert text.count("<h3>Pods</h3>") == text.count("The reason for each bend") == 2
    assert "all 2 instances that max-scale allows were wanted" in text
    assert "<script>" not in text
    facts = text.partition('id="facts">')[2].partition("</script>")[0]
    assert json.loads(facts) == document
    # Nothing was said about service times and starts.
    assert len(document["remarks"]) == 2
    assert document["remarks"][0].startswith("Assumed: hello works 100 ms")


def test_measured_times_are_used(darkroom: Darkroom, manifests: Path, tmp_path: Path) -> None:
    measured = Measured(service="hello", service_s=(2.0,), starts=(InstanceStart(took_s=0.5),))
    (tmp_path / "measured.json").write_text(format_measured(measured))
    options = ("--traffic", "steady*0.1", "--times", str(tmp_path / "measured.json"))
    [answer] = run(darkroom, manifests, *options)["settings"]
    assert answer["p50_s"]["median"] >= 2.0


def test_a_range_of_prometheus_is_fetched(darkroom: Darkroom, manifests: Path) -> None:
    values = [[1764504000 + 10 * step, "3"] for step in range(7)]
    answer = {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]}}
    with answering_server(lambda _request: Reply(status=200, body=json.dumps(answer).encode())) as url:
        document = run(darkroom, manifests, "--traffic", f"{url}/api/v1/query_range?query=rate")
    assert document["traffic"]["seconds"] == 70
    assert 210 - 60 < document["traffic"]["requests"] < 210 + 60


def test_a_recorded_run_is_traffic_and_is_laid_over_its_simulation(
    darkroom: Darkroom, manifests: Path, tmp_path: Path
) -> None:
    recording = Recording(
        name="few",
        service="hello",
        arrivals_s=[float(second) for second in range(20)],
        took_s=[1.5, *[0.2] * 19],
        ticks=[(second / 2, 1 if 2 < second < 100 else 0, 1) for second in range(110)],
        starts=[(1.0, 1.0)],
        service_s=[0.2],
    )
    file = tmp_path / "few.json.gz"
    file.write_bytes(gzip.compress(format_recording(recording).encode()))
    page = tmp_path / "few.html"
    options = ("--traffic", str(file), "--against", str(file), "--platform", "local", "--html", str(page))
    document = run(darkroom, manifests, *options)
    against = document["against"]
    assert against["run"] == "few"
    assert len(against["error_per_tick"]) == against["ticks"] > 100
    assert [each["percent"] for each in against["percentiles"]] == [50, 95, 99]
    assert against["percentiles"][0]["is_within"]
    assert "Laid over the real run few" in page.read_text()


def test_the_record_of_a_running_stack_gives_its_times(darkroom: Darkroom, manifests: Path, tmp_path: Path) -> None:
    (manifests / "broker.yaml").write_text(BROKER)
    attempts = [
        {
            "kind": "attempted",
            "at": 10.0 * place,
            "lasted_s": 0.5,
            "status": 204,
            "trigger": "default/hello",
            "label": "hello",
        }
        for place in range(3)
    ]
    events = [{"number": 1, "at": 0.9, "action": "instance.ready", "service": "hello", "ready_s": 0.7}]

    def answer(request: Received) -> Reply:
        lines = "".join(f"data: {json.dumps(each)}\n\n" for each in attempts)
        return Reply(status=200, body=(json.dumps(events) if request.path.startswith("/events") else lines).encode())

    with answering_server(answer) as url:
        (tmp_path / "runtime.json").write_text(
            json.dumps({"addresses": {"api": url, "broker": url, "admin": url, "nats": url}})
        )
        options = ("--traffic", "steady*0.1", "--times", "live", "--data", str(tmp_path))
        document = run(darkroom, manifests, *options)
    assert document["path"] == "trigger hello"
    assert document["settings"][0]["p50_s"]["median"] == pytest.approx(0.5)
    assert document["remarks"] == []


# --- the search ------------------------------------------------------------------------------------------------------


def test_the_search_writes_a_patch_that_kustomize_applies_and_check_accepts(
    darkroom: Darkroom, manifests: Path, tmp_path: Path
) -> None:
    component = tmp_path / "tuned"
    component.mkdir()
    settings = ("--set", "hello.max-scale=1,2,8", "--set", "hello.container-concurrency=1")
    options = ("--traffic", "burst*0.2", "--times", "250ms", "--starts", "500ms", "--objective", "95%<4s")
    document = run(darkroom, manifests, "--search", *settings, *options, "--out", str(component / "kustomization.yaml"))
    best = document["search"]["best"]
    assert best is not None
    assert document["settings"][0]["setting"] == best
    (tmp_path / "kustomization.yaml").write_text("resources: [knative/hello.yaml]\ncomponents: [tuned]\n")
    rendered = subprocess.run(
        [script("kubectl"), "kustomize", str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert rendered.returncode == 0, rendered.stderr
    tried = next(each for each in document["search"]["tried"] if each["setting"] == best)["values"]
    assert f'autoscaling.knative.dev/max-scale: "{tried["hello.max-scale"]}"' in rendered.stdout
    checked = darkroom("check", "-", input=rendered.stdout)
    assert checked.exit_code == 0, checked.output
    assert darkroom("check", str(component)).exit_code == 0


def test_a_search_that_finds_nothing_says_so_and_writes_nothing(
    darkroom: Darkroom, manifests: Path, tmp_path: Path
) -> None:
    out = tmp_path / "patch.yaml"
    done = darkroom(
        "simulate", str(manifests), "--traffic", "burst", "--runs", "1", "--search", "--set", "hello.max-scale=1",
        "--objective", "99%<100ms", "--out", str(out),
    )  # fmt: skip
    assert done.exit_code == 1
    assert "no setting holds 99% within 0.1s" in done.stderr
    assert not out.exists()


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--traffic", "bursts"], "there is no file 'bursts' and no shape of this name; shapes are steady, burst"),
        (["--traffic", "burst", "--to", "helo"], "there is no 'helo'"),
        (["--traffic", "burst", "--set", "hello.max-scale=-1"], "max-scale must be from 0"),
        (["--traffic", "burst", "--set", "hello.window=1s"], "window must be from 6s to 1h, was 1s"),
        (["--traffic", "burst", "--objective", "fast"], "an objective reads like"),
        (["--traffic", "burst", "--times", "nowhere.json"], "nowhere.json cannot be read"),
        (["--traffic", "burst", "--times", "5 parsecs"], "must be a Go duration"),
        (["--traffic", "burst", "--out", "p.yaml"], "--out is for what --search finds"),
        (["--traffic", "http://127.0.0.1:1/x"], "http://127.0.0.1:1/x does not answer"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    darkroom: Darkroom, manifests: Path, arguments: list[str], said: str
) -> None:
    done = darkroom("simulate", str(manifests), "--runs", "1", *arguments)
    assert done.exit_code in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.output


def test_the_projects_own_trigger_is_found_by_its_subscriber(darkroom: Darkroom) -> None:
    done = darkroom("simulate", "--traffic", "burst*0.1", "--to", "resize", "--runs", "1", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["path"], document["service"]) == ("trigger resize", "resize")
    assert document["settings"][0]["unfinished"]["high"] == 0
