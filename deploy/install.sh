#!/usr/bin/env bash
# Installs the release that lies beside this script and switches to it; where the service does not come up with it,
# switches back. Runs on the device, as root. Running it again with the same release changes nothing.
#
#   /opt/saynote/releases/VERSION-DIGEST/   wheel, units, venv: never changed once `complete` lies in it
#   /opt/saynote/bundles/NAME-DIGEST/       model bundles that were sent
#   /opt/saynote/generations/N/             what runs together: release, bundles/NAME, and the generation before
#   /opt/saynote/generation                 the one link that is switched, by renaming, and all else follows it:
#   /opt/saynote/current, previous, bundles/NAME
#   /etc/saynote/edge.toml                  the owner's; written only where there is none
#
# Killed at any moment, it leaves one complete release in use and nothing that the next run does not clear away.
# For five minutes a new generation is on trial: `trial` lies in it, and saynote-trial.service goes back to the generation
# before as soon as the service stops being well, whoever started this being there or not.
set -euo pipefail
shopt -s lastpipe # `relay` at the end of a pipe keeps what it has learned
umask 022         # the service's user must be able to read what root installs
export LC_ALL=C.UTF-8 # `relay` reads what programs say

readonly KEEP_ANSWERING="saynote is not running. Look at: journalctl -u saynote -n 50"
readonly FAILED=$'\001' # before the last words of what runs under `watched`
readonly NEEDS_MB=600 NEEDS_MB_ALONE=60 NEEDS_FILES=20000 NEEDS_FILES_ALONE=3000
readonly LOOK_S=2
readonly BLIND_S=40 # so long without a picture, during the trial, and the release goes
action=install root="" target=pi anyway=no purge=no apt=yes systemd=yes dependencies=yes python=python3 wait_s=150 settle_s=5 trial_s=300
id="" next="" under_watch=no last_words="" cause="" sent_bundle="" sent_full=""
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

usage() {
    cat <<'TEXT'
Usage: install.sh [option]...
  --check          say what would be done, do nothing
  --rollback       go back to what ran before this release, install nothing
  --undeploy       take saynote off this device; settings and captures stay
  --purge          with --undeploy: those too
  --watch          what saynote-trial.service runs: go back if the new release does not do well
  --network        what saynote-network.service runs: let the service reach the network if its settings say so
  --target KIND    pi (Raspberry Pi OS), or debian: leaves out board, camera and picamera2
  --anyway         install where no camera or no sound card is found
  --root DIR       install below DIR instead of / (for images and tests; makes no user)
  --no-systemd     touch no service
  --no-apt         install no system packages
  --no-deps        install no Python packages beside saynote's own
  --python FILE    the interpreter to use (python3)
  --wait SECONDS   how long the service may take to come up (150)
  --settle SECONDS how long it must then stay up (5)
  --trial SECONDS  with --watch: how long it must do well (300)
TEXT
}

# Who reads this may be gone, ssh with it: that ends nothing.
say() { printf '%s\n' "$*" 2>/dev/null || true; }

step() { say "install: $*"; }

fail() {
    if [ $under_watch = yes ]; then say "$FAILED$*"; else say "install: $*" >&2; fi
    exit 1
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            --check | --rollback | --undeploy | --watch | --network) action=${1#--} ;;
            --purge) purge=yes ;;
            --anyway) anyway=yes ;;
            --no-systemd) systemd=no ;;
            --no-apt) apt=no ;;
            --no-deps) dependencies=no ;;
            --root | --target | --python | --wait | --settle | --trial)
                [ $# -ge 2 ] || fail "$1 needs a value"
                case $1 in
                    --target) target=$2 ;;
                    --root) root=${2%/} ;;
                    --python) python=$2 ;;
                    --wait) wait_s=$2 ;;
                    --settle) settle_s=$2 ;;
                    --trial) trial_s=$2 ;;
                esac
                shift
                ;;
            -h | --help) usage && exit 0 ;;
            *) usage >&2 && fail "unknown option $1" ;;
        esac
        shift
    done
    case $target in pi | debian) ;; *) fail "unknown target $target: pi or debian" ;; esac
    base=$root/opt/saynote
    config=$root/etc/saynote/edge.toml
    units=$root/etc/systemd/system
}

# --- What went wrong, in our own words

