using System.Net;

namespace QuantumFlux.Tests.Entanglements;

public sealed class DissolutionTests
{
    [Fact]
    public async Task ManyWritersDoNotKeepAnEntanglementFromBeingDissolved()
    {
        const int Writers = 16;
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var id = await client.EntangledAsync("a", "b");
        using var done = new CancellationTokenSource();
        using var underWay = new CountdownEvent(Writers);
        var writes = 0;
        var writers = Enumerable.Range(0, Writers).Select(async writer =>
        {
            for (var round = 0; !done.IsCancellationRequested; round++)
            {
                (await client.PutObjectAsync("a", $"{writer} {round}")).Expect(HttpStatusCode.OK);
                Interlocked.Increment(ref writes);
                if (round == 0)
                {
                    underWay.Signal();
                }
            }
        }).ToList();
        await Task.Run(underWay.Wait);

        var before = Volatile.Read(ref writes);
        var answer = await client.DeleteAsync($"/api/v3/quantum/entangle/{id}");
        var meanwhile = Volatile.Read(ref writes) - before;
        await done.CancelAsync();
        await Task.WhenAll(writers);

        answer.Expect(HttpStatusCode.OK);
        Assert.InRange(meanwhile, 0, 10 * Writers);
    }
}
