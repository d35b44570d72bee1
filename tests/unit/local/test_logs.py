from __future__ import annotations

from pathlib import Path

from darkroom.local.children.logs import LogDirectory


def test_each_name_has_a_file_and_the_console_gets_every_line_with_its_name(tmp_path: Path) -> None:
    console: list[tuple[str, str]] = []
    logs = LogDirectory(tmp_path, console=lambda name, line: console.append((name, line)))

    logs.sink("resize")("one")
    logs.sink("nats")("two")
    logs.sink("resize")("three")

    assert logs.path("resize").read_text() == "one\nthree\n"
    assert logs.path("nats").read_text() == "two\n"
    assert console == [("resize", "one"), ("nats", "two"), ("resize", "three")]
    logs.close()


def test_a_file_that_has_grown_to_its_limit_makes_room_for_a_new_one_and_is_kept_once(tmp_path: Path) -> None:
    logs = LogDirectory(tmp_path, max_file_bytes=100)

    for number in range(1000):
        logs.sink("chatty")(f"line {number}")
    logs.close()

    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 2
    assert max(sizes) < 120


def test_the_next_run_writes_on_below_the_last(tmp_path: Path) -> None:
    for run in ("first", "second"):
        logs = LogDirectory(tmp_path)
        logs.sink("resize")(run)
        logs.close()

    assert (tmp_path / "resize.log").read_text() == "first\nsecond\n"
