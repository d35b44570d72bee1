"""`python -m tools.monitoring FOLDER`: regenerates the rules, the dashboards and the collector's configuration."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.monitoring.files import documents


def write(folder: Path) -> None:
    for name, text in documents().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        print(file)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
