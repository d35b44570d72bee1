#!/bin/sh
# Puts what is in a function's image into an empty folder: its packages, each by version and hash from images/requirements
# (job.txt for a function without a file of its own), the library's parts that functions may use, and the function. The
# Dockerfile runs it, and so does the test of what images hold; neither knows anything of it that the other does not.
#
#   images/install.sh FUNCTION FOLDER [PYTHON]
set -eu
function=${1:?usage: install.sh FUNCTION FOLDER [PYTHON]} folder=${2:?a folder} python=${3:-python3}
source=$(cd "$(dirname "$0")/.." && pwd)
# The console is no function: it is a program of the library (knative/components/console).
console=job-console
[ "$function" = $console ] || [ -f "$source/functions/$function/main.py" ] || {
  echo "there is no function $function" >&2
  exit 1
}

requirements=$source/images/requirements/$function.txt
[ -f "$requirements" ] || requirements=$source/images/requirements/job.txt

packages=$folder/packages
mkdir -p "$packages" "$folder/functions"
# A copy of the library, since pip builds where the source is.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -R "$source/pyproject.toml" "$source/README.md" "$source/LICENSE" "$source/darkroom" "$copy/"
pip() { "$python" -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --target "$packages" "$@"; }
# A file with another hash is refused. Wheels only, since an image has no compiler; pyvips has none, and is plain Python:
# its source is held by its hash too, what builds it is not. The report says which files it were, for the bill of materials.
pip --require-hashes --only-binary :all: --no-binary pyvips --report "$copy/report.json" --requirement "$requirements"
# Programs are run as modules.
rm -rf "$packages/bin"
# The library has no hash: it is this very source.
pip --no-binary darkroom "$copy"
rm -rf "$packages/bin"

# The S3 client needs the description of one service of four hundred.
if [ -d "$packages/botocore/data" ]; then
  find "$packages/botocore/data" -mindepth 1 -maxdepth 1 -type d ! -name s3 -exec rm -r {} +
  # Those of S3 that no call of ours needs.
  find "$packages/botocore/data/s3" -name 'examples-*' -exec rm {} +
  # Signing asks for none.
  [ "$function" = recovery ] || rm -r "$packages/botocore/data"
fi
# Sources of what is compiled, and types: nothing reads them at run time.
find "$packages" -type f \( -name '*.pyi' -o -name '*.proto' -o -name '*.c' -o -name '*.h' -o -name '*.pyx' \) -exec rm {} +
# PyYAML's parser in C, of which presets have no need: the one in Python reads them.
rm -f "$packages"/yaml/_yaml*.so
# The local runtime and the linter run on people's machines. recovery's image keeps `darkroom setup` and
# `darkroom restore`, for their Jobs.
rm -rf "$packages/darkroom/local" "$packages/darkroom/check" "$packages/darkroom/manifests" "$packages/darkroom/planning" \
  "$packages/darkroom/testing" "$packages/darkroom/simulate" "$packages/darkroom/diagnosis" "$packages/darkroom/job_diagnosis" "$packages/darkroom/serving/testing" "$packages/darkroom/pipeline.py" "$packages/darkroom/preset_check.py" \
  "$packages/darkroom/contract/asyncapi.py" "$packages/darkroom/imaging/photograph.py"
if [ "$function" = $console ]; then
  # Its log lines are the cluster's.
  rm "$packages/darkroom/job_console/local_logs.py"
else
  rm -rf "$packages/darkroom/client" "$packages/darkroom/charts" "$packages/darkroom/console" \
    "$packages/darkroom/job_console" "$packages/darkroom/redriving"
fi
# Stores in memory, for tests.
find "$packages/darkroom/adapters" -name 'memory*.py' -exec rm {} +
# status and the console have no decoder either.
case "$function" in status | $console) rm -r "$packages/darkroom/imaging" ;; esac
# ingest alone describes the API.
[ "$function" = ingest ] || rm "$packages/darkroom/contract/openapi.py" "$packages/darkroom/contract/openapi_parts.py"
find "$packages" -type d \( -name tests -o -name testdata \) -prune -exec rm -r {} +
if [ "$function" = recovery ]; then
  rm -r "$packages/darkroom/cli/new" "$packages/darkroom/cli/plan"
  find "$packages/darkroom/cli" -name '*.py' ! -name __init__.py ! -name __main__.py ! -name main.py ! -name extras.py \
    ! -name commands.py ! -name failures.py ! -name terminal.py ! -name setup.py \
    ! -name restore.py ! -name restoring.py ! -name restored_results.py ! -name deployment.py ! -name obsolete_letters.py \
    -exec rm {} +
  cp "$source/nats-eventing/deadletter-stream.json" "$folder/"
else
  rm -rf "$packages/darkroom/cli"
fi

cp "$source/functions/__init__.py" "$folder/functions/"
[ "$function" = $console ] || cp -R "$source/functions/$function" "$folder/functions/"
"$python" "$source/images/sbom.py" "$packages" "darkroom-$function" "$copy/report.json" > "$folder/sbom.cdx.json"
find "$folder" -name __pycache__ -prune -exec rm -r {} +
# Some packages bring templates that are no Python yet, hence "|| true". Tracebacks name files as the image has them.
# Bytecode now, and never looked after again: the root file system is read-only.
"$python" -m compileall -q --invalidation-mode unchecked-hash -s "$folder" -p /app "$folder" > /dev/null || true
