# In the virtual machine, at its start: the pins of a Pi, a camera that shows what lies in /run/scene, a
# sound card whose sound is kept in /run/heard.raw, a finger on the motor.
set -eu
(cat /proc/cpuinfo && echo 'Revision : c03114') >/run/cpuinfo
modprobe configfs
modprobe irq-sim
modprobe gpio-sim
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
modprobe snd-aloop index=0
sh /usr/local/bin/device_camera.sh 0
sh /usr/local/bin/device_ear.sh
systemd-run --quiet --collect --unit=finger /usr/bin/python3 /usr/local/bin/device_finger.py /run/pins/sim_gpio27/value /run/felt
