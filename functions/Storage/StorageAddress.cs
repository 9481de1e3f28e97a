using Microsoft.Extensions.Configuration;

namespace QuantumFlux.Storage;

/// <summary>Where a storage account is and how to be let in.</summary>
/// <param name="AccountName">The account's name.</param>
/// <param name="TableEndpoint">The table service's address, without a trailing slash.</param>
/// <param name="BlobEndpoint">The blob service's address, without a trailing slash.</param>
/// <param name="AccountKey">The account's key in Base64; null means that the host's identity is used.</param>
public sealed record StorageAddress(string AccountName, Uri TableEndpoint, Uri BlobEndpoint, string? AccountKey)
{
    // Azurite's published account and key, the same on every machine; it opens nothing but an emulator.
    private const string EmulatorAccount = "devstoreaccount1";
    private const string EmulatorKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    /// <summary>The emulator on its well-known ports, or on others.</summary>
    public static StorageAddress Emulator(int blobPort = 10000, int tablePort = 10002) => new(
        EmulatorAccount,
        new Uri($"http://127.0.0.1:{tablePort}/{EmulatorAccount}"),
        new Uri($"http://127.0.0.1:{blobPort}/{EmulatorAccount}"),
        EmulatorKey);

    /// <summary>Whether this is an emulator on this machine, on whatever ports.</summary>
    public bool IsEmulator => AccountName == EmulatorAccount && AccountKey == EmulatorKey && TableEndpoint.IsLoopback && BlobEndpoint.IsLoopback;

    /// <summary>
    /// Reads a setting as the Functions host does: a connection string (also <c>UseDevelopmentStorage=true</c>) under the name itself, or, for an
    /// identity, <c>NAME:accountName</c> or <c>NAME:tableServiceUri</c> with <c>NAME:blobServiceUri</c>. Null when nothing is set.
    /// </summary>
    /// <exception cref="FormatException">The setting is incomplete.</exception>
    public static StorageAddress? FromConfiguration(IConfiguration configuration, string name)
    {
        if (configuration[name] is { Length: > 0 } connection)
        {
            return Parse(connection);
        }

        var section = configuration.GetSection(name);
        if (section["accountName"] is { Length: > 0 } account)
        {
            return ForAccount(account);
        }

        return (section["tableServiceUri"], section["blobServiceUri"]) switch
        {
            ({ Length: > 0 } table, { Length: > 0 } blob) =>
                new StorageAddress(new Uri(blob).Host.Split('.')[0], Trimmed(table), Trimmed(blob), null),
            (null or "", null or "") => null,
            _ => throw new FormatException($"The setting {name} needs both tableServiceUri and blobServiceUri."),
        };
    }

    /// <summary>Reads a connection string, or the name of an account that the host's identity may use.</summary>
    /// <exception cref="FormatException">The text is neither. The message never repeats it: it may hold a key.</exception>
    public static StorageAddress Parse(string connection)
    {
        if (!connection.Contains('=', StringComparison.Ordinal))
        {
            return ForAccount(connection);
        }

        var parts = connection.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(part => part.Split('=', 2))
            .Where(part => part.Length == 2)
            .ToDictionary(part => part[0], part => part[1], StringComparer.OrdinalIgnoreCase);

        if (parts.TryGetValue("UseDevelopmentStorage", out var emulator) && bool.TryParse(emulator, out var isEmulator) && isEmulator)
        {
            return Emulator();
        }

        if (!parts.TryGetValue("AccountName", out var name) || !parts.TryGetValue("AccountKey", out var key))
        {
            throw new FormatException("A storage connection string needs AccountName and AccountKey.");
        }

        var protocol = parts.GetValueOrDefault("DefaultEndpointsProtocol", "https");
        var suffix = parts.GetValueOrDefault("EndpointSuffix", "core.windows.net");
        return new StorageAddress(
            name,
            Trimmed(parts.GetValueOrDefault("TableEndpoint", $"{protocol}://{name}.table.{suffix}")),
            Trimmed(parts.GetValueOrDefault("BlobEndpoint", $"{protocol}://{name}.blob.{suffix}")),
            key);
    }

    /// <summary>The connection string that <see cref="Parse"/> reads; null for an account that is reached with an identity.</summary>
    public string? ToConnectionString() => AccountKey is null
        ? null
        : $"AccountName={AccountName};AccountKey={AccountKey};TableEndpoint={TableEndpoint};BlobEndpoint={BlobEndpoint}";

    /// <summary>The address without the key, fit for a log.</summary>
    public override string ToString() => $"{AccountName} ({TableEndpoint}, {BlobEndpoint})";

    private static StorageAddress ForAccount(string account) => new(
        account,
        new Uri($"https://{account}.table.core.windows.net"),
        new Uri($"https://{account}.blob.core.windows.net"),
        null);

    private static Uri Trimmed(string address) => new(address.TrimEnd('/'));
}
