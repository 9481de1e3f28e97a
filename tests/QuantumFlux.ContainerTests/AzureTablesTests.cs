using Azure.Core;
using Azure.Data.Tables;
using QuantumFlux.AzureHost;
using QuantumFlux.Storage;

namespace QuantumFlux.AzureSdkTests;

/// <summary>What is peculiar to the Azure SDK. What every implementation of <see cref="ITables"/> does is in the conformance suite.</summary>
public sealed class AzureTablesTests(Azurite azurite) : IClassFixture<Azurite>
{
    private static readonly CancellationToken _none = CancellationToken.None;

    private readonly ForgetfulTransport _transport = new();
    private readonly string _table = $"t{Guid.NewGuid():N}";

    [Fact]
    public async Task EveryTypeOfColumnComesBack()
    {
        var tables = Open();
        var row = new TableRow("p'1", "k 1").Set("Text", "ä'").Set("Whole", long.MaxValue).Set("Number", 0.1).Set("Flag", true).Set("Bytes", [1, 2]);

        var written = await tables.WriteAsync(_table, [TableAction.Insert(row)], _none);
        var read = await tables.GetAsync(_table, "p'1", "k 1", null, _none);
        var narrow = await tables.GetAsync(_table, "p'1", "k 1", ["Flag"], _none);

        Assert.Equal(row.Values, read!.Values);
        Assert.Equal(Assert.Single(written.ETags), read.ETag);
        Assert.Equal(["Flag"], narrow!.Values.Keys);
        Assert.Equal(read.ETag, narrow.ETag);
    }

    [Fact]
    public async Task ATableThatIsNotThereReadsAsEmpty()
    {
        var tables = Open();

        Assert.Null(await tables.GetAsync(_table, "p", "k", null, _none));
        Assert.Empty((await tables.QueryAsync(_table, new TableQuery("p", "", null), _none)).Rows);
        Assert.Equal(TableOutcome.Missing, (await tables.WriteAsync(_table, [TableAction.Delete("p", "k", "*")], _none)).Outcome);
    }

    [Fact]
    public async Task ARefusedTransactionNamesItsAction()
    {
        var tables = Open();
        await tables.WriteAsync(_table, [TableAction.Insert(Row("b"))], _none);

        var exists = await tables.WriteAsync(_table, [TableAction.Insert(Row("a")), TableAction.Insert(Row("b"))], _none);
        var changed = await tables.WriteAsync(_table, [TableAction.Upsert(Row("a")), TableAction.Replace(Row("b"), Stale)], _none);
        var missing = await tables.WriteAsync(_table, [TableAction.Upsert(Row("a")), TableAction.Delete("p", "c", "*")], _none);

        Assert.Equal((TableOutcome.Exists, 1), (exists.Outcome, exists.Index));
        Assert.Equal((TableOutcome.Changed, 1), (changed.Outcome, changed.Index));
        Assert.Equal((TableOutcome.Missing, 1), (missing.Outcome, missing.Index));
        Assert.Null(await tables.GetAsync(_table, "p", "a", null, _none));
    }

    [Fact]
    public async Task AnOrdinaryConflictCostsOneRequest()
    {
        var tables = Open();
        await tables.WriteAsync(_table, [TableAction.Insert(Row("a"))], _none);
        var before = _transport.Sent;

        Assert.Equal(TableOutcome.Exists, (await tables.WriteAsync(_table, [TableAction.Insert(Row("a"))], _none)).Outcome);
        Assert.Equal(before + 1, _transport.Sent);
    }

    [Fact]
    public async Task AWriteWhoseAnswerWasLostIsDone()
    {
        var tables = Open();
        var etag = (await tables.WriteAsync(_table, [TableAction.Insert(Row("a"))], _none)).ETags[0]!;

        LoseNext();
        Assert.True((await tables.WriteAsync(_table, [TableAction.Insert(Row("b"))], _none)).IsDone);
        LoseNext();
        Assert.True((await tables.WriteAsync(_table, [TableAction.Replace(Row("a"), etag)], _none)).IsDone);
        LoseNext();
        Assert.True((await tables.WriteAsync(_table, [TableAction.Insert(Row("c")), TableAction.Insert(Row("d"))], _none)).IsDone);
        LoseNext();
        Assert.True((await tables.WriteAsync(_table, [TableAction.Delete("p", "c", "*"), TableAction.Upsert(Row("d"))], _none)).IsDone);
        LoseNext();
        Assert.True((await tables.WriteAsync(_table, [TableAction.Delete("p", "d", "*")], _none)).IsDone);
    }

    [Fact]
    public async Task SomeoneElsesWriteIsNotOurs()
    {
        var tables = Open();
        await tables.WriteAsync(_table, [TableAction.Insert(Row("a"))], _none);

        LoseNext();
        Assert.Equal(TableOutcome.Exists, (await tables.WriteAsync(_table, [TableAction.Insert(Row("a"))], _none)).Outcome);
        LoseNext();
        Assert.Equal(TableOutcome.Changed, (await tables.WriteAsync(_table, [TableAction.Delete("p", "a", Stale)], _none)).Outcome);
    }

    [Fact]
    public async Task PagesContinueWhereTheyEnded()
    {
        var tables = Open();
        await tables.WriteAsync(_table, [.. Enumerable.Range(0, 5).Select(key => TableAction.Insert(Row($"{key}")))], _none);

        var keys = new List<string>();
        string? continuation = null;
        do
        {
            var page = await tables.QueryAsync(_table, new TableQuery("p", "1", "4", Limit: 2, Continuation: continuation), _none);
            keys.AddRange(page.Rows.Select(row => row.Key));
            continuation = page.Continuation;
        }
        while (continuation is not null);

        Assert.Equal(["1", "2", "3"], keys);
    }

    private static string Stale => "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\"";

    private static TableRow Row(string key) => new TableRow("p", key).Set("Text", key);

    private AzureTables Open()
    {
        var options = new TableClientOptions { Transport = _transport };
        options.Retry.MaxRetries = 2;
        options.Retry.Delay = TimeSpan.Zero;
        options.AddPolicy(Attempts.Policy, HttpPipelinePosition.PerRetry);

        return new AzureTables(new TableServiceClient(
            azurite.Address.TableEndpoint, new TableSharedKeyCredential(azurite.Address.AccountName, azurite.Address.AccountKey!), options));
    }

    private void LoseNext()
    {
        var lost = false;
        _transport.Loses = _ => !lost && (lost = true);
    }
}
