#!/usr/bin/env bash
# Starts and stops an Arize Phoenix of our own (install.sh phoenix).
#
#   phoenix.sh start DIR     picks free ports, writes DIR/{pid,http_port,grpc_port}, returns when it answers
#   phoenix.sh stop DIR      ends the process named by DIR/pid
#
# HTTP listens on loopback. Phoenix 20.26 offers no such choice for gRPC: that port is open on every address.
set -euo pipefail

ready_seconds=120
cache=${SPANSEAL_REAL_CACHE:-$HOME/.cache/spanseal-real}

main() {
  if [ $# -ne 2 ]; then echo "usage: phoenix.sh start|stop DIR" >&2; exit 2; fi
  case $1 in
    start) start "$2" ;;
    stop) stop "$2" ;;
    *) echo "phoenix.sh: no command $1" >&2; exit 2 ;;
  esac
}

start() {
  local dir=$1 http grpc pid
  mkdir -p "$dir/data"
  dir=$(cd "$dir" && pwd)
  read -r http grpc < <(free_ports)
  env PHOENIX_WORKING_DIR="$dir/data" PHOENIX_HOST=127.0.0.1 PHOENIX_PORT="$http" PHOENIX_GRPC_PORT="$grpc" \
    PHOENIX_TELEMETRY_ENABLED=false PHOENIX_ALLOW_EXTERNAL_RESOURCES=false PHOENIX_DISABLE_AGENT_ASSISTANT=true \
    PHOENIX_ENABLE_MCP_SERVER=false \
    nohup "$cache/phoenix/bin/phoenix" serve >"$dir/phoenix.log" 2>&1 </dev/null &
  pid=$!
  echo "$pid" >"$dir/pid"
  echo "$http" >"$dir/http_port"
  echo "$grpc" >"$dir/grpc_port"
  wait_ready "$pid" "$http" || { tail -n 20 "$dir/phoenix.log" >&2; stop "$dir"; exit 1; }
}

# Prints two ports of loopback that nobody listens on.
free_ports() {
  python3 - <<'PYTHON'
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))
PYTHON
}

# Succeeds once Phoenix answers; fails when it died or took too long.
wait_ready() {
  local pid=$1 port=$2 end=$((SECONDS + ready_seconds))
  while [ "$SECONDS" -lt "$end" ]; do
    kill -0 "$pid" 2>/dev/null || { echo "phoenix.sh: phoenix ended" >&2; return 1; }
    answers "$port" && return 0
    sleep 0.5
  done
  echo "phoenix.sh: no answer after $ready_seconds s" >&2
  return 1
}

answers() {
  python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5)' \
    "http://127.0.0.1:$1/healthz" 2>/dev/null
}

# Asks the process to end, and kills it after 15 s.
stop() {
  local dir=$1 pid
  [ -f "$dir/pid" ] || return 0
  pid=$(cat "$dir/pid")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 75); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  kill -9 "$pid" 2>/dev/null || true
  rm -f "$dir/pid"
}

main "$@"
