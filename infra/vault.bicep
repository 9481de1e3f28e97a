// The vault of the master key and the bootstrap key. The hook postprovision makes them, once: a template cannot tell a first deployment from a later one.
param name string
param location string
param tags object
param purgeProtection bool
@description('Closed to the Internet but for the allowed addresses.')
param isClosed bool
param allowedIpAddresses array
param appPrincipalId string
param personId string
param personType string

var keyVaultSecretsUser = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')
var keyVaultSecretsOfficer = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7')

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    // The service refuses an explicit false.
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: isClosed && empty(allowedIpAddresses) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: isClosed ? 'Deny' : 'Allow'
      ipRules: [for index in range(0, isClosed ? length(allowedIpAddresses) : 0): { value: allowedIpAddresses[index] }]
    }
  }
}

resource appSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(vault.id, appPrincipalId, keyVaultSecretsUser)
  scope: vault
  properties: {
    roleDefinitionId: keyVaultSecretsUser
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource personSecrets 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(personId)) {
  name: guid(vault.id, personId, keyVaultSecretsOfficer)
  scope: vault
  properties: {
    roleDefinitionId: keyVaultSecretsOfficer
    principalId: personId
    principalType: personType
  }
}

output name string = vault.name
output uri string = vault.properties.vaultUri
