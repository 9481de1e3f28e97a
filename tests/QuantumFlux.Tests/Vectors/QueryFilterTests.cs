using System.Text;
using System.Text.Json;
using QuantumFlux.Api;
using QuantumFlux.Vectors;

namespace QuantumFlux.Tests.Vectors;

public sealed class QueryFilterTests
{
    // What a path is and what equals what are FilterTests' matter; here is what arrives.
    private static readonly (string Id, string Metadata)[] _documents =
    [
        ("paper", """{"source":"arxiv","date":"2025-12-13","year":2025,"score":0.5,"tags":["a","b"],"open":true,"author":{"name":"ä😀","age":40}}"""),
        ("older", """{"source":"arxiv","date":"2024-06-01","year":2024,"score":-2,"tags":["b"],"open":false,"author":{"name":"b"}}"""),
        ("blog", """{"source":"web","date":"2025-01-01","year":2025.0,"score":1e3,"tags":[],"open":true,"author":null}"""),
        ("odd", """{"source":7,"date":null,"year":"2025","tags":"a","author.name":"b","nested":[{"x":1},{"x":2}]}"""),
        ("bare", ""),
    ];

    public static TheoryData<Place> Places => VectorClient.Places;

    private static readonly (string Filter, string Expected)[] _filters =
    [
        ("{}", "paper older blog odd bare"),
        ("""{"metadata.source":"arxiv"}""", "paper older"),
        ("""{"metadata.source":"arxiv","metadata.date":{"$gte":"2025-01-01"}}""", "paper"),
        ("""{"metadata.source":{"$eq":"web"}}""", "blog"),
        ("""{"metadata.source":{"$ne":"arxiv"}}""", "blog odd bare"),
        ("""{"metadata.source":7}""", "odd"),
        ("""{"metadata.source":"nothing"}""", ""),
        ("""{"metadata.year":2025}""", "paper blog"),
        ("""{"metadata.year":{"$gt":2024}}""", "paper blog"),
        ("""{"metadata.year":{"$gte":2024}}""", "paper older blog"),
        ("""{"metadata.year":{"$lt":2025}}""", "older"),
        ("""{"metadata.year":{"$lte":2025}}""", "paper older blog"),
        ("""{"metadata.year":{"$gt":2023,"$lt":2025}}""", "older"),
        ("""{"metadata.score":{"$gte":-2,"$lt":1}}""", "paper older"),
        ("""{"metadata.source":{"$in":["web",7,"nothing"]}}""", "blog odd"),
        ("""{"metadata.source":{"$in":[]}}""", ""),
        ("""{"metadata.source":{"$nin":["web",7]}}""", "paper older bare"),
        ("""{"metadata.source":{"$nin":[]}}""", "paper older blog odd bare"),
        ("""{"metadata.date":{"$exists":true}}""", "paper older blog odd"),
        ("""{"metadata.date":{"$exists":false}}""", "bare"),
        ("""{"metadata.tags":{"$exists":true}}""", "paper older blog odd"),
        ("""{"metadata.date":null}""", "odd bare"),
        ("""{"metadata.author":null}""", "blog odd bare"),
        ("""{"metadata.date":{"$ne":null}}""", "paper older blog"),
        ("""{"metadata.open":true}""", "paper blog"),
        ("""{"metadata.open":{"$ne":true}}""", "older odd bare"),
        ("""{"metadata.tags":"a"}""", "paper odd"),
        ("""{"metadata.tags":{"$nin":["a"]}}""", "older blog bare"),
        ("""{"metadata.author.name":"b"}""", "older odd"),
        ("""{"metadata.author.name":"\u00e4\ud83d\ude00"}""", "paper"),
        ("""{"metadata.nested.x":{"$gt":1}}""", "odd"),
        ("""{"metadata.score":{"$not":{"$gt":0}}}""", "older odd bare"),
        ("""{"$not":{"metadata.source":"arxiv"}}""", "blog odd bare"),
        ("""{"$or":[{"metadata.source":"web"},{"metadata.year":2024}]}""", "older blog"),
        ("""{"$and":[{"metadata.open":true},{"metadata.year":2025},{"metadata.source":"web"}]}""", "blog"),
        ("""{"metadata.open":true,"$or":[{"metadata.source":"arxiv"},{"$not":{"metadata.tags":{"$exists":true}}}]}""", "paper"),
        ("""{"metadata.title":{"$exists":false}}""", "paper older blog odd bare"),
    ];

