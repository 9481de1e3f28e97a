using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace QuantumFlux.Storage;

/// <summary>One storage account, opened.</summary>
public sealed record StorageAccount(ITables Tables, IBlobs Blobs);

/// <summary>The storage accounts of this application: the main one, and those of the dimensions that have one of their own.</summary>
/// <param name="main">Holds everything but the content of dimensions with an account of their own.</param>
/// <param name="dimensions">The accounts of single dimensions, by number; empty by default.</param>
public sealed class StorageAccounts(StorageAccount main, IReadOnlyDictionary<int, StorageAccount> dimensions)
{
    /// <summary>Dimensions are numbered from 1 to this.</summary>
    public const int DimensionMax = 7;

    public StorageAccount Main { get; } = main;

    /// <summary>Every account once, the main one first.</summary>
    public IReadOnlyList<StorageAccount> All { get; } = [.. dimensions.Values.Prepend(main).Distinct()];

    /// <summary>The account that holds a dimension's content.</summary>
    public StorageAccount ForDimension(int dimension) => dimensions.GetValueOrDefault(dimension, Main);

    /// <summary>Opens the main account and those that <c>QuantumFlux:Dimensions:1</c> to <c>:7</c> name.</summary>
    public static StorageAccounts Open(IConfiguration configuration, StorageAddress main, Func<StorageAddress, StorageAccount> open) => new(
        open(main),
        Enumerable.Range(1, DimensionMax)
            .Select(dimension => (dimension, address: StorageAddress.FromConfiguration(
                configuration,
                string.Create(CultureInfo.InvariantCulture, $"QuantumFlux:Dimensions:{dimension}"))))
            .Where(entry => entry.address is not null)
            .ToDictionary(entry => entry.dimension, entry => open(entry.address!)));
}
