// What the resource group may cost in a month before somebody is told. It stops nothing: the limits of what can run are the plan's.
param amount int
param start string
param email string

resource budget 'Microsoft.Consumption/budgets@2023-11-01' = {
  name: 'monthly'
  properties: {
    category: 'Cost'
    timeGrain: 'Monthly'
    timePeriod: { startDate: start }
    amount: amount
    notifications: {
      spent80Percent: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 80
        thresholdType: 'Actual'
        contactRoles: ['Owner']
        contactEmails: empty(email) ? [] : [email]
      }
      forecast100Percent: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 100
        thresholdType: 'Forecasted'
        contactRoles: ['Owner']
        contactEmails: empty(email) ? [] : [email]
      }
    }
  }
}
