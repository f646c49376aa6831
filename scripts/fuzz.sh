#!/bin/sh
# Runs every fuzz target for SECONDS (default 60), one after the other, and prints a line for each.
# Fails at the end if any of them found something. A finding stays in fuzz/artifacts/TARGET; run it again with
#   RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none TARGET fuzz/artifacts/TARGET/FILE
# Without a sanitizer the stable compiler is enough; the crate has no unsafe code for one to look at.
set -eu

seconds=${1:-60}
targets="chunk_reader amf0 publisher receiver flv bridge obs"

case $seconds in
'' | *[!0-9]*)
    echo "usage: $0 [SECONDS]" >&2
    exit 2
    ;;
esac

cd "$(dirname "$0")/.."
if ! command -v cargo-fuzz >/dev/null; then
    echo "installing cargo-fuzz"
    cargo install cargo-fuzz --locked --quiet
fi
export RUSTC_BOOTSTRAP=1
cargo fuzz build --sanitizer none

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
for target in $targets; do
    mkdir -p "fuzz/corpus/$target"
    # The corpus that grows here comes first: libFuzzer writes into the first folder only.
    set -- "fuzz/corpus/$target"
    if [ -d "fuzz/seeds/$target" ]; then
        set -- "$@" "fuzz/seeds/$target"
    fi
    if cargo fuzz run --sanitizer none "$target" "$@" -- \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 >"$log" 2>&1; then
        echo "$target: clean, $(sed -n 's/^Done \([0-9]*\) runs.*/\1/p' "$log") runs in $seconds s"
    else
        echo "$target: FAILED"
        tail -n 40 "$log"
        failed=1
    fi
done
exit $failed
