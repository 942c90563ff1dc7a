#!/bin/sh
# The device's part and its tests on Debian 13 and its Python 3.13, in a root of their own.
# Usage, as root: sh tests/e2e/debian13.sh FOLDER   (made with debootstrap the first time, kept for the next)
set -eu
root=${1:?usage: sh tests/e2e/debian13.sh FOLDER}
here=$(cd "$(dirname "$0")/../.." && pwd)
mirror=$(sed -n 's/^URIs: *//p; s/^deb  *\(\[[^]]*\]  *\)\{0,1\}\([^ ]*\).*/\2/p' /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
if [ ! -e "$root/usr/bin/espeak-ng" ]; then
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates,espeak-ng,libportaudio2,mosquitto,mosquitto-clients,make,git,procps trixie "$root" "$mirror"
fi
mkdir -p "$root/saynote" "$root/wheels"
# A root without a network of its own: wheels are fetched out here and installed in there.
python3 -m pip download -q -d "$root/wheels" --only-binary=:all: --python-version 3.13 --platform manylinux_2_28_x86_64 \
    --platform manylinux_2_27_x86_64 --platform manylinux2014_x86_64 --platform manylinux_2_17_x86_64 --platform any \
    "numpy>=2.1,<3" "opencv-python-headless>=4.10,<4.12" "msgspec>=0.19,<1" "babel>=2.14,<3" "ai-edge-litert>=2.0,<3" \
    "sounddevice>=0.5,<0.6" "paho-mqtt>=2.1,<3" "pytest>=8,<10" "pytest-timeout>=2.3,<3" "hypothesis>=6.100,<7" "gpiozero>=2.0.1,<3"
python3 -m pip wheel -q --no-deps -w "$root/wheels" "py-espeak-ng>=0.1.8,<0.2"
(cd "$here" && git ls-files -z | tar --null -T - -cf -) | tar -C "$root/saynote" -xf -
mount --bind /proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind /dev/pts "$root/dev/pts"
trap 'umount "$root/dev/pts" "$root/proc" "$root/dev"' EXIT
chroot "$root" sh -eu -c '
    export HOME=/root LC_ALL=C.UTF-8 PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    cd /saynote
    [ -d /venv ] || python3 -m venv /venv
    /venv/bin/pip install -q --no-index -f /wheels numpy opencv-python-headless msgspec babel ai-edge-litert py-espeak-ng \
        sounddevice paho-mqtt pytest pytest-timeout hypothesis gpiozero
    /venv/bin/python --version
    /venv/bin/python -m edge replay edge/replays/xts --bundle xts
    /venv/bin/python -m pytest -q tests/edge tests/ports tests/contracts tests/replay
'
