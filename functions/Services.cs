using System.Reflection;
using Microsoft.Azure.Functions.Worker;
using QuantumFlux.Api;
using QuantumFlux.Entanglements;
using QuantumFlux.Keys;
using QuantumFlux.Objects;

namespace QuantumFlux;

/// <summary>Everything that both hosts register. What differs, the storage accounts, each host adds itself.</summary>
public static class Services
{
    /// <summary>Registers the application. The host must also register <see cref="Storage.StorageAccounts"/>.</summary>
    public static IServiceCollection AddQuantumFlux(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<KeyOptions>().Bind(configuration.GetSection("QuantumFlux")).ValidateDataAnnotations().ValidateOnStart();
        services.AddOptions<SignatureOptions>().Bind(configuration.GetSection("QuantumFlux"))
            .ValidateDataAnnotations()
            .Validate(
                options => IsMasterKey(options.MasterKey),
                $"QuantumFlux:MasterKey must be {SignatureOptions.MasterKeyBytes} bytes in Base64.")
            .ValidateOnStart();

        services.AddMetrics();
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<Telemetry>();
        services.AddSingleton<QuantumSignature>();
        services.AddSingleton<KeyStore>();
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

        var functions = Assembly.GetExecutingAssembly().GetExportedTypes()
            .Where(type => type.GetMethods().Any(method => method.IsDefined(typeof(FunctionAttribute), inherit: false)))
            .ToList();
        services.AddSingleton(new FunctionRoutes(functions));
        functions.ForEach(type => services.AddSingleton(type));

        return services;
    }

    private static bool IsMasterKey(string text)
    {
        var bytes = new byte[SignatureOptions.MasterKeyBytes + 1];
        return Convert.TryFromBase64String(text, bytes, out var count) && count == SignatureOptions.MasterKeyBytes;
    }
}
