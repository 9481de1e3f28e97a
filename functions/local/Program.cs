using Microsoft.Extensions.Options;
using QuantumFlux.Local;

LocalHost.RunOnSocketThreads();
try
{
    var settings = LocalSettings.Read(args);
    await using var azurite = settings.Storage is null
        ? await AzuriteProcess.StartAsync(settings.Folders, settings.IsEphemeral, Console.WriteLine, CancellationToken.None, settings.Emulator)
        : null;
    var storage = settings.Storage ?? azurite!.Address;

    await using var app = LocalHost.Build(settings, storage);
    await LocalHost.StartAsync(app);
    await SampleWorld.CreateAsync(app.Services, CancellationToken.None);
    Console.WriteLine(LocalHost.Describe(app, azurite?.ToString() ?? storage.ToString()));
    await app.WaitForShutdownAsync();
    return 0;
}
catch (Exception exception) when (exception is LocalHostException or OptionsValidationException)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}
