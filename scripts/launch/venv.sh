# Sourced by scripts/run, test, storm and bench: finds a Python and has install.py make .venv with it.

# python_found COMMAND_NAME: prints the first Python that is new enough
python_found() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.version_info < (3, 11) and sys.exit(1); print(sys.executable)' 2>/dev/null; then
            return
        fi
    done
    echo "$1: no Python 3.11 or newer found (looked for python3, python3.11 to python3.14): install one, e.g. apt-get install python3 python3-venv" >&2
    return 1
}

# make_venv COMMAND_NAME REQUIREMENTS_FILE
make_venv() {
    local python
    python="$(python_found "$1")" || exit 1
    "$python" -I scripts/launch/install.py "$1" "$2" || exit 1
}
