#!/usr/bin/env bash
# Installs what the tests need and runs all of them: those of the program, then the panel's in a browser.
# Usage: scripts/test.sh [--slow] [ARGUMENTS FOR cargo test]      (with arguments, cargo's only)
#   --slow   also those that take many minutes; without it each says on stderr that it was skipped
set -euo pipefail
. "$(dirname "$0")/lib.sh"

if [[ "${1:-}" == --slow ]]; then
    export REGIA_SLOW=1
    shift
fi
need_packages "${runtime_packages[@]}" "${test_packages[@]}"
need_python
need_cargo
cd "$root_dir"
build_panel
need_schemathesis
# All that fails is told in one run.
cargo test --workspace --locked --no-fail-fast "$@"
(($#)) || scripts/browser.sh
