using System.Globalization;
using System.Text;
using QuantumFlux.Storage;

namespace QuantumFlux.Idempotency;

/// <summary>How far a request with an <c>Idempotency-Key</c> has come.</summary>
public enum ClaimState
{
    /// <summary>It runs, or ran and ended without an answer that could be kept: then it is to be run again.</summary>
    Running,

    /// <summary>It has had its effect, and an answer is kept in case that the one to be sent never is.</summary>
    Applied,

    /// <summary>It has its answer for good.</summary>
    Answered,
}

/// <summary>An <c>Idempotency-Key</c> in use.</summary>
/// <param name="Tenant">Whose request it is.</param>
/// <param name="Scope">What the key stands for, see <see cref="OperationKey.ScopeOf"/>: 64 hex digits, from which nobody learns the key.</param>
/// <param name="OperationId">Tells this use from one of the same key after it was forgotten: 32 hex digits.</param>
/// <param name="StartedAt">When it was first claimed.</param>
/// <param name="State">How far it is.</param>
/// <param name="LeasedUntil">Until it is answered: until when nobody else may run it, or answer it.</param>
/// <param name="Answer">The answer, sealed; null while it runs.</param>
/// <param name="RowETag">The state of its row in storage; null when it is not stored yet.</param>
public sealed record Claim(
    string Tenant,
    string Scope,
    string OperationId,
    DateTimeOffset StartedAt,
    ClaimState State,
    DateTimeOffset LeasedUntil,
    byte[]? Answer,
    string? RowETag)
{
    /// <summary>How long an answer is kept.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromHours(24);

    /// <summary>
    /// How long a request has for its work until another one with the same key may begin anew. It may take longer: then whichever is
    /// first to apply its effect wins, and the other is refused.
    /// </summary>
    public static readonly TimeSpan LeaseTime = TimeSpan.FromSeconds(30);

    /// <summary>What of the effect has been made while it runs, when that takes several transactions: sealed; null when nothing has.</summary>
    public byte[]? Progress { get; init; }

    private static readonly TimeSpan _hour = TimeSpan.FromHours(1);

    /// <summary>The range of what <see cref="DueRow"/> makes.</summary>
    public const string DueFrom = "it:";

    /// <summary>When the key is free again.</summary>
    public DateTimeOffset ExpiresAt => StartedAt + Lifetime;

    /// <summary>When the rows go: with the hour in which they expire, so that a page of them is one hour's.</summary>
    public DateTimeOffset RemovedAt => new(((ExpiresAt.UtcTicks / _hour.Ticks) + 1) * _hour.Ticks, TimeSpan.Zero);

    /// <summary>Whether somebody may still be about to answer it.</summary>
    public bool IsLeased(DateTimeOffset now) => State != ClaimState.Answered && now < LeasedUntil;

    /// <summary>What an answer is sealed to: it opens for no other request.</summary>
    public byte[] Identity => Encoding.UTF8.GetBytes($"{Tenant}\n{Scope}\n{OperationId}");

    public static string RowKey(string scope) => "i:" + scope;

    /// <summary>The end of the range of what is to be removed at a moment.</summary>
    public static string DueBefore(DateTimeOffset now) => DueKey(now, "");

    /// <summary>The scope of a row that <see cref="DueRow"/> made.</summary>
    public static string ScopeOfDue(string key) => key[(key.LastIndexOf(':') + 1)..];

    public static Claim Parse(TableRow row) => new(
        row.Partition,
        row.Key[RowKey("").Length..],
        row.Text("OperationId")!,
        new DateTimeOffset(row.Whole("StartedAt")!.Value, TimeSpan.Zero),
        Enum.Parse<ClaimState>(row.Text("State")!),
        new DateTimeOffset(row.Whole("LeasedUntil")!.Value, TimeSpan.Zero),
        row.Large("Answer"),
        row.ETag)
    {
        Progress = row.Large("Progress"),
    };

    public TableRow ToRow()
    {
        var row = new TableRow(Tenant, RowKey(Scope))
            .Set("OperationId", OperationId)
            .Set("StartedAt", StartedAt.UtcTicks)
            .Set("State", State.ToString())
            .Set("LeasedUntil", LeasedUntil.UtcTicks);
        row = Progress is null ? row : row.SetLarge("Progress", Progress);
        return Answer is null ? row : row.SetLarge("Answer", Answer);
    }

    /// <summary>The row by which the timer finds the claim once it is due. It comes and goes with the claim, in one transaction.</summary>
    public TableRow DueRow() => new(Tenant, DueKey(ExpiresAt, Scope));

    private static string DueKey(DateTimeOffset moment, string scope) =>
        string.Create(CultureInfo.InvariantCulture, $"{DueFrom}{moment.UtcTicks / _hour.Ticks:D10}:{scope}");
}
