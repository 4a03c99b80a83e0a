#!/bin/sh
# ./deployment.sh <nodes> [<brokers> <clients>], for example ./deployment.sh 5, or ./deployment.sh 5 4 3
cd "$(dirname "$0")" || exit 1
[ -x node_modules/.bin/node ] || { echo "$0: run npm ci first" >&2; exit 2; }
exec node_modules/.bin/node scripts/deployment.ts "$@"
