using System.Globalization;
using System.Text;
using QuantumFlux.Api;

namespace QuantumFlux.Metering;

/// <summary>What is left of one window.</summary>
/// <param name="Window">The window.</param>
/// <param name="Remaining">How many more requests it admits now, as far as this instance knows.</param>
/// <param name="ResetAt">When all of its budget is there again.</param>
public readonly record struct WindowState(RateWindow Window, long Remaining, DateTimeOffset ResetAt);

/// <summary>Whether a request was admitted, and what is left of every window after it.</summary>
/// <param name="policy">The policy.</param>
/// <param name="isAdmitted">Whether it was admitted.</param>
/// <param name="windows">The windows of the policy, in its order.</param>
/// <param name="now">When that was decided.</param>
public sealed class RateState(RatePolicy policy, bool isAdmitted, WindowState[] windows, DateTimeOffset now)
{
    /// <summary>False when a window is used up. Nothing was taken from the others then.</summary>
    public bool IsAdmitted { get; } = isAdmitted;

    /// <summary>What is left of each window.</summary>
    public IReadOnlyList<WindowState> Windows => windows;

    /// <summary>The window that the next requests use up first: the one with the fewest left; of two, the one that takes longer to come back.</summary>
    public WindowState Nearest
    {
        get
        {
            var nearest = windows[0];
            foreach (var state in windows)
            {
                if (state.Remaining < nearest.Remaining || (state.Remaining == nearest.Remaining && state.ResetAt > nearest.ResetAt))
                {
                    nearest = state;
                }
            }

            return nearest;
        }
    }

    /// <summary>
    /// Writes the headers of the specification, for the window nearest to exhaustion, and those of the IETF draft, for all. Nothing when limits are
    /// switched off.
    /// </summary>
    public void WriteTo(IHeaderDictionary headers)
    {
        if (!policy.IsLimited)
        {
            return;
        }

        var nearest = Nearest;
        headers["X-RateLimit-Limit"] = Format(nearest.Window.Limit);
        headers["X-RateLimit-Remaining"] = Format(nearest.Remaining);
        headers["X-RateLimit-Reset"] = Format(nearest.ResetAt.ToUnixTimeSeconds());
        headers["X-RateLimit-Window"] = Format((long)nearest.Window.Length.TotalSeconds);
        headers["RateLimit-Policy"] = policy.Header;

        var all = new StringBuilder(128);
        foreach (var state in windows)
        {
            all.Append(all.Length > 0 ? ", " : "").Append(
                CultureInfo.InvariantCulture, $"\"{state.Window.Name}\";r={state.Remaining};t={SecondsUntil(state.ResetAt)}");
        }

        headers["RateLimit"] = all.ToString();
    }

    /// <summary>The error of a request that was not admitted: 429, until the last of the windows that are used up comes back.</summary>
    /// <param name="message">One sentence; null names the limit of that window.</param>
    public ApiException Refusal(string? message = null)
    {
        var usedUp = windows.Where(state => state.Remaining == 0).ToList();
        var last = usedUp.MaxBy(state => state.ResetAt);
        return ApiException.RateLimitExceeded(
            message ?? string.Create(CultureInfo.InvariantCulture, $"Rate limit of {last.Window.Limit} requests per {last.Window.Name} exceeded"),
            [.. usedUp.Select(state => state.Window.Name)],
            TimeSpan.FromSeconds(SecondsUntil(last.ResetAt)),
            last.ResetAt,
            new Dictionary<string, object?> { ["limit"] = last.Window.Limit, ["window_seconds"] = (long)last.Window.Length.TotalSeconds });
    }

    // Rounded up, so that whoever waits so long does not come too early.
    private long SecondsUntil(DateTimeOffset moment) => Math.Max(1, (long)Math.Ceiling((moment - now).TotalSeconds));

    private static string Format(long number) => number.ToString(CultureInfo.InvariantCulture);
}
