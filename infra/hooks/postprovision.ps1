# postprovision.sh for Windows; that file says what happens and why.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')
. ./infra/hooks/arm.ps1

$secrets = "$group/Microsoft.KeyVault/vaults/$env:AZURE_KEY_VAULT_NAME/secrets"

function Test-Secret([string] $Name) {
    $status = Invoke-Arm GET "$secrets/${Name}?api-version=2024-11-01"
    switch ($status) {
        200 { return $true }
        404 { return $false }
        default { throw "The vault $env:AZURE_KEY_VAULT_NAME does not say whether it has the secret ${Name}: HTTP $status. Nothing was changed; run azd provision again." }
    }
}

function New-Secret([string] $Name, [string] $Value) {
    $status = Invoke-Arm PUT "$secrets/${Name}?api-version=2024-11-01" @{ properties = @{ value = $Value } }
    if ($status -notin 200, 201) {
        throw "The secret $Name could not be made: HTTP $status. If it was deleted: az keyvault secret recover --vault-name $env:AZURE_KEY_VAULT_NAME --name $Name"
    }
    Write-Output "Made the secret $Name in the vault $env:AZURE_KEY_VAULT_NAME."
}

if (-not (Test-Secret 'master-key')) {
    New-Secret 'master-key' ([Convert]::ToBase64String([Security.Cryptography.RandomNumberGenerator]::GetBytes(32)))
}

if (-not (Test-Secret 'bootstrap-key')) {
    $key = 'qfx_live_' + [Convert]::ToHexString([Security.Cryptography.RandomNumberGenerator]::GetBytes(32)).ToLowerInvariant()
    New-Secret 'bootstrap-key' $key
    Set-Content -Path ".azure/$env:AZURE_ENV_NAME/first-key" -Value $key
}
