# Shared by the scripts beside it: `. "$(dirname "$0")/lib.sh"`. Installs what is missing and nothing else, so that a second run
# costs a fraction of a second. Debian 12 is what is tried; the package names are Debian's.

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What building and running Regia takes.
runtime_packages=(
    gcc libc6-dev pkg-config
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
    gstreamer1.0-libav gstreamer1.0-alsa
    fonts-dejavu-core
)

# The third-party peers and the tools that the tests and benchmarks judge Regia with.
test_packages=(
    nginx libnginx-mod-rtmp libnginx-mod-stream
    ffmpeg gstreamer1.0-tools
    gstreamer1.0-rtsp gir1.2-gst-rtsp-server-1.0 python3-gi
    gstreamer1.0-wpe gstreamer1.0-pipewire pulseaudio pulseaudio-utils xvfb x11-xserver-utils
    iproute2 util-linux openssl libfaketime systemd
)

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# need_packages NAME…: installs those that are not there.
need_packages() {
    command -v dpkg-query >/dev/null ||
        fail "this is not Debian (no dpkg-query). Install by hand what scripts/lib.sh lists, then run cargo yourself."
    local missing=() name
    for name in "$@"; do
        # A package that was removed but left its settings behind has a status too, so look for the word itself.
        dpkg-query -W -f '${Status}\n' "$name" 2>/dev/null | grep -q ' installed$' || missing+=("$name")
    done
    ((${#missing[@]})) || return 0
    local as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "run this as root once, or install: ${missing[*]}"
        as_root=(sudo)
    fi
    echo "installing: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# need_cargo: rustup is the operator's to install; a script that pipes a download into a shell is not ours to run.
need_cargo() {
    if ! command -v cargo >/dev/null && [[ -r "$HOME/.cargo/env" ]]; then
        . "$HOME/.cargo/env"
    fi
    command -v cargo >/dev/null || fail "cargo is missing. Install Rust with rustup, then run this again."
}
