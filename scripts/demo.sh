#!/usr/bin/env bash
# Installs what is missing, builds, and puts a test programme on the built-in RTMPS ingest over loopback.
# Usage: scripts/demo.sh [--seconds N]      (all arguments go to `regia demo`)
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need_packages "${runtime_packages[@]}"
need_cargo
cd "$root_dir"
build_panel
cargo build --release --locked
exec target/release/regia demo "$@"
