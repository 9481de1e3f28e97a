#!/bin/sh
# Makes the master key and the bootstrap key in the vault when they are not there, and never changes one that is: what the master key has signed
# and wrapped could not be read with another one. Goes through the Resource Manager, which answers also when the vault is closed to the Internet,
# says whether a secret exists and never what it is.
set -eu
cd "$(dirname "$0")/../.."
. ./infra/hooks/arm.sh

secrets="$group/Microsoft.KeyVault/vaults/$AZURE_KEY_VAULT_NAME/secrets"

# exists NAME: whether the vault has the secret. An answer that says neither yes nor no ends the deployment.
exists() {
    status=$(arm GET "$secrets/$1?api-version=2024-11-01")
    case $status in
    200) return 0 ;;
    404) return 1 ;;
    *) echo "The vault $AZURE_KEY_VAULT_NAME does not say whether it has the secret $1: HTTP $status. Nothing was changed; run azd provision again." >&2 && exit 1 ;;
    esac
}

# make NAME VALUE
make() {
    status=$(arm PUT "$secrets/$1?api-version=2024-11-01" "{\"properties\":{\"value\":\"$2\"}}")
    case $status in
    200 | 201) echo "Made the secret $1 in the vault $AZURE_KEY_VAULT_NAME." ;;
    *) echo "The secret $1 could not be made: HTTP $status. If it was deleted: az keyvault secret recover --vault-name $AZURE_KEY_VAULT_NAME --name $1" >&2 && exit 1 ;;
    esac
}

if ! exists master-key; then
    make master-key "$(openssl rand -base64 32)"
fi

if ! exists bootstrap-key; then
    key="qfx_live_$(openssl rand -hex 32)"
    make bootstrap-key "$key"
    # For the hook postdeploy, which tries the service with it, shows it and removes the file.
    (umask 077 && printf '%s\n' "$key" >".azure/$AZURE_ENV_NAME/first-key")
fi
