"""Plans a backup: what to keep of a deployment, where it is, and the commands that copy it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The names of a deployment, as its manifests or its running stack say."""

    settings: Mapping[str, str]
    """Of the ConfigMap with the functions' settings, or of the running stack."""
    namespace: str = "darkroom"
    secrets: Sequence[str] = ()
    dead_letter_stream: str = "DARKROOM_DEAD_LETTERS"
    broker_streams: Sequence[str] = ()
    data_folder: str | None = None
    """Of a `darkroom up` on this machine; None: a cluster."""

    @property
    def bucket(self) -> str:
        return self.settings.get("BUCKET_NAME", "processed-images")

    @property
    def endpoint(self) -> str:
        return self.settings.get("STORAGE_ENDPOINT", "")


@dataclass(frozen=True, kw_only=True)
class BackupItem:
    what: str
    where: str
    commands: Sequence[str]
    """Empty: it needs no copy."""
    why: str
    """What is lost without it, or why it needs no copy."""


def backup_plan(deployment: Deployment) -> list[BackupItem]:
    """List what there is, the most important first."""
    return [
        _pictures(deployment),
        _job_store(deployment),
        _dead_letters(deployment),
        *_files(deployment),
        _secrets(deployment),
        *(_broker_stream(name) for name in deployment.broker_streams),
    ]


def _pictures(deployment: Deployment) -> BackupItem:
    what = "originals, results, and the keepers (uploads/JOB_ID/job.json) from which jobs are restored"
    why = "the pictures, and with the keepers which jobs there are"
    if deployment.settings.get("STORAGE_TYPE") == "local":
        folder = deployment.endpoint
        return BackupItem(what=what, where=folder, commands=[f"rsync --archive --delete {folder}/ BACKUP/"], why=why)
    bucket, at = deployment.bucket, f" --endpoint-url {deployment.endpoint}" if deployment.endpoint else ""
    commands = [
        f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled{at}",
        f"aws s3 sync s3://{bucket} s3://BACKUP-BUCKET --delete{at}",
    ]
    return BackupItem(what=what, where=f"bucket {bucket} at {deployment.endpoint or 'AWS'}", commands=commands, why=why)


def _job_store(deployment: Deployment) -> BackupItem:
    why = (
        "nothing that was accepted: `darkroom restore` rebuilds it from the bucket. A copy also has what storage does "
        "not show: why jobs failed or were cancelled, attempts and timings, statistics, webhooks that are owed"
    )
    if deployment.settings.get("JOB_STORE") == "postgres":
        commands = ['pg_dump --format custom --schema darkroom --file jobs.dump "$POSTGRES_URL"']
        return BackupItem(what="the job store", where="the schema darkroom at POSTGRES_URL", commands=commands, why=why)
    if deployment.data_folder is not None:
        folder = f"{deployment.data_folder}/redis"
        commands = [f"tar --create --file redis-data.tar --directory {folder} ."]
        return BackupItem(what="the job store", where=folder, commands=commands, why=why)
    commands = [f"kubectl exec --namespace {deployment.namespace} redis-0 -- tar -C /data -cf - . > redis-data.tar"]
    where = f"the claim data-redis-0 in {deployment.namespace}, append-only files"
    return BackupItem(what="the job store", where=where, commands=commands, why=why)


def _dead_letters(deployment: Deployment) -> BackupItem:
    stream, at = deployment.dead_letter_stream, deployment.settings.get("NATS_URL", "")
    commands = [
        f"nats stream backup {stream} dead-letters --server {at or 'NATS_URL'}",
        "darkroom deadletters list --json --limit 100000 > deadletters.json",
    ]
    return BackupItem(
        what="dead letters",
        where=f"JetStream stream {stream} at {at}",
        commands=commands,
        why="what was given up and not yet looked at",
    )


_FILES = {
    "API_KEYS_FILE": ("API keys (hashes only)", "every client's access: keys have to be handed out anew"),
    "WEBHOOKS_FILE": ("webhook endpoints and their secrets", "endpoints and secrets have to be agreed on anew"),
    "PRESETS_FILE": ("presets", "requests that name a preset are refused"),
}


def _files(deployment: Deployment) -> list[BackupItem]:
    found = []
    for variable, (what, why) in _FILES.items():
        path = deployment.settings.get(variable)
        if not path:
            continue
        commands = [f"cp {path} BACKUP/"] if deployment.data_folder is not None else []
        where = path if commands else f"{path}, mounted from a Secret or ConfigMap of {deployment.namespace}"
        found.append(BackupItem(what=what, where=where, commands=commands or [_of_cluster(deployment)], why=why))
    return found


def _of_cluster(deployment: Deployment) -> str:
    what = f"secret,configmap --namespace {deployment.namespace}"
    return f"kubectl get {what} --output yaml > secrets-and-settings.yaml"


def _secrets(deployment: Deployment) -> BackupItem:
    if deployment.data_folder is not None:
        where = f"{deployment.data_folder}/*.json"
        commands = [f"cp {deployment.data_folder}/s3-credentials.json BACKUP/"]
        return BackupItem(what="passwords of the servers", where=where, commands=commands, why="access to the bucket")
    return BackupItem(
        what=f"Secrets: {', '.join(deployment.secrets)}",
        where=f"namespace {deployment.namespace}; made by knative/secrets.sh in the folder that you gave it",
        commands=[_of_cluster(deployment)],
        why="passwords, and the storage's encryption key, without which no picture can be read: keep it apart",
    )


def _broker_stream(name: str) -> BackupItem:
    return BackupItem(
        what="events on their way",
        where=f"JetStream stream {name}",
        commands=[],
        why="nothing: recovery emits the event of every unfinished job again",
    )
