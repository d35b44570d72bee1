"""Knative Serving: Service and DomainMapping."""

from __future__ import annotations

from typing import Any

from darkroom.manifests.platform.schema.shape import (
    ANYTHING,
    FLAG,
    INTEGER_32,
    INTEGER_64,
    TEXT,
    TEXT_MAP,
    TEXTS,
    List,
    Map,
    Object,
    WholeOrText,
)

# --- what Serving refuses unless the cluster's operator has turned on a feature in config-features -------------------

POD_FEATURES = {
    "affinity": "kubernetes.podspec-affinity",
    "dnsConfig": "kubernetes.podspec-dnsconfig",
    "dnsPolicy": "kubernetes.podspec-dnspolicy",
    "hostAliases": "kubernetes.podspec-hostaliases",
    "hostIPC": "kubernetes.podspec-hostipc",
    "hostNetwork": "kubernetes.podspec-hostnetwork",
    "hostPID": "kubernetes.podspec-hostpid",
    "initContainers": "kubernetes.podspec-init-containers",
    "nodeSelector": "kubernetes.podspec-nodeselector",
    "priorityClassName": "kubernetes.podspec-priorityclassname",
    "runtimeClassName": "kubernetes.podspec-runtimeclassname",
    "schedulerName": "kubernetes.podspec-schedulername",
    "securityContext": "kubernetes.podspec-securitycontext",
    "shareProcessNamespace": "kubernetes.podspec-shareprocessnamespace",
    "tolerations": "kubernetes.podspec-tolerations",
    "topologySpreadConstraints": "kubernetes.podspec-topologyspreadconstraints",
}
VOLUME_FEATURES = {
    "csi": "kubernetes.podspec-volumes-csi",
    "ephemeral": "kubernetes.podspec-volumes-ephemeral",
    "hostPath": "kubernetes.podspec-volumes-hostpath",
    "image": "kubernetes.podspec-volumes-image",
    "persistentVolumeClaim": "kubernetes.podspec-persistent-volume-claim",
}
# Fields of Kubernetes pods that no feature allows.
REFUSED_OF_POD = (
    "activeDeadlineSeconds",
    "hostname",
    "nodeName",
    "overhead",
    "preemptionPolicy",
    "priority",
    "readinessGates",
    "restartPolicy",
    "subdomain",
    "terminationGracePeriodSeconds",
)
REFUSED_OF_CONTAINER = ("lifecycle", "resizePolicy", "restartPolicy", "stdin", "stdinOnce", "tty", "volumeDevices")
REFUSED_OF_PORT = ("hostIP", "hostPort")

_EMPTY_COUNTS = {"affinity", "dnsConfig", "runtimeClassName", "securityContext", "shareProcessNamespace"}


def is_set(name: str, value: Any) -> bool:
    """Whether the webhook sees a field of POD_FEATURES at all.

    An empty or false value counts as missing, unless the API distinguishes an empty object from a missing one.
    """
    return value is not None if name in _EMPTY_COUNTS else bool(value)


# --- shapes ----------------------------------------------------------------------------------------------------------

