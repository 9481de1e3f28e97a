namespace QuantumFlux.Tests.Proof;

/// <summary>Tests that take what the machine has: one after the other, and beside no others.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class HeavyTests
{
    public const string Name = "heavy";
}
