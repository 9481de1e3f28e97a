#!/bin/sh
# Tries the deployed service. After a first deployment it writes, reads and deletes an object with the first key, and then shows that key, once.
# Later there is no key at hand: a call without one must get the service's own 401.
set -eu
cd "$(dirname "$0")/../.."
. ./infra/hooks/arm.sh

first=".azure/$AZURE_ENV_NAME/first-key"
key=
[ ! -f "$first" ] || key=$(cat "$first")
object="$SERVICE_API_URI/api/v3/quantum/objects/azd-smoke-test"
text="deployed $(date -u +%Y-%m-%dT%H:%M:%SZ)"
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

# call METHOD [curl's arguments]: prints the status; the body goes to the file $answer.
call() {
    method=$1
    shift
    [ -z "$key" ] || set -- --config - "$@"
    printf 'header = "QFlux-Token: Bearer %s"\n' "$key" |
        curl "$@" --silent --max-time 60 --output "$answer" --write-out '%{http_code}' --request "$method" "$object" || true
}

works() {
    if [ -z "$key" ]; then
        [ "$(call GET)" = 401 ] && grep -q AUTHENTICATION_REQUIRED "$answer"
        return
    fi
    case $(call PUT --header 'Content-Type: text/plain' --data "$text") in 200 | 201) ;; *) return 1 ;; esac
    [ "$(call GET)" = 200 ] && [ "$(cat "$answer")" = "$text" ] || return 1
    case $(call DELETE) in 2??) ;; *) return 1 ;; esac
}

# The first start takes a while, and roles that were just assigned take minutes to count. A reference to a secret that could not be read then is read
# again when asked for, else after a day.
attempt=1
until works; do
    if [ "$attempt" -ge 20 ]; then
        echo "$SERVICE_API_URI does not work; its last answer was:" >&2
        cat "$answer" >&2
        exit 1
    fi
    echo "$SERVICE_API_URI does not work yet (try $attempt of 20) …"
    arm POST "$group/Microsoft.Web/sites/$SERVICE_API_NAME/config/configreferences/appsettings/refresh?api-version=2022-03-01" >/dev/null || true
    sleep 15
    attempt=$((attempt + 1))
done
echo "$SERVICE_API_URI works."

[ -n "$key" ] || exit 0
if [ -n "${CI:-}" ]; then
    echo "Its first key is the secret bootstrap-key of the vault $AZURE_KEY_VAULT_NAME; a log is no place for it."
else
    echo "Its first key, shown only now (and kept as the secret bootstrap-key of the vault $AZURE_KEY_VAULT_NAME):"
    echo "    $key"
fi
rm -f "$first"
