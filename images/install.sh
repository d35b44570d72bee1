#!/bin/sh
# What is in a function's image, put into an empty folder: its extra from pyproject.toml (`job` where it has none of its
# own) with the pinned versions, the library's parts that functions may use, and the function. The Dockerfile runs it, and so does the test of what images
# hold; neither knows anything of it that the other does not.
#
#   images/install.sh FUNCTION FOLDER [PYTHON]
set -eu
function=${1:?usage: install.sh FUNCTION FOLDER [PYTHON]} folder=${2:?a folder} python=${3:-python3}
source=$(cd "$(dirname "$0")/.." && pwd)
[ -f "$source/functions/$function/main.py" ] || { echo "there is no function $function" >&2; exit 1; }

extra=$("$python" - "$source/pyproject.toml" "$function" <<'END'
import sys, tomllib
with open(sys.argv[1], "rb") as file:
    extras = tomllib.load(file)["project"]["optional-dependencies"]
print(sys.argv[2] if sys.argv[2] in extras else "job")
END
)

packages=$folder/packages
mkdir -p "$packages" "$folder/functions"
# Wheels only, since an image has no compiler; pyvips has none, and is plain Python. A copy, since pip builds where the
# source is.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cp -R "$source/pyproject.toml" "$source/README.md" "$source/LICENSE" "$source/darkroom" "$copy/"
"$python" -m pip install --quiet --disable-pip-version-check --no-compile --only-binary :all: --no-binary darkroom,pyvips \
  --constraint "$source/constraints.txt" --target "$packages" "$copy[$extra]"

# Programs are run as modules; the S3 client needs the description of one service of four hundred.
rm -rf "$packages/bin"
if [ -d "$packages/botocore/data" ]; then
  find "$packages/botocore/data" -mindepth 1 -maxdepth 1 -type d ! -name s3 -exec rm -r {} +
  # Those of S3 that no call of ours needs.
  find "$packages/botocore/data/s3" -name 'examples-*' -exec rm {} +
  # Signing asks for none.
  [ "$function" = recovery ] || rm -r "$packages/botocore/data"
fi
# Sources of what is compiled, and types: nothing reads them at run time.
find "$packages" -type f \( -name '*.pyi' -o -name '*.proto' -o -name '*.c' -o -name '*.h' -o -name '*.pyx' \) -exec rm {} +
# The local runtime and the linter run on people's machines. recovery's image keeps `darkroom setup`, for the setup Job.
rm -rf "$packages/darkroom/local" "$packages/darkroom/check" "$packages/darkroom/client"
if [ "$function" = recovery ]; then
  find "$packages/darkroom/cli" -name '*.py' ! -name __init__.py ! -name __main__.py ! -name main.py ! -name setup.py \
    -exec rm {} +
  cp "$source/nats-eventing/deadletter-stream.json" "$folder/"
else
  rm -rf "$packages/darkroom/cli"
fi

cp "$source/functions/__init__.py" "$folder/functions/"
cp -R "$source/functions/$function" "$folder/functions/"
"$python" "$source/images/sbom.py" "$packages" "darkroom-$function" > "$folder/sbom.cdx.json"
find "$folder" -name __pycache__ -prune -exec rm -r {} +
# Some packages bring templates that are no Python yet, hence "|| true". Bytecode now, and never looked after again: the root file system is read-only.
"$python" -m compileall -q --invalidation-mode unchecked-hash "$folder" > /dev/null || true
