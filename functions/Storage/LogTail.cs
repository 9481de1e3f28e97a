namespace QuantumFlux.Storage;

/// <summary>One record of a <see cref="Log"/>.</summary>
/// <param name="Sequence">Its place in the log: 1 for the first, one more for each that follows.</param>
/// <param name="Data">What was appended. A slice of the row that it came in, up to 960 KiB, which it keeps in memory.</param>
/// <param name="WrittenAt">When it was appended, by the clock of its writer: it may lie before that of the record before it.</param>
public readonly record struct LogRecord(long Sequence, ReadOnlyMemory<byte> Data, DateTimeOffset WrittenAt);

/// <summary>The end of a <see cref="Log"/> as someone knows it: what an append goes on from.</summary>
/// <param name="LastSequence">The sequence of the last record; 0 when there has never been one.</param>
/// <param name="ETag">The version of the row that says so; null when there is none yet, or it <see cref="MustBeRead"/>.</param>
public sealed record LogHead(long LastSequence, string? ETag)
{
    /// <summary>The head of a log that was never written.</summary>
    public static LogHead None { get; } = new(0, null);

    /// <summary>
    /// True when only the sequence is known, because the answer to the append that made this head was lost: the log has to be read before the next one.
    /// </summary>
    public bool MustBeRead => ETag is null && LastSequence > 0;
}

/// <summary>What a <see cref="Log"/> holds behind a sequence.</summary>
/// <param name="After">That sequence.</param>
/// <param name="Records">
/// All records behind it that are still there, without a gap between them or before the head: what is missing, because it was truncated, is missing
/// from the start.
/// </param>
/// <param name="Head">The end of the log, at the last of the records.</param>
/// <param name="Companions">
/// The rows whose keys <see cref="Log.CompanionKey"/> gave, in the order of their keys, none older than the head. One may be newer when the answer
/// came in several pages: it may know of records behind the head.
/// </param>
public sealed record LogTail(long After, IReadOnlyList<LogRecord> Records, LogHead Head, IReadOnlyList<TableRow> Companions)
{
    /// <summary>The sequence of the first record; one more than the head's when there is none.</summary>
    public long FirstSequence => Head.LastSequence - Records.Count + 1;

    /// <summary>
    /// True when no record behind <see cref="After"/> is missing. False when some were truncated, and when the log ends before it: then whatever
    /// the caller has made of the records up to there has to be made anew.
    /// </summary>
    public bool IsComplete => FirstSequence == After + 1;
}

/// <summary>How an append ended.</summary>
public enum LogOutcome
{
    /// <summary>All records are in the log, and what went along is done.</summary>
    Appended,

    /// <summary>Nothing was done: the head has moved on, so another writer was first.</summary>
    Moved,

    /// <summary>Nothing was done: one of the actions that were to go along was refused.</summary>
    Refused,
}

/// <summary>The result of an append.</summary>
/// <param name="Outcome">How it ended.</param>
/// <param name="Head">The new head when it was appended, which perhaps <see cref="LogHead.MustBeRead"/>; else null.</param>
/// <param name="Index">Which of the actions that were to go along was refused; -1 when none was.</param>
/// <param name="Refusal">Why it was; <see cref="TableOutcome.Done"/> when none was.</param>
public sealed record LogAppended(LogOutcome Outcome, LogHead? Head = null, int Index = -1, TableOutcome Refusal = TableOutcome.Done);
