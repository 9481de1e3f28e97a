using System.Globalization;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Options;
using QuantumFlux.Api;
using QuantumFlux.Keys;
using QuantumFlux.Storage;
using QuantumFlux.Tests.Storage;

namespace QuantumFlux.Tests.Keys;

public sealed class RotationTests
{
    private static readonly Caller _caller = new(
        new ApiKey("key_caller", new byte[32], "0000", "", "acc_a", KeyEnvironment.Live, Tier.Free, Scopes.All, default, default, null, null), "req_test");

    private const string Keys = "/api/v3/auth/keys";
    private const string Revoke = "/api/v3/auth/revoke";
    private const string Probe = "/api/v3/quantum/entangle";
    private const string Advice = "X-Key-Rotation";

    private static readonly TimeSpan _grace = TimeSpan.FromHours(23) + TimeSpan.FromMinutes(42);
    private static readonly TimeSpan _instant = TimeSpan.FromMilliseconds(1);

    [Fact]
    public async Task ARotatedKeysSuccessorIsLikeIt()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var old = (await client.PostAsync(Keys, new { name = "mine", environment = "test", scopes = new[] { "write" } })).Json;

        var answer = (await client.SendAsync(HttpMethod.Post, $"{Keys}/{old.GetProperty("key_id")}/rotate")).Expect(HttpStatusCode.Created);

        var key = answer.Json;
        Assert.Equal(
            ["key_id", "key", "name", "account_id", "environment", "tier", "scopes", "created_at", "expires_at", "previous_key_id", "previous_expires_at"],
            key.EnumerateObject().Select(member => member.Name));
        foreach (var same in new[] { "name", "account_id", "environment", "tier", "scopes" })
        {
            Assert.Equal(old.GetProperty(same).GetRawText(), key.GetProperty(same).GetRawText());
        }