# relay: passes lines on, and keeps the cause that they name; a full card is the cause of all others
relay() {
    local line
    while IFS= read -r line || [ -n "$line" ]; do
        if [ "${line::1}" = "$FAILED" ]; then
            last_words=${line:1}
            continue
        fi
        say "$line"
        case ${line,,} in
            *"no space left on device"* | *"disk quota exceeded"* | *"errno 28"*)
                cause="the card is full ($(free_mb) MB and $(free_files) files are free)" ;;
            *"read-only file system"*) cause=${cause:-"the card cannot be written: it is mounted read-only"} ;;
            *"certificate is not yet valid"* | *"certificate has expired"* | *"is not valid yet"*)
                cause=${cause:-"the clock is wrong: here it is $(date '+%Y-%m-%d %H:%M')"} ;;
            *"name resolution"* | *"temporary failure resolving"* | *"newconnectionerror"*)
                cause=${cause:-"there is no network"} ;;
        esac
    done
}

# A path on the card that is there already.
card() {
    local path
    for path in "$base" "$root/" /; do
        if [ -e "$path" ]; then break; fi
    done
    echo "$path"
}

free_mb() { df --output=avail -BM "$(card)" 2>/dev/null | tail -n 1 | tr -dc '0-9'; }

# Nothing where the file system does not count them.
free_files() { df --output=itotal,iavail "$(card)" 2>/dev/null | awk 'END { if ($1 + 0 > 0) print $2 }'; }

# watched COMMAND...: runs it to its end or its first error; then the last line is ours, and says why
watched() {
    local code
    set +e
    (set -e && under_watch=yes && "$@") 2>&1 | relay
    code=${PIPESTATUS[0]}
    set -e
    [ "$code" -ne 0 ] || return 0
    # Not every program says why.
    if [ "$(free_mb)" -lt 2 ] || [ "$(free_files)" = 0 ]; then cause="the card is full"; fi
    local why="$last_words${last_words:+${cause:+: }}$cause"
    fail "${why:-broke off, the lines above say why}. Nothing was switched"
}

# What was written is on the card, whole, before anything points to it.
to_disk() { sync -f "$base" "$root/etc"; }

# --- The links

# point LINK TARGET: never a moment without the link
point() {
    ln -sfn -- "$2" "$1.new"
    mv -fT -- "$1.new" "$1"
}

# The generation in use, as generations/N, or nothing
in_use() { readlink "$base/generation" || true; }

# before_of GENERATION: the one before it, or nothing
before_of() {
    local link
    link=$(readlink "$base/$1/before" || true)
    if [ -n "$link" ]; then echo "generations/${link##*/}"; fi
}

is_on_trial() { [ -n "$1" ] && [ "$(in_use)" = "$1" ] && [ -e "$base/$1/trial" ]; }

# The generation that is known to do well: the one in use, unless it is on trial
proven() {
    local now
    now=$(in_use)
    if is_on_trial "$now"; then before_of "$now"; else echo "$now"; fi
}

# is_used RELEASE: by the generation in use or the one before it
is_used() {
    local now generation
    now=$(in_use)
    for generation in "$now" "$(before_of "$now")"; do
        if [ -n "$generation" ] && [ "$(release_of "$generation")" = "$1" ]; then return 0; fi
    done
    return 1
}

# release_of GENERATION
release_of() { basename "$(readlink "$base/$1/release")"; }

new_generation() {
    local last=0 folder
    for folder in "$base"/generations/*; do
        folder=${folder##*/}
        if [[ $folder =~ ^[0-9]+$ ]] && [ "$folder" -gt "$last" ]; then last=$folder; fi
    done
    next=generations/$((last + 1))
    mkdir -p "$base/$next/bundles"
}

