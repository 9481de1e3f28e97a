// A virtual network through which the application reaches storage and the vault when these are closed to the Internet.
param token string
param location string
param tags object
@description('Names of the storage accounts.')
param accounts array
param vaultName string

var zones = [
  'privatelink.blob.${environment().suffixes.storage}'
  'privatelink.table.${environment().suffixes.storage}'
  'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'
]
// Where each endpoint leads, and which of the zones above its name belongs to.
var targets = concat(
  map(accounts, account => { name: '${account}-blob', id: resourceId('Microsoft.Storage/storageAccounts', account), service: 'blob', zone: 0 }),
  map(accounts, account => { name: '${account}-table', id: resourceId('Microsoft.Storage/storageAccounts', account), service: 'table', zone: 1 }),
  [{ name: vaultName, id: resourceId('Microsoft.KeyVault/vaults', vaultName), service: 'vault', zone: 2 }]
)

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: 'vnet-${token}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.47.0.0/16'] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: '10.47.0.0/23'
          delegations: [{ name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: '10.47.2.0/24'
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }
}

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = [for index in range(0, length(zones)): {
  name: zones[index]
  location: 'global'
  tags: tags
}]

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for index in range(0, length(zones)): {
  parent: zone[index]
  name: network.name
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: { id: network.id }
  }
}]

resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = [for index in range(0, length(targets)): {
  name: 'pe-${targets[index].name}'
  location: location
  tags: tags
  properties: {
    subnet: { id: '${network.id}/subnets/endpoints' }
    privateLinkServiceConnections: [
      {
        name: targets[index].service
        properties: { privateLinkServiceId: targets[index].id, groupIds: [targets[index].service] }
      }
    ]
  }
}]

resource names 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = [for index in range(0, length(targets)): {
  parent: endpoint[index]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [{ name: targets[index].service, properties: { privateDnsZoneId: zone[targets[index].zone].id } }]
  }
  dependsOn: [link]
}]

output appSubnetId string = '${network.id}/subnets/app'
