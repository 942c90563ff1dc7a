# In the builder: Linux as a program and the simulated camera, into /out. The rest of the hardware is part of that kernel.
set -eux
rm -rf /kernel /out
mkdir -p /kernel /out
cd /kernel
tar -xf /usr/src/linux-source-6.1.tar.xz
tar -xf /usr/src/v4l2loopback.tar.bz2
mv "$(dirname "$(find . -name v4l2loopback.c)")" loop
cd linux-source-6.1
# Sound is shut off where Linux is a program, for want of cards; the simulated one wants none.
sed -i 's/^if !UML$/if UML/' sound/Kconfig
KCONFIG_ALLCONFIG=/kernel.config make -s ARCH=um allnoconfig
# An option that this kernel refuses is left out without a word.
grep '^CONFIG' /kernel.config | grep -v '=n$' | while read -r wanted; do grep -qxF "$wanted" .config; done
make -s ARCH=um -j2 linux modules
make -s ARCH=um -j2 M=/kernel/loop modules
cp linux /out/linux
cp /kernel/loop/v4l2loopback.ko /out/