# stage RELEASE LIKE BEFORE: `next` is a generation with the bundles of LIKE and those that were sent, or the one in
# use where that is the same
stage() {
    local folder full now
    now=$(in_use)
    new_generation
    ln -s "../../releases/$1" "$base/$next/release"
    if [ -n "$2" ]; then cp -PR "$base/$2/bundles/." "$base/$next/bundles/"; fi
    if [ -n "$3" ]; then ln -s "../${3##*/}" "$base/$next/before"; fi
    for folder in "$staged_bundles"/*/; do
        full=$(basename "$folder")
        ln -sfn -- "../../../bundles/$full" "$base/$next/bundles/${full%-*}"
    done
    if [ -n "$now" ] && [ "$(contents "$next")" = "$(contents "$now")" ]; then
        rm -rf "${base:?}/$next"
        next=$now
    else
        touch "$base/$next/unstarted" # until the service has come up with it
    fi
}

# put_on_trial: `next`, where there is something to go back to; the script that watches it lies in it, and the link that
# leads back: a card that is full by then takes no new one
put_on_trial() {
    if [ "$systemd" = no ] || [ ! -e "$base/$next/before/release" ] || [ "$next" = "$(in_use)" ]; then return 0; fi
    mkdir "$base/$next/trial"
    cp "$here/install.sh" "$base/$next/trial/"
    ln -s "$(before_of "$next")" "$base/$next/trial/back"
    # Where the one before sees nothing either, it is the camera's fault.
    if [ "$(pictures)" != 0.0 ]; then touch "$base/$next/trial/sees"; fi
}

# contents GENERATION: what it is made of, one a line
contents() { (cd "$base/$1" && find release bundles -type l -printf '%p %l\n' | sort); }

# lead: the links that everybody knows; they never change, since they lead through the one that does
lead() {
    local link name
    for link in "current:generation/release" "previous:generation/before/release"; do
        if [ "$(readlink "$base/${link%%:*}")" != "${link#*:}" ]; then point "$base/${link%%:*}" "${link#*:}"; fi
    done
    for link in "$base/$next"/bundles/*; do
        name=${link##*/}
        if [ -L "$link" ] && [ "$(readlink "$base/bundles/$name")" != "../generation/bundles/$name" ]; then
            point "$base/bundles/$name" "../generation/bundles/$name"
        fi
    done
}

# adopt: what an older installer left, whose links led straight to releases and bundles, becomes a generation
adopt() {
    local now before link name
    now=$(readlink "$base/current" || true)
    if [ "$now" = generation/release ] || [ ! -e "$base/current" ]; then return 0; fi
    before=""
    if [ -e "$base/previous" ]; then
        new_generation
        before=$next
        point "$base/$before/release" "../../releases/$(basename "$(realpath "$base/previous")")"
    fi
    new_generation
    point "$base/$next/release" "../../releases/$(basename "$(realpath "$base/current")")"
    if [ -n "$before" ]; then point "$base/$next/before" "../${before##*/}"; fi
    for link in "$base"/bundles/*; do
        if [ ! -L "$link" ] || [ ! -e "$link" ]; then continue; fi
        name=$(basename "$(realpath "$link")")
        point "$base/$next/bundles/${link##*/}" "../../../bundles/$name"
        if [ -n "$before" ]; then point "$base/$before/bundles/${link##*/}" "../../../bundles/$name"; fi
    done
    to_disk
    point "$base/generation" "$next"
    lead
}

# forget_old: what is in use, what was before it and what runs stay; all else goes, half releases of a power cut too
forget_old() {
    local folder now generation keep=()
    now=$(in_use)
    for generation in "$now" "$(before_of "$now")"; do
        if [ -n "$generation" ]; then keep+=("$(release_of "$generation")" "$generation"); fi
    done
    for folder in "$base"/releases/* "$base"/generations/*; do
        case " ${keep[*]} " in
            *" ${folder##*/} "* | *" generations/${folder##*/} "*) continue ;;
        esac
        if [ -d "$folder" ] && ! runs "$folder"; then rm -rf "$folder"; fi
    done
    rm -rf "$base"/bundles/*.new
    forget_bundles
}

# forget_bundles: those that were sent once, and that no generation, no process and no line of the settings knows
forget_bundles() {
    local folder full
    for folder in "$base"/bundles/*; do
        full=${folder##*/}
        if [ -L "$folder" ] || ! [[ $full =~ ^[A-Za-z0-9._-]+-[0-9a-f]{12}$ ]]; then continue; fi
        if [ -n "$(find "$base/generations" -type l -lname "*/$full" -print -quit)" ]; then continue; fi
        if grep -qsF -- "$full" "$config" || runs "$folder"; then continue; fi
        rm -rf "$folder"
    done
}

# runs FOLDER: whether some process has files of it in its memory
runs() { grep -qsF -- "$(realpath "$1")/" /proc/[0-9]*/maps; }

# --- Is this a device that it can be installed on?

is_pi() { [ "$target" = pi ] && grep -qs 'Raspberry Pi' /proc/device-tree/model; }

