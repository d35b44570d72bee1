"""What the plugin says when a test cannot be given a Broker. A branch of the tree in `darkroom.errors`.

DarkroomError
└── TestingError            code testing
    ├── ProjectError            the project has no Knative YAML, no Broker, or not the one that was named
    └── NotInstalledError       a package or a program is missing; says which extra has it
"""

from __future__ import annotations

from darkroom.errors import DarkroomError


class TestingError(DarkroomError):
    __test__ = False  # pytest collects no class of this name where it is imported

    code = "testing"
    title = "The test's Broker cannot be used"


class ProjectError(TestingError):
    code = "testing.project"


class NotInstalledError(TestingError):
    code = "testing.not_installed"
