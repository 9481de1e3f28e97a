using QuantumFlux.Tests.Proof;
using Xunit.Abstractions;

namespace QuantumFlux.Tests.Metering;

public sealed class RateLimitSimulationTests(ITestOutputHelper output)
{
    private const int Requests = 1_500;

    [Fact]
    public void NoWindowEverAdmitsOneRequestTooManyAndHardlyAnyBudgetIsWasted()
    {
        var worlds = Worlds.Run(1, 1_000, seed =>
        {
            var simulation = new RateLimitSimulation(seed);
            simulation.Run(Requests);
            return (Seed: seed, simulation.Admitted, simulation.Possible, simulation.HasFarJumps, simulation.StorageRequests);
        });

        var usual = worlds.Where(world => !world.HasFarJumps).ToList();
        var (admitted, possible) = (usual.Sum(world => (long)world.Admitted), usual.Sum(world => (long)world.Possible));
        var worst = usual.MinBy(world => (double)world.Admitted / world.Possible);
        output.WriteLine(
            $"{worlds.Count} worlds, {admitted} of {possible} possible requests admitted ({(double)admitted / possible:P3}), " +
            $"the worst seed {worst.Seed} with {(double)worst.Admitted / worst.Possible:P2}, {worlds.Sum(world => (long)world.StorageRequests)} storage requests.");
        Assert.True(admitted >= 0.99 * possible, $"{admitted} of {possible} requests");
    }
}
