"""How a container image is started on this machine, where no container is: by the project file, the container's own
command, or what lies in the function's folder.

`Launcher` finds the way; it starts nothing itself. `instances` starts what it finds.
"""

from darkroom.local.revisions.launching.launch import (
    AddressLaunch,
    Build,
    Launch,
    ModuleLaunch,
    NoLaunch,
    ProgramLaunch,
    Watched,
)
from darkroom.local.revisions.launching.launcher import Launcher

__all__ = ["AddressLaunch", "Build", "Launch", "Launcher", "ModuleLaunch", "NoLaunch", "ProgramLaunch", "Watched"]
