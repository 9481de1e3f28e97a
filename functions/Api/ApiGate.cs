using System.Diagnostics;
using QuantumFlux.Idempotency;
using QuantumFlux.Keys;
using QuantumFlux.Metering;
using QuantumFlux.Storage;

namespace QuantumFlux.Api;

/// <summary>
/// The one way into every function: gives the request its id, finds the caller, counts the request against its limits, checks the scope, runs the handler, executes its result and
/// turns every failure into the error envelope.
/// </summary>
/// <remarks>
/// It lives here and not in host middleware because the two hosts have different ones, and because a result that is returned to the Functions
/// worker would be executed after all middleware, outside of any error handling.
/// </remarks>
public sealed partial class ApiGate(
    Authentication authentication,
    FailedAuthentications failures,
    RateLimits limits,
    IdempotentRequests idempotency,
    Telemetry telemetry,
    TimeProvider time,
    ILogger<ApiGate> logger)
{
    private const int ClientRequestIdMax = 128;

    /// <summary>Runs a handler for an authenticated caller.</summary>
    /// <param name="request">The request.</param>
    /// <param name="route">The function's route template, for telemetry.</param>
    /// <param name="handler">Answers the request.</param>
    /// <param name="cancellationToken">Cancelled when the client leaves or the host stops.</param>
    /// <param name="scope">The scope that the key needs; null means <c>read</c> for GET and HEAD and <c>write</c> for the rest.</param>
    public Task RunAsync(
        HttpRequest request,
        string route,
        Func<Caller, Task<IResult>> handler,
        CancellationToken cancellationToken,
        string? scope = null) =>
        RunAsync(
            request,
            route,
            async requestId =>
            {
                var key = await authentication.FindKeyAsync(request, cancellationToken);
                var rate = await limits.AdmitAsync(key, IsQStore(route), cancellationToken);
                rate.WriteTo(request.HttpContext.Response.Headers);
                if (!rate.IsAdmitted)
                {
                    throw rate.Refusal();
                }

                var caller = new Caller(key, requestId);
                caller.Require(scope ?? (IsRead(request) ? Scopes.Read : Scopes.Write));
                return await idempotency.RunAsync(request, route, caller, handler, cancellationToken);
            },
            cancellationToken);

    /// <summary>Runs a handler that needs no caller, such as the one for unknown paths.</summary>
    public async Task RunAsync(HttpRequest request, string route, Func<string, Task<IResult>> handler, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var context = request.HttpContext;
        var requestId = Ids.New("req_", time.GetUtcNow());
        using var activity = Telemetry.StartRequest(request.Method, route, requestId);
        string? code = null;

        WriteCommonHeaders(request, requestId);
        try
        {
            await (await handler(requestId)).ExecuteAsync(context);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client left. Nobody reads an answer, and it is not an error; the status, nginx's for it, is for telemetry.
            code = "CLIENT_CLOSED_REQUEST";
            if (!context.Response.HasStarted)
            {
                context.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
            }
        }
        catch (Exception exception)
        {
            // The host stops, or its time for the request is up: the client is still there and must not take silence for success.
            var isStopped = exception is OperationCanceledException && cancellationToken.IsCancellationRequested;
            var error = isStopped ? ApiException.Unavailable() : Translate(exception, request, requestId);
            code = error.Code;
            activity?.SetStatus(error.Status >= 500 ? ActivityStatusCode.Error : ActivityStatusCode.Unset, error.Code);
            await AnswerAsync(context, error, requestId);
        }

        activity?.SetTag("http.response.status_code", context.Response.StatusCode);
        telemetry.RequestEnded(request.Method, route, context.Response.StatusCode, code, time.GetElapsedTime(started));
    }

    private static bool IsRead(HttpRequest request) => HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method);

    private static bool IsQStore(string route) => route.StartsWith("api/v2/", StringComparison.Ordinal);

    private static void WriteCommonHeaders(HttpRequest request, string requestId)
    {
        var headers = request.HttpContext.Response.Headers;
        headers["X-Request-Id"] = requestId;
        headers.XContentTypeOptions = "nosniff";

        // Answers depend on the key, in whichever header it came; who knows better says so.
        headers.CacheControl = "private, no-cache";
        if (request.Headers.TryGetValue("X-Client-Request-Id", out var values)
            && values is [{ Length: > 0 and <= ClientRequestIdMax } echo]
            && echo.All(c => c is >= ' ' and <= '~'))
        {
            headers["X-Client-Request-Id"] = echo;
        }
    }

    private ApiException Translate(Exception exception, HttpRequest request, string requestId)
    {
        switch (exception)
        {
            case ApiException api:
                return api;
            case BadHttpRequestException bad:
                return ApiException.Malformed(bad);
            case StorageException { IsTransient: true } storage:
                LogStorageUnavailable(storage, requestId, request.Method, request.Path);
                return ApiException.Unavailable();
            default:
                LogFailed(exception, requestId, request.Method, request.Path);
                return new ApiException(StatusCodes.Status500InternalServerError, "INTERNAL_SERVER_ERROR", "Unexpected server error occurred");
        }
    }

    private async Task AnswerAsync(HttpContext context, ApiException error, string requestId)
    {
        if (context.Response.HasStarted)
        {
            // Half an answer is out: only a broken connection tells the client that it is not whole.
            context.Abort();
            return;
        }

        // Whoever has no key has only what the address has left.
        if (!context.Response.Headers.ContainsKey("RateLimit-Policy"))
        {
            failures.StateOf(context.Connection.RemoteIpAddress).WriteTo(context.Response.Headers);
        }

        try
        {
            await new ErrorResult(error, requestId, time.GetUtcNow()).ExecuteAsync(context);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client left before it read the error.
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "Request {RequestId} failed: {Method} {Path}.")]
    private partial void LogFailed(Exception exception, string requestId, string method, PathString path);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Storage did not serve request {RequestId}: {Method} {Path}.")]
    private partial void LogStorageUnavailable(Exception exception, string requestId, string method, PathString path);
}
