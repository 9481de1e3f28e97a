// Everything that QuantumFlux needs in a subscription. `azd up` deploys it with the values of main.parameters.json.
// Plain resources only: nothing here comes from a module registry.
targetScope = 'subscription'

@description('Names the environment; azd asks for it. The resource group is called after it, and every other name is derived from it.')
@minLength(1)
@maxLength(60)
param environmentName string

@description('The region of everything but the dimensions that have one of their own. It must offer Flex Consumption.')
@minLength(1)
param location string

@description('Object id of whoever deploys, who then may read and write the data and the secrets; azd fills it in. Empty: nobody but the application may.')
param principalId string = ''

@description('What principalId is.')
@allowed(['User', 'ServicePrincipal', 'Group'])
param principalType string = 'User'

@description('Memory of an instance in MB, which is what its active time is billed by.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 512

@description('How many instances there may be at most: the limit of what a burst can cost.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('How many requests an instance serves at once before another one starts.')
@minValue(1)
@maxValue(1000)
param httpPerInstanceConcurrency int = 16

@description('Instances that are always ready for requests: no cold start, but they cost while idle.')
@minValue(0)
@maxValue(20)
param alwaysReadyHttp int = 0

@description('Spreads instances over availability zones, where the region has them.')
param zoneRedundant bool = false

@description('Starts instances from the platform\'s prepared process, which shortens a cold start. Off, because that process can crash with .NET 10 (issue 3335 of azure-functions-dotnet-worker).')
param preparedStart bool = false

@description('How often storage keeps each byte: LRS one data centre, ZRS three zones, GRS and GZRS a second region too.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_LRS'

@description('Days in which deleted blobs and containers can be brought back.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 7

@description('Storage accounts of their own for dimensions 2 to 7, by number: { \'3\': \'northeurope\', \'7\': \'eastus2\' }. Dimension 1 and those not named lie in the main account. Decide before there is data: content does not move.')
param dimensionLocations object = {}

@description('Closes storage and the vault to the Internet and reaches them over private endpoints, which cost while idle.')
param vnetEnabled bool = false

@description('Internet addresses (CIDR) that may reach storage and the vault all the same when vnetEnabled: those that use upload URLs, and whoever deploys.')
param allowedIpAddresses array = []

@description('Adds Azure Web PubSub, which holds the sockets of streams.')
param streamingEnabled bool = false

@description('Free: 20 connections and 20,000 messages a day. Standard: 1,000 connections per unit, billed while idle.')
@allowed(['Free_F1', 'Standard_S1'])
param webPubSubSku string = 'Free_F1'

@description('Days for which logs are kept; up to 30 cost nothing extra.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('What is logged in a day at most, in GB; beyond, logs are lost until the next day. -1: no limit.')
@minValue(-1)
param logDailyQuotaGb int = 1

@description('Where alerts go. Empty: neither alerts nor an availability test, both of which cost while idle.')
param alertEmail string = ''

@description('Amount in the currency of the subscription whose use, and whose forecast excess, is reported to the owners and to alertEmail. It stops nothing. 0: no budget.')
@minValue(0)
param monthlyBudget int = 20

@description('First day of the budget\'s first month. A budget keeps it for life, so azd keeps it from the first deployment on. Empty: this month.')
param budgetStart string = ''

@description('This month; leave it.')
param month string = utcNow('yyyy-MM-01')

@description('Keeps a deleted vault, and so the master key, from being purged before its 90 days are over. It cannot be switched off again.')
param vaultPurgeProtection bool = false

@description('How many earlier master keys the service still reads by: the vault\'s secrets previous-master-key-0, -1 and so on.')
@minValue(0)
@maxValue(9)
param previousMasterKeys int = 0

var tags = { 'azd-env-name': environmentName }
var token = toLower(uniqueString(subscription().id, environmentName, location))
var dimensionAccounts = [for entry in items(dimensionLocations): {
  number: entry.key
  location: entry.value
  name: 'stq${token}d${entry.key}'
}]
var firstMonth = empty(budgetStart) ? month : budgetStart
// Known before the site is: the hub of Web PubSub calls it.
var siteName = 'func-${token}'

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    retentionDays: logRetentionDays
    dailyQuotaGb: logDailyQuotaGb
    appPrincipalId: identity.outputs.principalId
    personId: principalId
    personType: principalType
  }
}

module storage 'storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'stq${token}'
    location: location
    tags: tags
    sku: storageSku
    containers: ['packages', 'uploads', 'dimension-1', 'dimension-2', 'dimension-3', 'dimension-4', 'dimension-5', 'dimension-6', 'dimension-7']
    softDeleteDays: softDeleteDays
    isClosed: vnetEnabled
    allowedIpAddresses: allowedIpAddresses
    appPrincipalId: identity.outputs.principalId
    personId: principalId
    personType: principalType
  }
}

module dimensions 'storage.bicep' = [for account in dimensionAccounts: {
  name: 'dimension-${account.number}'
  scope: group
  params: {
    name: account.name
    location: account.location
    tags: tags
    sku: storageSku
    containers: ['dimension-${account.number}']
    softDeleteDays: softDeleteDays
    isClosed: vnetEnabled
    allowedIpAddresses: allowedIpAddresses
    appPrincipalId: identity.outputs.principalId
    personId: principalId
    personType: principalType
  }
}]

module vault 'vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    purgeProtection: vaultPurgeProtection
    isClosed: vnetEnabled
    allowedIpAddresses: allowedIpAddresses
    appPrincipalId: identity.outputs.principalId
    personId: principalId
    personType: principalType
  }
}