    [Theory]
    [MemberData(nameof(Places))]
    public async Task EachFilterLeavesWhatMatches(Place place)
    {
        await using var app = await TestApp.StartAsync(settings: TestApp.Unlimited);
        var client = await app.TenantAsync();
        await app.PlaceAsync(
            client, [.. _documents.Select((document, index) => new TestVector(document.Id, [1, index], document.Metadata.Length > 0 ? $"\"metadata\":{document.Metadata}" : ""))], place);

        foreach (var (filter, expected) in _filters)
        {
            foreach (var mode in new[] { "precise", "balanced", "exploratory" })
            {
                var found = VectorClient.Ids(await client.QueryAsync("[1, 0]", $"\"mode\":\"{mode}\",\"filters\":{filter}"));

                // What an exploratory query finds is in an order of its own.
                var ids = mode == "exploratory" ? _documents.Select(document => document.Id).Where(found.Contains) : found;
                Assert.True(expected == string.Join(' ', ids), $"{mode}, {filter}: {string.Join(' ', found)}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task AsManyComeBackAsWereAskedForWhenThatManyMatch(Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();

        // Those that match are the farthest.
        await app.PlaceAsync(client, [.. Enumerable.Range(0, 400).Select(index => new TestVector($"v{index}", [1, index], $"\"metadata\":{{\"n\":{index}}}"))], place);

        foreach (var mode in new[] { "precise", "balanced", "exploratory" })
        {
            var found = VectorClient.Ids(await client.QueryAsync("[1, 0]", $"\"mode\":\"{mode}\",\"enable_tunneling\":true,\"top_k\":20,\"filters\":{{\"metadata.n\":{{\"$gte\":375}}}}"));

            Assert.Equal(20, found.Count);
            Assert.All(found, id => Assert.True(int.Parse(id.AsSpan(1), System.Globalization.CultureInfo.InvariantCulture) >= 375, id));
        }
    }

    [Theory]
    [MemberData(nameof(Places))]
    public async Task AFilterAndAContextBothHold(Place place)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        const string In = "\"contexts\":[{\"name\":\"x\",\"weight\":0.5}]";
        await app.PlaceAsync(
            client,
            [
                new TestVector("both", [1, 1], In + ",\"metadata\":{\"a\":1}"), new TestVector("context", [1, 0], In + ",\"metadata\":{\"a\":2}"),
                new TestVector("filter", [1, 0], "\"metadata\":{\"a\":1}"), new TestVector("none", [1, 0]),
            ],
            place);

        var some = (await client.QueryAsync("[1, 0]", "\"context\":\"x\",\"filters\":{\"metadata.a\":1}")).Hits();
        var noneInContext = (await client.QueryAsync("[1, 0]", "\"context\":\"x\",\"filters\":{\"metadata.a\":{\"$exists\":false}}")).Hits();

        Assert.Equal([("both", true), ("filter", false)], some.Select(hit => (hit.Id, hit.IsEnhanced)));
        Assert.Equal([new Hit("none", 1, false, null)], noneInContext);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task AnyFilterLeavesWhatLookingAtEachWouldLeave(int seed)
    {
        var app = await TestApp.SharedAsync;
        var client = await app.TenantAsync();
        var json = new RandomMetadata(new Random(seed));
        var metadata = Enumerable.Range(0, 60).Select(_ => json.Metadata()).ToList();
        await app.PlaceAsync(client, [.. metadata.Select((text, index) => new TestVector($"v{index}", [1, index], $"\"metadata\":{text}"))], Place.Both);

        for (var query = 0; query < 25; query++)
        {
            var text = json.Filter();
            var filter = Filter.Parse(JsonDocument.Parse(text).RootElement, new Faults());
            var found = VectorClient.Ids(await client.QueryAsync("[1, 0]", $"\"top_k\":100,\"filters\":{text}"));

            var expected = metadata.Select((one, index) => (one, index)).Where(item => filter.Matches(MetadataFields.Parse(Encoding.UTF8.GetBytes(item.one)))).Select(item => $"v{item.index}");
            Assert.Equal(expected, found);
        }
    }
}
