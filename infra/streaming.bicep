// Azure Web PubSub, which holds the sockets that a function app cannot hold, and posts what happens on them to the application.
param name string
param location string
param tags object
param sku string
param siteName string
param appPrincipalId string

var webPubSubServiceOwner = subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '12cf5a90-567b-43ae-8102-96cf46c7d9b4')

resource service 'Microsoft.SignalRService/webPubSub@2024-03-01' = {
  name: name
  location: location
  tags: tags
  kind: 'WebPubSub'
  sku: { name: sku, capacity: 1 }
  properties: {
    // The access key signs the events that the application gets; without it nobody could tell them from forged ones.
    disableLocalAuth: false
    publicNetworkAccess: 'Enabled'
    tls: { clientCertEnabled: false }
  }

  resource hub 'hubs' = {
    name: 'streams'
    properties: {
      anonymousConnectPolicy: 'deny'
      eventHandlers: [
        {
          urlTemplate: 'https://${siteName}.azurewebsites.net/api/v3/flux/sockets/{event}'
          userEventPattern: '*'
          systemEvents: ['connect', 'connected', 'disconnected']
        }
      ]
    }
  }
}

resource appSockets 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(service.id, appPrincipalId, webPubSubServiceOwner)
  scope: service
  properties: {
    roleDefinitionId: webPubSubServiceOwner
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

output endpoint string = 'https://${service.properties.hostName}'