# preflight: what would make the installation pointless, found before anything is changed
preflight() {
    check_python
    check_space
    if [ -n "$root" ]; then return 0; fi # an image is not the device
    if [ "$target" = debian ]; then step "target debian: board, camera and picamera2 are left out"; else check_board; fi
    check_system
    check_clock
    if [ "$target" = pi ]; then lacks_no camera sees_camera "power off and reseat the ribbon cable at both ends"; fi
    if [ "$target" = pi ]; then lacks_no "sound card" hears_sound "aplay -l lists them"; fi
}

check_board() {
    is_pi || fail "this is no Raspberry Pi. On another computer with Debian: TARGET=debian, or install.sh --target debian"
}

# os WHAT: a value of /etc/os-release
os() { sed -n "s/^$1=\"\?\([^\"]*\)\"\?$/\1/p" /etc/os-release; }

check_system() {
    local name
    name=$(os PRETTY_NAME)
    case "$(os ID) $(os VERSION_ID)" in
        "debian 12" | "debian 13") ;;
        raspbian*) fail "this is the 32-bit system ($name). saynote needs Raspberry Pi OS (64 bit)" ;;
        *) fail "saynote runs on Raspberry Pi OS and on Debian, 12 and 13, and this is: ${name:-unknown}" ;;
    esac
    "$python" -c 'import sys; sys.exit(sys.maxsize < 2**32)' ||
        fail "$python is a 32-bit program. saynote needs Raspberry Pi OS (64 bit)"
    case $(uname -m) in
        aarch64 | x86_64) ;;
        *) fail "there are no packages for this processor, $(uname -m)" ;;
    esac
}

# check_clock: certificates are not valid yet on a device that lives in the past; with wheels it does not matter
check_clock() {
    local built now
    if [ -d "$here/wheels" ] || [ ! -s "$here/BUILT" ]; then return 0; fi
    built=$(cat "$here/BUILT") now=$(date +%s)
    [ "$now" -ge $((built - 86400)) ] ||
        fail "the clock is wrong: here it is $(date '+%Y-%m-%d %H:%M'). The network sets it, or: sudo date -s '...'"
}

# lacks_no WHAT TEST ADVICE: refuses a first installation; an update may be what mends it
lacks_no() {
    if $2; then return 0; fi
    if [ "$anyway" = yes ] || [ -n "$(in_use)" ]; then step "no $1 is found: $3"; else
        fail "no $1 is found: $3. To install all the same: install.sh --anyway"
    fi
}

sees_camera() {
    local list
    for list in rpicam-hello libcamera-hello; do
        if command -v "$list" >/dev/null; then
            "$list" --list-cameras 2>&1 | grep -q '^[0-9]' && return 0
        fi
    done
    compgen -G '/dev/v4l/by-id/*' >/dev/null || ! command -v rpicam-hello libcamera-hello >/dev/null
}

hears_sound() { grep -qs '^ *[0-9]' /proc/asound/cards; }

check_release() {
    [ -s "$here/RELEASE" ] || fail "no release lies beside this script; send one with: make deploy PI=user@host"
    id=$(cat "$here/RELEASE")
    [[ $id =~ ^[A-Za-z0-9][A-Za-z0-9._+-]*$ ]] || fail "the release beside this script has no usable name"
    if [ -e "$here/complete" ]; then return 0; fi
    (cd "$here" && sha256sum --check --strict --quiet SHA256SUMS) >/dev/null 2>&1 ||
        fail "the release did not arrive whole. Send it again"
}

# name_release: one that is in use and has lost files is not touched; the same again has a folder of its own
name_release() {
    if is_whole "$base/releases/$id.again" || { is_used "$id" && ! is_whole "$base/releases/$id"; }; then id=$id.again; fi
}

check_python() {
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
        fail "saynote needs Python 3.11 to 3.13, and $python is: $("$python" --version 2>&1 || true)"
}

# check_space: before anything is written; what fails here costs nothing
check_space() {
    local mb=$NEEDS_MB files=$NEEDS_FILES free
    if is_whole "$base/releases/$id"; then return 0; fi
    if [ "$dependencies" = no ]; then mb=$NEEDS_MB_ALONE files=$NEEDS_FILES_ALONE; fi
    free=$(free_mb)
    [ "${free:-$mb}" -ge "$mb" ] || fail "the card is full: $free MB are free, $mb are needed"
    free=$(free_files)
    [ "${free:-$files}" -ge "$files" ] || fail "the card is full: it takes $free more files, $files are needed"
}

