#!/usr/bin/env bash
# Installs the real OTLP clients and backends that run.py drives, into a cache folder outside the repository.
#
#   install.sh [python] [phoenix] [node] [otelcol] [rotel]      (the first four without arguments)
#
# The folder is $SPANSEAL_REAL_CACHE, else ~/.cache/spanseal-real. A component that is there in the wanted version
# is left alone, so this may run before every test. One line a component says what became of it:
#   ready: NAME | installed: NAME in N s | skipped: NAME: WHY | failed: NAME: LOG
# Exit 0 unless something failed: a missing tool skips its component, and run.py then skips its cases.
set -uo pipefail

python_packages=(opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp==1.45.2 cryptography==50.0.2)
phoenix_packages=(arize-phoenix==20.26.1)
rotel_packages=(rotel==0.0.1a15)
builder_package=go.opentelemetry.io/collector/cmd/builder@v0.155.0

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${SPANSEAL_REAL_CACHE:-$HOME/.cache/spanseal-real}

main() {
  local component failures=0
  [ $# -gt 0 ] || set -- python phoenix node otelcol
  mkdir -p "$cache/logs" || exit 1
  for component in "$@"; do
    case $component in
      python | phoenix | node | otelcol | rotel) install "$component" || failures=1 ;;
      *) echo "install.sh: no component $component; there are python, phoenix, node, otelcol, rotel" >&2; exit 2 ;;
    esac
  done
  exit "$failures"
}

# Installs one component unless its stamp says that it is there. The stamp is written last, so that a broken-off
# install is redone.
install() {
  local name=$1 why wanted stamp=$cache/$1/installed log=$cache/logs/$1.log began=$SECONDS
  if why=$("missing_for_$name"); then echo "skipped: $name: $why"; return 0; fi
  wanted=$("version_of_$name")
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then echo "ready: $name"; return 0; fi
  if ! { rm -rf "${cache:?}/$name" && mkdir -p "$cache/$name" && "install_$name"; } >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    echo "failed: $name: $log"
    return 1
  fi
  printf '%s\n' "$wanted" >"$stamp"
  echo "installed: $name in $((SECONDS - began)) s"
}

# missing_for_X prints why X cannot be installed here and succeeds, or fails when nothing is missing.
missing_for_python() {
  if ! command -v python3 >/dev/null; then echo "no python3"
  elif ! python3 -c 'import ensurepip, venv' 2>/dev/null; then echo "python3 lacks venv or ensurepip"
  else older "$(python3 -c 'import platform; print(platform.python_version())')" 3.10 python3; fi
}
missing_for_phoenix() { missing_for_python; }
missing_for_rotel() { missing_for_python; }
missing_for_node() {
  if ! command -v node >/dev/null; then echo "no node"
  elif ! command -v npm >/dev/null; then echo "no npm"
  else older "$(node --version | tr -d v)" 20.6 node; fi
}
missing_for_otelcol() {
  if ! command -v go >/dev/null; then echo "no go"
  else older "$(go env GOVERSION | sed 's/^go//; s/ .*//')" 1.25 go; fi
}

# Prints that TOOL is too old and succeeds when version HAVE is below NEED.
older() {
  local have=$1 need=$2 tool=$3
  [ "$(printf '%s\n' "$have" "$need" | sort -V | head -n 1)" != "$need" ] && echo "$tool $have is older than $need"
}

# version_of_X prints all that X depends on: when it changes, X is installed anew.
version_of_python() { echo "$(python3 --version) ${python_packages[*]}"; }
version_of_phoenix() { echo "$(python3 --version) ${phoenix_packages[*]}"; }
version_of_rotel() { echo "$(python3 --version) ${rotel_packages[*]}"; }
version_of_node() { echo "$(node --version) $(cat "$here/package.json" "$here/package-lock.json" | cksum)"; }
version_of_otelcol() { echo "$(go env GOVERSION) $builder_package $(cksum <"$here/otelcol.yaml")"; }

install_python() { fill_venv "$cache/python" "${python_packages[@]}"; }
install_phoenix() { fill_venv "$cache/phoenix" "${phoenix_packages[@]}"; }
install_rotel() { fill_venv "$cache/rotel" "${rotel_packages[@]}"; }
fill_venv() {
  local venv=$1
  shift
  python3 -m venv "$venv" && "$venv/bin/pip" install --disable-pip-version-check "$@"
}

install_node() {
  cp "$here/package.json" "$here/package-lock.json" "$cache/node/" &&
    (cd "$cache/node" && npm ci --no-audit --no-fund --ignore-scripts)
}

install_otelcol() {
  local folder=$cache/otelcol
  GOBIN=$folder go install "$builder_package" &&
    (cd "$folder" && ./builder --config "$here/otelcol.yaml" --output-path "$folder/source") &&
    mv "$folder/source/otelcol" "$folder/otelcol"
}

main "$@"
