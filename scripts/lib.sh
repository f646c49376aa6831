# Shared by the scripts beside it: `. "$(dirname "$0")/lib.sh"`. Installs what is missing and nothing else, so that a second run
# costs a fraction of a second. Debian 12 is what is tried; the package names are Debian's.

root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What building and running Regia takes.
runtime_packages=(
    gcc libc6-dev pkg-config
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
    gstreamer1.0-libav gstreamer1.0-alsa
    fonts-open-sans fonts-dejavu-core fonts-wqy-microhei poppler-utils
)

# The third-party peers and the tools that the tests and benchmarks judge Regia with.
test_packages=(
    nginx libnginx-mod-rtmp libnginx-mod-stream
    ffmpeg gstreamer1.0-tools
    gstreamer1.0-rtsp gir1.2-gst-rtsp-server-1.0 python3-gi
    gstreamer1.0-wpe gstreamer1.0-pipewire gstreamer1.0-x pulseaudio pulseaudio-utils xvfb x11-xserver-utils
    iproute2 util-linux openssl libfaketime systemd
    curl python3-venv libc-bin
)

# What an operator's evening in the panel takes (scripts/browser.sh); the font is for the Chinese words in its pictures.
browser_packages=(chromium fonts-wqy-microhei iproute2)

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

# build_panel: the panel's files, which the program embeds. Whatever Node is there is taken; Debian's is enough.
build_panel() {
    command -v npm >/dev/null || need_packages nodejs npm
    local built=$root_dir/web-ui/dist/index.html
    if [[ -f $built ]] && ! find "$root_dir/web-ui" -path "$root_dir/web-ui/node_modules" -prune -o \
        -path "$root_dir/web-ui/dist" -prune -o -type f -newer "$built" -print -quit | grep -q .; then
        return 0
    fi
    (cd "$root_dir/web-ui" && npm ci --no-audit --no-fund --silent && npm run build --silent)
}

# need_schemathesis: what asks the API everything that its description allows. Into target/, and only where it is not there yet.
need_schemathesis() {
    local into=$root_dir/target/schemathesis
    [[ -x $into/bin/schemathesis ]] && return 0
    python3 -m venv "$into" && "$into/bin/pip" install --quiet 'schemathesis>=4,<5'
}

# What the schedule's tests compare Regia with, as Python packages.
python_packages=(python-dateutil tzdata icalendar khal aiosmtpd)

# need_python: installs them into target/python.
need_python() {
    local venv="$root_dir/target/python" wanted="${python_packages[*]}"
    [[ -x "$venv/bin/python" && "$(cat "$venv/installed" 2>/dev/null)" == "$wanted" ]] && return 0
    echo "installing into target/python: $wanted"
    mkdir -p "$root_dir/target"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "${python_packages[@]}"
    echo "$wanted" >"$venv/installed"
}
