using System.Security.Cryptography;
using System.Text;
using Azure.Core;
using Azure.Core.Pipeline;
using QuantumFlux.Local;
using QuantumFlux.Storage;

namespace QuantumFlux.Tests.Storage;

/// <summary>Upload URLs of an account without a key. No emulator gives delegation keys over plain HTTP, so the service is played here.</summary>
public sealed class UploadUrlsTests
{
    private static readonly byte[] _delegationKey = "delegation key"u8.ToArray();

    [Fact]
    public async Task AnIdentitySignsWithADelegationKeyThatItAsksForOnce()
    {
        var asked = new List<string>();
        var handler = new PlayedService(request =>
        {
            asked.Add($"{request.Method} {request.RequestUri!.PathAndQuery} {request.Headers.Authorization}");
            return $"""
                <?xml version="1.0" encoding="utf-8"?><UserDelegationKey><SignedOid>oid</SignedOid><SignedTid>tid</SignedTid>
                <SignedStart>2030-01-01T00:00:00Z</SignedStart><SignedExpiry>2030-01-07T00:00:00Z</SignedExpiry><SignedService>b</SignedService>
                <SignedVersion>2022-11-02</SignedVersion><Value>{Convert.ToBase64String(_delegationKey)}</Value></UserDelegationKey>
                """;
        });
        using var client = new HttpClient(handler);
        var urls = new UploadUrls(StorageAddress.Parse("acc"), new PlayedCredential(), new HttpClientTransport(client));
        var expires = new DateTimeOffset(2030, 1, 2, 3, 4, 5, TimeSpan.Zero);

        var query = await urls.QueryAsync("c", "a b/ü", expires, CancellationToken.None);
        await urls.QueryAsync("c", "another", expires, CancellationToken.None);

        Assert.Equal(["POST /?restype=service&comp=userdelegationkey Bearer token"], asked);
        var values = query.Split('&').Select(pair => pair.Split('=')).ToDictionary(pair => pair[0], pair => Uri.UnescapeDataString(pair[1]));

        // "Create a user delegation SAS", the text to sign of version 2020-12-06 and later.
        const string Signed = "cw\n\n2030-01-02T03:04:05Z\n/blob/acc/c/a b/ü\noid\ntid\n2030-01-01T00:00:00Z\n2030-01-07T00:00:00Z\nb\n2022-11-02\n\n\n\n\nhttps\n"
            + "2022-11-02\nb\n\n\n\n\n\n\n";
        Assert.Equal(Convert.ToBase64String(HMACSHA256.HashData(_delegationKey, Encoding.UTF8.GetBytes(Signed))), values["sig"]);
        Assert.Equal(
            ("2022-11-02", "b", "cw", "https", "oid", "tid"),
            (values["sv"], values["sr"], values["sp"], values["spr"], values["skoid"], values["sktid"]));
    }

    private sealed class PlayedService(Func<HttpRequestMessage, string> answer) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage { Content = new StringContent(answer(request).TrimStart()) });
    }

    private sealed class PlayedCredential : TokenCredential
    {
        public override AccessToken GetToken(TokenRequestContext requestContext, CancellationToken cancellationToken)
        {
            Assert.Equal(["https://storage.azure.com/.default"], requestContext.Scopes);
            return new AccessToken("token", DateTimeOffset.MaxValue);
        }

        public override ValueTask<AccessToken> GetTokenAsync(TokenRequestContext requestContext, CancellationToken cancellationToken) =>
            ValueTask.FromResult(GetToken(requestContext, cancellationToken));
    }
}
