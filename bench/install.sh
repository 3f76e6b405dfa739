#!/bin/sh
# Installs what `deno task bench --peers` measures beside the product: Debian's mosquitto and nats-server, and npm
# packages at the versions of bench/rivals/packages/package-lock.json, in a folder of their own (.build/rivals). Needs root for
# the Debian packages, and Node from 20 on.
set -eu
cd "$(dirname "$0")/.."

missing=""
[ -x /usr/sbin/mosquitto ] || missing="mosquitto"
[ -x /usr/sbin/nats-server ] || [ -x /usr/bin/nats-server ] || missing="$missing nats-server"
if [ -n "$missing" ]; then
  apt-get update -qq
  # The bench starts its own servers on free ports; none must be left running by the installation.
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
fi

mkdir -p .build/rivals
cp bench/rivals/packages/package.json bench/rivals/packages/package-lock.json .build/rivals/
# Not `npm ci`: it refuses a lock from which a registry left out other platforms' optional packages.
npm install --prefix .build/rivals --no-save --omit=optional --no-audit --no-fund --ignore-scripts
