#!/bin/sh
# tools/venv.sh PYTHON VENV FILE...: makes the virtual environment if need be and
# installs these files of requirements/ into it, at exactly their versions.
set -eu

python=$1
venv=$2
shift 2
[ -x "$venv/bin/pip" ] || "$python" -m venv "$venv"
for file in "$@"; do
    flags=
    [ "$file" != torchvision.txt ] || flags=--no-deps
    echo "installing requirements/$file"
    # Python compiles what is imported when it is: most of these packages never is.
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-compile $flags \
        --requirement "requirements/$file"
done