        Assert.Equal("no-store", answer.Header("Cache-Control"));
        Assert.NotEqual(old.GetProperty("key").GetString(), key.GetProperty("key").GetString());
        Assert.Equal(TimeSpan.FromDays(470), Time(key, "expires_at") - Time(key, "created_at"));
        Assert.Equal(old.GetProperty("key_id").GetString(), key.GetProperty("previous_key_id").GetString());
        Assert.Equal(_grace, Time(key, "previous_expires_at") - Time(key, "created_at"));
        (await app.ClientWith(key.GetProperty("key").GetString()!, client.Account).GetObjectAsync("a")).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
    }

    [Fact]
    public async Task AListNamesTheSuccessorOfARotatedKey()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var id = await OwnIdAsync(client);

        var key = (await RotateAsync(client, id)).Json;

        var listed = (await client.GetAsync(Keys)).Json.GetProperty("keys");
        Assert.Equal([id, key.GetProperty("key_id").GetString()], listed.EnumerateArray().Select(entry => entry.GetProperty("key_id").GetString()));
        Assert.Equal(key.GetProperty("key_id").GetString(), listed[0].GetProperty("rotated_to").GetString());
        Assert.Equal(Time(key, "previous_expires_at"), Time(listed[0], "expires_at"));
        Assert.Equal(JsonValueKind.Null, listed[1].GetProperty("rotated_to").ValueKind);
    }

    [Fact]
    public async Task ARotatedKeyWorksForItsGraceAndNotAMillisecondLongerOnAnyInstance()
    {
        var time = new ManualTime();
        await using var world = await World.StartAsync(time);
        var client = await world.Here.TenantAsync();
        var there = world.There.ClientWith(client.Key, client.Account);
        (await there.GetAsync(Probe)).Expect(HttpStatusCode.OK);
        var successor = (await RotateAsync(client, await OwnIdAsync(client))).Json.GetProperty("key").GetString()!;

        time.Advance(_grace - _instant);
        (await client.GetAsync(Probe)).Expect(HttpStatusCode.OK);
        (await there.GetAsync(Probe)).Expect(HttpStatusCode.OK);
        time.Advance(_instant);

        (await client.GetAsync(Probe)).ExpectError(HttpStatusCode.Unauthorized, "INVALID_API_KEY");
        (await there.GetAsync(Probe)).ExpectError(HttpStatusCode.Unauthorized, "INVALID_API_KEY");
        (await world.There.ClientWith(successor, client.Account).GetAsync(Probe)).Expect(HttpStatusCode.OK);
    }

    [Fact]
    public async Task AKeyWorksFor470DaysAndNotAMillisecondLongerOnAnyInstance()
    {
        var time = new ManualTime();
        await using var world = await World.StartAsync(time);
        var client = await world.Here.TenantAsync();
        var there = world.There.ClientWith(client.Key, client.Account);

        time.Advance(TimeSpan.FromDays(470) - _instant);
        (await client.GetAsync(Probe)).Expect(HttpStatusCode.OK);
        (await there.GetAsync(Probe)).Expect(HttpStatusCode.OK);
        time.Advance(_instant);

        (await client.GetAsync(Probe)).ExpectError(HttpStatusCode.Unauthorized, "INVALID_API_KEY");
        (await there.GetAsync(Probe)).ExpectError(HttpStatusCode.Unauthorized, "INVALID_API_KEY");
    }

    [Fact]
    public async Task ARotationNeverLengthensAKeysLife()
    {
        var time = new ManualTime();
        await using var world = await World.StartAsync(time);
        var client = await world.Here.TenantAsync();
        var id = await OwnIdAsync(client);
        time.Advance(TimeSpan.FromDays(470) - TimeSpan.FromHours(1));

        var key = (await RotateAsync(client, id)).Json;

        Assert.Equal(TimeSpan.FromHours(1), Time(key, "previous_expires_at") - time.GetUtcNow());
        time.Advance(TimeSpan.FromHours(1));
        (await client.GetAsync(Probe)).ExpectError(HttpStatusCode.Unauthorized, "INVALID_API_KEY");
    }

    [Fact]
    public async Task ASecondRotationGivesAKeyButNoMoreGrace()
    {
        var time = new ManualTime();
        await using var world = await World.StartAsync(time);
        var client = await world.Here.TenantAsync();
        var id = await OwnIdAsync(client);
        var first = (await RotateAsync(client, id)).Json;
        time.Advance(TimeSpan.FromHours(23));

        var second = (await RotateAsync(client, id)).Json;

        Assert.Equal(Time(first, "previous_expires_at"), Time(second, "previous_expires_at"));
        Assert.Equal(
            second.GetProperty("key_id").GetString(),
            (await ListedAsync(client, id)).GetProperty("rotated_to").GetString());
        time.Advance(_grace - TimeSpan.FromHours(23));
        (await client.GetAsync(Probe)).ExpectError(HttpStatusCode.Unauthorized, "INVALID_API_KEY");
        foreach (var key in new[] { first, second })
        {
            (await world.There.ClientWith(key.GetProperty("key").GetString()!, client.Account).GetAsync(Probe)).Expect(HttpStatusCode.OK);
        }
    }

    [Fact]
    public async Task ARevokedKeyCannotBeRotated()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();
        var other = (await client.PostAsync(Keys, new { })).Json.GetProperty("key_id").GetString()!;
        await client.PostAsync(Revoke, new { key_id = other });

        var refused = await RotateAsync(client, other);

        refused.ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT");
        Assert.Equal("is revoked", refused.Details.GetProperty("key_id").GetString());
        Assert.Equal(2, (await client.GetAsync(Keys)).Json.GetProperty("keys").GetArrayLength());
    }

    [Fact]
    public async Task AnExpiredKeyCannotBeRotated()
    {
        var time = new ManualTime();
        await using var world = await World.StartAsync(time);
        var client = await world.Here.TenantAsync();
        var old = await OwnIdAsync(client);
        time.Advance(TimeSpan.FromDays(1));
        var younger = world.Here.ClientWith(
            (await client.PostAsync(Keys, new { scopes = new[] { "read", "write", "keys" } })).Json.GetProperty("key").GetString()!, client.Account);
        time.Advance(TimeSpan.FromDays(469));

        var refused = await RotateAsync(younger, old);

        refused.ExpectError(HttpStatusCode.Conflict, "QUANTUM_CONFLICT");
        Assert.Equal("is expired", refused.Details.GetProperty("key_id").GetString());
    }

    [Fact]
    public async Task NobodyObtainsMoreThanTheyHaveByRotation()
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var clientId = await OwnIdAsync(client);
        var lesser = await app.KeyAsync(client.Account, "live", "professional");
        var scoped = await app.KeyAsync(client.Account, "live", scopes: ["keys"]);
        var sandbox = await app.KeyAsync(client.Account, "test");
        var stranger = await app.TenantAsync();

        (await RotateAsync(lesser, clientId)).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
        (await RotateAsync(scoped, clientId)).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");
        (await RotateAsync(sandbox, clientId)).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await RotateAsync(stranger, clientId)).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await stranger.PostAsync($"{Keys}/{clientId}/rotate", new { account_id = client.Account })).ExpectError(HttpStatusCode.Forbidden, "INSUFFICIENT_PERMISSIONS");

        var listed = (await client.GetAsync(Keys)).Json.GetProperty("keys").EnumerateArray().ToList();
        Assert.Equal(4, listed.Count);
        Assert.All(listed, key => Assert.Equal(JsonValueKind.Null, key.GetProperty("rotated_to").ValueKind));
        (await app.Admin.PostAsync($"{Keys}/{clientId}/rotate", new { account_id = client.Account })).Expect(HttpStatusCode.Created);
    }

    [Fact]
    public async Task WhatIsNoKeyCannotBeRotated()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        (await RotateAsync(client, "key_00000000000000000000000000000000")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await RotateAsync(client, "a")).ExpectError(HttpStatusCode.NotFound, "RESOURCE_NOT_FOUND");
        (await client.PostAsync($"{Keys}/a/rotate", new { name = "x" })).ExpectError(HttpStatusCode.BadRequest, "INVALID_PARAMETERS");
        var wrong = (await client.GetAsync($"{Keys}/a/rotate")).ExpectError(HttpStatusCode.MethodNotAllowed, "METHOD_NOT_ALLOWED");
        Assert.Equal("POST", wrong.Header("Allow"));
    }

    [Fact]
    public async Task AKeyOlderThan47DaysIsToldWithEveryAnswer()
    {
        var time = new ManualTime();
        await using var world = await World.StartAsync(time);
        var client = await world.Here.TenantAsync();

        time.Advance(TimeSpan.FromDays(47));
        var young = await client.GetAsync(Probe);
        time.Advance(TimeSpan.FromDays(5));
        var (read, refused) = (await client.GetAsync(Probe), await client.GetObjectAsync("nothing"));

        Assert.Null(young.Header(Advice));
        Assert.Equal("recommended;age_days=52;expires_at=\"2027-06-14T12:00:00.000Z\"", read.Header(Advice));
        Assert.Equal(read.Header(Advice), refused.Expect(HttpStatusCode.NotFound).Header(Advice));
    }

    [Fact]
    public async Task ARotatedKeyIsToldWithEveryAnswer()
    {
        var client = await (await TestApp.SharedAsync).TenantAsync();

        var key = (await RotateAsync(client, await OwnIdAsync(client))).Json;

        Assert.Equal(
            $"rotated;successor=\"{key.GetProperty("key_id")}\";expires_at=\"{key.GetProperty("previous_expires_at")}\"",
            (await client.GetAsync(Probe)).Header(Advice));
    }

    [Fact]
    public async Task RotationsAtOnceOnTwoInstancesAllGiveAKeyThatWorks()
    {
        var time = new ManualTime();
        await using var world = await World.StartAsync(time);
        var client = await world.Here.TenantAsync();
        var there = world.There.ClientWith(client.Key, client.Account);
        var id = await OwnIdAsync(client);

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(number => RotateAsync(number % 2 == 0 ? client : there, id)));

        var made = answers.Select(answer => answer.Expect(HttpStatusCode.Created).Json).ToList();
        foreach (var key in made)
        {
            Assert.Equal(_grace, Time(key, "previous_expires_at") - time.GetUtcNow());
            (await world.There.ClientWith(key.GetProperty("key").GetString()!, client.Account).GetAsync(Probe)).Expect(HttpStatusCode.OK);
        }

        Assert.Equal(9, (await client.GetAsync(Keys)).Json.GetProperty("keys").GetArrayLength());
        time.Advance(KeyStore.TrustedFor);
        Assert.StartsWith(
            $"rotated;successor=\"{(await ListedAsync(client, id)).GetProperty("rotated_to")}\"",
            (await client.GetAsync(Probe)).Header(Advice),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(MemoryMoment.Before)]
    [InlineData(MemoryMoment.After)]
    public async Task AKeyIsNeverShortenedBeforeItsSuccessorWorksAndIsListed(MemoryMoment moment)
    {
        var shortened = 0;
        for (var failing = 1; failing <= 4; failing++)
        {
            var time = new ManualTime();
            var (writes, isArmed) = (0, false);
            using var keys = Open(new MemoryTables(time, (operation, when) => ValueTask.FromResult(
                isArmed && when == moment && operation == "Tables.Write" && ++writes == failing ? MemoryFault.GiveUp : MemoryFault.None)), time);
            var create = new CreateKey("mine", KeyEnvironment.Live, Tier.Free, [Scopes.Read], "acc_a");
            var (old, oldSecret) = create.ToKey(_caller, time.GetUtcNow());
            var (successor, secret) = create.ToKey(_caller, time.GetUtcNow());
            await keys.AddAsync(old, CancellationToken.None);
            var listed = await keys.FindListedAsync("acc_a", old.KeyId, CancellationToken.None);

            isArmed = true;
            await Assert.ThrowsAsync<StorageException>(() => keys.RotateAsync(listed!, successor, CancellationToken.None));
            isArmed = false;

            if ((await keys.FindAsync(oldSecret, CancellationToken.None))!.ExpiresAt < old.ExpiresAt)
            {
                shortened++;
                Assert.True((await keys.FindAsync(secret, CancellationToken.None))!.IsUsable(time.GetUtcNow()));
                Assert.Contains((await keys.ListAsync("acc_a", _ => true, null, 10, CancellationToken.None)).Keys, entry => entry.Key.KeyId == successor.KeyId);
            }
        }

        Assert.Equal(moment == MemoryMoment.Before ? 1 : 2, shortened);
    }

    [Fact]
    public async Task AKeyThatIsRevokedDuringItsRotationHasNoSuccessor()
    {
        var time = new ManualTime();
        var meanwhile = () => Task.CompletedTask;
        var writes = 0;
        using var keys = Open(
            new MemoryTables(time, async (operation, when) =>
            {
                if (when == MemoryMoment.After && operation == "Tables.Write" && ++writes == 4)
                {
                    await meanwhile();
                }

                return MemoryFault.None;
            }),
            time);
        var create = new CreateKey("mine", KeyEnvironment.Live, Tier.Free, [Scopes.Read], "acc_a");
        var (old, _) = create.ToKey(_caller, time.GetUtcNow());
        var (successor, secret) = create.ToKey(_caller, time.GetUtcNow());
        await keys.AddAsync(old, CancellationToken.None);
        var listed = (await keys.FindListedAsync("acc_a", old.KeyId, CancellationToken.None))!;
        meanwhile = () => keys.RevokeAsync(listed, CancellationToken.None);

        var refusal = await Assert.ThrowsAsync<ApiException>(() => keys.RotateAsync(listed, successor, CancellationToken.None));

        Assert.Equal("QUANTUM_CONFLICT", refusal.Code);
        Assert.False((await keys.FindAsync(secret, CancellationToken.None))!.IsUsable(time.GetUtcNow()));
        Assert.All((await keys.ListAsync("acc_a", _ => true, null, 10, CancellationToken.None)).Keys, entry => Assert.NotNull(entry.Key.RevokedAt));
    }

    private static KeyStore Open(MemoryTables tables, TimeProvider time) => new(
        new StorageAccounts(new StorageAccount(tables, new MemoryBlobs(time)), new Dictionary<int, StorageAccount>()),
        Options.Create(new KeyOptions()),
        time);

    private static Task<Answer> RotateAsync(TestClient client, string id) => client.SendAsync(HttpMethod.Post, $"{Keys}/{id}/rotate");

    private static async Task<string> OwnIdAsync(TestClient client) => (await client.GetAsync(Keys)).Json.GetProperty("keys")
        .EnumerateArray().Single(key => key.GetProperty("key").GetString()!.EndsWith(client.Key[^4..], StringComparison.Ordinal))
        .GetProperty("key_id").GetString()!;

    private static async Task<JsonElement> ListedAsync(TestClient client, string id) =>
        (await client.GetAsync(Keys)).Json.GetProperty("keys").EnumerateArray().Single(key => key.GetProperty("key_id").GetString() == id);

    private static DateTimeOffset Time(JsonElement json, string member) =>
        DateTimeOffset.Parse(json.GetProperty(member).GetString()!, CultureInfo.InvariantCulture);

    /// <summary>Two instances over one storage in memory.</summary>
    private sealed class World : IAsyncDisposable
    {
        public required TestApp Here { get; init; }

        public required TestApp There { get; init; }

        public static async Task<World> StartAsync(ManualTime time)
        {
            var storage = new StorageAccounts(new StorageAccount(new MemoryTables(time), new MemoryBlobs(time)), new Dictionary<int, StorageAccount>());
            var opener = ApiKey.NewSecret(KeyEnvironment.Live);
            return new World
            {
                Here = await TestApp.StartAsync(time, storage, adminKey: opener),
                There = await TestApp.StartAsync(time, storage, adminKey: opener),
            };
        }

        public async ValueTask DisposeAsync()
        {
            await Here.DisposeAsync();
            await There.DisposeAsync();
        }
    }
}
