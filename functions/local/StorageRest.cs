using System.Text.Json;
using Azure;
using Azure.Core;
using Azure.Core.Pipeline;
using Azure.Identity;
using QuantumFlux.Storage;

namespace QuantumFlux.Local;

/// <summary>One storage service (tables or blobs of an account) as an HTTP pipeline: connection reuse, retries, time limits, authorisation, errors.</summary>
public sealed class StorageRest
{
    /// <summary>The protocol version: the newest whose behaviour everything here was written for, known to Azurite since 2023.</summary>
    public const string Version = "2022-11-02";

    // Four retries after 0.1, 0.2, 0.4 and 0.8 s: longer than a storage partition takes to move, shorter than a caller waits.
    private const int RetriesMax = 4;
    private static readonly TimeSpan _retryDelay = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan _retryDelayMax = TimeSpan.FromSeconds(5);

    // Shared by all accounts of the process, as the sockets beneath are. No proxy stands between us and our own machine, and Azurite closes idle
    // connections after 5 s: the client gives up on them first, lest a request meet a closing socket.
    private static readonly HttpClientTransport _loopbackTransport = Transport(TimeSpan.FromSeconds(3), useProxy: false);
    private static readonly HttpClientTransport _remoteTransport = Transport(TimeSpan.FromMinutes(1), useProxy: true);

    private readonly string _endpoint;
    private readonly HttpPipeline _pipeline;

    private StorageRest(Uri endpoint, StorageAddress address, SharedKeyPolicy? signature, TokenCredential? credential, HttpPipelineTransport? transport, TimeSpan tryTimeout)
    {
        HttpPipelinePolicy authorization = (signature, credential) switch
        {
            ({ } policy, _) => policy,
            (_, { } token) => new BearerTokenAuthenticationPolicy(token, "https://storage.azure.com/.default"),
            _ => throw new ArgumentException($"The account {address.AccountName} has neither a key nor a credential.", nameof(credential)),
        };

        var options = new StorageRestOptions
        {
            Transport = transport ?? (endpoint.IsLoopback ? _loopbackTransport : _remoteTransport),
            Retry =
            {
                Mode = RetryMode.Exponential,
                MaxRetries = RetriesMax,
                Delay = _retryDelay,
                MaxDelay = _retryDelayMax,
                NetworkTimeout = tryTimeout,
            },
            // Request logs would hold addresses with keys in them, and all of it costs time when nobody reads it.
            Diagnostics = { IsLoggingEnabled = false, IsDistributedTracingEnabled = false, IsTelemetryEnabled = false },
        };

        _endpoint = endpoint.AbsoluteUri.TrimEnd('/');
        _pipeline = HttpPipelineBuilder.Build(options, [], [authorization], null);
    }

    /// <summary>The table service of an account.</summary>
    /// <exception cref="ArgumentException">The account has no key, and no credential was given.</exception>
    public static StorageRest ForTables(StorageAddress address, TokenCredential? credential, HttpPipelineTransport? transport) => new(
        address.TableEndpoint,
        address,
        address.AccountKey is { } key ? new TableSharedKeyPolicy(address.AccountName, key) : null,
        credential,
        transport,
        TimeSpan.FromSeconds(15));

    /// <summary>The blob service of an account. A try may last longer than with tables: it may carry 8 MiB.</summary>
    /// <exception cref="ArgumentException">The account has no key, and no credential was given.</exception>
    public static StorageRest ForBlobs(StorageAddress address, TokenCredential? credential, HttpPipelineTransport? transport) => new(
        address.BlobEndpoint,
        address,
        address.AccountKey is { } key ? new BlobSharedKeyPolicy(address.AccountName, key) : null,
        credential,
        transport,
        TimeSpan.FromSeconds(60));

