"""The pictures of a job: its input and its results, by signed URLs that the browser fetches from storage itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from darkroom.adapters.storage import Storage
from darkroom.contract.errors import DependencyUnavailableError
from darkroom.contract.jobs import JobFailure, JobRecord, JobResult

URL_LIFETIME_S = 600
_SHOWN_BY_BROWSERS = {"image/jpeg", "image/png", "image/webp", "image/gif", "image/avif"}


@dataclass(frozen=True, kw_only=True)
class ShownPicture:
    title: str
    storage_key: str
    url: str = ""
    """Empty: there is nothing to show, and `note` says why."""
    note: str = ""
    content_type: str = ""
    size_bytes: int | None = None
    width_px: int | None = None
    height_px: int | None = None

    @property
    def origin(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def pictures_of(storage: Storage, record: JobRecord) -> Sequence[ShownPicture]:
    """Sign what the job has in storage. A storage that does not answer is said beside the picture."""
    return [_input(storage, record), *_results(storage, record)]


def _input(storage: Storage, record: JobRecord) -> ShownPicture:
    title, key = "Input", record.storage_key
    try:
        info = storage.info(key)
        if info is None:
            return ShownPicture(title=title, storage_key=key, note="It is no longer in storage.")
        if info.content_type not in _SHOWN_BY_BROWSERS:
            note = f"Browsers do not show {info.content_type or 'files of no type'}."
            return ShownPicture(title=title, storage_key=key, note=note, size_bytes=info.size_bytes)
        return ShownPicture(
            title=title,
            storage_key=key,
            url=_signed(storage, key, info.content_type),
            content_type=info.content_type,
            size_bytes=info.size_bytes,
        )
    except DependencyUnavailableError as exc:
        return ShownPicture(title=title, storage_key=key, note=f"The storage does not answer: {exc.detail}")


def _results(storage: Storage, record: JobRecord) -> Iterator[ShownPicture]:
    if record.result is not None:
        yield _result(storage, "Result", record.result)
    for name in record.rendition_names:
        made = record.made.get(name)
        if isinstance(made, JobResult):
            yield _result(storage, name, made)
        elif isinstance(made, JobFailure):
            yield ShownPicture(title=name, storage_key="", note=f"{made.code}: {made.message}")
        else:
            yield ShownPicture(title=name, storage_key="", note="It is not made yet.")


def _result(storage: Storage, title: str, result: JobResult) -> ShownPicture:
    try:
        url, note = _signed(storage, result.storage_key, result.content_type), ""
    except DependencyUnavailableError as exc:
        url, note = "", f"The storage does not answer: {exc.detail}"
    return ShownPicture(
        title=title,
        storage_key=result.storage_key,
        url=url,
        note=note,
        content_type=result.content_type,
        size_bytes=result.bytes,
        width_px=result.width,
        height_px=result.height,
    )


def _signed(storage: Storage, key: str, content_type: str) -> str:
    filename = key.rpartition("/")[2]
    return storage.sign_download(key, content_type=content_type, filename=filename, lifetime_s=URL_LIFETIME_S).url