# open_base: the folder of all this, made, writable and ours alone for as long as this runs
open_base() {
    local said
    if ! said=$(mkdir -p "$base/releases" "$base/generations" "$base/bundles" "$root/etc" 2>&1 && touch "$base/.lock" 2>&1); then
        case $said in
            *[Rr]ead-only*) fail "$base cannot be written: it is mounted read-only" ;;
            *"No space left"*) fail "the card is full: not even a folder can be made in $base" ;;
            *) fail "$base cannot be written: ${said##*: }" ;;
        esac
    fi
    chmod 755 "$base" "$base/releases" "$base/generations" "$base/bundles"
    exec 9>"$base/.lock"
    if ! flock -n 9; then
        step "another installation is running; waiting for it to end"
        flock -w "$wait_s" 9 || fail "another installation is running"
    fi
    # Whoever had it may have taken saynote off the device, and the lock with it.
    if ! [ "$base/.lock" -ef /dev/fd/9 ]; then open_base; fi
}

# --- What is installed

# Those of Debian's packages that are not there yet.
missing_packages() {
    local packages=(python3-venv espeak-ng libportaudio2) package
    if is_pi; then packages+=(python3-picamera2 python3-lgpio); fi
    for package in "${packages[@]}"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
    done
}

install_system_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    step "apt: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    local get=(apt-get -o DPkg::Lock::Timeout=300 -qq)
    "${get[@]}" install -y --no-install-recommends "${missing[@]}" && return 0
    "${get[@]}" update || true
    "${get[@]}" install -y --no-install-recommends "${missing[@]}" ||
        fail "apt could not install ${missing[*]} (--no-apt leaves this step out)"
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

# install_release: a folder that is complete, or none
install_release() {
    local release=$base/releases/$id wheels
    if is_whole "$release"; then
        step "release $id is here already"
        return 0
    fi
    step "release $id: making its environment, some minutes on a small board"
    rm -rf "$release"
    mkdir -p "$release/tmp"
    cp -R "$here"/*.whl "$here/install.sh" "$here/edge.example.toml" "$here/systemd" "$here/RELEASE" "$release/"
    # apt's picamera2 and lgpio are to be seen from inside.
    "$python" -m venv --system-site-packages "$release/venv"
    wheels=("$release"/*.whl)
    install_wheel "$release" "${wheels[0]}"
    rm -rf "$release/tmp"
    chmod -R u=rwX,go=rX "$release" # whatever the sender's files allowed
    to_disk # whole files first, then the mark that says so
    inventory "$release" >"$release/complete"
    to_disk
}

# inventory FOLDER: one line that is another as soon as a file is missing or cut off
inventory() {
    find "$1" -name __pycache__ -prune -o -type f ! -name complete -printf '%P %s\n' | sort | sha256sum
}

is_whole() { [ -s "$1/complete" ] && [ "$(inventory "$1")" = "$(cat "$1/complete")" ]; }

# install_wheel RELEASE WHEEL: with TMPDIR there, since /tmp may be small or closed to programs
install_wheel() {
    local pip=("$1/venv/bin/python" -m pip --disable-pip-version-check --no-input install --progress-bar off) wheel=$2
    if [ -d "$here/wheels" ]; then pip+=(--no-index --find-links "$here/wheels"); fi
    if [ "$dependencies" = no ]; then pip+=(--no-deps); fi
    if is_pi; then wheel="${wheel}[pi]"; fi
    TMPDIR=$1/tmp "${pip[@]}" --no-cache-dir "$wheel" ||
        fail "pip could not install saynote"
}

# install_bundles: their files; the generation is what leads to them
install_bundles() {
    local folder full
    for folder in "$staged_bundles"/*/; do
        full=$(basename "$folder")
        if [ ! -d "$base/bundles/$full" ]; then
            rm -rf "$base/bundles/$full.new"
            cp -R "$folder" "$base/bundles/$full.new"
            chmod -R u=rwX,go=rX "$base/bundles/$full.new"
            to_disk
            mv -T -- "$base/bundles/$full.new" "$base/bundles/$full"
        fi
        step "bundle ${full%-*} is $full"
    done
}

