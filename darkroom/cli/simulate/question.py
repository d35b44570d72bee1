"""What is asked, read from files and addresses, and answered by simulations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from darkroom.cli.plan.package_data import example_prices
from darkroom.cli.simulate.deployment import (
    Deployed,
    Entrance,
    find_entrance,
    make_base,
    read_manifests,
)
from darkroom.cli.simulate.files import read_recording, read_traffic
from darkroom.cli.simulate.options import PLATFORMS
from darkroom.cli.simulate.patch import write_patch
from darkroom.cli.simulate.pod_prices import PodPrices, pod_prices
from darkroom.cli.simulate.study import Against, Study, search_sentence
from darkroom.cli.simulate.times import read_times
from darkroom.cli.simulate.windows import windows_of_the_project
from darkroom.planning.prices import PricesError, parse_prices
from darkroom.simulate import from_manifests
from darkroom.simulate.observed.recording import Recording
from darkroom.simulate.study.calibration import as_recorded, calibrate
from darkroom.simulate.study.objective import Objective
from darkroom.simulate.study.outcome import Answer, answer
from darkroom.simulate.study.search import search
from darkroom.simulate.study.settings import AS_IS, Axis, Base, Setting, combinations, parse_axis
from darkroom.simulate.traffic import Traffic


@dataclass(frozen=True, kw_only=True)
class Question:
    deployed: Deployed
    entrance: Entrance
    traffic: Traffic
    base: Base
    axes: Sequence[Axis]
    objective: Objective
    prices: PodPrices
    seeds: Sequence[int]
    platform: str
    remarks: Sequence[str] = ()
    recording: Recording | None = None
    """The real run to compare with."""

    @classmethod
    def of(
        cls,
        *,
        manifests: Sequence[Path],
        traffic: str,
        to: str | None,
        log_path: str,
        times: Sequence[str],
        starts: str | None,
        metric: str,
        settings: Sequence[str],
        objective: Objective,
        prices_file: Path | None,
        platform: str,
        max_instances: int | None,
        cores: float | None,
        runs: int,
        seed: int,
        against: str | None,
        data: Path,
    ) -> Question:
        """Read everything that the options name. Raises click.ClickException and SettingError."""
        deployed = read_manifests(manifests)
        entrance = find_entrance(from_manifests(deployed.manifests, duration_s=1.0), to)
        came, recorded = read_traffic(traffic, service=entrance.service, seed=seed, path=log_path)
        recording = None if against is None else read_recording(against, service=entrance.service)
        known = read_times(times, starts, deployed, entrance, recorded or recording, metric=metric, data=data)
        base = make_base(
            deployed,
            entrance,
            came,
            times=known.observed,
            platform=replace(PLATFORMS[platform], max_instances=max_instances),
            cores=cores,
            windows=windows_of_the_project(deployed.manifests, Path()),
        )
        prices = _read_prices(prices_file, deployed)
        assumed = [name for name in (each.name for each in base.scenario.services) if deployed.pods()[name].is_assumed]
        unpriced = (
            [f"{', '.join(assumed)} requests no CPU or memory: counted as 1 core and 512 MiB."] if assumed else []
        )
        return cls(
            deployed=deployed,
            entrance=entrance,
            traffic=came,
            base=base,
            axes=[parse_axis(text, [each.name for each in base.scenario.services]) for text in settings],
            objective=objective,
            prices=prices,
            seeds=range(seed, seed + runs),
            platform=platform,
            remarks=[*known.remarks, *unpriced],
            recording=recording,
        )

    def study(self, *, is_search: bool) -> Study:
        """Simulate every setting, or search among them. Raises SettingError for a value that Serving would refuse."""
        study = self._searched() if is_search else self._compared()
        return study if self.recording is None else replace(study, against=self._laid_over(self.recording))

    def _compared(self) -> Study:
        settings = self.base.possible(combinations(self.axes)) if self.axes else [AS_IS]
        return self._study([self._answer(setting) for setting in settings])

    def _searched(self) -> Study:
        axes = self.axes or self._usual_axes()
        found = search(axes, self.base, attempt=self._answer, cost=self.prices.per_day)
        shown = [each for each in (found.best, found.next_cheaper) if each is not None]
        study = replace(self._study(shown), found=found)
        if found.best is None:
            return study
        about = f"{search_sentence(study)}\nFound by `darkroom simulate --search` for {self.traffic.source}."
        return replace(study, patch=write_patch(found.best.setting, self.deployed.services, about=about))

    def _usual_axes(self) -> list[Axis]:
        """Return what is tried when nothing is said: how many instances there may be, and how many wait for work."""
        service = self.entrance.service
        return [
            Axis(service=service, name="min-scale", values=("0", "1", "2", "4")),
            Axis(service=service, name="max-scale", values=("4", "8", "16", "32")),
        ]

    def _answer(self, setting: Setting) -> Answer:
        path = self.entrance.path(len(self.traffic.arrivals_s))
        return answer(setting, self.base.apply(setting), path=path, objective=self.objective, seeds=self.seeds)

    def _study(self, answers: Sequence[Answer]) -> Study:
        return Study(
            traffic=self.traffic,
            path=self.entrance.path(len(self.traffic.arrivals_s)),
            objective=self.objective,
            prices=self.prices,
            answers=answers,
            platform=self.platform,
            remarks=self.remarks,
        )

    def _laid_over(self, recording: Recording) -> Against:
        """Simulate the recorded arrivals as well, with the manifests' own settings: only they are comparable."""
        base = replace(self.base, scenario=as_recorded(self.base.scenario, recording))
        result = replace(self, base=base, traffic=recording.traffic())._answer(AS_IS).typical
        path = self.entrance.path(len(recording.arrivals_s))
        return Against(recording=recording, result=result, calibration=calibrate(recording, result, path))


def _read_prices(file: Path | None, deployed: Deployed) -> PodPrices:
    try:
        prices = example_prices() if file is None else parse_prices(file.read_text(encoding="utf-8"))
    except PricesError as exc:
        raise click.ClickException(f"{file}: {exc}; `darkroom plan --example-prices` prints a whole one") from exc
    return pod_prices(prices, deployed.pods())
