#!/bin/sh
# ./send_requests.sh <count> [broker port] ["<broker ports>"], for example ./send_requests.sh 10, or ./send_requests.sh 10 9090 "9090,9091"
cd "$(dirname "$0")" || exit 1
[ -x node_modules/.bin/node ] || { echo "$0: run npm ci first" >&2; exit 2; }
exec node_modules/.bin/node scripts/send-requests.ts "$@"
