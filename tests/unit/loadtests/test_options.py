from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from loadtests.errors import LoadTestError
from loadtests.options import add_options, host_address, parsed_options
from loadtests.shapes import SHAPES


class Parser(argparse.ArgumentParser):
    """Takes the variables' names that locust's parser knows."""

    def add_argument_group(self, *arguments: Any, **options: Any) -> Any:
        group = super().add_argument_group(*arguments, **options)
        add = group.add_argument

        def without_env_var(*names: Any, env_var: str | None = None, **others: Any) -> argparse.Action:
            return add(*names, **others)

        group.add_argument = without_env_var  # type: ignore[method-assign]
        return group


@pytest.fixture
def parser() -> Parser:
    parser = Parser()
    add_options(parser)
    return parser


def given(parser: Parser, *arguments: str, **form: str) -> dict[str, Any]:
    return {**vars(parser.parse_args(arguments)), **form}


def test_the_defaults_make_a_run(parser: Parser) -> None:
    options = parsed_options(given(parser))
    assert (options.shape, options.scale, options.report) == (SHAPES["steady"], 1.0, Path("load-report/steady.html"))
    assert (options.broker_url, options.admin_url, options.metrics_url) == (None, None, None)


def test_a_forms_texts_are_parsed_and_its_empty_ones_are_none(parser: Parser) -> None:
    options = parsed_options(given(parser, scale="0.5", stretch="2", seed="7", broker_host="", admin_url="http://a/"))
    assert (options.scale, options.shape.seconds, options.seed) == (0.5, 120, 7)
    assert (options.broker_url, options.admin_url) == (None, "http://a")


def test_a_chosen_shape_class_wins_over_the_option(parser: Parser) -> None:
    assert parsed_options(given(parser, "--shape", "ramp"), shape="burst").shape == SHAPES["burst"]


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"scale": "0"}, "--scale: 0 is not more than 0"),
        ({"scale": "nan"}, "--scale: nan is not more than 0"),
        ({"stretch": "fast"}, "--stretch: 'fast' is no number"),
        ({"settle": "-1"}, "--settle: -1 is not 0 or more"),
        ({"seed": "1.5"}, "--seed: '1.5' is no whole number"),
        ({"shape": "bursty"}, "there is no shape 'bursty'"),
        ({"objective": "always"}, "an objective reads like"),
        ({"admin_url": "127.0.0.1:80"}, "--admin-url begins with http:// or https://, was '127.0.0.1:80'"),
        ({"admin_url": "http://a", "metrics_url": "http://b"}, "two sources of the same numbers"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_value(parser: Parser, form: dict[str, str], said: str) -> None:
    with pytest.raises(LoadTestError) as refused:
        parsed_options(given(parser, **form))
    assert said in str(refused.value)


def test_a_host_without_a_scheme_or_without_anything_is_refused() -> None:
    assert host_address("http://here/") == "http://here"
    for host, said in ((None, "--host is missing"), ("here", "begins with http://")):
        with pytest.raises(LoadTestError, match=said):
            host_address(host)


def test_each_option_but_the_page_is_in_locusts_form_and_may_be_sent_to_workers(parser: Parser) -> None:
    ours = [action for action in parser._actions if hasattr(action, "include_in_web_ui")]
    assert {action.dest for action in ours if not action.include_in_web_ui} == {"report"}
    # Locust sends options to its workers, and defaults to its form, as plain values.
    assert {type(action.default) for action in ours} <= {str, float, int, type(None)}


def test_help_explains_each_shape(parser: Parser) -> None:
    text = " ".join(parser.format_help().split())
    for name, shape in SHAPES.items():
        assert f"{name}: {shape.meaning()}" in text
