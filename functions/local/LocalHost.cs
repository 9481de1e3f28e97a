using System.Net;
using System.Net.Sockets;
using Azure.Core;
using Azure.Identity;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.DependencyInjection.Extensions;
using QuantumFlux.Api;
using QuantumFlux.Storage;

namespace QuantumFlux.Local;

/// <summary>The functions on Kestrel: what Azure Functions does with their attributes, as far as this application relies on it.</summary>
public static class LocalHost
{
    private const int Port = 7071;

    // The development address that the Q-Store document prints.
    private const int QStorePort = 8000;

    private const int RequestHeadersBytesMax = 64 * 1024;
    private const int RequestLineBytesMax = 16 * 1024;

    /// <summary>
    /// Lets the thread that sees data arrive at a socket go on with it, where it would otherwise wake another one. Call it before the first socket
    /// is opened; the environment variable set to 0 undoes it.
    /// </summary>
    /// <remarks>
    /// A request here is little but waiting for a client and for storage. Handing it from thread to thread took half of its processor time. The price: a
    /// request that holds its thread holds up others, so I/O is always awaited, and what computes for long belongs on the thread pool.
    /// </remarks>
    public static void RunOnSocketThreads()
    {
        const string Variable = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";
        if (Environment.GetEnvironmentVariable(Variable) is null)
        {
            Environment.SetEnvironmentVariable(Variable, "1");
        }
    }

    /// <summary>Puts the application together. Start it with <see cref="StartAsync"/>, or by itself.</summary>
    /// <param name="settings">What it was started with.</param>
    /// <param name="storage">The main storage account.</param>
    /// <param name="configure">Changes the services last, for tests.</param>
    public static WebApplication Build(LocalSettings settings, StorageAddress storage, Action<IServiceCollection>? configure = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = settings.Folders.Root ?? AppContext.BaseDirectory });
        builder.Configuration.AddConfiguration(settings.Configuration);
        builder.Logging.AddConfiguration(settings.Configuration.GetSection("Logging")).AddSimpleConsole();
        builder.WebHost.UseKestrelCore().UseSockets(sockets => sockets.UnsafePreferInlineScheduling = true).ConfigureKestrel(server =>
        {
            server.AddServerHeader = false;
            server.Limits.MaxRequestBodySize = null; // The handlers know how much each of them takes.
            server.Limits.MaxRequestHeadersTotalSize = RequestHeadersBytesMax;
            server.Limits.MaxRequestLineSize = RequestLineBytesMax;
        });
        if (string.IsNullOrEmpty(settings.Configuration[WebHostDefaults.ServerUrlsKey]))
        {
            builder.WebHost.UseUrls([.. DefaultAddresses()]);
        }

        builder.Services.AddSingleton(OpenStorage(builder.Configuration, storage));
        builder.Services.AddQuantumFlux(builder.Configuration);
        builder.Services.AddSingleton<TimerLoop>();
        builder.Services.AddHostedService(services => services.GetRequiredService<TimerLoop>());
        configure?.Invoke(builder.Services);

        var app = builder.Build();
        var routes = app.Services.GetRequiredService<FunctionRoutes>();
        var timers = app.Services.GetRequiredService<TimerLoop>();
        RefusedRequests.Answer(app);
        app.Run(context => ServeAsync(context, routes, timers));
        return app;
    }

    /// <summary>Starts the application; when this returns, it listens.</summary>
    /// <exception cref="LocalHostException">An address is taken or cannot be understood.</exception>
    public static async Task StartAsync(WebApplication app, CancellationToken cancellationToken = default)
    {
        try
        {
            await app.StartAsync(cancellationToken);
        }
        catch (IOException exception) when (exception.InnerException is AddressInUseException)
        {
            throw new LocalHostException(
                $"{exception.Message} Perhaps another QuantumFlux or Functions host runs. Stop it, or choose another address: --urls http://127.0.0.1:{Port + 1}",
                exception);
        }
        catch (Exception exception) when (exception is FormatException or SocketException or ArgumentOutOfRangeException)
        {
            throw CannotListen(app, exception.Message, exception);
        }
        catch (InvalidOperationException exception) when (app.Configuration[WebHostDefaults.ServerUrlsKey]?.Contains("https:", StringComparison.OrdinalIgnoreCase) is true)
        {
            throw CannotListen(app, "it has no certificate, so use http.", exception);
        }
    }

    /// <summary>What a person wants to see once the host listens: where it is, where its data is, and a call to try.</summary>
    public static string Describe(WebApplication app, string storage)
    {
        var configured = app.Configuration[LocalSettings.BootstrapKeySetting];
        var key = configured == LocalSettings.DevelopmentKey ? configured : "YOUR_KEY";
        return $"""

            QuantumFlux listens on  {string.Join("  ", app.Urls)}
            Storage                 {storage}
            Development key         {(configured == key ? key : "(set by QuantumFlux:BootstrapKey)")}

            Try:  curl -H "QFlux-Token: Bearer {key}" {app.Urls.First().TrimEnd('/')}/api/v3/quantum/entangle

            Press Ctrl+C to stop.
            """;
    }

    /// <summary>One request: the first function whose template matches serves it, as on the Functions host; without one the answer is an empty 404.</summary>
    private static async Task ServeAsync(HttpContext context, FunctionRoutes routes, TimerLoop timers)
    {
        // The Functions host keeps these paths for itself. The one that we have fires a timer by hand.
        if (context.Request.Path.StartsWithSegments("/admin", out var rest))
        {
            var isFired = HttpMethods.IsPost(context.Request.Method)
                && rest.StartsWithSegments("/functions", out var name)
                && await timers.FireAsync(name.Value?.Trim('/') ?? "");
            context.Response.StatusCode = isFired ? StatusCodes.Status202Accepted : StatusCodes.Status404NotFound;
            return;
        }

        var values = new RouteValueDictionary();
        if (routes.Match(context.Request.Path.Value ?? "", values) is not { } route)
        {
            context.Response.StatusCode = StatusCodes.Status404NotFound;
            return;
        }

        context.Request.RouteValues = values;
        try
        {
            await route.InvokeAsync(context.RequestServices, context.Request, context.RequestAborted);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client left; there is nobody to answer.
        }
    }

    private static LocalHostException CannotListen(WebApplication app, string reason, Exception exception) =>
        new($"The host cannot listen on {app.Configuration[WebHostDefaults.ServerUrlsKey]}: {reason}", exception);

    private static StorageAccounts OpenStorage(IConfiguration configuration, StorageAddress main)
    {
        // Looks for an identity only when asked for a token, so it costs nothing where every address has its key.
        TokenCredential identity = new DefaultAzureCredential();
        return StorageAccounts.Open(configuration, main, address =>
        {
            var credential = address.AccountKey is null ? identity : null;
            return new StorageAccount(new RestTables(address, credential), new RestBlobs(address, credential));
        });
    }

    private static IEnumerable<string> DefaultAddresses()
    {
        yield return $"http://127.0.0.1:{Port}";
        foreach (var address in new[] { IPAddress.Loopback, IPAddress.IPv6Loopback })
        {
            if (IsFree(address, QStorePort))
            {
                yield return $"http://{new IPEndPoint(address, QStorePort)}";
            }
        }
    }

    private static bool IsFree(IPAddress address, int port)
    {
        try
        {
            using var listener = new TcpListener(address, port);
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
