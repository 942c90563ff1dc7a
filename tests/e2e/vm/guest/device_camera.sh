# In the virtual device: plugs a camera in, which becomes /dev/videoN; device_camera.sh N
set -eu
insmod /usr/local/lib/v4l2loopback.ko video_nr="$1" card_label=scene exclusive_caps=1
udevadm settle
systemd-run --quiet --collect --unit=camera /usr/bin/python3 /usr/local/bin/device_camera.py "/dev/video$1" /run/outside/scenes