    /// <summary>The full address of a path, which is already percent-encoded and starts with a slash.</summary>
    public Uri Address(string pathAndQuery) =>
        // Uri would rewrite what was encoded with care (dots, %2F, …), and the signature covers the path as it is sent.
        new(_endpoint + pathAndQuery, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });

    /// <summary>A request to be filled and given to <see cref="SendAsync"/>; the caller disposes it.</summary>
    public HttpMessage Message(RequestMethod method, string pathAndQuery)
    {
        var message = _pipeline.CreateMessage();
        message.Request.Method = method;
        message.Request.Uri.Reset(Address(pathAndQuery));
        message.Request.Headers.Add("x-ms-version", Version);
        return message;
    }

    /// <summary>Sends a request, again and again while the failure may pass. Any answer is a result; <see cref="WasRetried"/> tells whether it was the first.</summary>
    /// <exception cref="StorageException">Status 0: no answer came. 401: the identity got no token.</exception>
    /// <exception cref="OperationCanceledException">The caller cancelled.</exception>
    public async Task<Response> SendAsync(HttpMessage message, CancellationToken cancellationToken)
    {
        try
        {
            await _pipeline.SendAsync(message, cancellationToken);
            return message.Response;
        }
        catch (Exception e) when (e is not OperationCanceledException && cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException("The storage request was cancelled.", e, cancellationToken);
        }
        catch (AuthenticationFailedException e)
        {
            throw new StorageException("The identity got no token for storage.", 401, "AuthenticationFailed", e);
        }
        catch (Exception e) when (e is RequestFailedException or AggregateException or IOException or TaskCanceledException
            && !cancellationToken.IsCancellationRequested)
        {
            throw new StorageException($"Storage at {message.Request.Uri.Host} did not answer in {RetriesMax + 1} tries.", 0, null, e);
        }
    }

    /// <summary>True when an earlier try of this request failed: it may have been applied, with only its answer lost.</summary>
    public static bool WasRetried(HttpMessage message) => message.ProcessingContext.RetryNumber > 0;

    /// <summary>Storage's error code in an answer: from its header, else from the body (tables); null when there is none.</summary>
    public static string? ErrorCode(Response response) =>
        response.Headers.TryGetValue("x-ms-error-code", out var code) ? code
        : response.ContentStream is MemoryStream ? ReadError(response.Content.ToMemory().Span).Code
        : null;

    /// <summary>An answer that is no outcome of its own, as an exception.</summary>
    public static StorageException Error(HttpMessage message) => Error(message.Response.Status, ErrorCode(message.Response), message);

    /// <summary>An error within an answer, as an exception.</summary>
    public static StorageException Error(int status, string? code, HttpMessage message) => new(
        $"Storage answered {status} {code ?? "without a code"} to a {message.Request.Method} (request {message.Response.Headers.RequestId ?? "unknown"}).",
        status,
        code);

    /// <summary>Reads <c>{"odata.error":{"code":…,"message":{"value":…}}}</c>, whatever follows it. Both parts are null when it is something else.</summary>
    public static (string? Code, string? Message) ReadError(ReadOnlySpan<byte> json)
    {
        string? code = null;
        string? message = null;
        try
        {
            var reader = new Utf8JsonReader(json);
            while (message is null && reader.Read())
            {
                if (reader.TokenType == JsonTokenType.PropertyName)
                {
                    var isCode = reader.ValueTextEquals("code"u8);
                    var isMessage = reader.ValueTextEquals("value"u8);
                    reader.Read();
                    if (isCode && reader.TokenType == JsonTokenType.String)
                    {
                        code = reader.GetString();
                    }
                    else if (isMessage && reader.TokenType == JsonTokenType.String)
                    {
                        message = reader.GetString();
                    }
                }
            }
        }
        catch (JsonException)
        {
            // A gateway's page or nothing at all; the status says enough.
        }

        return (code, message);
    }

    private static HttpClientTransport Transport(TimeSpan idleTimeout, bool useProxy) => new(new HttpClient(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = useProxy,
        // No span of its own for each storage request, and no header for a trace that storage would not continue.
        ActivityHeadersPropagator = null,
        MaxConnectionsPerServer = 64,
        ConnectTimeout = TimeSpan.FromSeconds(5),
        PooledConnectionIdleTimeout = idleTimeout,
        // An account can move to another address.
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
    })
    {
        // The pipeline's own limit per try holds.
        Timeout = Timeout.InfiniteTimeSpan,
    });

    private sealed class StorageRestOptions : ClientOptions;
}
