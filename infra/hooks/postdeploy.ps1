# postdeploy.sh for Windows; that file says what happens and why.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')
. ./infra/hooks/arm.ps1

$first = ".azure/$env:AZURE_ENV_NAME/first-key"
$key = if (Test-Path $first) { (Get-Content $first -Raw).Trim() } else { $null }
$object = "$env:SERVICE_API_URI/api/v3/quantum/objects/azd-smoke-test"
$text = "deployed $([DateTime]::UtcNow.ToString('o'))"
$answer = $null

function Invoke-Service([string] $Method, [string] $Body) {
    $headers = if ($key) { @{ 'QFlux-Token' = "Bearer $key" } } else { @{} }
    $content = if ($Body) { $Body } else { $null }
    try {
        $script:answer = Invoke-WebRequest -Method $Method -Uri $object -Body $content -ContentType 'text/plain' -Headers $headers -TimeoutSec 60 -SkipHttpErrorCheck
        return [int] $script:answer.StatusCode
    }
    catch { return 0 }
}

function Test-Service {
    if (-not $key) {
        return (Invoke-Service GET) -eq 401 -and "$($script:answer.Content)".Contains('AUTHENTICATION_REQUIRED')
    }
    if ((Invoke-Service PUT $text) -notin 200, 201) { return $false }
    if ((Invoke-Service GET) -ne 200 -or "$($script:answer.Content)" -ne $text) { return $false }
    $deleted = Invoke-Service DELETE
    return $deleted -ge 200 -and $deleted -lt 300
}

for ($attempt = 1; -not (Test-Service); $attempt++) {
    if ($attempt -ge 20) { throw "$env:SERVICE_API_URI does not work; its last answer was: $($script:answer.Content)" }
    Write-Output "$env:SERVICE_API_URI does not work yet (try $attempt of 20) ..."
    $null = Invoke-Arm POST "$group/Microsoft.Web/sites/$env:SERVICE_API_NAME/config/configreferences/appsettings/refresh?api-version=2022-03-01"
    Start-Sleep -Seconds 15
}
Write-Output "$env:SERVICE_API_URI works."

if (-not $key) { exit 0 }
if ($env:CI) {
    Write-Output "Its first key is the secret bootstrap-key of the vault $env:AZURE_KEY_VAULT_NAME; a log is no place for it."
}
else {
    Write-Output "Its first key, shown only now (and kept as the secret bootstrap-key of the vault $env:AZURE_KEY_VAULT_NAME):"
    Write-Output "    $key"
}
Remove-Item $first
