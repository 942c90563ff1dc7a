#!/usr/bin/env bash
# Installs the release that lies beside this script and switches to it; where the service does not come up with it,
# switches back. Runs on the device, as root. Running it again with the same release changes nothing.
#
#   /opt/saynote/releases/VERSION-DIGEST/   wheel, units, venv: never changed once complete
#   /opt/saynote/bundles/NAME-DIGEST/       model bundles that were sent; NAME points to the one in use
#   /opt/saynote/current, previous          links, switched by renaming
#   /etc/saynote/edge.toml                  the owner's; written only where there is none
set -euo pipefail

readonly KEEP_ANSWERING="saynote is not running. Look at: journalctl -u saynote -n 50"
root="" apt=yes systemd=yes dependencies=yes rollback=no python=python3 wait_s=150 settle_s=5
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

usage() {
    cat <<'TEXT'
Usage: install.sh [option]...
  --rollback       go back to the release before this one, install nothing
  --root DIR       install below DIR instead of / (for images and tests; makes no user)
  --no-systemd     touch no service
  --no-apt         install no system packages
  --no-deps        install no Python packages beside saynote's own
  --python FILE    the interpreter to use (python3)
  --wait SECONDS   how long the service may take to come up (150)
  --settle SECONDS how long it must then stay up (5)
TEXT
}

fail() {
    printf 'install: %s\n' "$*" >&2
    exit 1
}

step() { printf 'install: %s\n' "$*"; }

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            --rollback) rollback=yes ;;
            --no-systemd) systemd=no ;;
            --no-apt) apt=no ;;
            --no-deps) dependencies=no ;;
            --root | --python | --wait | --settle)
                [ $# -ge 2 ] || fail "$1 needs a value"
                case $1 in
                    --root) root=${2%/} ;;
                    --python) python=$2 ;;
                    --wait) wait_s=$2 ;;
                    --settle) settle_s=$2 ;;
                esac
                shift
                ;;
            -h | --help) usage && exit 0 ;;
            *) usage >&2 && fail "unknown option $1" ;;
        esac
        shift
    done
    base=$root/opt/saynote
    config=$root/etc/saynote/edge.toml
    units=$root/etc/systemd/system
}

is_pi() { grep -qs 'Raspberry Pi' /proc/device-tree/model; }

# point LINK TARGET: never a moment without the link
point() {
    ln -sfn "$2" "$1.new"
    mv -T "$1.new" "$1"
}

# target_of LINK: what it points to, or nothing
target_of() { readlink "$1" || true; }

install_system_packages() {
    local packages=(python3-venv espeak-ng libportaudio2) missing=() package
    if is_pi; then packages+=(python3-picamera2 python3-lgpio); fi
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    step "apt: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    local get=(apt-get -o DPkg::Lock::Timeout=300 -qq)
    "${get[@]}" install -y --no-install-recommends "${missing[@]}" && return 0
    "${get[@]}" update || true
    "${get[@]}" install -y --no-install-recommends "${missing[@]}" ||
        fail "apt could not install ${missing[*]}. Is there a network? With --no-apt this step is left out."
}

make_user() {
    local group
    for group in video audio gpio; do
        getent group "$group" >/dev/null || groupadd --system "$group"
    done
    if ! id saynote >/dev/null 2>&1; then
        step "user saynote"
        useradd --system --user-group --no-create-home --home-dir /var/lib/saynote \
            --shell /usr/sbin/nologin --groups video,audio,gpio saynote
    fi
}

check_python() {
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
        fail "saynote needs Python 3.11 to 3.13, and $python is: $("$python" --version 2>&1 || true)"
}

# install_release ID: a folder that is complete, or none
install_release() {
    local release=$base/releases/$1 wheel pip
    if [ -e "$release/complete" ]; then
        step "release $1 is here already"
        return 0
    fi
    step "release $1: making its environment, some minutes on a small board"
    rm -rf "$release"
    mkdir -p "$release"
    cp -R "$here"/*.whl "$here/install.sh" "$here/edge.example.toml" "$here/systemd" "$here/RELEASE" "$release/"
    # apt's picamera2 and lgpio are to be seen from inside.
    "$python" -m venv --system-site-packages "$release/venv"
    pip=("$release/venv/bin/python" -m pip --disable-pip-version-check install --progress-bar off)
    if [ -d "$here/wheels" ]; then pip+=(--no-index --find-links "$here/wheels"); fi
    if [ $dependencies = no ]; then pip+=(--no-deps); fi
    wheel=$(ls "$release"/*.whl)
    if is_pi; then wheel="${wheel}[pi]"; fi
    "${pip[@]}" "$wheel" || fail "pip could not install saynote. Is there a network? Nothing was switched."
    touch "$release/complete"
    sync # a power cut after the switch must find whole files
}

# install_bundles: fills bundle_undo with "name old-target" of each link that moved
install_bundles() {
    local folder full name
    for folder in "$here"/bundles/*/; do
        [ -e "$folder/manifest.json" ] || continue
        full=$(basename "$folder")
        name=${full%-*}
        mkdir -p "$base/bundles"
        if [ ! -d "$base/bundles/$full" ]; then
            rm -rf "$base/bundles/$full.new"
            cp -R "$folder" "$base/bundles/$full.new"
            mv -T "$base/bundles/$full.new" "$base/bundles/$full"
            sync
        fi
        if [ "$(target_of "$base/bundles/$name")" != "$full" ]; then
            step "bundle $name is now $full"
            bundle_undo+=("$name $(target_of "$base/bundles/$name")")
            point "$base/bundles/$name" "$full"
        fi
        sent_bundle=/opt/saynote/bundles/$name
    done
}

