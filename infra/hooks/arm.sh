# shellcheck shell=sh
# Calls of the Azure Resource Manager for the hooks beside this. They need azd, which is signed in when it runs a hook, and curl.

# Used by the hooks.
# shellcheck disable=SC2034
group="https://management.azure.com/subscriptions/$AZURE_SUBSCRIPTION_ID/resourceGroups/$AZURE_RESOURCE_GROUP/providers"

# arm METHOD URL [JSON]: prints the status of the answer. Token and JSON go through standard input: other users see a command's arguments.
arm() {
    token=$(azd auth token --output json | sed -n 's/.*"token": *"\([^"]*\)".*/\1/p')
    {
        printf 'header = "Authorization: Bearer %s"\n' "$token"
        printf 'header = "Content-Type: application/json"\n'
        printf 'data = "%s"\n' "$(printf '%s' "${3:-}" | sed 's/"/\\"/g')"
    } | curl --config - --silent --show-error --max-time 60 --output /dev/null --write-out '%{http_code}' --request "$1" "$2"
}
