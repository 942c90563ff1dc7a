#!/bin/sh
# In the virtual device, before systemd: it has no clock that goes on without power, so it begins with a moment that it is told.
[ -z "${moment-}" ] || date --utc --set "$moment"
exec /sbin/init
