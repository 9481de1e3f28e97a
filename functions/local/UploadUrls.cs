using System.Globalization;
using System.Text;
using System.Xml.Linq;
using Azure.Core;
using Azure.Core.Pipeline;
using QuantumFlux.Storage;

namespace QuantumFlux.Local;

/// <summary>Signs the query of a URL with which anyone may write one blob until a moment: a service SAS, or a user delegation SAS for an account without a key.</summary>
/// <remarks>"Create a service SAS" and "Create a user delegation SAS" in the documentation of the storage REST API.</remarks>
public sealed class UploadUrls(StorageAddress address, TokenCredential? credential, HttpPipelineTransport? transport)
{
    // Create and write; reading, deleting and listing stay closed.
    private const string Permissions = "cw";

    // The service gives a delegation key for at most seven days. One that ends too soon for a URL is replaced by a new one.
    private static readonly TimeSpan _delegationLifetime = TimeSpan.FromDays(6);
    private static readonly TimeSpan _clockSkew = TimeSpan.FromMinutes(5);

    private readonly StorageRest _rest = StorageRest.ForBlobs(address, credential, transport);
    private readonly byte[]? _accountKey = address.AccountKey is { } key ? Convert.FromBase64String(key) : null;
    private readonly bool _isHttps = address.BlobEndpoint.Scheme == Uri.UriSchemeHttps;
    private DelegationKey? _delegation;

    /// <summary>The query, without its question mark, ready to stand in a URL.</summary>
    /// <exception cref="StorageException">Storage gave no delegation key.</exception>
    public async Task<string> QueryAsync(string container, string name, DateTimeOffset expiresAt, CancellationToken cancellationToken)
    {
        var expires = Time(expiresAt);
        var protocol = _isHttps ? "https" : "";
        var resource = $"/blob/{address.AccountName}/{container}/{name}";
        var common = $"sv={StorageRest.Version}&sr=b&sp={Permissions}&se={Uri.EscapeDataString(expires)}{(_isHttps ? "&spr=https" : "")}";
        if (_accountKey is not null)
        {
            // Permissions, start, expiry, resource, policy, address range, protocol, version, kind, snapshot, encryption scope, five answer headers.
            var text = string.Join('\n', Permissions, "", expires, resource, "", "", protocol, StorageRest.Version, "b", "", "", "", "", "", "", "");
            return $"{common}&sig={Uri.EscapeDataString(SharedKeyPolicy.Sign(_accountKey, text))}";
        }

        var key = await DelegationAsync(expiresAt, cancellationToken);

        // As above, with the key's own facts, and three ids of agents that are not used, in place of the policy.
        var signed = string.Join(
            '\n',
            Permissions, "", expires, resource,
            key.ObjectId, key.TenantId, key.Start, key.Expiry, key.Service, key.Version, "", "", "",
            "", protocol, StorageRest.Version, "b", "", "", "", "", "", "", "");
        return $"{common}&skoid={key.ObjectId}&sktid={key.TenantId}&skt={Uri.EscapeDataString(key.Start)}&ske={Uri.EscapeDataString(key.Expiry)}"
            + $"&sks={key.Service}&skv={key.Version}&sig={Uri.EscapeDataString(SharedKeyPolicy.Sign(key.Value, signed))}";
    }

    private async Task<DelegationKey> DelegationAsync(DateTimeOffset expiresAt, CancellationToken cancellationToken)
    {
        if (_delegation is { } known && known.ExpiresAt >= expiresAt)
        {
            return known;
        }

        // Two callers at once may both ask; the keys are equally good.
        var now = TimeProvider.System.GetUtcNow();
        using var message = _rest.Message(RequestMethod.Post, "/?restype=service&comp=userdelegationkey");
        message.Request.Headers.Add("Content-Type", "application/xml");
        message.Request.Content = RequestContent.Create(Encoding.UTF8.GetBytes(new XElement(
            "KeyInfo",
            new XElement("Start", Time(now - _clockSkew)),
            new XElement("Expiry", Time(now + _delegationLifetime))).ToString(SaveOptions.DisableFormatting)));
        var response = await _rest.SendAsync(message, cancellationToken);
        if (response.Status != 200)
        {
            throw StorageRest.Error(message);
        }

        var answer = (await XDocument.LoadAsync(response.ContentStream!, LoadOptions.None, cancellationToken)).Root!;
        var expiry = Fact("SignedExpiry");
        return _delegation = new DelegationKey(
            Fact("SignedOid"),
            Fact("SignedTid"),
            Fact("SignedStart"),
            expiry,
            Fact("SignedService"),
            Fact("SignedVersion"),
            Convert.FromBase64String(Fact("Value")),
            DateTimeOffset.Parse(expiry, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal));

        string Fact(string element) => (string?)answer.Element(element) ?? throw new StorageException($"The delegation key has no {element}.", 502, null);
    }

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    private sealed record DelegationKey(
        string ObjectId, string TenantId, string Start, string Expiry, string Service, string Version, byte[] Value, DateTimeOffset ExpiresAt);
}
