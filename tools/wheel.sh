#!/bin/sh
# tools/wheel.sh [FOLDER]: builds the source distribution and from it the wheel for Linux,
# into dist/ or FOLDER.  The shared library needs glibc 2.17 or newer, the program nothing.
# Every Python 3 can use the wheel: nothing in it is compiled against one.
set -eu

folder=${1:-dist}
root=$(cd "$(dirname "$0")/.." && pwd)
venv=$root/build/wheel-venv
machine=$(uname -m)

[ -x "$venv/bin/pip" ] || "${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    --requirement "$root/requirements/wheel.txt"

raw=$(mktemp -d)
trap 'rm -rf "$raw"' EXIT

# From a copy of what git knows, and the viewer, which `make viewer` builds: beside that a
# checkout has a hundred thousand files of environments and builds, among which the build
# backend would look for its own.
source=$root
if git -C "$root" rev-parse --git-dir >/dev/null 2>&1; then
    source=$raw/source
    mkdir "$source"
    (cd "$root" && { git ls-files -co --exclude-standard -z &&
        printf '%s\0' web/viewer/page.*; } |
        tar --null --files-from - --create --file -) | tar -xf - -C "$source"
fi

export PATH="$venv/bin:$PATH"
zig="$venv/bin/python -m ziglang cc -target $machine-linux"
CC="$zig-gnu.2.17" python -m build --no-isolation --outdir "$raw" \
    -C cmake.define.OXIDE_XLA_PROGRAM_CC="$zig-musl" "$source" >"$raw/log" 2>&1 ||
    { cat "$raw/log" >&2; exit 1; }
mkdir -p "$folder"
auditwheel repair --plat "manylinux_2_17_$machine" --wheel-dir "$folder" "$raw"/*.whl
mv "$raw"/*.tar.gz "$folder"
ls -l "$folder"
