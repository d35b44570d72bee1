"""`python -m loadtests.by_hand`: the command `locust -f loadtests/locustfile.py` under a name whose --help is complete.

Locust prints its help before it reads the file with our options.
"""

from __future__ import annotations

import sys
from pathlib import Path

from locust import events
from locust.main import main

from loadtests.options import add_options


def by_hand() -> None:
    if {"-h", "--help"} & set(sys.argv[1:]):
        events.init_command_line_parser.add_listener(add_options)
    sys.argv[1:1] = ["-f", str(Path(__file__).with_name("locustfile.py"))]
    main()


if __name__ == "__main__":
    by_hand()
