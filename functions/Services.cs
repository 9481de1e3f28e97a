using System.Reflection;
using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Anchors;
using QuantumFlux.Api;
using QuantumFlux.Cache;
using QuantumFlux.Entanglements;
using QuantumFlux.Idempotency;
using QuantumFlux.Keys;
using QuantumFlux.Metering;
using QuantumFlux.Objects;
using QuantumFlux.Storage;
using QuantumFlux.Vectors;

namespace QuantumFlux;

/// <summary>Everything that both hosts register. What differs, the storage accounts, each host adds itself.</summary>
public static class Services
{
    /// <summary>Registers the application. The host must also register <see cref="Storage.StorageAccounts"/>.</summary>
    public static IServiceCollection AddQuantumFlux(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<KeyOptions>().Bind(configuration.GetSection("QuantumFlux")).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<MasterKeyOptions>().Bind(configuration.GetSection("QuantumFlux"))
            .ValidateDataAnnotations()
            .Validate(options => MasterKey.IsValid(options.MasterKey), $"QuantumFlux:MasterKey must be {MasterKey.Bytes} bytes in Base64.")
            .Validate(
                options => options.PreviousMasterKeys.All(MasterKey.IsValid),
                $"Every key of QuantumFlux:PreviousMasterKeys must be {MasterKey.Bytes} bytes in Base64.")
            .ValidateOnStart();

        services.AddOptions<RateLimitOptions>().Bind(configuration.GetSection("QuantumFlux:RateLimits")).ValidateDataAnnotations().ValidateOnStart();

        services.AddMetrics();
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<Telemetry>();
        services.AddSingleton<MasterKey>();
        services.AddSingleton<QuantumSignature>();
        services.AddSingleton<DueTenants>();
        services.AddSingleton<KeyStore>();
        services.AddSingleton<FailedAuthentications>();
        services.AddSingleton<Authentication>();
        services.AddSingleton<RateLimits>();
        services.AddSingleton<ClaimStore>();
        services.AddSingleton<IdempotentRequests>();
        services.AddSingleton<ApiGate>();

        services.AddSingleton<Dimensions>();
        services.AddSingleton<SyncLedger>();
        services.AddSingleton<WriteLanes>();
        services.AddSingleton<WorkStore>();
        services.AddSingleton<CleanUpStore>();
        services.AddSingleton<ContentStore>();
        services.AddSingleton<ObjectStore>();
        services.AddSingleton<PairCounts>();
        services.AddSingleton<ObjectWriter>();
        services.AddSingleton<UploadStore>();
        services.AddSingleton<ObjectMaintenance>();
        services.AddSingleton<ContentSweep>();
        services.AddSingleton<CleanUp>();
        services.AddSingleton<BackupStore>();
        services.AddSingleton<Decoherence>();
        services.AddSingleton<AnchorStore>();
        services.AddSingleton<AnchorMaintenance>();

        services.AddSingleton<CacheSeal>();
        services.AddSingleton<CacheContent>();
        services.AddSingleton<CacheStore>();
        services.AddSingleton<CacheWriter>();
        services.AddSingleton<CacheMaintenance>();
        services.AddSingleton<CacheHits>();
        services.AddHostedService(provider => provider.GetRequiredService<CacheHits>());

        services.AddSingleton<VectorThresholds>();
        services.AddSingleton<SegmentStore>();
        services.AddSingleton<VectorStore>();
        services.AddSingleton<VectorUpkeep>();
        services.AddSingleton<QueryCache>();
        services.AddHostedService<VectorAttendant>();

        var functions = Assembly.GetExecutingAssembly().GetExportedTypes()
            .Where(type => type.GetMethods().Any(method => method.IsDefined(typeof(FunctionAttribute), inherit: false)))
            .ToList();
        services.AddSingleton(new FunctionRoutes(functions));
        functions.ForEach(type => services.AddSingleton(type));

        return services;
    }
}