# look_at_bundles: those that were sent; their names become paths and a line of the settings
look_at_bundles() {
    local folder full
    staged_bundles=$here/bundles
    for folder in "$staged_bundles"/*/; do
        full=$(basename "$folder")
        if ! [[ $full =~ ^[A-Za-z0-9._-]+-[0-9a-f]+$ ]] || [[ ${full%-*} =~ ^\.+$ ]]; then
            fail "a bundle must not be called ${full%-*}"
        fi
        if [ ! -L "$base/bundles/${full%-*}" ] && [ -e "$base/bundles/${full%-*}" ]; then
            fail "the name of bundle $full is taken in $base/bundles"
        fi
        sent_bundle=/opt/saynote/bundles/${full%-*} sent_full=$full
    done
}

write_config() {
    local text line="bundle = \"$sent_bundle\""
    if [ ! -e "$config" ]; then
        mkdir -p "$(dirname "$config")"
        text=$(cat "$here/edge.example.toml")
        if [ -n "$sent_bundle" ]; then text=${text/'bundle = "inr"'/"$line"}; fi
        printf '%s\n' "$text" >"$config.new"
        to_disk
        mv -f -- "$config.new" "$config"
        step "wrote $config"
    elif [ -n "$sent_bundle" ] && ! grep -qF "\"$sent_bundle\"" "$config"; then
        step "$config does not use the bundle that was sent. To use it, write under [model]: $line"
    fi
    announce_settings
}

# announce_settings: those that the release in use does not know yet; the owner's file stays as it is
announce_settings() {
    local old=$base/current/edge.example.toml new
    if [ ! -e "$config" ] || [ ! -e "$old" ]; then return 0; fi
    new=$("$python" - "$old" "$here/edge.example.toml" <<'PYTHON'
import sys, tomllib
old, new = ({(group, key) for group, table in tomllib.load(open(name, "rb")).items() for key in table} for name in sys.argv[1:])
print(*sorted(f"{group}.{key}" for group, key in new - old), sep=", ")
PYTHON
    )
    if [ -n "$new" ]; then step "new settings, explained in $base/current/edge.example.toml once this runs: $new"; fi
}

# link_units GENERATION: each of its units becomes a link through the one link that is switched, before the switch: units
# change with the release, in the same moment
link_units() {
    local unit target
    mkdir -p "$units"
    for unit in "$base/$1"/release/systemd/*.service; do
        target=../../../opt/saynote/generation/release/systemd/${unit##*/}
        if [ "$(readlink "$units/${unit##*/}")" != "$target" ]; then point "$units/${unit##*/}" "$target"; fi
    done
}

# forget_units: those that the release in use does not have
forget_units() {
    local unit
    for unit in "$units"/saynote*.service; do
        if [ -L "$unit" ] && [ ! -e "$unit" ]; then rm -f "$unit"; fi
    done
}

# try_beside: the new release, with the bundle that was sent, looks at this device while the old one still runs. What
# lacks in the device is for the doctor's reader; a release, bundle or settings file that cannot be used ends it here.
try_beside() {
    local code=0 try=$base/try.toml
    if [ "$systemd" = no ] || [ "$dependencies" = no ] || [ -n "$root" ]; then return 0; fi
    step "the new release looks at this device"
    install -m 640 -g saynote "$config" "$try"
    if [ -n "$sent_bundle" ]; then sed -i "s|\"$sent_bundle\"|\"$base/bundles/$sent_full\"|" "$try"; fi
    # Which runtime is fastest on this board, for its starts; without it they take the usual one.
    install -d -o saynote -g saynote -m 750 /var/lib/saynote
    timeout 120 nice -n 10 runuser -u saynote -- env STATE_DIRECTORY=/var/lib/saynote \
        "$base/releases/$id/venv/bin/saynote" bench --choose once --config "$try" || step "the runtimes were not measured"
    timeout 180 runuser -u saynote -- env STATE_DIRECTORY=/var/lib/saynote \
        "$base/releases/$id/venv/bin/saynote" doctor --quiet --config "$try" || code=$?
    rm -f "$try"
    case $code in
        0 | 69 | 75) ;; # all is well; a device is missing; the broker does not answer
        65) fail "the bundle is refused by the new release" ;;
        78) fail "the new release does not understand $config" ;;
        *) fail "the new release cannot run here (exit code $code)" ;;
    esac
}

prepare() {
    preflight
    if [ "$apt" = yes ]; then install_system_packages; fi
    if [ -z "$root" ]; then make_user; fi
    install_release
    install_bundles
    write_config
    try_beside
}

