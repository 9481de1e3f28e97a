using System.ComponentModel.DataAnnotations;

namespace QuantumFlux.Keys;

/// <summary>How the first key comes into being.</summary>
public sealed class KeyOptions
{
    /// <summary>
    /// The first key, which opens a new deployment: <c>qfx_live_</c> or <c>qfx_test_</c> and 64 hex digits. It has every scope and the enterprise
    /// tier, is stored (hashed) when first used, and from then on expires and can be revoked like any other. Null means none.
    /// </summary>
    [RegularExpression("^qfx_(live|test)_[0-9a-f]{64}$", ErrorMessage = "QuantumFlux:BootstrapKey must be qfx_live_ or qfx_test_ and 64 lowercase hex digits.")]
    public string? BootstrapKey { get; set; }
}
