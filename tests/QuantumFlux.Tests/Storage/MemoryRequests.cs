using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>Called before and after a request reaches the storage in memory. It may wait, throw, or say what the network does.</summary>
/// <param name="operation">The service and the method, such as <c>Tables.Write</c>.</param>
/// <param name="moment">Before the request is carried out, or after it was and before the caller hears of it.</param>
public delegate ValueTask<MemoryFault> MemoryHook(string operation, MemoryMoment moment);

/// <summary>When a <see cref="MemoryHook"/> is called.</summary>
public enum MemoryMoment
{
    Before,
    After,
}

/// <summary>What the network does to a request.</summary>
public enum MemoryFault
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>The request (before) or its answer (after) is lost, and the client tries again, as the real ones do.</summary>
    Lost,

    /// <summary>The same, and the client gives up: <see cref="StorageException"/> with status 0.</summary>
    GiveUp,
}

/// <summary>Carries out requests on storage in memory, one at a time, with the faults that a hook asks for.</summary>
public sealed class MemoryRequests(MemoryHook? hook)
{
    private readonly Lock _gate = new();
    private int _count;

    /// <summary>How many requests were made, each try counted.</summary>
    public int Count => _count;

    /// <summary>Runs a request until its answer arrives. The request is told whether an earlier try was made.</summary>
    public async Task<T> RunAsync<T>(string operation, Func<bool, T> request, CancellationToken cancellationToken)
    {
        for (var wasRetried = false; ; wasRetried = true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Interlocked.Increment(ref _count);
            if (await IsLostAsync(operation, MemoryMoment.Before))
            {
                continue;
            }

            T answer;
            lock (_gate)
            {
                answer = request(wasRetried);
            }

            if (!await IsLostAsync(operation, MemoryMoment.After))
            {
                return answer;
            }
        }
    }

    private async ValueTask<bool> IsLostAsync(string operation, MemoryMoment moment) =>
        (hook is null ? MemoryFault.None : await hook(operation, moment)) switch
        {
            MemoryFault.None => false,
            MemoryFault.Lost => true,
            _ => throw new StorageException($"{operation}: storage did not answer.", 0, null),
        };
}
