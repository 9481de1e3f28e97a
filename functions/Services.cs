using System.Reflection;
using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Anchors;
using QuantumFlux.Api;
using QuantumFlux.Entanglements;
using QuantumFlux.Keys;
using QuantumFlux.Objects;
using QuantumFlux.Storage;

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
            .ValidateOnStart();

        services.AddMetrics();
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<Telemetry>();
        services.AddSingleton<MasterKey>();
        services.AddSingleton<QuantumSignature>();
        services.AddSingleton<DueTenants>();
        services.AddSingleton<KeyStore>();
        services.AddSingleton<Authentication>();
        services.AddSingleton<ApiGate>();

        services.AddSingleton<Dimensions>();
        services.AddSingleton<SyncLedger>();
        services.AddSingleton<WriteLanes>();
        services.AddSingleton<WorkStore>();
        services.AddSingleton<ContentStore>();
        services.AddSingleton<ObjectStore>();
        services.AddSingleton<ObjectWriter>();
        services.AddSingleton<UploadStore>();
        services.AddSingleton<ObjectMaintenance>();
        services.AddSingleton<BackupStore>();
        services.AddSingleton<AnchorStore>();
        services.AddSingleton<AnchorMaintenance>();

        var functions = Assembly.GetExecutingAssembly().GetExportedTypes()
            .Where(type => type.GetMethods().Any(method => method.IsDefined(typeof(FunctionAttribute), inherit: false)))
            .ToList();
        services.AddSingleton(new FunctionRoutes(functions));
        functions.ForEach(type => services.AddSingleton(type));

        return services;
    }
}
