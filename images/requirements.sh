#!/bin/sh
# Writes images/requirements/EXTRA.txt for each extra of a function: every package of its image with its version from
# constraints.txt and the hashes of its files, for all platforms. `make requirements` runs it after a change of either
# pyproject.toml or constraints.txt. uv does the work, from an environment that is thrown away.
#
#   images/requirements.sh [PYTHON]
set -eu
python=${1:-python3}
source=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/uv"
"$work/uv/bin/pip" install --quiet --disable-pip-version-check uv
cd "$source"
mkdir -p images/requirements
# Of the base image.
version=$(sed -n 's/^ARG BASE=.*python:\([0-9.]*\)-.*/\1/p' images/Dockerfile)
# `job` is the extra of every function without one of its own.
for extra in job ingest status recovery notify job-console; do
  # The library itself is installed from its source, and has no hash.
  "$work/uv/bin/uv" pip compile --quiet --generate-hashes --no-header --no-annotate --no-emit-index-url \
    --python-version "$version" --python-platform linux --constraint constraints.txt --no-emit-package darkroom \
    --extra "$extra" pyproject.toml --output-file "$work/$extra.txt"
  {
    echo "# Made by \`make requirements\` from pyproject.toml and constraints.txt; do not edit."
    # Without what the tool says of itself.
    grep -v '^#' "$work/$extra.txt"
  } > "images/requirements/$extra.txt"
done
