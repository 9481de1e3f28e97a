// The function app on Flex Consumption: nothing runs, and nothing costs, while there is nothing to do.
param name string
param planName string
param location string
param tags object
param identityId string
param identityClientId string
@description('Of the main storage account, with a trailing slash.')
param blobEndpoint string
@description('Of the main storage account, with a trailing slash.')
param tableEndpoint string
param packageContainer string
@description('The dimensions with an account of their own: number and name.')
param dimensionAccounts array
@description('With a trailing slash.')
param vaultUri string
param previousMasterKeys int
param insightsConnectionString string
@description('Empty: no virtual network.')
param subnetId string
param instanceMemoryMB int
param maximumInstanceCount int
param httpPerInstanceConcurrency int
param alwaysReadyHttp int
param zoneRedundant bool
param preparedStart bool

var dimensionSettings = [for account in dimensionAccounts: {
  'QuantumFlux__Dimensions__${account.number}__blobServiceUri': 'https://${account.name}.blob.${environment().suffixes.storage}/'
  'QuantumFlux__Dimensions__${account.number}__tableServiceUri': 'https://${account.name}.table.${environment().suffixes.storage}/'
}]

var previousKeySettings = [for index in range(0, previousMasterKeys): {
  'QuantumFlux__PreviousMasterKeys__${index}': '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/previous-master-key-${index})'
}]

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource site 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobEndpoint}${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'dotnet-isolated', version: '10.0' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReadyHttp > 0 ? [{ name: 'http', instanceCount: alwaysReadyHttp }] : []
        triggers: { http: { perInstanceConcurrency: httpPerInstanceConcurrency } }
      }
    }
  }

  // Every setting that the code reads is here, in local.settings.sample.json and in the README, and a test compares them.
  resource settings 'config' = {
    name: 'appsettings'
    properties: reduce(concat(dimensionSettings, previousKeySettings), {
      AzureWebJobsStorage__credential: 'managedidentity'
      AzureWebJobsStorage__clientId: identityClientId
      AzureWebJobsStorage__blobServiceUri: blobEndpoint
      AzureWebJobsStorage__tableServiceUri: tableEndpoint
      AZURE_CLIENT_ID: identityClientId
      APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
      APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
      WEBSITE_USE_PLACEHOLDER_DOTNETISOLATED: preparedStart ? '1' : '0'
      QuantumFlux__MasterKey: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/master-key)'
      QuantumFlux__RateLimits__Enabled: 'true'
      QuantumFlux__RateLimits__EntanglementsMax: '847'
      QuantumFlux__RateLimits__FailedAuthenticationsPerMinute: '60'
      // The other tiers' names are Professional and Enterprise; what is not set is as in the specification.
      QuantumFlux__RateLimits__Free__Minute: '23'
      QuantumFlux__RateLimits__Free__Hour: '100'
      QuantumFlux__RateLimits__Free__Day: '2340'
      QuantumFlux__RateLimits__Free__Month: '47000'
      QuantumFlux__RateLimits__QStore__Second: '100'
      QuantumFlux__RateLimits__QStore__Minute: '1000'
      QuantumFlux__BootstrapKey: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/bootstrap-key)'
    }, (all, one) => union(all, one))
  }

  // Deployments come with an Entra token; a publishing password is one secret too many.
  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

output name string = site.name
output uri string = 'https://${site.properties.defaultHostName}'
