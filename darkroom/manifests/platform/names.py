"""Validates names as Kubernetes' API server does."""

from __future__ import annotations

import re

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", re.ASCII)


def is_dns_label(name: str) -> bool:
    return len(name) <= 63 and re.fullmatch(_LABEL, name) is not None


def is_dns_1035_label(name: str) -> bool:
    return is_dns_label(name) and not name[0].isdigit()


def is_dns_subdomain(name: str) -> bool:
    return len(name) <= 253 and re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", name) is not None


def is_qualified_name(name: str) -> bool:
    """Whether a name is valid as the key of a label or an annotation, or as an apiVersion: `prefix/name` or `name`."""
    prefix, slash, local = name.rpartition("/")
    if slash and not is_dns_subdomain(prefix):
        return False
    return len(local) <= 63 and _QUALIFIED.fullmatch(local) is not None


def is_label_value(value: str) -> bool:
    return value == "" or (len(value) <= 63 and _QUALIFIED.fullmatch(value) is not None)


def is_identifier(name: str) -> bool:
    """Whether a name is valid as a kind."""
    return re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII) is not None


# --- images ----------------------------------------------------------------------------------------------------------

_REPOSITORY = re.compile(r"[a-z0-9_./-]{2,255}", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_.-]{1,128}", re.ASCII)
_DIGEST = re.compile(r"[a-z0-9]+:[0-9a-f]{32,}", re.ASCII)


def image_problem(image: str) -> str | None:
    """What is wrong with an image reference; None if it is valid.

    ko replaces its own references before they are applied.
    """
    if image.startswith("ko://"):
        return None
    rest, at, digest = image.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        return f"{digest!r} is not a digest such as sha256:..."
    first, slash, path = rest.partition("/")
    has_registry = bool(slash) and (first == "localhost" or any(mark in first for mark in ".:"))
    repository, colon, tag = (path if has_registry else rest).partition(":")
    if colon and not _TAG.fullmatch(tag):
        return f"{tag!r} is not a tag"
    if not _REPOSITORY.fullmatch(repository):
        return f"{repository!r} must be 2 to 255 lower-case letters, digits and ._-/"
    return None
