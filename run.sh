#!/bin/sh
# Finds a Python and hands over to workbench/launch.py, which run.bat uses too.
# WORKBENCH_PYTHON names the Python that .venv is to be made with.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 1
launch=$here/workbench/launch.py
export WORKBENCH_COMMAND="$0"
given=${WORKBENCH_PYTHON:-}

if [ -z "$given" ] && [ -x "$here/.venv/bin/python" ]; then
    exec "$here/.venv/bin/python" -I "$launch" "$@"
fi

# exit code 0: 3.10 to 3.14, tested; 4: newer; 3: too old; anything else: no Python
probe='import sys; v = sys.version_info; sys.exit(3 if v < (3, 10) else 4 if v >= (3, 15) else 0)'
old='' newer=''
try() { # sets $good, or remembers what is wrong
    good=''
    found=$(command -v "$1") || return 0
    "$found" -c "$probe" >/dev/null 2>&1
    case $? in
        0) good=$found ;;
        3) old=${old:-$found} ;;
        4) newer=${newer:-$found} ;;
    esac
}

if [ -n "$given" ]; then
    try "$given"
else
    for name in python3 python python3.14 python3.13 python3.12 python3.11 python3.10; do
        try "$name"
        [ -z "$good" ] || break
    done
fi
python=${good:-$newer}
[ -z "$python" ] || exec "$python" -I "$launch" "$@"

need='Python 3.10 or newer is needed: https://www.python.org/downloads/'
if [ -n "$old" ]; then
    echo "set-up: $old is too old ($("$old" -V 2>&1)); $need" >&2
elif [ -n "$given" ]; then
    echo "set-up: WORKBENCH_PYTHON=$given is no Python that starts; $need" >&2
else
    echo "set-up: no Python was found; $need" >&2
fi
exit 1
