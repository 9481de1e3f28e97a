using System.Text;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>Logs whose records are texts.</summary>
public static class LogTexts
{
    /// <summary>When all is written that does not say otherwise.</summary>
    public static DateTimeOffset Noon { get; } = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    public static IReadOnlyList<ReadOnlyMemory<byte>> Bytes(params IEnumerable<string> texts) =>
        [.. texts.Select(text => new ReadOnlyMemory<byte>(Encoding.UTF8.GetBytes(text)))];

    public static IEnumerable<string> Texts(this LogTail tail) => tail.Records.Select(record => Encoding.UTF8.GetString(record.Data.Span));

    public static Task<LogAppended> TryAppendAsync(this Log log, LogHead head, params IEnumerable<string> texts) =>
        log.AppendAsync(head, Bytes(texts), Noon, [], CancellationToken.None);

    /// <summary>Appends records that nothing stands in the way of, and gives the new head.</summary>
    public static async Task<LogHead> AppendAsync(this Log log, LogHead head, params IEnumerable<string> texts)
    {
        var appended = await log.TryAppendAsync(head, texts);
        Assert.Equal(LogOutcome.Appended, appended.Outcome);
        return appended.Head!;
    }

    public static Task<LogTail> ReadAsync(this Log log, long after = 0) => log.ReadAsync(after, CancellationToken.None);

    /// <summary>Truncates a log at which nobody has written since noon and the time of grace.</summary>
    public static Task<int> TruncateAsync(this Log log, long through) => log.TruncateAsync(through, Noon.AddTicks(1), CancellationToken.None);
}
