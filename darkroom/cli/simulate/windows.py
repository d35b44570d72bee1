"""The application's own bound on the events that are with the Broker, through the extension that the project names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from darkroom.local.errors import LocalRuntimeError
from darkroom.local.extension import load_extension
from darkroom.manifests import Manifests, Service, Trigger
from darkroom.manifests.errors import ManifestError
from darkroom.manifests.project import read_project
from darkroom.simulate import Window, Windowing
from darkroom.simulate.manifests import WindowOf


def windows_of_the_project(manifests: Manifests, root: Path) -> WindowOf:
    """Return the windows of Triggers, as the project's extension has them. Raises click.ClickException."""
    extension = _extension(root)

    def window(trigger: Trigger, service: Service) -> Window | None:
        if extension is None:
            return None
        return extension.window(_event_type(trigger), _settings(service, manifests))

    return window


def _extension(root: Path) -> Windowing | None:
    try:
        reference = read_project(root).extension
        extension: object = None if reference is None else load_extension(reference, root)
    except (ManifestError, LocalRuntimeError) as exc:
        raise click.ClickException(str(exc)) from exc
    return extension if isinstance(extension, Windowing) else None


def _event_type(trigger: Trigger) -> str:
    """Return the one type that a Trigger takes; empty if it takes others too."""
    exact = [dict(each.exact or {}) for each in trigger.spec.filters]
    attributes = {} if trigger.spec.filter is None else dict(trigger.spec.filter.attributes)
    return str(next((each["type"] for each in [attributes, *exact] if "type" in each), ""))


def _settings(service: Service, manifests: Manifests) -> Mapping[str, str]:
    """Return the variables that a Service takes from ConfigMaps and says itself."""
    container, settings = service.spec.template.spec.container, dict[str, str]()
    for source in container.env_from:
        named = None if source.config_map_ref is None else source.config_map_ref.name
        config_map = None if named is None else manifests.config_map(service.namespace, named)
        settings |= {} if config_map is None else dict(config_map.data)
    return settings | {each.name: each.value for each in container.env if each.value is not None}
