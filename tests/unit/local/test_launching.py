"""How an image is started is decided by the project file, the container's command, and what lies in a folder."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from darkroom.local.revisions.launching import (
    AddressLaunch,
    Launch,
    Launcher,
    ModuleLaunch,
    NoLaunch,
    ProgramLaunch,
)
from darkroom.local.revisions.launching.environments import requirements_of
from darkroom.local.revisions.launching.func_project import variables
from darkroom.local.revisions.launching.words import expand, split
from darkroom.manifests.images import Images, ImageSettings
from darkroom.manifests.revision import Revision

FUNCTION = """
import functions_framework

@functions_framework.cloud_event
def confirm(event):
    return None
"""


@pytest.fixture(autouse=True)
def programs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of our own with node, so that a test's result does not depend on the machine."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("node", "sh"):
        program(folder / name)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    return folder


def program(path: Path) -> Path:
    return write(path, "#!/bin/sh\n", mode=0o755)


def write(path: Path, text: str = "", *, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def virtual_environment(folder: Path, *packages: str) -> Path:
    write(folder / "pyvenv.cfg", "include-system-site-packages = false\n")
    program(folder / "bin" / "python")
    for package in packages:
        (folder / "lib/python3.11/site-packages" / f"{package.replace('-', '_')}-1.0.dist-info").mkdir(parents=True)
    return folder


def launch(
    root: Path,
    *,
    service: str = "confirm",
    image: str = "dev.local/shop/confirm:1",
    settings: ImageSettings | None = None,
    is_only: bool = False,
    **fields: Any,
) -> Launch:
    images = Images(entries={} if settings is None else {"dev.local/shop/confirm": settings})
    revision = Revision(namespace="n", service=service, number=1, image=image, timeout_s=1, **{"env": {}, **fields})
    return Launcher(root=root, data=root / ".data", images=images, is_only=is_only).find(revision)


def started(found: Launch) -> ProgramLaunch:
    assert isinstance(found, ProgramLaunch), found
    return found


def reason(found: Launch) -> str:
    assert isinstance(found, NoLaunch), found
    return found.reason


# --- the order -------------------------------------------------------------------------------------------------------


def test_the_project_file_decides_before_anything_else(tmp_path: Path) -> None:
    write(tmp_path / "functions/confirm/main.py", FUNCTION)
    named = ImageSettings(command=["node", "x.js", "--port=$PORT"], path="functions/confirm", env={"A": "1"})
    found = started(launch(tmp_path, settings=named, command=("node", "other.js"), args=("--more",)))
    assert found.argv == ("node", "x.js", "--port=$PORT")
    assert found.cwd == tmp_path / "functions/confirm"
    assert found.env["A"] == "1"
    assert found.watched.folders == (tmp_path / "functions/confirm",)


def test_an_address_that_listens_already_starts_nothing(tmp_path: Path) -> None:
    found = launch(tmp_path, settings=ImageSettings(url="http://localhost:3000"))
    assert isinstance(found, AddressLaunch)
    assert (found.host, found.port) == ("localhost", 3000)


def test_the_containers_command_runs_if_its_program_is_here(tmp_path: Path) -> None:
    write(tmp_path / "functions/confirm/package.json", "{}")
    found = started(launch(tmp_path, command=("node", "server.js"), args=("--all",)))
    assert found.argv == ("node", "server.js", "--all")
    assert found.cwd == tmp_path / "functions/confirm"


def test_a_command_of_the_image_alone_is_passed_over_for_what_lies_in_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "confirm/Procfile", "web: node server.js\n")
    for command in (("/app/server",), ("node", "/app/server.js")):
        assert started(launch(tmp_path, command=command)).argv == ("node", "server.js")
    (tmp_path / "confirm/Procfile").rename(tmp_path / "confirm/notes")
    assert "the container's command is /app/server, which is not on this machine" in reason(
        launch(tmp_path, command=("/app/server",))
    )


def test_a_function_that_its_environment_names_runs_as_before(tmp_path: Path) -> None:
    file = write(tmp_path / "functions/confirm/main.py", FUNCTION)
    env = {"FUNCTION_TARGET": "confirm", "FUNCTION_SOURCE": "functions/confirm/main.py"}
    found = launch(tmp_path, env=env)
    assert isinstance(found, ModuleLaunch)
    assert (found.module, found.cwd, found.env) == ("functions_framework", tmp_path, {})
    assert (found.watched.folders, found.watched.entry) == ((file.parent,), file)


@pytest.mark.parametrize("name", ["confirm", "functions/confirm", "services/confirm", "cmd/confirm", "shop_confirm"])
def test_the_folder_is_named_as_the_service_or_the_image(tmp_path: Path, name: str) -> None:
    write(tmp_path / name / "Procfile", "web: node x.js")
    image = "dev.local/shop-confirm:2@sha256:0"
    assert started(launch(tmp_path, image=image)).cwd == tmp_path / name


def test_the_root_is_the_folder_of_an_only_service(tmp_path: Path) -> None:
    write(tmp_path / "Procfile", "web: node x.js")
    assert started(launch(tmp_path, is_only=True)).cwd == tmp_path
    told = reason(launch(tmp_path))
    assert "no way to start image dev.local/shop/confirm:1 is known" in told
    assert "there is no folder confirm" in told
    assert '[images."dev.local/shop/confirm"] with command = ["PROGRAM", "ARGUMENT"] into darkroom.toml' in told


def test_a_folder_of_manifests_is_not_taken_for_the_function(tmp_path: Path) -> None:
    write(tmp_path / "confirm/service.yaml")
    write(tmp_path / "functions/confirm/Procfile", "web: node x.js")
    assert started(launch(tmp_path)).cwd == tmp_path / "functions/confirm"


def test_what_was_missing_is_looked_for_again(tmp_path: Path) -> None:
    now = 0.0
    revision = Revision(namespace="n", service="confirm", number=1, env={}, timeout_s=1)
    launcher = Launcher(root=tmp_path, data=tmp_path, clock=lambda: now)
    assert isinstance(launcher.find(revision), NoLaunch)
    write(tmp_path / "confirm/Procfile", "web: node x.js")
    assert isinstance(launcher.find(revision), NoLaunch), "it is not looked for at every request"
    now = 3.0
    assert isinstance(launcher.find(revision), ProgramLaunch)


# --- Python ----------------------------------------------------------------------------------------------------------


def test_a_target_is_found_by_its_decorator(tmp_path: Path) -> None:
    file = write(tmp_path / "confirm/main.py", FUNCTION)
    found = launch(tmp_path)
    assert isinstance(found, ModuleLaunch)
    assert found.env == {"FUNCTION_SOURCE": str(file), "FUNCTION_TARGET": "confirm"}


@pytest.mark.parametrize(
    "text",
    [
        "from functions_framework import http\n@http\ndef confirm(r): ...",
        "import functions_framework as f\n@f.typed\ndef confirm(r): ...",
        "from darkroom.serving import on_event\n@on_event('a.b')\ndef confirm(e): ...",
    ],
)
def test_a_decorator_may_have_been_imported_by_another_name(tmp_path: Path, text: str) -> None:
    write(tmp_path / "confirm/main.py", text)
    assert isinstance(launch(tmp_path), ModuleLaunch)


def test_several_targets_have_to_be_chosen_from(tmp_path: Path) -> None:
    write(tmp_path / "confirm/main.py", FUNCTION + FUNCTION.replace("confirm", "other"))
    assert "has 2 functions: confirm, other; name one with the variable FUNCTION_TARGET" in reason(launch(tmp_path))
    assert isinstance(launch(tmp_path, env={"FUNCTION_TARGET": "other"}), ModuleLaunch)


@pytest.mark.parametrize("where", ["confirm/.venv", "confirm/venv", ".venv"])
def test_a_function_runs_in_the_projects_own_environment(tmp_path: Path, where: str) -> None:
    virtual_environment(tmp_path / where, "functions-framework")
    write(tmp_path / "confirm/main.py", FUNCTION)
    found = started(launch(tmp_path))
    assert found.argv == (str(tmp_path / where / "bin/python"), "-m", "functions_framework")
    assert found.env["VIRTUAL_ENV"] == str(tmp_path / where)
    assert found.path == (tmp_path / where / "bin",)


def test_an_environment_may_be_named_or_activated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    virtual_environment(tmp_path / "py", "functions-framework")
    write(tmp_path / "confirm/main.py", FUNCTION)
    for name in ("py", "py/bin/python"):
        assert started(launch(tmp_path, settings=ImageSettings(python=name))).argv[0] == str(tmp_path / "py/bin/python")
    assert "no interpreter" in reason(launch(tmp_path, settings=ImageSettings(python="py/bin/python3.99")))
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "py"))
    assert started(launch(tmp_path)).argv[0] == str(tmp_path / "py/bin/python")
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    assert isinstance(launch(tmp_path), ModuleLaunch), "Darkroom's own, from which functions are forked"


def test_an_environment_without_functions_framework_is_told_and_darkrooms_own_is_used(tmp_path: Path) -> None:
    virtual_environment(tmp_path / "confirm/.venv")
    write(tmp_path / "confirm/main.py", FUNCTION)
    found = launch(tmp_path)
    assert isinstance(found, ModuleLaunch)
    [note] = found.notes
    assert "confirm/.venv has no functions-framework" in note
    assert note.endswith("confirm/.venv/bin/python -m pip install functions-framework")


def test_missing_requirements_are_told_with_the_command_that_installs_them(tmp_path: Path) -> None:
    virtual_environment(tmp_path / ".venv", "functions-framework", "httpx")
    write(tmp_path / "confirm/main.py", FUNCTION)
    write(tmp_path / "confirm/requirements.txt", "httpx>=0.28\nno.such_package==1  # why\n-r other.txt\n")
    [note] = launch(tmp_path).notes
    assert note == (
        "confirm/requirements.txt lists no.such_package, which .venv lacks; "
        "install with: .venv/bin/python -m pip install -r confirm/requirements.txt"
    )


def test_nothing_is_said_to_be_installed_into_darkrooms_own_environment(tmp_path: Path) -> None:
    write(tmp_path / "confirm/main.py", FUNCTION)
    write(tmp_path / "confirm/pyproject.toml", '[project]\ndependencies = ["no-such-package", "flask"]\n')
    [note] = launch(tmp_path).notes
    assert "lists no-such-package, which" in note
    assert note.endswith("python3 -m venv confirm/.venv && confirm/.venv/bin/pip install ./confirm")


def test_requirements_are_names_without_options_markers_and_addresses(tmp_path: Path) -> None:
    lines = (
        "a\nB.c[x]>=1\n# no\n\nd @ https://x/y.whl\n-e .\n--hash=x\nwin; sys_platform == 'win32'\ngit+https://g\n./e\n"
    )
    write(tmp_path / "requirements.txt", lines)
    found = requirements_of(tmp_path, tmp_path)
    assert found is not None
    assert found.packages == ("a", "B.c", "d")


@pytest.mark.parametrize(
    ("file", "text", "command"),
    [
        (
            "app.py",
            "from flask import Flask\napp = Flask(__name__)\n",
            '["gunicorn", "--bind", "127.0.0.1:$PORT", "app:app"]',
        ),
        ("main.py", "import fastapi\napi = fastapi.FastAPI()\n", '["uvicorn", "--port", "$PORT", "main:api"]'),
        ("server.py", "if __name__ == '__main__':\n    run()\n", '["python", "server.py"]'),
        ("Cargo.toml", "", '["cargo", "run", "--release"]'),
        ("pom.xml", "", '["java", "-jar", "target/PROGRAM.jar"]'),
        ("Dockerfile", "FROM x", '["PROGRAM", "ARGUMENT"]'),
    ],
)
def test_a_folder_that_does_not_say_how_it_starts_gets_a_suggestion(
    tmp_path: Path, file: str, text: str, command: str
) -> None:
    write(tmp_path / "confirm" / file, text)
    told = reason(launch(tmp_path))
    assert f'put [images."dev.local/shop/confirm"] with path = "confirm" and command = {command} into' in told


# --- func ------------------------------------------------------------------------------------------------------------


def func(root: Path, text: str = "runtime: python\ninvoke: cloudevent\n") -> Path:
    write(root / "confirm/func.yaml", text)
    return root / "confirm"


def test_a_func_project_in_python_is_served_by_its_middleware(tmp_path: Path) -> None:
    folder = func(tmp_path)
    write(folder / "function/__init__.py", "from .func import new")
    virtual_environment(folder / ".venv", "func-python")
    found = started(launch(tmp_path))
    assert found.argv[0] == str(folder / ".venv/bin/python")
    assert found.argv[1].endswith("func_serve.py")
    assert found.argv[2] == "cloudevent"
    assert found.cwd == folder
    func(tmp_path, "runtime: python\n")
    assert started(launch(tmp_path)).argv[2] == "http"


def test_a_func_project_without_its_middleware_says_how_to_install_it(tmp_path: Path) -> None:
    folder = func(tmp_path)
    write(folder / "function/__init__.py")
    write(folder / "pyproject.toml", "[project]\ndependencies = []\n")
    told = reason(launch(tmp_path))
    assert "needs the package func-python" in told
    assert told.endswith("python3 -m venv confirm/.venv && confirm/.venv/bin/pip install func-python ./confirm")


def test_an_older_func_project_is_served_by_parliament(tmp_path: Path) -> None:
    folder = func(tmp_path)
    write(folder / "func.py", "def main(context): ...")
    assert "needs the package parliament-functions" in reason(launch(tmp_path))
    virtual_environment(folder / "venv", "parliament-functions")
    assert started(launch(tmp_path)).argv[1:] == ("-m", "parliament", ".")


def test_a_func_project_in_node_runs_by_its_package(tmp_path: Path) -> None:
    folder = func(tmp_path, "runtime: node\n")
    start = "FUNC_LOG_LEVEL=info faas-js-runtime ./index.js"
    write(folder / "package.json", json.dumps({"scripts": {"start": start}, "dependencies": {"faas-js-runtime": "3"}}))
    told = reason(launch(tmp_path))
    assert "starts faas-js-runtime, which is neither in confirm nor on PATH" in told
    assert told.endswith("install with: npm --prefix confirm install")
    program(folder / "node_modules/.bin/faas-js-runtime")
    (folder / "node_modules/faas-js-runtime").mkdir()
    found = started(launch(tmp_path))
    assert (found.argv, found.env["FUNC_LOG_LEVEL"], found.notes) == (("faas-js-runtime", "./index.js"), "info", ())
    assert folder / "node_modules/.bin" in found.path


@pytest.mark.parametrize("runtime", ["go", "rust", "quarkus", "springboot"])
def test_other_func_runtimes_say_which_command_to_name(tmp_path: Path, runtime: str) -> None:
    func(tmp_path, f"runtime: {runtime}\n")
    told = reason(launch(tmp_path))
    assert f"func.yaml says {runtime}" in told
    assert 'command = ["' in told


def test_a_func_yaml_that_is_no_yaml_is_a_sentence(tmp_path: Path) -> None:
    func(tmp_path, "runtime: [")
    assert "its func.yaml cannot be read" in reason(launch(tmp_path))
    func(tmp_path, "- a\n")
    assert "has the runtime None" in reason(launch(tmp_path))


def test_the_variables_of_func_yaml_that_need_no_cluster_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THIS_MACHINE", "x")
    listed = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "{{ env:OF_THIS_MACHINE }}"},
        {"name": "C", "value": "{{ secret:s:k }}"},
        {"value": "{{ configMap:m }}"},
        "no mapping",
    ]
    assert variables({"run": {"envs": listed}}) == variables({"envs": listed}) == {"A": "1", "B": "x"}


# --- other languages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "argv"),
    [
        ({"scripts": {"start": "node --trace-warnings server.js"}}, ("node", "--trace-warnings", "server.js")),
        ({"scripts": {"start": "node a.js && node b.js"}}, ("sh", "-c", "node a.js && node b.js")),
        ({"main": "lib/main.js"}, ("node", "lib/main.js")),
        ({}, ("node", "server.js")),
    ],
)
def test_a_node_package_is_started_without_npm(tmp_path: Path, package: dict[str, Any], argv: tuple[str, ...]) -> None:
    for name in ("server.js", "lib/main.js"):
        write(tmp_path / "confirm" / name)
    write(tmp_path / "confirm/package.json", json.dumps(package))
    assert started(launch(tmp_path)).argv == argv


def test_what_keeps_a_node_package_from_starting_is_told(tmp_path: Path, programs: Path) -> None:
    package = write(tmp_path / "confirm/package.json", "{")
    assert "its package.json cannot be read" in reason(launch(tmp_path))
    package.write_text("{}")
    assert "has no start script and names no main file" in reason(launch(tmp_path))
    write(tmp_path / "confirm/index.js")
    package.write_text('{"dependencies": {"left-pad": "1"}}')
    assert "lists left-pad, which node_modules lacks" in started(launch(tmp_path)).notes[0]
    (programs / "node").unlink()
    assert "needs node, which is not on PATH" in reason(launch(tmp_path))


def test_a_go_program_is_built_into_the_data_folder_where_there_is_a_toolchain(tmp_path: Path, programs: Path) -> None:
    write(tmp_path / "go.mod", "module shop\n")
    write(tmp_path / "cmd/confirm/main.go", "package main\n")
    assert "no go on PATH to build it with" in reason(launch(tmp_path))
    go = program(programs / "go")
    found = started(launch(tmp_path))
    assert found.build is not None
    assert found.build.argv == (str(go), "build", "-o", found.argv[0], ".")
    assert found.build.cwd == found.cwd == tmp_path / "cmd/confirm"
    assert Path(found.argv[0]).is_relative_to(tmp_path / ".data/built")


def test_a_procfile_names_the_web_process(tmp_path: Path) -> None:
    file = write(tmp_path / "confirm/Procfile", "worker: node w.js\nweb: LOG=1 node server.js --port $PORT\n")
    found = started(launch(tmp_path))
    assert (found.argv, found.env["LOG"]) == (("node", "server.js", "--port", "$PORT"), "1")
    file.write_text("worker: node w.js\n")
    assert "its Procfile has no line that begins with web:; it has worker" in reason(launch(tmp_path))
    file.write_text("web: no-such-program\n")
    assert "Procfile starts no-such-program, which is neither in confirm nor on PATH" in reason(launch(tmp_path))


def test_arguments_of_the_container_are_added_to_the_images_own_program(tmp_path: Path) -> None:
    write(tmp_path / "confirm/Procfile", "web: node server.js\n")
    assert started(launch(tmp_path, args=("--verbose",))).argv == ("node", "server.js", "--verbose")


def test_a_folder_that_is_named_and_not_there_is_told(tmp_path: Path) -> None:
    assert "its path nowhere is no folder in" in reason(launch(tmp_path, settings=ImageSettings(path="nowhere")))
    named = ImageSettings(command=["no-such-program"])
    assert "its command in darkroom.toml starts no-such-program" in reason(launch(tmp_path, settings=named))


def test_what_the_entry_names_is_watched_instead(tmp_path: Path) -> None:
    write(tmp_path / "confirm/main.py", FUNCTION)
    watched = launch(tmp_path, settings=ImageSettings(watch=["templates", "a.json"])).watched
    assert (watched.named, watched.folders, watched.entry) == (
        (tmp_path / "templates", tmp_path / "a.json"),
        (),
        None,
    )


# --- command lines ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ("node x.js", ("node", "x.js")),
        ("node 'a b.js' \"c d\"", ("node", "a b.js", "c d")),
        ("serve -p ${PORT}", ("serve", "-p", "$PORT")),
        ("serve -p ${PORT:-80}", None),
        ("a | b", None),
        ("a > log", None),
        ("cd x && a", None),
        ("cd x", None),
        ("echo '$PORT'", None),
        ("echo $(date)", None),
        ("ls *.js", None),
        ("unfinished 'quote", None),
    ],
)
def test_a_shell_is_used_only_where_it_is_needed(line: str, argv: tuple[str, ...] | None) -> None:
    words = split(line)
    assert words.argv == (argv if argv is not None else ("sh", "-c", line))
    assert words.is_shell is (argv is None)


def test_variables_are_expanded_as_shells_and_kubernetes_write_them() -> None:
    env = {"PORT": "3000", "A": "x"}
    assert (
        expand("$PORT ${PORT} $(PORT) :$PORT/$A $UNKNOWN $$PORT 5$", env) == "3000 3000 3000 :3000/x $UNKNOWN $PORT 5$"
    )


def test_programs_are_looked_for_in_the_functions_environment_first(tmp_path: Path, programs: Path) -> None:
    virtual_environment(tmp_path / ".venv")
    program(tmp_path / ".venv/bin/gunicorn")
    write(tmp_path / "confirm/Procfile", "web: gunicorn app:app\n")
    found = started(launch(tmp_path))
    assert found.path == (tmp_path / ".venv/bin",)
    assert os.access(found.path[0] / found.argv[0], os.X_OK)
