"""The Gateway API's HTTPRoute."""

from __future__ import annotations

from darkroom.manifests.platform.schema.shape import FLAG, INT32, List, Object, Shape, Text, Whole

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
_TOKEN = Text(pattern=r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$", min_length=1, max_length=256)

HOSTNAME = Text(pattern=rf"^{_SUBDOMAIN}$", min_length=1, max_length=253)
_GROUP = Text(pattern=rf"^$|^{_SUBDOMAIN}$", max_length=253)
_KIND = Text(pattern=r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$", min_length=1, max_length=63)
_NAME = Text(min_length=1, max_length=253)
_NAMESPACE = Text(pattern=rf"^{_LABEL}$", min_length=1, max_length=63)
_PORT = Whole(minimum=1, maximum=65535)
_DURATION = Text(pattern=r"^([0-9]{1,5}(h|m|s|ms)){1,4}$")

_PARENT = Object(
    {
        "group": _GROUP,
        "kind": _KIND,
        "name": _NAME,
        "namespace": _NAMESPACE,
        "port": _PORT,
        "sectionName": HOSTNAME,
    },
    required=("name",),
)
_BACKEND: dict[str, Shape] = {"group": _GROUP, "kind": _KIND, "name": _NAME, "namespace": _NAMESPACE, "port": _PORT}
_HEADER = Object({"name": _TOKEN, "value": Text(min_length=1, max_length=4096)}, required=("name", "value"))
_HEADERS = Object(
    {
        "add": List(of=_HEADER, max_items=16),
        "remove": List(of=Text(), max_items=16),
        "set": List(of=_HEADER, max_items=16),
    }
)
_PATH_CHANGE = Object(
    {
        "replaceFullPath": Text(max_length=1024),
        "replacePrefixMatch": Text(max_length=1024),
        "type": Text(one_of=("ReplaceFullPath", "ReplacePrefixMatch")),
    },
    required=("type",),
)
_ORIGIN = Text(
    pattern=r"(^\*$)|(^(http(s)?):\/\/(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)$)",
    min_length=1,
    max_length=253,
)
_CORS = Object(
    {
        "allowCredentials": FLAG,
        "allowHeaders": List(of=_TOKEN, max_items=64),
        "allowMethods": List(of=Text(one_of=(*_METHODS, "*")), max_items=9),
        "allowOrigins": List(of=_ORIGIN, max_items=64),
        "exposeHeaders": List(of=_TOKEN, max_items=64),
        "maxAge": Whole(minimum=1, maximum=INT32),
    }
)
_MIRROR = Object(
    {
        "backendRef": Object(_BACKEND, required=("name",)),
        "fraction": Object(
            {"denominator": Whole(minimum=1, maximum=INT32), "numerator": Whole(minimum=0, maximum=INT32)},
            required=("numerator",),
        ),
        "percent": Whole(minimum=0, maximum=100),
    },
    required=("backendRef",),
)
_REDIRECT = Object(
    {
        "hostname": HOSTNAME,
        "path": _PATH_CHANGE,
        "port": _PORT,
        "scheme": Text(one_of=("http", "https")),
        "statusCode": Whole(one_of=(301, 302, 303, 307, 308)),
    }
)
FILTER_FIELDS = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestMirror": "requestMirror",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
    "ExtensionRef": "extensionRef",
    "CORS": "cors",
}
"""A filter's type, and the field that goes with it."""
_FILTER = Object(
    {
        "cors": _CORS,
        "extensionRef": Object({"group": _GROUP, "kind": _KIND, "name": _NAME}, required=("group", "kind", "name")),
        "requestHeaderModifier": _HEADERS,
        "requestMirror": _MIRROR,
        "requestRedirect": _REDIRECT,
        "responseHeaderModifier": _HEADERS,
        "type": Text(one_of=tuple(FILTER_FIELDS)),
        "urlRewrite": Object({"hostname": HOSTNAME, "path": _PATH_CHANGE}),
    },
    required=("type",),
)
_FILTERS = List(of=_FILTER, max_items=16)
_MATCHED = Text(one_of=("Exact", "RegularExpression"))
_HEADER_MATCH = Object(
    {"name": _TOKEN, "type": _MATCHED, "value": Text(min_length=1, max_length=4096)}, required=("name", "value")
)
_QUERY_MATCH = Object(
    {"name": _TOKEN, "type": _MATCHED, "value": Text(min_length=1, max_length=1024)}, required=("name", "value")
)
_MATCH = Object(
    {
        "headers": List(of=_HEADER_MATCH, max_items=16),
        "method": Text(one_of=_METHODS),
        "path": Object(
            {
                "type": Text(one_of=("Exact", "PathPrefix", "RegularExpression")),
                "value": Text(max_length=1024),
            }
        ),
        "queryParams": List(of=_QUERY_MATCH, max_items=16),
    }
)
_RULE = Object(
    {
        "backendRefs": List(
            of=Object(
                {**_BACKEND, "filters": _FILTERS, "weight": Whole(minimum=0, maximum=1_000_000)}, required=("name",)
            ),
            max_items=16,
        ),
        "filters": _FILTERS,
        "matches": List(of=_MATCH, max_items=64),
        "name": HOSTNAME,
        "timeouts": Object({"backendRequest": _DURATION, "request": _DURATION}),
    }
)
HTTP_ROUTE = Object(
    {
        "hostnames": List(of=Text(pattern=rf"^(\*\.)?{_SUBDOMAIN}$", min_length=1, max_length=253), max_items=16),
        "parentRefs": List(of=_PARENT, max_items=32),
        "rules": List(of=_RULE, min_items=1, max_items=16),
    }
)
