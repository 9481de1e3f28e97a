using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class OwnThreadTests
{
    // Within Task.Run there is no context, as in a host.
    [Fact]
    public Task WhatComputesForLongLeavesThePoolToRequests() =>
        Task.Run(async () => Assert.False(await OwnThread.RunAsync(() => Thread.CurrentThread.IsThreadPoolThread)));

    [Fact]
    public Task WhatItThrowsIsThrown() =>
        Task.Run(() => Assert.ThrowsAsync<OperationCanceledException>(() => OwnThread.RunAsync<int>(() => throw new OperationCanceledException())));
}