# tidy: what a failed installation has begun
tidy() {
    if [ -n "$id" ] && [ ! -s "$base/releases/$id/complete" ]; then rm -rf "${base:?}/releases/$id"; fi
    if [ -n "$next" ] && [ "$(in_use)" != "$next" ]; then rm -rf "${base:?}/$next"; fi
}

# --- The switch

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

# use GENERATION: one link
use() {
    link_units "$1"
    to_disk
    if is_on_trial "$next" && [ "$(readlink "$base/$next/trial/back" || true)" = "$1" ]; then
        mv -fT -- "$base/$next/trial/back" "$base/generation"
    else
        point "$base/generation" "$1"
    fi
    lead
    forget_units
    to_disk
}

# switch: to the generation `next`; what was before comes back where the service does not come up with it
switch() {
    local old
    old=$(proven)
    if [ "$(in_use)" = "$next" ] && [ ! -e "$base/$next/unstarted" ] && [ "$systemd" = yes ] &&
        systemctl is-active --quiet saynote.service; then
        step "it is running already"
        return 0
    fi
    use "$next"
    if [ "$systemd" = no ]; then return 0; fi
    step "starting; this waits until it is ready"
    if start; then
        rm -f "$base/$next/unstarted"
        return 0
    fi
    if [ -z "$old" ] || [ "$old" = "$next" ]; then fail "$KEEP_ANSWERING"; fi
    go_back "$old" "the service did not come up"
}

# go_back GENERATION WHY: ends with what became of it
go_back() {
    local failed before
    failed=$(release_of "$next")
    before=$(release_of "$1")
    step "$2: going back to $before"
    use "$1"
    if start; then
        forget_old
        fail "rolled back to $before, which is running. Why $failed failed: journalctl -u saynote"
    fi
    fail "rolled back to $before. $KEEP_ANSWERING"
}

# --- The trial

# Seconds since the start of the device: no clock that is set meanwhile changes them.
uptime_s() { cut -d. -f1 /proc/uptime; }

asked() { systemctl show --property="$1" --value saynote.service; }

# It has not failed and was not started again since it was started by hand or with the device. Where systemd does not
# answer, it is itself being updated say, nothing is known and nobody is to blame.
does_well() {
    local restarts
    restarts=$(asked NRestarts || true)
    [ "$(asked ActiveState)" != failed ] && [ "${restarts:-0}" = 0 ]
}

# pictures: how many a second the service sees, as it says of itself; nothing where it does not say
pictures() { asked StatusText | sed -n 's|^\([0-9.]*\) pictures/s.*|\1|p'; }

# sees: false once it has seen nothing for too long, although the release before did
sees() {
    if [ ! -e "$base/$next/trial/sees" ] || [ "$(pictures)" != 0.0 ]; then blind_since=""; fi
    if [ "$(pictures)" = 0.0 ]; then blind_since=${blind_since:-$(uptime_s)}; fi
    [ -z "$blind_since" ] || [ $(($(uptime_s) - blind_since)) -lt $BLIND_S ]
}

# watch: until the generation in use has done well for long enough, or has been left; an installation goes first
watch() {
    local began blind_since=""
    began=$(uptime_s)
    flock 9
    next=$(in_use)
    while is_on_trial "$next"; do
        if ! does_well; then go_back "$(before_of "$next")" "the service stopped being well"; fi
        if ! sees; then go_back "$(before_of "$next")" "the service sees nothing"; fi
        if [ "$(asked ActiveState)" != active ]; then began=$(uptime_s); fi
        if [ $(($(uptime_s) - began)) -ge "$trial_s" ]; then
            rm -rf "${base:?}/$next/trial"
            step "$(release_of "$next") has done well for $trial_s seconds and stays"
        fi
        flock -u 9
        sleep "$LOOK_S"
        flock 9
    done
}

# --- The network

# network: what the settings want of it, as a drop-in of the service, until the next start of the device
network() {
    local file=$root/run/systemd/system/saynote.service.d/network.conf wanted
    wanted=$(wanted_network)
    if [ "$wanted" = "$(cat "$file" 2>/dev/null)" ]; then return 0; fi
    mkdir -p "${file%/*}"
    printf '%s\n' "$wanted" >"$file.new"
    mv -fT -- "$file.new" "$file"
    if [ "$systemd" = yes ]; then systemctl daemon-reload; fi
}

