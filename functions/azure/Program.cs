using Azure.Identity;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Azure.Functions.Worker.Builder;
using QuantumFlux;
using QuantumFlux.AzureHost;
using QuantumFlux.Storage;

var builder = FunctionsApplication.CreateBuilder(args);
builder.ConfigureFunctionsWebApplication();

// The worker's own Kestrel would stop at 30 MB, below what the platform lets through, and the caller would see a 500. Our limits are the handlers'.
builder.Services.Configure<KestrelServerOptions>(kestrel => kestrel.Limits.MaxRequestBodySize = null);

// In Azure the managed identity that AZURE_CLIENT_ID names; on a developer's machine whoever is signed in.
var client = builder.Configuration["AZURE_CLIENT_ID"];
var identity = new DefaultAzureCredential(new DefaultAzureCredentialOptions { ManagedIdentityClientId = string.IsNullOrEmpty(client) ? null : client });
var main = StorageAddress.FromConfiguration(builder.Configuration, "AzureWebJobsStorage")
    ?? throw new InvalidOperationException("The setting AzureWebJobsStorage is missing: a connection string, or AzureWebJobsStorage__accountName.");

builder.Services.AddSingleton(StorageAccounts.Open(builder.Configuration, main, address => AzureStorage.Open(address, identity)));
builder.Services.AddQuantumFlux(builder.Configuration);

builder.Build().Run();