undo_bundles() {
    local entry name old
    for entry in "${bundle_undo[@]}"; do
        name=${entry%% *} old=${entry#* }
        if [ -n "$old" ]; then point "$base/bundles/$name" "$old"; else rm -f "$base/bundles/$name"; fi
    done
}

write_config() {
    if [ ! -e "$config" ]; then
        mkdir -p "$(dirname "$config")"
        local text
        text=$(cat "$here/edge.example.toml")
        if [ -n "$sent_bundle" ]; then text=${text/bundle = \"inr\"/bundle = \"$sent_bundle\"}; fi
        printf '%s\n' "$text" >"$config.new"
        mv "$config.new" "$config"
        step "wrote $config"
    elif [ -n "$sent_bundle" ] && ! grep -qF "\"$sent_bundle\"" "$config"; then
        step "$config does not use the bundle that was sent. To use it, write under [model]: bundle = \"$sent_bundle\""
    fi
}

# install_units RELEASE
install_units() {
    mkdir -p "$units"
    install -m 644 "$base/$1"/systemd/*.service "$units/"
}

# start: true once the service is up and stays up
start() {
    systemctl daemon-reload
    systemctl enable --quiet saynote.service
    systemctl reset-failed saynote.service 2>/dev/null || true
    # Type=notify: this returns when the daemon itself has said that it is ready.
    timeout "$wait_s" systemctl restart saynote.service || return 1
    sleep "$settle_s"
    systemctl is-active --quiet saynote.service
}

# switch_to RELEASE: links, units, service; what was before comes back where the service does not come up
switch_to() {
    local new=$1 old older
    old=$(target_of "$base/current") older=$(target_of "$base/previous")
    if [ "$old" != "$new" ]; then
        point "$base/current" "$new"
        if [ -n "$old" ]; then point "$base/previous" "$old"; fi
    fi
    if [ $systemd = no ]; then
        install_units "$new"
        return 0
    fi
    if [ "$old" = "$new" ] && [ ${#bundle_undo[@]} -eq 0 ] && systemctl is-active --quiet saynote.service; then
        step "it is running already"
        return 0
    fi
    install_units "$new"
    step "starting; this waits until it is ready"
    if start; then return 0; fi
    undo_bundles
    if [ -z "$old" ] || { [ "$old" = "$new" ] && [ ${#bundle_undo[@]} -eq 0 ]; }; then fail "$KEEP_ANSWERING"; fi
    step "the service did not come up: going back to $old"
    point "$base/current" "$old"
    if [ -n "$older" ]; then point "$base/previous" "$older"; else rm -f "$base/previous"; fi
    install_units "$old"
    if start; then fail "rolled back to $old, which is running. Why $new failed: journalctl -u saynote"; fi
    fail "rolled back to $old. $KEEP_ANSWERING"
}

# forget_old: the current release and the one before it stay
forget_old() {
    local folder
    for folder in "$base"/releases/*; do
        case releases/$(basename "$folder") in
            "$(target_of "$base/current")" | "$(target_of "$base/previous")") ;;
            *) rm -rf "$folder" ;;
        esac
    done
}

main() {
    parse "$@"
    if [ "$(id -u)" -ne 0 ] && [ -z "$root" ]; then fail "must run as root: sudo bash $here/install.sh"; fi
    mkdir -p "$base/releases"
    exec 9>"$base/.lock"
    flock -n 9 || fail "another installation is running"
    bundle_undo=() sent_bundle=""
    if [ $rollback = yes ]; then
        local before
        before=$(target_of "$base/previous")
        [ -n "$before" ] || fail "there is no release before this one"
        switch_to "$before"
        step "now running $before"
        return 0
    fi
    [ -s "$here/RELEASE" ] || fail "no release lies beside this script; send one with: make deploy PI=user@host"
    local id
    id=$(cat "$here/RELEASE")
    check_python
    if [ $apt = yes ]; then install_system_packages; fi
    if [ -z "$root" ]; then make_user; fi
    install_release "$id"
    install_bundles
    write_config
    switch_to "releases/$id"
    forget_old
    step "done: $id"
}

main "$@"
