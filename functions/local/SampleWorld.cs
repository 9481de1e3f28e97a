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

    private static readonly Dictionary<string, string> _objects = new()
    {
        ["src_4a7b9c3d2e1f5g8h4j6k7m9n0p2q3r5s"] = """{"measurements":[23.7,47.3,84.7]}""",
        ["tgt_8d2f6a4c9e1b7g3h5j2k8m4n9p1q6r3s"] = """{"measurements":[]}""",
    };

    /// <summary>Writes the sample objects that are not there yet. One storage request each when they are.</summary>
    public static async Task CreateAsync(IServiceProvider services, CancellationToken cancellationToken)
    {
        var tenant = $"{ApiKey.BootstrapAccount(ApiKey.HashOf(LocalSettings.DevelopmentKey))}-{ApiKey.EnvironmentName(KeyEnvironment.Live)}";
        var objects = services.GetRequiredService<ObjectStore>();
        var writer = services.GetRequiredService<ObjectWriter>();
        foreach (var (id, text) in _objects)
        {
            if (await objects.FindAsync(tenant, id, cancellationToken) is null)
            {
                var content = new NewContent(ContentType, Encoding.UTF8.GetBytes(text), null, []);
                await writer.ChangeAsync(tenant, new Change(id, _ => { }, content), cancellationToken);
            }
        }
    }
}