# wanted_network: lines of a unit; nothing where nothing is to be reached, or the daemon refuses the settings anyway
wanted_network() {
    "$python" -I - "$config" <<'PYTHON'
import ipaddress, pathlib, sys, tomllib
try:
    settings = tomllib.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8-sig"))
except (OSError, ValueError):
    settings = {}
def wants(name):
    table = settings.get(name)
    return table if isinstance(table, dict) and table.get("enabled") is True else None
def stays_here(address):
    try:
        return address == "localhost" or ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
mqtt, web = wants("mqtt"), wants("web")
if mqtt is not None or web is not None:
    far = mqtt is not None or not stays_here(web.get("address", "127.0.0.1"))
    print("[Service]", "RestrictAddressFamilies=AF_INET AF_INET6", "IPAddressDeny=" if far else "IPAddressAllow=localhost", sep="\n")
PYTHON
}

# --- What can be asked for

rollback() {
    local now before
    now=$(in_use)
    if [ -z "$now" ] || [ ! -e "$base/$now/before/release" ]; then fail "there is no release before this one"; fi
    before=$(before_of "$now")
    staged_bundles=/nonexistent
    stage "$(release_of "$before")" "$before" "$now"
    switch
    forget_old
    step "now running $(release_of "$next")"
}

install_all() {
    check_release
    name_release
    look_at_bundles
    watched prepare
    stage "$id" "$(in_use)" "$(proven)"
    put_on_trial
    switch
    if is_on_trial "$next"; then step "ready; for $trial_s seconds more it goes back by itself if it stops being well"; fi
    forget_old
    step "done: $id"
}

# check: what an installation would do, and nothing of it
check() {
    local now missing folder
    check_release
    name_release
    look_at_bundles
    preflight
    mapfile -t missing < <(missing_packages)
    if [ "$apt" = yes ] && [ ${#missing[@]} -gt 0 ]; then step "would install with apt: ${missing[*]}"; fi
    if [ -z "$root" ] && ! id saynote >/dev/null 2>&1; then step "would make the user saynote"; fi
    if [ ! -e "$config" ]; then step "would write $config"; fi
    announce_settings
    for folder in "$staged_bundles"/*/; do
        if [ ! -d "$base/bundles/$(basename "$folder")" ]; then step "would install bundle $(basename "$folder")"; fi
    done
    now=$(in_use)
    if [ -z "$now" ]; then step "would install $id"; elif [ "$(release_of "$now")" = "$id" ]; then
        step "release $id is in use already"
    else
        step "would go from $(release_of "$now") to $id"
    fi
}

# undeploy: services first, then what they run; run again after a kill it goes on
undeploy() {
    local unit
    if [ -e "$base" ]; then open_base; fi
    if [ "$systemd" = yes ]; then systemctl disable --now --quiet saynote.service saynote-trial.service 2>/dev/null || true; fi
    for unit in "$units"/saynote.service* "$units"/saynote-{fault,trial,network}.service* "$root"/run/systemd/system/saynote.service.d; do
        rm -rf "$unit"
    done
    if [ "$systemd" = yes ]; then systemctl daemon-reload; fi
    if [ "$purge" = yes ]; then
        rm -rf "$root/etc/saynote" "$root/var/lib/saynote"
        if [ -z "$root" ] && id saynote >/dev/null 2>&1; then userdel saynote; fi
    fi
    rm -rf "${base:?}"
    if [ "$purge" = yes ]; then step "saynote is gone; Debian's packages stay"; else
        step "saynote is gone; /etc/saynote and /var/lib/saynote stay (PURGE=yes takes them too)"
    fi
}

main() {
    shopt -s nullglob dotglob
    parse "$@"
    if [ "$(id -u)" -ne 0 ] && [ -z "$root" ]; then fail "must run as root: sudo bash $here/install.sh"; fi
    trap '' HUP PIPE # the workstation may go; the installation comes to its end all the same
    case $action in
        check)
            check
            return
            ;;
        undeploy)
            if [ -e "$base" ] || [ "$purge" = yes ]; then undeploy; else step "saynote is not installed here"; fi
            return
            ;;
        watch)
            exec 9>"$base/.lock"
            watch
            return
            ;;
        network)
            network
            return
            ;;
    esac
    open_base
    adopt
    next=""
    forget_old
    trap tidy EXIT
    if [ "$action" = rollback ]; then rollback; else install_all; fi
}

main "$@"
