# In the virtual device, at its start: the wire, the pins of a Pi, a camera that shows what lies outside, a sound card whose
# sound is kept there, a finger on the motor.
set -eu
ip link set lo up
ip address add 10.213.15.2/30 dev vec0
ip link set vec0 up
mkdir -p /run/outside
# What is written there is there at once.
mount -t hostfs -o sync none /run/outside
mkdir -p /run/outside/scenes
rm -f /run/outside/heard.raw /run/outside/felt /run/outside/ready
(cat /proc/cpuinfo && echo 'Revision : c03114') >/run/cpuinfo
mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
pins=/sys/kernel/config/gpio-sim/pi
mkdir -p $pins/bank0/line17 $pins/bank0/line27
echo 28 >$pins/bank0/num_lines
echo pinctrl-bcm2835 >$pins/bank0/label
echo GPIO17 >$pins/bank0/line17/name
echo GPIO27 >$pins/bank0/line27/name
echo 1 >$pins/live
ln -sfn "/sys/devices/platform/$(cat $pins/dev_name)/$(cat $pins/bank0/chip_name)" /run/pins
echo pull-up >/run/pins/sim_gpio17/pull
sh /usr/local/bin/device_camera.sh 0
sh /usr/local/bin/device_ear.sh
finger="/usr/bin/python3 /usr/local/bin/device_finger.py /run/pins/sim_gpio27/value /run/outside/felt"
systemd-run --quiet --collect --unit=finger $finger
