# In the builder: the kernel modules that Debian leaves out or ships as source, into /out. Debian's kernel has no gpio-sim,
# nor irq_sim, which it needs: they are built beside it. irq_sim calls what the kernel keeps for itself; the exported
# call that does the same takes its place.
set -eux
kernel=$(ls /lib/modules)
headers=/lib/modules/$kernel/build
rm -rf /modules /out
mkdir -p /modules/gpio /modules/loop /out
cd /modules
source=linux-source-6.1
tar -xf /usr/src/$source.tar.xz $source/drivers/gpio $source/kernel/irq/irq_sim.c
cp $source/drivers/gpio/gpio-sim.c $source/drivers/gpio/gpiolib.h $source/kernel/irq/irq_sim.c gpio/
sed -i '1i #include <linux/module.h>' gpio/irq_sim.c
echo 'MODULE_LICENSE("GPL");' >>gpio/irq_sim.c
sed -i 's/handle_simple_irq(irq_to_desc(\(.*\)));/generic_handle_irq_safe(\1);/' gpio/irq_sim.c
printf 'obj-m += gpio-sim.o irq-sim.o\nirq-sim-y := irq_sim.o\n' >gpio/Makefile
make -C "$headers" M=/modules/gpio modules
tar -xf /usr/src/v4l2loopback.tar.bz2 -C loop
make -C "$headers" M="$(dirname "$(find /modules/loop -name v4l2loopback.c)")" modules
find /modules -name '*.ko' -exec cp {} /out/ ';'
for module in gpio-sim irq-sim v4l2loopback; do test -s /out/$module.ko; done
