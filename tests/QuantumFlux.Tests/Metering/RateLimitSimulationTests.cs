using System.Globalization;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace QuantumFlux.Tests.Metering;

/// <summary>Many small worlds, each made by its seed. A failure names its seed; <c>SIMULATION_SEEDS=17-17</c> runs that one again.</summary>
public sealed class RateLimitSimulationTests(ITestOutputHelper output)
{
    private const int Requests = 1_500;

    [Fact]
    public void NoWindowEverAdmitsOneRequestTooManyAndHardlyAnyBudgetIsWasted()
    {
        var (first, last) = Environment.GetEnvironmentVariable("SIMULATION_SEEDS")?.Split('-') is [var from, var to]
            ? (int.Parse(from, CultureInfo.InvariantCulture), int.Parse(to, CultureInfo.InvariantCulture))
            : (1, 1_000);
        var (admitted, possible, storage) = (0L, 0L, 0L);
        var worst = (Share: 1.0, Seed: 0);
        for (var seed = first; seed <= last; seed++)
        {
            try
            {
                var simulation = new RateLimitSimulation(seed);
                simulation.Run(Requests);
                storage += simulation.StorageRequests;
                if (!simulation.HasFarJumps)
                {
                    admitted += simulation.Admitted;
                    possible += simulation.Possible;
                    var share = (double)simulation.Admitted / simulation.Possible;
                    worst = share < worst.Share ? (share, seed) : worst;
                }
            }
            catch (Exception exception)
            {
                throw new XunitException($"Seed {seed}: {exception.Message}", exception);
            }
        }

        output.WriteLine($"{last - first + 1} worlds, {admitted} of {possible} possible requests admitted ({(double)admitted / possible:P3}), the worst seed {worst.Seed} with {worst.Share:P2}, {storage} storage requests.");
        Assert.True(admitted >= 0.99 * possible, $"{admitted} of {possible} requests");
    }
}
