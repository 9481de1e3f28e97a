using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using QuantumFlux.Api;
using QuantumFlux.Objects;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Proof;

namespace QuantumFlux.Tests.Objects;

public sealed class CleanUpTests
{
    private const int Large = 400_000;

    private static readonly TimeSpan _graceAndAnHour = CleanUpStore.Grace + TimeSpan.FromHours(1);

    [Fact]
    public async Task ContentGoesADayAfterTheLastObjectThatHadIt()
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        foreach (var id in new[] { "a", "b" })
        {
            await client.PutObjectAsync(id, "shared");
            await client.PutObjectAsync(id, Content(Large));
            await client.PutObjectAsync(id, $"only {id}");
        }

        (await client.DeleteAsync("/api/v3/quantum/objects/a")).Expect(HttpStatusCode.OK);
        time.Advance(CleanUpStore.Grace - TimeSpan.FromMinutes(1));
        await MemoryWorld.FireAsync(app, "CleanUp");
        var early = await world.KeysAsync(client.Tenant(), "c:");
        time.Advance(TimeSpan.FromMinutes(1));
        await MemoryWorld.FireAsync(app, "CleanUp");
        var shared = await world.KeysAsync(client.Tenant(), "c:");
        (await client.DeleteAsync("/api/v3/quantum/objects/b")).Expect(HttpStatusCode.OK);
        time.Advance(_graceAndAnHour);
        await MemoryWorld.FireAsync(app, "CleanUp");

