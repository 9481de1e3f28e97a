// What a person should hear of by mail. Each signal costs a little while idle, so all of it comes with the address.
param token string
param location string
param tags object
param email string
param insightsId string
param storageId string
param siteUri string

// What is counted. The resource schema leaves the names inside open, so the tests hold them.
var serverErrors = {
  criterionType: 'StaticThresholdCriterion'
  name: 'server-errors'
  metricNamespace: 'microsoft.insights/components'
  metricName: 'requests/count'
  dimensions: [{ name: 'request/resultCode', operator: 'Include', values: ['500', '502', '503', '504'] }]
  operator: 'GreaterThan'
  threshold: 5
  timeAggregation: 'Count'
}

var slowness = {
  criterionType: 'StaticThresholdCriterion'
  name: 'duration'
  metricNamespace: 'microsoft.insights/components'
  metricName: 'requests/duration'
  operator: 'GreaterThan'
  threshold: 2000
  timeAggregation: 'Average'
}

var throttling = {
  criterionType: 'StaticThresholdCriterion'
  name: 'throttled'
  metricNamespace: 'Microsoft.Storage/storageAccounts'
  metricName: 'Transactions'
  dimensions: [
    {
      name: 'ResponseType'
      operator: 'Include'
      values: ['ClientThrottlingError', 'ClientAccountRequestThrottlingError', 'ClientAccountBandwidthThrottlingError', 'ServerBusyError']
    }
  ]
  operator: 'GreaterThan'
  threshold: 100
  timeAggregation: 'Total'
}

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${token}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'QuantumFlux'
    emailReceivers: [{ name: 'mail', emailAddress: email, useCommonAlertSchema: true }]
  }
}

// A call without a key, whose 401 shows that the host, the worker and the routes stand. It reads nothing from storage.
resource probe 'Microsoft.Insights/webtests@2022-06-15' = {
  name: 'probe-${token}'
  location: location
  tags: union(tags, { 'hidden-link:${insightsId}': 'Resource' })
  kind: 'standard'
  properties: {
    SyntheticMonitorId: 'probe-${token}'
    Name: 'probe-${token}'
    Enabled: true
    Frequency: 900
    Timeout: 60
    Kind: 'standard'
    RetryEnabled: true
    Locations: [{ Id: 'emea-nl-ams-azr' }, { Id: 'us-va-ash-azr' }, { Id: 'apac-sg-sin-azr' }]
    Request: { RequestUrl: '${siteUri}/api/v3/quantum/objects', HttpVerb: 'GET', ParseDependentRequests: false }
    ValidationRules: { ExpectedHttpStatusCode: 401, SSLCheck: true, SSLCertRemainingLifetimeCheck: 7 }
  }
}

resource unavailable 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'unavailable-${token}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Two of three places on Earth do not reach the service.'
    severity: 1
    enabled: true
    scopes: [probe.id, insightsId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT30M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'
      webTestId: probe.id
      componentId: insightsId
      failedLocationCount: 2
    }
    actions: [{ actionGroupId: people.id }]
  }
}

resource failing 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'failing-${token}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Requests end in server errors.'
    severity: 2
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [serverErrors]
    }
    actions: [{ actionGroupId: people.id }]
  }
}

resource slow 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'slow-${token}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Requests take longer than two seconds on average.'
    severity: 3
    enabled: true
    scopes: [insightsId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [slowness]
    }
    actions: [{ actionGroupId: people.id }]
  }
}

resource throttled 'Microsoft.Insights/metricAlerts@2018-03-01' = {
  name: 'throttled-${token}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Storage refuses requests because there are too many of them.'
    severity: 2
    enabled: true
    scopes: [storageId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [throttling]
    }
    actions: [{ actionGroupId: people.id }]
  }
}