QUANTITY = WholeOrText(r"[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
PORT = WholeOrText()
_KEY = Object({"key": TEXT, "name": TEXT, "optional": FLAG}, required=("key",))
_NAME = Object({"name": TEXT, "optional": FLAG})
_ITEMS = List(of=Object({"key": TEXT, "mode": INTEGER_32, "path": TEXT}, required=("key", "path")))

_ENV = Object(
    {
        "name": TEXT,
        "value": TEXT,
        "valueFrom": Object(
            {
                "configMapKeyRef": _KEY,
                "secretKeyRef": _KEY,
                "fieldRef": ANYTHING,
                "resourceFieldRef": ANYTHING,
            }
        ),
    },
    required=("name",),
)
_HEADER = Object({"name": TEXT, "value": TEXT}, required=("name", "value"))
_PROBE = Object(
    {
        "exec": Object({"command": TEXTS}),
        "grpc": Object({"port": INTEGER_32, "service": TEXT}),
        "httpGet": Object({"host": TEXT, "httpHeaders": List(of=_HEADER), "path": TEXT, "port": PORT, "scheme": TEXT}),
        "tcpSocket": Object({"host": TEXT, "port": PORT}),
        "failureThreshold": INTEGER_32,
        "initialDelaySeconds": INTEGER_32,
        "periodSeconds": INTEGER_32,
        "successThreshold": INTEGER_32,
        "timeoutSeconds": INTEGER_32,
    }
)
_SECURITY = Object(
    {
        "allowPrivilegeEscalation": FLAG,
        "capabilities": Object({"add": TEXTS, "drop": TEXTS}),
        "privileged": FLAG,
        "readOnlyRootFilesystem": FLAG,
        "runAsGroup": INTEGER_64,
        "runAsNonRoot": FLAG,
        "runAsUser": INTEGER_64,
        "seccompProfile": Object({"localhostProfile": TEXT, "type": TEXT}, required=("type",)),
    }
)
_MOUNT = Object(
    {"mountPath": TEXT, "mountPropagation": TEXT, "name": TEXT, "readOnly": FLAG, "subPath": TEXT},
    required=("mountPath", "name"),
)
CONTAINER = Object(
    {
        "args": TEXTS,
        "command": TEXTS,
        "env": List(of=_ENV),
        "envFrom": List(of=Object({"configMapRef": _NAME, "prefix": TEXT, "secretRef": _NAME})),
        "image": TEXT,
        "imagePullPolicy": TEXT,
        "livenessProbe": _PROBE,
        "name": TEXT,
        "ports": List(
            of=Object(
                {
                    "containerPort": INTEGER_32,
                    "name": TEXT,
                    "protocol": TEXT,
                    **dict.fromkeys(REFUSED_OF_PORT, ANYTHING),
                }
            )
        ),
        "readinessProbe": _PROBE,
        "resources": Object({"limits": Map(QUANTITY), "requests": Map(QUANTITY)}),
        "securityContext": _SECURITY,
        "startupProbe": _PROBE,
        "terminationMessagePath": TEXT,
        "terminationMessagePolicy": TEXT,
        "volumeMounts": List(of=_MOUNT),
        "workingDir": TEXT,
        **dict.fromkeys(REFUSED_OF_CONTAINER, ANYTHING),
    }
)
_PROJECTION = Object(
    {
        "configMap": Object({"items": _ITEMS, "name": TEXT, "optional": FLAG}),
        "secret": Object({"items": _ITEMS, "name": TEXT, "optional": FLAG}),
        "downwardAPI": ANYTHING,
        "serviceAccountToken": Object(
            {"audience": TEXT, "expirationSeconds": INTEGER_64, "path": TEXT}, required=("path",)
        ),
    }
)
_VOLUME = Object(
    {
        "name": TEXT,
        "configMap": Object({"defaultMode": INTEGER_32, "items": _ITEMS, "name": TEXT, "optional": FLAG}),
        "secret": Object({"defaultMode": INTEGER_32, "items": _ITEMS, "optional": FLAG, "secretName": TEXT}),
        "projected": Object({"defaultMode": INTEGER_32, "sources": List(of=_PROJECTION)}),
        "emptyDir": Object({"medium": TEXT, "sizeLimit": QUANTITY}),
        **dict.fromkeys(VOLUME_FEATURES, ANYTHING),
    },
    required=("name",),
)
REVISION = Object(
    {
        # Checked by the rule refused-field.
        **dict.fromkeys((*POD_FEATURES, *REFUSED_OF_POD), ANYTHING),
        "automountServiceAccountToken": FLAG,
        "containerConcurrency": INTEGER_64,
        "containers": List(of=CONTAINER),
        "enableServiceLinks": FLAG,
        "idleTimeoutSeconds": INTEGER_64,
        "imagePullSecrets": List(of=Object({"name": TEXT})),
        "responseStartTimeoutSeconds": INTEGER_64,
        "serviceAccountName": TEXT,
        "timeoutSeconds": INTEGER_64,
        "volumes": List(of=_VOLUME),
    },
    required=("containers",),
)
_TRAFFIC = Object(
    {
        "configurationName": TEXT,
        "latestRevision": FLAG,
        "percent": INTEGER_64,
        "revisionName": TEXT,
        "tag": TEXT,
        "url": TEXT,
    }
)
_TEMPLATE_METADATA = Object(
    {
        "annotations": TEXT_MAP,
        "labels": TEXT_MAP,
        "name": TEXT,
        "namespace": TEXT,
        "generateName": TEXT,
        "finalizers": TEXTS,
        "creationTimestamp": ANYTHING,
    }
)
SERVICE = Object({"template": Object({"metadata": _TEMPLATE_METADATA, "spec": REVISION}), "traffic": List(of=_TRAFFIC)})
DOMAIN_MAPPING = Object(
    {
        "ref": Object(
            {"address": TEXT, "apiVersion": TEXT, "group": TEXT, "kind": TEXT, "name": TEXT, "namespace": TEXT},
            required=("kind", "name"),
        ),
        "tls": Object({"secretName": TEXT}, required=("secretName",)),
    },
    required=("ref",),
)
