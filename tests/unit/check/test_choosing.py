"""What is reported and what makes the command fail: options, the project's file, comments, annotations, groups."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from darkroom.check import check_texts, report
from darkroom.cli.check import command
from darkroom.manifests.platform.rules import RULES

BROKER = "apiVersion: eventing.knative.dev/v1\nkind: Broker\nmetadata:\n  name: pictures\n"
ERROR = f"{BROKER}spec:\n  delivery:\n    retry: -1\n"
WARNING = RULES["image-not-pinned"].bad
HINT = "a: b\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(folder: Path, text: str, *arguments: str) -> Result:
    (folder / "a.yaml").write_text(text)
    return CliRunner().invoke(command, ["a.yaml", *arguments])


@pytest.mark.parametrize(
    ("text", "arguments", "code"),
    [
        (ERROR, [], 1),
        (WARNING, [], 0),
        (HINT, [], 0),
        (BROKER, ["--fail-on", "hint"], 0),
        (WARNING, ["--fail-on", "warning"], 1),
        (HINT, ["--fail-on", "warning"], 0),
        (HINT, ["--fail-on", "hint"], 1),
        (ERROR, ["--ignore", "delivery-value"], 0),
        (ERROR, ["--ignore", "cesql-syntax,delivery-value"], 0),
        (ERROR, ["--select", "delivery-value"], 1),
        (ERROR, ["--select", "cesql-syntax"], 0),
        (ERROR, ["--select", "delivery-value", "--ignore", "delivery-value"], 0),
    ],
)
def test_the_exit_code_is_for_the_severity_that_was_asked_for(
    folder: Path, text: str, arguments: list[str], code: int
) -> None:
    assert run(folder, text, *arguments).exit_code == code


def test_only_selected_rules_are_reported(folder: Path) -> None:
    done = run(folder, WARNING, "--select", "image-not-pinned", "--format", "json")
    assert {json.loads(line)["rule"] for line in done.stdout.splitlines()} == {"image-not-pinned"}


@pytest.mark.parametrize("option", ["--select", "--ignore", "--explain"])
def test_a_misspelt_rule_is_refused_with_a_suggestion(folder: Path, option: str) -> None:
    done = run(folder, ERROR, option, "delivery-valeu")
    assert done.exit_code == 2
    assert 'did you mean "delivery-value"?' in done.output


# --- the project's file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "text", "code"),
    [
        ('ignore = ["delivery-value"]', ERROR, 0),
        ('select = ["cesql-syntax"]', ERROR, 0),
        ('fail-on = "warning"', WARNING, 1),
        ("", ERROR, 1),
    ],
)
@pytest.mark.parametrize(("file", "head"), [("darkroom.toml", "[check]"), ("pyproject.toml", "[tool.darkroom.check]")])
def test_the_table_of_the_project_counts(folder: Path, table: str, text: str, code: int, file: str, head: str) -> None:
    (folder / file).write_text(f"{head}\n{table}\n")
    assert run(folder, text).exit_code == code


def test_the_command_line_comes_before_the_table(folder: Path) -> None:
    (folder / "darkroom.toml").write_text('[check]\nselect = ["cesql-syntax"]\nfail-on = "hint"\n')
    assert run(folder, ERROR, "--select", "delivery-value").exit_code == 1
    assert run(folder, HINT, "--select", "not-a-manifest", "--fail-on", "error").exit_code == 0


def test_the_table_above_the_checked_files_counts_where_there_is_none_here(folder: Path) -> None:
    project = folder / "project"
    (project / "knative").mkdir(parents=True)
    (project / "darkroom.toml").write_text('[check]\nignore = ["delivery-value"]\n')
    (project / "knative" / "a.yaml").write_text(ERROR)
    assert CliRunner().invoke(command, ["project/knative/a.yaml"]).exit_code == 0


def test_the_events_of_the_table_are_those_that_filters_are_compared_with(folder: Path) -> None:
    rule = RULES["filter-matches-nothing"]
    (folder / "darkroom.toml").write_text('[check]\nevents = ["resize.requested"]\n')
    assert "[filter-matches-nothing]" in run(folder, rule.bad).stdout
    assert "[filter-matches-nothing]" not in run(folder, rule.good).stdout


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('ignore = ["delivery-valeu"]', 'did you mean "delivery-value"?'),
        ('fail-on = "warnings"', 'did you mean "warning"?'),
        ('ignored = ["delivery-value"]', 'did you mean "ignore"?'),
        ('ignore = "delivery-value"', "must be a list"),
    ],
)
def test_a_mistake_in_the_table_is_refused_with_its_line_and_a_suggestion(
    folder: Path, table: str, message: str
) -> None:
    (folder / "darkroom.toml").write_text(f"[check]\n{table}\n")
    done = run(folder, ERROR)
    assert done.exit_code == 2
    assert "darkroom.toml:2" in done.output
    assert message in done.output


# --- comments --------------------------------------------------------------------------------------------------------


def rules_of(text: str) -> set[str]:
    return {each.rule for each in check_texts([(Path("a.yaml"), text)])}


@pytest.mark.parametrize(
    "text",
    [
        ERROR.replace("retry: -1", "retry: -1  # darkroom: ignore[delivery-value]"),
        ERROR.replace("retry: -1", "retry: -1 #darkroom:ignore[delivery-value, stream-grows]"),
        ERROR.replace("    retry", "    # darkroom: ignore[delivery-value]\n    retry"),
        ERROR.replace("    retry", "    # darkroom: ignore[delivery-value]\n    # because of a test\n\n    retry"),
    ],
)
def test_a_comment_takes_its_line_or_the_next_out_of_a_rule(text: str) -> None:
    assert "delivery-value" in rules_of(ERROR)
    assert rules_of(text) == set()


@pytest.mark.parametrize(
    "text",
    [
        ERROR.replace("retry: -1", "retry: -1  # darkroom: ignore[cesql-syntax]"),
        ERROR.replace("spec:", "spec:  # darkroom: ignore[delivery-value]"),
        ERROR.replace("  delivery:", "  # darkroom: ignore[delivery-value]\n  delivery:"),
    ],
)
def test_a_comment_for_another_rule_or_line_changes_nothing(text: str) -> None:
    assert rules_of(text) == {"delivery-value"}


def test_a_comment_inside_a_channel_template_counts() -> None:
    text = RULES["pull-consumer"].bad
    assert "pull-consumer" not in rules_of(text.replace("Pull", "Pull # darkroom: ignore[pull-consumer]"))


def test_a_comment_can_ignore_that_a_file_is_no_manifest() -> None:
    assert rules_of("# darkroom: ignore[not-a-manifest]\na: b\n") == set()


def test_a_comment_that_names_no_rule_is_reported_with_a_suggestion() -> None:
    (finding,) = check_texts([(Path("a.yaml"), f"{BROKER}# darkroom: ignore[delivery-valeu]\n")])
    assert (finding.rule, finding.line) == ("unknown-ignore", 5)
    assert 'did you mean "delivery-value"?' in finding.message


# --- groups ----------------------------------------------------------------------------------------------------------

MANY = "---\n".join(WARNING.replace("name: resize", f"name: resize-{number}") for number in range(20))


def test_many_warnings_of_a_rule_are_a_few_lines_and_a_count(folder: Path) -> None:
    done = run(folder, MANY)
    lines = [line for line in done.stdout.splitlines() if "[image-not-pinned]" in line]
    assert len(lines) == report.SHOWN_PER_RULE + 1
    assert f"and {20 - report.SHOWN_PER_RULE} more warnings [image-not-pinned] in 1 file" in lines[-1]
    assert done.stderr.startswith("21 warnings in 1 file\n")


def test_all_shows_every_finding(folder: Path) -> None:
    done = run(folder, MANY, "--all")
    assert len([line for line in done.stdout.splitlines() if "[image-not-pinned]" in line]) == 20


def test_errors_come_first_and_are_all_shown(folder: Path) -> None:
    errors = "---\n".join(ERROR.replace("name: pictures", f"name: pictures-{number}") for number in range(20))
    lines = run(folder, f"{MANY}---\n{errors}").stdout.splitlines()
    assert ["error [delivery-value]" in line for line in lines[:20]] == [True] * 20
    assert not any("error [" in line for line in lines[20:])


def test_machines_get_every_finding(folder: Path) -> None:
    done = run(folder, MANY, "--format", "json", "--select", "image-not-pinned")
    assert len(done.stdout.splitlines()) == 20


def test_a_hint_is_a_note_in_sarif(folder: Path) -> None:
    log = json.loads(run(folder, HINT, "--format", "sarif").stdout)
    assert [result["level"] for result in log["runs"][0]["results"]] == ["note"]
