#!/bin/sh
# One user a function, with its policy. May run again: users and policies that are there are written anew, so a rotated
# key takes effect with it. The keys are those in the functions' own Secrets; none is made here.
set -eu
mc alias set --quiet darkroom http://minio.darkroom.svc.cluster.local:9000 "$MINIO_ROOT_USER" "$MINIO_ROOT_PASSWORD"
mc ready darkroom

user() { # function, policy
  access_key=$(cat "/etc/functions/$1/STORAGE_ACCESS_KEY")
  mc admin policy create darkroom "$2" "/etc/policies/$2.json"
  mc admin user add darkroom "$access_key" "$(cat "/etc/functions/$1/STORAGE_SECRET_KEY")"
  # Attached already is an error too; what counts is what it looks like afterwards.
  mc admin policy attach darkroom "$2" --user "$access_key" || true
  case "$(mc admin user info darkroom "$access_key" --json)" in
    *"$2"*) ;;
    *) echo "the policy $2 is not attached to the user of $1" >&2; exit 1 ;;
  esac
}

user ingest ingest
user status status
user resize renderer
user crop renderer
user renditions renderer
user recovery eraser
user setup setup
user console console
