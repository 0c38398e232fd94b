#!/bin/sh
# Makes .venv what uv.lock says. Needs no more than some Python 3 with pip: uv comes from PyPI when
# it is not installed, and fetches the interpreter when the wanted one is not installed.
set -eu
cd "$(dirname "$0")/.."

wanted=$(cat .python-version)

say() { printf '%s\n' "$*" >&2; }

recent() { # is this uv at least 0.8?
    version=$("$1" --version 2>/dev/null | cut -d' ' -f2) || return 1
    major=${version%%.*} rest=${version#*.}
    minor=${rest%%.*}
    [ "$major" -gt 0 ] 2>/dev/null || [ "$minor" -ge 8 ] 2>/dev/null
}

fetch_uv() {
    say "uv is not installed; fetching it from PyPI into .tools/"
    fresh=$PWD/.tools/new.$$
    mkdir -p "$fresh"
    trap 'rm -rf "$fresh"' EXIT
    for python in python3 python; do
        command -v "$python" >/dev/null 2>&1 || continue
        # From /, because here pyenv wants the interpreter of .python-version, which may be missing.
        if (cd / && "$python" -m venv "$fresh/venv") >/dev/null 2>&1; then
            python=$fresh/venv/bin/python
        fi
        # --target is allowed where the system's own packages are protected
        if (cd / && "$python" -m pip install --quiet --disable-pip-version-check \
            --no-warn-script-location --target "$fresh/uv" "uv>=0.8") >"$fresh/log" 2>&1; then
            mv -f "$fresh/uv/bin/uv" .tools/uv
            return
        fi
        cat "$fresh/log" >&2
    done
    say "uv cannot be fetched: no Python 3 with pip, or no package index, is at hand."
    say "Install uv (pip install uv, pipx install uv, brew install uv), then run make again."
    exit 1
}

find_uv() {
    if installed=$(command -v uv 2>/dev/null) && recent "$installed"; then
        printf '%s' "$installed"
    elif recent .tools/uv; then
        printf .tools/uv
    else
        fetch_uv && printf .tools/uv
    fi
}

# uv looks on PATH only; pyenv, asdf and mise keep interpreters beside the folder that is on PATH.
managed() {
    printf '%s' "$PATH" | tr ':' '\n' | while IFS= read -r folder; do
        case $folder in
        */shims)
            for bin in "${folder%/shims}/versions/$wanted".*/bin "${folder%/shims}/installs/python/$wanted".*/bin; do
                [ -x "$bin/python$wanted" ] && printf ':%s' "$bin"
            done
            ;;
        esac
    done
    :
}

uv=$(find_uv)
if [ "${1:-}" = uv ]; then # run uv itself: dev/venv.sh uv ARGS
    shift
    exec "$uv" "$@"
fi

PATH=$PATH$(managed)
UV_PROJECT_ENVIRONMENT=.venv
export PATH UV_PROJECT_ENVIRONMENT
unset VIRTUAL_ENV UV_PYTHON
installed=yes
if ! "$uv" python find --quiet --no-python-downloads "$wanted" >/dev/null 2>&1; then
    installed=no
    say "Python $wanted is not installed; uv fetches one."
fi
[ -x .venv/bin/python ] || say "installing the dependencies into .venv"
if ! "$uv" sync --locked --quiet; then
    if [ $installed = no ]; then
        say "Install Python $wanted, or write another version from 3.12 on into .python-version."
    elif ! "$uv" lock --check --offline --quiet >/dev/null 2>&1; then
        say "uv.lock is behind pyproject.toml; run: make lock"
    fi
    exit 1
fi
touch .venv/ready
