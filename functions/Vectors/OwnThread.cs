namespace QuantumFlux.Vectors;

/// <summary>
/// A thread for what computes for seconds. The pool has about as many threads as there are processors, and is slow to add more: on one of them it would hold up the
/// requests of that time.
/// </summary>
public static class OwnThread
{
    /// <summary>Computes something there.</summary>
    /// <param name="compute">Does it, without waiting for anything.</param>
    public static async Task<T> RunAsync<T>(Func<T> compute)
    {
        if (SynchronizationContext.Current is not null)
        {
            // Whoever has all its work done in one place, as a simulated world has, has this done there too.
            await Task.Yield();
            return compute();
        }

        return await Task.Factory.StartNew(
            compute, CancellationToken.None, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach, TaskScheduler.Default);
    }
}
