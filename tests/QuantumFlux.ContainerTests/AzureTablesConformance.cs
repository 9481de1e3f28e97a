using Azure.Core;
using Azure.Core.Pipeline;
using Azure.Data.Tables;
using QuantumFlux.AzureHost;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.AzureSdkTests;

/// <summary>Tables through the Azure SDK against Azurite.</summary>
public sealed class AzureTablesConformance(Azurite azurite) : TablesConformance, IClassFixture<Azurite>
{
    protected override Task<ITables> OpenAsync() => Task.FromResult<ITables>(Open(null));

    protected override Task<ITables> OpenWithLostAnswerAsync(LostAnswer fault, Func<Task>? meanwhile = null) =>
        Task.FromResult<ITables>(Open(new FaultyTransport(Faults.Transport(fault), meanwhile)));

    private AzureTables Open(HttpPipelineTransport? transport)
    {
        var options = new TableClientOptions();
        options.Retry.Delay = TimeSpan.FromMilliseconds(1);
        options.AddPolicy(Attempts.Policy, HttpPipelinePosition.PerRetry);
        if (transport is not null)
        {
            options.Transport = transport;
        }

        return new AzureTables(new TableServiceClient(
            azurite.Address.TableEndpoint, new TableSharedKeyCredential(azurite.Address.AccountName, azurite.Address.AccountKey!), options));
    }
}
