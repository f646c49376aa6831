#!/usr/bin/env bash
# Builds the panel, tests it, and lets a real Chromium do an operator's whole evening against the real program.
# Usage: scripts/browser.sh [FILES FOR node --test]      (in tests/browser; without any, all of them)
# Screenshots are kept in tests/browser/shots. Root can also pull an uplink's cable; without it that part says that it was skipped.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need_packages "${runtime_packages[@]}" "${browser_packages[@]}"
need_cargo
cd "$root_dir"
build_panel
(
    cd web-ui
    [[ -d node_modules ]] || npm ci --no-audit --no-fund --silent
    npm run check --silent
    npm test --silent
)
cargo build --locked
cd tests/browser
npm ci --no-audit --no-fund --silent
REGIA_BIN=$root_dir/target/debug/regia exec node --test --test-concurrency=1 "$@"
