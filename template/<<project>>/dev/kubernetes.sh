#!/bin/sh
# `make manifests` and `make deploy`, with nothing but kubectl.
#
# First the migration, and only when it is done the new version: the old one runs on the new schema
# for a while, and the new one never on the old.
set -eu
cd "$(dirname "$0")/.."

PATIENCE_S=${PATIENCE_S:-600}

say() { printf '%s\n' "$*" >&2; }

refuse() {
    say "$@"
    exit 1
}

cluster() { kubectl ${namespace:+"--namespace=$namespace"} "$@"; }

# The objects of a kustomization, in this environment's namespace and with the image asked for.
render() {
    mkdir -p "$work/build"
    {
        printf 'resources: ["../../../%s"]\n' "$1"
        [ -z "$namespace" ] || printf 'namespace: "%s"\n' "$namespace"
        [ -z "$image" ] || printf '%s\n' "patches: [{target: {kind: Deployment|Job}, path: image.yaml}]"
    } >"$work/build/kustomization.yaml"
    printf '%s\n' "{apiVersion: apps/v1, kind: Deployment, metadata: {name: every}, spec: {template:
      {spec: {containers: [{name: service, image: \"$image\"}]}}}}" >"$work/build/image.yaml"
    kubectl kustomize "$work/build"
}

# The names of all objects of this kind in a file that `render` has written.
named() { sed -n "/^kind: $1\$/,/^spec:/s/^  name: //p" "$2"; }

# The name of the Secret, and the keys that it must hold (not those marked as optional), each on a line.
secret() { sed -n '/secretKeyRef:$/{n;n;s/^ *name: //p;}' "$@" | sort -u; }
keys() { sed -n '/secretKeyRef:$/{n;h;n;n;/optional: true/!{x;s/^ *key: //p;};}' "$@" | sort -u; }

check_secret() {
    name=$(secret "$@")
    if ! held=$(cluster get secret "$name" --ignore-not-found \
        --output='go-template={{range $key, $_ := .data}}{{$key}} {{end}}'); then
        say "The Secret $name is not for you to see, and was not checked."
        return
    fi
    missing=
    for key in $(keys "$@"); do
        case " $held" in *" $key "*) ;; *) missing="$missing${missing:+, }$key" ;; esac
    done
    [ -z "$missing" ] || refuse "The Secret $name${namespace:+ in the namespace $namespace} lacks" \
        "$missing. README.md says how to make it."
}

# Conditions of a Job that hold, such as Complete.
conditions() { cluster get job "$1" --output='jsonpath={.status.conditions[?(@.status=="True")].type}'; }

# Why a Job failed, as Kubernetes puts it.
reason() { cluster get job "$1" --output='jsonpath={.status.conditions[?(@.type=="Failed")].message}'; }

migrate() {
    job=$(named Job "$1")
    if [ -n "$(cluster get job "$job" --ignore-not-found --output='jsonpath={.status.active}')" ]; then
        refuse "A migration is under way, the Job $job; wait for its end." \
            "If its pod cannot start, this ends it: kubectl${namespace:+ -n $namespace} delete job $job."
    fi
    cluster delete job "$job" --ignore-not-found
    cluster apply --filename="$1"
    limit=$(sed -n 's/^  activeDeadlineSeconds: //p' "$1")
    # At its limit the Job fails by itself; its pod may take half a minute to end.
    patience=$((${limit:-$PATIENCE_S} + 60))
    deadline=$(($(date +%s) + patience))
    while :; do
        case $(conditions "$job") in
        *Complete*) return ;;
        *Failed*)
            cluster logs "job/$job" --tail=20 >&2 || :
            refuse "The migration has failed. Nothing was rolled out; what ran before still runs." \
                "$(reason "$job")"
            ;;
        esac
        [ "$(date +%s)" -lt $deadline ] ||
            refuse "The migration goes on after $patience seconds. Nothing was rolled out yet."
        sleep 1
    done
}

roll_out() {
    cluster apply --filename="$1"
    for deployment in $(named Deployment "$1"); do
        cluster rollout status "deployment/$deployment" --timeout="${PATIENCE_S}s" ||
            refuse "$deployment is not ready; where that matters, its pods of before still run." \
                "What ails it: kubectl${namespace:+ -n $namespace} describe deployment $deployment." \
                "The way back: kubectl${namespace:+ -n $namespace} rollout undo deployment $deployment."
    done
}

# Writes migration.yaml, where there is something to migrate, and service.yaml.
render_all() {
    render "$overlay" >"$work/service.yaml"
    migration=$overlay/migration
    [ -d "$migration" ] || migration=$(find deploy/components -name migration)
    [ -z "$migration" ] || render "$migration" >"$work/migration.yaml"
}

# In the order in which they are applied.
manifests() {
    [ -z "$migration" ] || {
        cat "$work/migration.yaml"
        echo ---
    }
    cat "$work/service.yaml"
}

deploy() {
    case ${image##*/} in
    '') refuse "Say which image: make deploy ENV=$environment IMAGE=registry/name:tag" ;;
    *:latest) refuse "$image is another one every day; give it a tag of its own." ;;
    *[:@]*) ;;
    *) refuse "$image has no tag; name it as registry/name:tag." ;;
    esac
    check_secret "$work"/*.yaml
    [ -z "$migration" ] || migrate "$work/migration.yaml"
    roll_out "$work/service.yaml"
    cluster get --filename="$work/service.yaml"
}

command -v kubectl >/dev/null || refuse "This needs kubectl, which is not installed."
environment=$2 image=$3 overlay=deploy/overlays/$2
if [ -z "$environment" ] || [ ! -f "$overlay/kustomization.yaml" ]; then
    refuse "Say which environment, ENV=NAME. There are: $(cd deploy/overlays && echo *)"
fi
namespace=$(sed -n 's/^namespace: *\([^ #]*\).*/\1/p' "$overlay/kustomization.yaml")
mkdir -p .data
work=$(mktemp -d .data/deploy.XXXXXX)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
render_all
case $1 in
manifests) manifests ;;
deploy) deploy ;;
esac
