#!/bin/sh
# ./deployment.sh <nodes> [<brokers> <clients>], for example ./deployment.sh 5, or ./deployment.sh 5 4 3
cd "$(dirname "$0")" && exec node_modules/.bin/node scripts/deployment.ts "$@"
