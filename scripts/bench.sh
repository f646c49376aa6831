#!/usr/bin/env bash
# Measures Regia beside ffmpeg and GStreamer, interleaved, and writes the tables into docs/benchmarks.md.
# Usage: scripts/bench.sh [--only cost|latency|fanout|failover|mix|shows] [--rounds N] [--seconds N] [--help]
# The failover part makes network namespaces and so needs root. Let nothing else run meanwhile.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

need_packages "${runtime_packages[@]}" "${test_packages[@]}"
need_cargo
cd "$root_dir"
cargo build --release --locked -p regia -p regia-bench
exec target/release/regia-bench "$@"