        Assert.Equal(4, early.Count);
        Assert.Equal(3, shared.Count);
        Assert.Empty(await world.KeysAsync(client.Tenant(), ""));
        Assert.Empty(await world.BlobsAsync(client.Tenant()));
    }

    [Fact]
    public async Task ContentThatIsUsedAgainStays()
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        await using var reader = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("a", "small");
        await client.PutObjectAsync("b", Content(Large));
        await client.DeleteAsync("/api/v3/quantum/objects/a");
        await client.DeleteAsync("/api/v3/quantum/objects/b");

        time.Advance(_graceAndAnHour);
        (await client.PutObjectAsync("a", "small")).Expect(HttpStatusCode.Created);
        (await client.PutObjectAsync("c", Content(Large))).Expect(HttpStatusCode.Created);
        await MemoryWorld.FireAsync(app, "CleanUp");

        var cold = reader.ClientWith(client.Key, client.Account);
        Assert.Equal("small", (await cold.GetObjectAsync("a")).Expect(HttpStatusCode.OK).Text);
        Assert.Equal(Large, (await cold.GetObjectAsync("c")).Expect(HttpStatusCode.OK).Bytes.Length);
        Assert.Single(await world.KeysAsync(client.Tenant(), "v:a:"));
    }

    [Theory]
    [InlineData(100)]
    [InlineData(Large)]
    public async Task AtWhateverMomentOfACleanUpContentIsWrittenAgainItStays(int size)
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        await using var reader = await world.StartAsync();
        for (var moment = 1; ; moment++)
        {
            var client = await app.TenantAsync();
            await client.PutObjectAsync("a", Content(size));
            await client.DeleteAsync("/api/v3/quantum/objects/a");
            time.Advance(_graceAndAnHour);

            world.InterruptAt(moment, async () => (await client.PutObjectAsync("b", Content(size))).Expect(HttpStatusCode.Created));
            await MemoryWorld.FireAsync(app, "CleanUp");
            if (!world.WasInterrupted)
            {
                Assert.InRange(moment, 15, 100);
                return;
            }

            time.Advance(_graceAndAnHour);
            await MemoryWorld.FireAsync(app, "CleanUp");
            var read = await reader.ClientWith(client.Key, client.Account).GetObjectAsync("b");
            Assert.True(read.Status == HttpStatusCode.OK && Content(size).AsSpan().SequenceEqual(read.Bytes), $"Lost when written before request {moment}.");
        }
    }

    [Theory]
    [InlineData(100)]
    [InlineData(Large)]
    public async Task AtWhateverMomentOfACleanUpTheLastPointerMovesItsContentStays(int size)
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        await using var reader = await world.StartAsync();
        for (var moment = 1; ; moment++)
        {
            var client = await app.TenantAsync();
            var pair = await client.EntangledAsync("a", "b");
            await client.PutObjectAsync("a", Content(size));
            await client.PutObjectAsync("other", "x");
            await client.DeleteAsync("/api/v3/quantum/objects/other");
            time.Advance(_graceAndAnHour);

            // What looks for pointers may have passed the backup's place already, and not have come to the objects yet.
            string? backup = null;
            world.InterruptAt(moment, async () =>
            {
                backup = (await client.DeleteAsync($"/api/v3/quantum/entangle/{pair}?backup=true")).Json.GetProperty("backup_id").GetString();
                (await client.DeleteAsync("/api/v3/quantum/objects/a")).Expect(HttpStatusCode.OK);
                (await client.DeleteAsync("/api/v3/quantum/objects/b")).Expect(HttpStatusCode.OK);
                await MemoryWorld.FireAsync(reader, "CleanUp");
            });
            await MemoryWorld.FireAsync(app, "CleanUp");
            if (!world.WasInterrupted)
            {
                Assert.InRange(moment, 15, 100);
                return;
            }

            time.Advance(_graceAndAnHour);
            await MemoryWorld.FireAsync(app, "CleanUp");
            var read = await reader.ClientWith(client.Key, client.Account).GetAsync($"/api/v3/quantum/backups/{backup}/b");
            Assert.True(read.Status == HttpStatusCode.OK && Content(size).AsSpan().SequenceEqual(read.Bytes), $"Lost when moved before request {moment}.");
        }
    }

    [Theory]
    [InlineData(100)]
    [InlineData(Large)]
    public async Task ABackupKeepsItsContent(int size)
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        await using var reader = await world.StartAsync();
        var client = await app.TenantAsync();
        var pair = await client.EntangledAsync("a", "b", pathway: [2, 5]);
        (await client.PutObjectAsync("a", Content(size))).Expect(HttpStatusCode.OK);
        var backup = (await client.DeleteAsync($"/api/v3/quantum/entangle/{pair}?backup=true")).Json.GetProperty("backup_id").GetString();
        await client.DeleteAsync("/api/v3/quantum/objects/a");
        await client.DeleteAsync("/api/v3/quantum/objects/b");

        for (var day = 0; day < 3; day++)
        {
            time.Advance(_graceAndAnHour);
            await MemoryWorld.FireAsync(app, "CleanUp");
        }

        Assert.Empty(await world.KeysAsync(client.Tenant(), "v:"));
        foreach (var id in new[] { "a", "b" })
        {
            var read = await reader.ClientWith(client.Key, client.Account).GetAsync($"/api/v3/quantum/backups/{backup}/{id}");
            Assert.True(Content(size).AsSpan().SequenceEqual(read.Expect(HttpStatusCode.OK).Bytes));
        }
    }

    [Fact]
    public async Task AnUploadGoesADayAfterItsEndWithWhatWasUploaded()
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var upload = (await client.SendAsync(HttpMethod.Post, "/api/v3/quantum/objects/a/uploads")).Expect(HttpStatusCode.Created).Json;
        var name = $"{client.Tenant()}/{upload.GetProperty("upload_id").GetString()}";
        await world.Storage.Main.Blobs.PutAsync("uploads", name, Content(10), new BlobOptions(), CancellationToken.None);

        time.Advance(Upload.Lifetime + CleanUpStore.Grace - TimeSpan.FromMinutes(1));
        await MemoryWorld.FireAsync(app, "CleanUp");
        var early = await world.BlobsAsync(client.Tenant());
        time.Advance(TimeSpan.FromMinutes(1));
        await MemoryWorld.FireAsync(app, "CleanUp");

        Assert.Equal([name], early);
        Assert.Empty(await world.BlobsAsync(client.Tenant()));
        Assert.Empty(await world.KeysAsync(client.Tenant(), ""));
    }

    [Fact]
    public async Task WhatAFailedWriteLeftGoes()
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.EntangledAsync("a", "b", pathway: [2, 5]);
        var before = (await world.KeysAsync(client.Tenant(), "c:")).Count;

        world.WritesLeft = 0;
        (await client.PutObjectAsync("a", Content(Large))).ExpectError(HttpStatusCode.ServiceUnavailable, "SERVICE_UNAVAILABLE");
        (await client.PutObjectAsync("a", "small")).ExpectError(HttpStatusCode.ServiceUnavailable, "SERVICE_UNAVAILABLE");
        world.WritesLeft = null;
        var left = ((await world.BlobsAsync(client.Tenant())).Count, (await world.KeysAsync(client.Tenant(), "c:")).Count);
        time.Advance(_graceAndAnHour);
        await MemoryWorld.FireAsync(app, "CleanUp");

        Assert.Equal((2, before + 2), left);
        Assert.Empty(await world.BlobsAsync(client.Tenant()));
        Assert.Equal(before, (await world.KeysAsync(client.Tenant(), "c:")).Count);
    }

    [Fact]
    public async Task APlaceThatIsDownIsCleanedUpLaterAndKeepsNothingElseWaiting()
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        var pair = await client.EntangledAsync("a", "b", pathway: [1, 2]);
        await client.PutObjectAsync("a", "everywhere");
        await client.DeleteAsync($"/api/v3/quantum/entangle/{pair}");
        await client.DeleteAsync("/api/v3/quantum/objects/a");
        await client.DeleteAsync("/api/v3/quantum/objects/b");
        time.Advance(_graceAndAnHour);

        world.Down.Add(2);
        await MemoryWorld.FireAsync(app, "CleanUp");
        world.Down.Clear();
        var left = await world.KeysAsync(client.Tenant(), "c:");
        await MemoryWorld.FireAsync(app, "CleanUp");

        Assert.Equal(2, left.Count);
        Assert.All(left, key => Assert.EndsWith(":2", key, StringComparison.Ordinal));
        Assert.Empty(await world.KeysAsync(client.Tenant(), "c:"));
    }

    [Fact]
    public async Task TwoRunsAtOnceDoNoMoreThanOne()
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        await using var other = await world.StartAsync();
        var client = await app.TenantAsync();
        for (var index = 0; index < 20; index++)
        {
            await client.PutObjectAsync($"kept{index}", $"kept {index}");
            await client.PutObjectAsync($"gone{index}", $"gone {index}");
            await client.DeleteAsync($"/api/v3/quantum/objects/gone{index}");
        }

        time.Advance(_graceAndAnHour);
        await Task.WhenAll(MemoryWorld.FireAsync(app, "CleanUp"), MemoryWorld.FireAsync(other, "CleanUp"));
        await MemoryWorld.FireAsync(app, "CleanUp");

        Assert.Equal(20, (await world.KeysAsync(client.Tenant(), "c:")).Count);
        Assert.Equal(20, (await world.KeysAsync(client.Tenant(), "v:")).Count);
        Assert.Empty(await world.KeysAsync(client.Tenant(), "t:"));
    }

    [Fact]
    public async Task ASweepOfVeryMuchGoesOnWhereItWasKilled()
    {
        const int Contents = 50_000;
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("a", "x");
        await client.DeleteAsync("/api/v3/quantum/objects/a");
        foreach (var some in Enumerable.Range(0, Contents).Chunk(ITables.TransactionRowsMax))
        {
            await WriteAsync(some.Select(index => new TableRow(client.Tenant(), ObjectRows.ContentKey($"{index:x64}", 1)).Set(ContentStore.WrittenAtColumn, 0L)));
            await WriteAsync(some.Where(index => index % 2 == 0).Select(index => new TableRow(client.Tenant(), $"v:kept:{index:D5}").Set("Sha256", $"{index:x64}")));
        }

        time.Advance(_graceAndAnHour);
        using var killed = new CancellationTokenSource();
        world.InterruptAt(250, killed.CancelAsync);
        var first = await world.RequestsAsync(() => Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => app.Services.GetRequiredService<CleanUp>().RunAsync(killed.Token)));
        var between = await world.Storage.Main.Tables.FirstAsync(
            ObjectRows.Table, new TableQuery(client.Tenant(), "c:", $"c:{2_000:x64}"), CancellationToken.None);
        var passed = new TableRow(client.Tenant(), ObjectRows.ContentKey($"{1:x64}", 1)).Set(ContentStore.WrittenAtColumn, 0L);
        await WriteAsync([passed]);
        await MemoryWorld.FireAsync(app, "CleanUp");
        var again = await world.RequestsAsync(() => MemoryWorld.FireAsync(app, "CleanUp"));
        var left = await SimulatedCluster.RowsAsync(world.Storage.Main, ObjectRows.Table, client.Tenant());

        // A step takes 20 pages of 1,000 candidates, 25 of the rows that point to some of them, and 100 removals of 100 rows each. The second was killed;
        // what came to lie where the first had been by then is none of this sweep's business.
        Assert.Equal(250, first);
        Assert.Equal(1_000, between.Count);
        Assert.InRange(again, 1, 2);
        Assert.Equal(passed.Key, left.Single(row => row.Key.StartsWith("c:", StringComparison.Ordinal) && Convert.ToInt64(ObjectRows.ContentSha256(row)[48..], 16) % 2 == 1).Key);
        Assert.Empty(await world.KeysAsync(client.Tenant(), "t:"));

        async Task WriteAsync(IEnumerable<TableRow> rows) => Assert.True((await world.Storage.Main.Tables.WriteAsync(
            ObjectRows.Table, [.. rows.Select(TableAction.Insert)], CancellationToken.None)).IsDone);
    }

    [Fact]
    public async Task WhatIsNotDueIsNotRead()
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("kept", "x");
        var alone = await world.RequestsAsync(() => MemoryWorld.FireAsync(app, "CleanUp"));
        foreach (var other in await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => app.TenantAsync())))
        {
            for (var index = 0; index < 20; index++)
            {
                await other.PutObjectAsync($"o{index}", $"{index}");
            }

            await other.DeleteAsync("/api/v3/quantum/objects/o0");
        }

        var crowded = await world.RequestsAsync(() => MemoryWorld.FireAsync(app, "CleanUp"));

        Assert.Equal(1, alone);
        Assert.Equal(1, crowded);
    }

    [Fact]
    public async Task ARunTellsWhatItDid()
    {
        var time = new ManualTime();
        var world = new MemoryWorld(time);
        await using var app = await world.StartAsync();
        var counts = new ConcurrentDictionary<string, long>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Name == "quantumflux.maintenance.items" && instrument.Meter.Scope == app.Services.GetRequiredService<IMeterFactory>())
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((_, count, tags, _) =>
            counts.AddOrUpdate($"{tags[0].Value} {tags[1].Value}", count, (_, sum) => sum + count));
        app.Services.GetRequiredService<Telemetry>();
        listener.Start();
        var client = await app.TenantAsync();
        await client.PutObjectAsync("a", "1");
        await client.PutObjectAsync("a", Content(Large));
        await client.DeleteAsync("/api/v3/quantum/objects/a");

        time.Advance(_graceAndAnHour);
        await MemoryWorld.FireAsync(app, "CleanUp");
        await MemoryWorld.FireAsync(app, "CleanUp");

        Assert.Equal(
            ["clean-up blobs_removed 1", "clean-up rows_removed 2", "clean-up sweeps 1", "clean-up versions_removed 2"],
            counts.Select(entry => $"{entry.Key} {entry.Value}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task AnObjectThatIsMadeAnewHasNothingOfTheOneBefore()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        for (var version = 0; version < 30; version++)
        {
            await client.PutObjectAsync("a", $"old {version}");
        }

        var old = (await client.GetAsync("/api/v3/quantum/objects/a/versions?limit=1")).Json.GetProperty("versions")[0];
        await client.DeleteAsync("/api/v3/quantum/objects/a");
        (await client.PutObjectAsync("a", "new")).Expect(HttpStatusCode.Created);
        await client.PutObjectAsync("a", "newer");

        var versions = (await client.GetAsync("/api/v3/quantum/objects/a/versions?limit=2")).Expect(HttpStatusCode.OK).Json;
        Assert.Equal(2, versions.GetProperty("versions").GetArrayLength());
        Assert.False(versions.GetProperty("has_more").GetBoolean());
        var oldNumber = old.GetProperty("version").GetInt64();
        (await client.GetObjectAsync($"a?version={oldNumber}")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.GetObjectAsync($"a?at={Uri.EscapeDataString(old.GetProperty("created_at").GetString()!)}"))
            .ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
    }

    [Fact]
    public async Task AnObjectCanBeMadeAnewInTheVeryMomentInWhichItWasDeleted()
    {
        await using var app = await new MemoryWorld(new ManualTime()).StartAsync();
        var client = await app.TenantAsync();
        for (var round = 0; round < 3; round++)
        {
            (await client.PutObjectAsync("a", $"{round}")).Expect(HttpStatusCode.Created);
            Assert.Equal($"{round}", (await client.GetObjectAsync("a")).Text);
            (await client.DeleteAsync("/api/v3/quantum/objects/a")).Expect(HttpStatusCode.OK);
        }
    }

    private static byte[] Content(int size)
    {
        var content = new byte[size];
        new Random(size).NextBytes(content);
        return content;
    }
}
