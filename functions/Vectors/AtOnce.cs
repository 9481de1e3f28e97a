namespace QuantumFlux.Vectors;

/// <summary>Several waits at once, but not all.</summary>
public static class AtOnce
{
    /// <summary>Runs something for each number from 0 on, in the order in which there is room. When one fails, no further ones begin, and it is thrown.</summary>
    /// <remarks>Unlike <see cref="Parallel"/>, which goes to other threads, this stays where its caller runs.</remarks>
    /// <param name="count">How many numbers.</param>
    /// <param name="most">How many are under way at most.</param>
    /// <param name="body">What is run.</param>
    public static Task ForEachAsync(int count, int most, Func<int, Task> body)
    {
        var next = -1;
        return Task.WhenAll(Enumerable.Range(0, Math.Min(count, most)).Select(async _ =>
        {
            try
            {
                while (Interlocked.Increment(ref next) is var number && number < count)
                {
                    await body(number);
                }
            }
            catch
            {
                Volatile.Write(ref next, count);
                throw;
            }
        }));
    }
}
