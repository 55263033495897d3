#!/usr/bin/env bash
# Counts the instructions of n! for three n, once each, and prints what src/factorial/callgrind.txt has: a change can be
# judged by it on a machine that is too noisy for a clock. valgrind knows AVX2 and not AVX-512.
#
#     src/factorial/callgrind.sh > src/factorial/callgrind.txt
set -euo pipefail
cd "$(dirname "$0")/../../benches/peers"
cargo build --release --quiet
peers=${CARGO_TARGET_DIR:-target}/release/peers
count() { # count N K: instructions of K computations
  RAYON_NUM_THREADS=1 valgrind --tool=callgrind --callgrind-out-file=/dev/null "$peers" --once "$1" "$2" 2>&1 | sed -n 's/.*refs: *//p' | tr -d ,
}
for n in 1000 10000 100000; do
  # The difference of many and few leaves out what is done once: the tables.
  few=$(count $n 1) many=$(count $n 11)
  echo "$n $(((many - few) / 10))"
done
