// One storage account: the main one, or that of a dimension. Let in by identity only, never by a key.
param name string
param location string
param tags object
param sku string
param containers array
param softDeleteDays int
@description('Closed to the Internet but for the allowed addresses.')
param isClosed bool
param allowedIpAddresses array
param appPrincipalId string
param personId string
param personType string

// The Functions host asks for Owner of the account that it keeps its locks and its package in; it also signs upload URLs.
var storageBlobDataOwner = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b')
var storageTableDataContributor = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3')

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowSharedKeyAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: isClosed && empty(allowedIpAddresses) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: isClosed ? 'Deny' : 'Allow'
      ipRules: [for index in range(0, isClosed ? length(allowedIpAddresses) : 0): { value: allowedIpAddresses[index], action: 'Allow' }]
    }
  }

  // No versions of blobs, for content never changes under its name, so a deletion is all that has to be undone.
  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      isVersioningEnabled: false
      deleteRetentionPolicy: { enabled: true, days: softDeleteDays }
      containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
    }

    resource container 'containers' = [for index in range(0, length(containers)): {
      name: containers[index]
      properties: { publicAccess: 'None' }
    }]
  }

  resource tables 'tableServices' = {
    name: 'default'
  }

  // An upload lives for 24 hours; what is left of it after two days was given up. What the design removes otherwise, its own clean-up removes:
  // only that knows what is still pointed to.
  resource lifecycle 'managementPolicies' = {
    name: 'default'
    properties: {
      policy: {
        rules: [
          {
            name: 'abandoned-uploads'
            enabled: true
            type: 'Lifecycle'
            definition: {
              filters: { blobTypes: ['blockBlob'], prefixMatch: ['uploads/'] }
              actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: 2 } } }
            }
          }
        ]
      }
    }
    dependsOn: [blobs]
  }
}

resource appBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, appPrincipalId, storageBlobDataOwner)
  scope: account
  properties: {
    roleDefinitionId: storageBlobDataOwner
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource appTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, appPrincipalId, storageTableDataContributor)
  scope: account
  properties: {
    roleDefinitionId: storageTableDataContributor
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource personBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(personId)) {
  name: guid(account.id, personId, storageBlobDataOwner)
  scope: account
  properties: {
    roleDefinitionId: storageBlobDataOwner
    principalId: personId
    principalType: personType
  }
}

resource personTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(personId)) {
  name: guid(account.id, personId, storageTableDataContributor)
  scope: account
  properties: {
    roleDefinitionId: storageTableDataContributor
    principalId: personId
    principalType: personType
  }
}

output name string = account.name
output id string = account.id
output blobEndpoint string = account.properties.primaryEndpoints.blob
output tableEndpoint string = account.properties.primaryEndpoints.table
