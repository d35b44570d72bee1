"""Erases objects in S3 for good: every version, every delete marker, and what is left of unfinished uploads.

With boto3, like `s3_bucket`: obstore does not list versions. Only recovery erases, a few objects per job.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from darkroom.adapters.storage.s3_bucket import client, code_of, status_of
from darkroom.contract.errors import DependencyUnavailableError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class S3Eraser:
    """Safe to share between threads, as boto3's clients are. Raises DependencyUnavailableError, which reports errors by
    their kind alone: the library's texts contain addresses.
    """

    def __init__(self, bucket: str, *, endpoint: str | None, access_key: str, secret_key: str, region: str) -> None:
        self._bucket = bucket
        self._s3: S3Client = client(endpoint, access_key, secret_key, region)

    def erase(self, prefix: str, is_meant: Callable[[str], bool]) -> int:
        """Erase the keys that begin with `prefix` and are meant. Returns how many versions and uploads there were."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            # Uploads first: one that ends in between leaves an object, which is then found.
            return self._abort_uploads(prefix, is_meant) + self._delete_versions(prefix, is_meant)
        except ClientError as exc:
            refusal = f"{exc.operation_name} was answered {status_of(exc.response)} {code_of(exc.response)}"
            raise DependencyUnavailableError("storage", refusal) from exc
        except BotoCoreError as exc:
            raise DependencyUnavailableError("storage", f"erasing failed with {type(exc).__name__}") from exc

    def close(self) -> None:
        self._s3.close()

    def _abort_uploads(self, prefix: str, is_meant: Callable[[str], bool]) -> int:
        found = [
            (upload["Key"], upload["UploadId"])
            for page in self._pages("list_multipart_uploads", prefix)
            for upload in page.get("Uploads", ())
            if is_meant(upload["Key"])
        ]
        for key, upload_id in found:
            self._done(partial(self._s3.abort_multipart_upload, Bucket=self._bucket, Key=key, UploadId=upload_id))
        return len(found)

    def _delete_versions(self, prefix: str, is_meant: Callable[[str], bool]) -> int:
        found = [
            (version["Key"], version["VersionId"])
            for page in self._pages("list_object_versions", prefix)
            for version in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
            if is_meant(version["Key"])
        ]
        for key, version_id in found:
            self._done(partial(self._s3.delete_object, Bucket=self._bucket, Key=key, VersionId=version_id))
        return len(found)

    def _pages(self, operation: Any, prefix: str) -> Iterator[Any]:
        return iter(self._s3.get_paginator(operation).paginate(Bucket=self._bucket, Prefix=prefix))

    def _done(self, call: Callable[[], object]) -> None:
        """Make a call. What is gone already was erased by another sweep."""
        from botocore.exceptions import ClientError

        try:
            call()
        except ClientError as exc:
            if status_of(exc.response) != 404 or code_of(exc.response) == "NoSuchBucket":
                raise
