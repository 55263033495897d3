# Sourced: what the tests need, installed where that is possible.

# need COMMAND PACKAGE: installs Debian's package where there is no such command, or says what is missing.
need() {
  command -v "$1" >/dev/null && return
  install_package "$1" "$2"
  command -v "$1" >/dev/null || { echo "\`$1\` was not found: install it (Debian: apt-get install $2)" >&2; exit 1; }
}

# need_module MODULE PACKAGE: the same for a module of Python's, which may be the system's Python or another one.
need_module() {
  has_module "$1" && return
  install_package "$1" "$2"
  has_module "$1" || { echo "Python has no module \`$1\`: install it (Debian: apt-get install $2)" >&2; exit 1; }
}

has_module() {
  python3 -c "import $1" 2>/dev/null || /usr/bin/python3 -c "import $1" 2>/dev/null
}

install_package() {
  local as_root=()
  [ "$(id -u)" = 0 ] || as_root=(sudo)
  if command -v apt-get >/dev/null && command -v "${as_root[0]:-apt-get}" >/dev/null; then
    echo "installing $2, for $1" >&2
    "${as_root[@]}" apt-get update -qq
    # Debian starts what it installs: Prometheus would stay, and take its port.
    local policy=/usr/sbin/policy-rc.d ours=
    if [ ! -e "$policy" ]; then
      ours=yes
      printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
      "${as_root[@]}" chmod +x "$policy"
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null
    [ -z "$ours" ] || "${as_root[@]}" rm -f "$policy"
  fi
}

need_for_tests() {
  command -v cargo >/dev/null || { echo "\`cargo\` was not found: install Rust 1.90 or later with rustup" >&2; exit 1; }
  need cc gcc
  need c++ g++
  need make make
  need perl perl
  need java default-jre-headless
  need mvn maven
  need chromium chromium
  need chromedriver chromium-driver
  need zstd zstd
  need faketime faketime
  need promtool prometheus
  need python3 python3
  need_module confluent_kafka python3-confluent-kafka
  need amtool prometheus-alertmanager
}
