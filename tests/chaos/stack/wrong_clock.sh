#!/bin/sh
# Runs a program whose wall clock is off by the seconds in the file RECKONER_HOME/clock-NAME: `wrong_clock.sh NAME PROGRAM ...`
set -e
library="$RECKONER_HOME/wrong_clock-$1.so"
cc -shared -fPIC -O2 -o "$library" "$(dirname "$0")/wrong_clock.c"
WRONG_CLOCK="$RECKONER_HOME/clock-$1"
shift
export WRONG_CLOCK
LD_PRELOAD="$library" exec "$@"
