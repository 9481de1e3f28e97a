# Calls of the Azure Resource Manager for the hooks beside this. They need azd, which is signed in when it runs a hook.
$group = "https://management.azure.com/subscriptions/$env:AZURE_SUBSCRIPTION_ID/resourceGroups/$env:AZURE_RESOURCE_GROUP/providers"

# The status of the answer.
function Invoke-Arm([string] $Method, [string] $Url, [object] $Body) {
    $token = (azd auth token --output json | ConvertFrom-Json).token
    $json = if ($Body) { $Body | ConvertTo-Json -Compress -Depth 5 } else { $null }
    $answer = Invoke-WebRequest -Method $Method -Uri $Url -Body $json -ContentType 'application/json' -TimeoutSec 60 `
        -Headers @{ Authorization = "Bearer $token" } -SkipHttpErrorCheck
    return [int] $answer.StatusCode
}