module network 'network.bicep' = if (vnetEnabled) {
  name: 'network'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    accounts: concat([storage.outputs.name], map(dimensionAccounts, account => account.name))
    vaultName: vault.outputs.name
  }
  dependsOn: [dimensions]
}

module streaming 'streaming.bicep' = if (streamingEnabled) {
  name: 'streaming'
  scope: group
  params: {
    name: 'wps-${token}'
    location: location
    tags: tags
    sku: webPubSubSku
    siteName: siteName
    appPrincipalId: identity.outputs.principalId
  }
}

module app 'app.bicep' = {
  name: 'app'
  scope: group
  params: {
    name: siteName
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    blobEndpoint: storage.outputs.blobEndpoint
    tableEndpoint: storage.outputs.tableEndpoint
    packageContainer: 'packages'
    dimensionAccounts: dimensionAccounts
    vaultUri: vault.outputs.uri
    previousMasterKeys: previousMasterKeys
    insightsConnectionString: monitoring.outputs.connectionString
    subnetId: vnetEnabled ? network!.outputs.appSubnetId : ''
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    httpPerInstanceConcurrency: httpPerInstanceConcurrency
    alwaysReadyHttp: alwaysReadyHttp
    zoneRedundant: zoneRedundant
    preparedStart: preparedStart
  }
  dependsOn: [dimensions]
}

module alerts 'alerts.bicep' = if (!empty(alertEmail)) {
  name: 'alerts'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    email: alertEmail
    insightsId: monitoring.outputs.insightsId
    storageId: storage.outputs.id
    siteUri: app.outputs.uri
  }
}

module budget 'budget.bicep' = if (monthlyBudget > 0) {
  name: 'budget'
  scope: group
  params: {
    amount: monthlyBudget
    start: firstMonth
    email: alertEmail
  }
}

@description('The region, as azd knows it.')
output AZURE_LOCATION string = location

@description('The Entra tenant of the deployment.')
output AZURE_TENANT_ID string = tenant().tenantId

@description('The resource group that holds everything.')
output AZURE_RESOURCE_GROUP string = group.name

@description('The function app.')
output SERVICE_API_NAME string = app.outputs.name

@description('Where the service answers, without a trailing slash.')
output SERVICE_API_URI string = app.outputs.uri

@description('The main storage account.')
output STORAGE_ACCOUNT_NAME string = storage.outputs.name

@description('The vault with the master key and the bootstrap key.')
output AZURE_KEY_VAULT_NAME string = vault.outputs.name

@description('Application Insights, for the queries of the README.')
output APPLICATIONINSIGHTS_NAME string = monitoring.outputs.insightsName

@description('The budget\'s first month, for the next deployment.')
output BUDGET_START string = firstMonth

@description('Web PubSub; empty without streaming.')
output WEBPUBSUB_ENDPOINT string = streamingEnabled ? streaming!.outputs.endpoint : ''
