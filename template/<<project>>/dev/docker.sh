#!/bin/sh
# `make up`, `make down` and `make build`. COMPOSE names another command than the one found here; MONITORING=no leaves
# Prometheus and Grafana out.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

find_compose() {
    for command in "docker compose" podman-compose docker-compose; do
        # shellcheck disable=SC2086 # a command and its first argument
        if $command version >/dev/null 2>&1; then
            printf '%s' "$command"
            return
        fi
    done
    say "This needs Docker with its compose plugin, or podman-compose. \`make run\` needs neither."
    exit 1
}

has() { grep -q "^$1=." .env; }

# shellcheck disable=SC2016 # they are text to look for
# Every ${NAME:?} of the compose files gets a value that nobody else knows.
make_secrets() {
    (umask 077 && touch .env)
    [ -z "$(tail -c 1 .env)" ] || echo >>.env # whose last line has no end
    for name in $(grep -oh '\${[A-Z_]*:?}' $files | tr -d '${:?}' | sort -u); do
        has "$name" || printf '%s=%s\n' "$name" "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" >>.env
    done
}

make_key() {
    made=$($compose run --rm --no-deps -T api api-key developer)
    printf 'AUTH_API_KEYS=%s\n' "$(printf '%s' "$made" | grep -o 'developer:[^[:space:]]*')" >>.env
    say "A key for you, which is shown this once: $(printf '%s' "$made" | grep -o 'pk_[^[:space:]]*')"
}

# The services that are processes of ours.
processes() { sed -n '/^  [a-z]*:$/h; /: \*process$/{g; s/[ :]//gp;}' compose.yaml; }

await_ready() {
    probe="import socket; s = socket.create_connection(('127.0.0.1', 9000), 2)
s.sendall(b'GET /readyz HTTP/1.0\r\n\r\n'); raise SystemExit(b' 200 ' not in s.recv(64))"
    deadline=$(($(date +%s) + 60))
    for process in $(processes); do
        until $compose exec -T "$process" python -IS -c "$probe" >/dev/null 2>&1; do
            if [ "$(date +%s)" -gt $deadline ]; then
                say "$process is not ready after a minute; see: $compose logs"
                exit 1
            fi
            sleep 1
        done
    done
    say "ready at http://127.0.0.1:${PORT:-8000}, probes at http://127.0.0.1:${INTERNAL_PORT:-9000}"
}

files=compose.yaml
[ "${MONITORING:-}" = no ] || files="$files monitoring/compose.yaml"
compose=${COMPOSE:-$(find_compose)}
for file in $files; do compose="$compose --file $file"; done
case $1 in
up)
    make_secrets
    $compose build
    has AUTH_API_KEYS || make_key
    $compose up --detach --remove-orphans
    await_ready
    case $files in *monitoring*)
        say "Grafana at http://127.0.0.1:${GRAFANA_PORT:-3000}, Prometheus at http://127.0.0.1:${PROMETHEUS_PORT:-9090}"
        ;;
    esac
    ;;
down)
    make_secrets
    $compose down --remove-orphans
    ;;
build)
    make_secrets
    $compose build
    ;;
esac
