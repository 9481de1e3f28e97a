using System.Text;
using QuantumFlux.Keys;
using QuantumFlux.Objects;

namespace QuantumFlux.Local;

/// <summary>
/// The objects that the specification's samples name, for the development key alone, so that every sample runs unchanged but for its base URL.
/// </summary>
public static class SampleWorld
{
    private const string ContentType = "application/json";

    private static readonly SampleObject[] _objects =
    [
        new("src_4a7b9c3d2e1f5g8h4j6k7m9n0p2q3r5s", """{"measurements":[23.7,47.3,84.7]}""", null),
        new("tgt_8d2f6a4c9e1b7g3h5j2k8m4n9p1q6r3s", """{"measurements":[]}""", null),

        // The anchor sample pins what was current on 2024-11-19 at 14:47:23.470.
        new("ds_7c4a9e2f5b8d1g3h6j0k2m5n8p1q4r7s", """{"measurements":[127.0]}""", new DateTimeOffset(2024, 11, 19, 14, 0, 0, TimeSpan.Zero)),
    ];

    /// <summary>Writes the sample objects that are not there yet. One storage request each when they are.</summary>
    public static async Task CreateAsync(IServiceProvider services, CancellationToken cancellationToken)
    {
        var tenant = $"{ApiKey.BootstrapAccount(ApiKey.HashOf(LocalSettings.DevelopmentKey))}-{ApiKey.EnvironmentName(KeyEnvironment.Live)}";
        var objects = services.GetRequiredService<ObjectStore>();
        foreach (var (id, text, writtenAt) in _objects)
        {
            if (await objects.FindAsync(tenant, id, cancellationToken) is null)
            {
                // What is to be of the past is written as everything is, by a writer whose clock stands there: a version's number is the time on it.
                var writer = writtenAt is { } moment
                    ? ActivatorUtilities.CreateInstance<ObjectWriter>(services, new StoppedClock(moment))
                    : services.GetRequiredService<ObjectWriter>();
                var content = new NewContent(ContentType, Encoding.UTF8.GetBytes(text), null, []);
                await writer.ChangeAsync(tenant, new Change(id, _ => { }, content), cancellationToken);
            }
        }
    }

    /// <param name="Id">The object.</param>
    /// <param name="Text">Its content.</param>
    /// <param name="WrittenAt">When it was written; null means when the host first started.</param>
    private sealed record SampleObject(string Id, string Text, DateTimeOffset? WrittenAt);

    private sealed class StoppedClock(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
