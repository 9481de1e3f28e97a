using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using QuantumFlux.Api;

namespace QuantumFlux.Keys;

/// <summary>Where a key's data lives. Live and test data never meet.</summary>
public enum KeyEnvironment
{
    /// <summary>The sandbox, <c>qfx_test_</c>.</summary>
    Test,

    /// <summary>Production, <c>qfx_live_</c>.</summary>
    Live,
}

/// <summary>What a customer pays for; decides limits and whether pathways can be chosen.</summary>
public enum Tier
{
    Free,
    Professional,
    Enterprise,
}

/// <summary>What a key may do.</summary>
public static class Scopes
{
    public const string Read = "read";
    public const string Write = "write";

    /// <summary>Create, list and revoke the account's keys.</summary>
    public const string Keys = "keys";

    /// <summary>Act for other accounts, choose tiers, read metrics.</summary>
    public const string Admin = "admin";

    /// <summary>All scopes, in the order in which answers list them.</summary>
    public static IReadOnlyList<string> All { get; } = [Read, Write, Keys, Admin];
}

/// <summary>An API key as it is kept: everything but the secret.</summary>
/// <param name="KeyId">Its public name, <c>key_</c> and 32 hex digits.</param>
/// <param name="Hash">SHA-256 of the secret, 32 bytes.</param>
/// <param name="LastCharacters">The last four characters of the secret, so that its owner can tell keys apart.</param>
/// <param name="Name">The owner's name for it.</param>
/// <param name="AccountId">The account it belongs to.</param>
/// <param name="Environment">Live or test.</param>
/// <param name="Tier">The tier it carries.</param>
/// <param name="Scopes">What it may do.</param>
/// <param name="CreatedAt">When it was made.</param>
/// <param name="ExpiresAt">When it stops working.</param>
/// <param name="RevokedAt">When it was revoked; null while it is not.</param>
/// <param name="RotatedTo">The key that a rotation made in its place, the last one if there were several; null when it was not rotated.</param>
public sealed partial record ApiKey(
    string KeyId,
    byte[] Hash,
    string LastCharacters,
    string Name,
    string AccountId,
    KeyEnvironment Environment,
    Tier Tier,
    IReadOnlyList<string> Scopes,
    DateTimeOffset CreatedAt,
    DateTimeOffset ExpiresAt,
    DateTimeOffset? RevokedAt,
    string? RotatedTo)
{
    /// <summary>How long a key lives; the specification enforces it.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromDays(470);

    /// <summary>The age beyond which the specification recommends to rotate a key.</summary>
    public static readonly TimeSpan RecommendedAgeMax = TimeSpan.FromDays(47);

    /// <summary>How long a key lives on after its rotation: the specification's 23.7 hours.</summary>
    public static readonly TimeSpan RotationGrace = TimeSpan.FromSeconds(85_320);

    /// <summary>The longest name, in characters.</summary>
    public const int NameCharactersMax = 100;

    /// <summary>The account and environment whose data the key opens.</summary>
    public string Tenant => $"{AccountId}-{EnvironmentName(Environment)}";

    public bool Has(string scope) => Scopes.Contains(scope, StringComparer.Ordinal);

    /// <summary>Whether the key opens anything at a moment.</summary>
    public bool IsUsable(DateTimeOffset now) => RevokedAt is null && now < ExpiresAt;

    /// <summary>The key after its rotation: it ends with the grace, or when it would have ended anyway. A second rotation gives it no more time.</summary>
    public ApiKey Rotated(string successorId, DateTimeOffset now) => this with
    {
        ExpiresAt = now + RotationGrace < ExpiresAt ? now + RotationGrace : ExpiresAt,
        RotatedTo = successorId,
    };

    /// <summary>
    /// What the owner is told with every answer, as a Structured Field item (RFC 9651): that the key is past the recommended age, or that it has been
    /// rotated and is about to end. Null when there is nothing to say.
    /// </summary>
    public string? RotationAdvice(DateTimeOffset now) => this switch
    {
        { RotatedTo: { } successor } => $"rotated;successor=\"{successor}\";expires_at=\"{Json.Format(ExpiresAt)}\"",
        _ when now - CreatedAt > RecommendedAgeMax => string.Create(
            CultureInfo.InvariantCulture, $"recommended;age_days={(int)(now - CreatedAt).TotalDays};expires_at=\"{Json.Format(ExpiresAt)}\""),
        _ => null,
    };

    /// <summary>How lists show the secret.</summary>
    public string Masked => $"{SecretPrefix(Environment)}…{LastCharacters}";

    /// <summary>A new secret: <c>qfx_live_</c> or <c>qfx_test_</c> and 64 hex digits, 256 random bits.</summary>
    public static string NewSecret(KeyEnvironment environment) => SecretOf(environment, RandomNumberGenerator.GetBytes(32));

    /// <summary>The secret with 32 given bytes.</summary>
    public static string SecretOf(KeyEnvironment environment, byte[] random) => SecretPrefix(environment) + Convert.ToHexStringLower(random);

    /// <summary>The environment that a well-formed secret names; null when it is not well-formed.</summary>
    public static KeyEnvironment? EnvironmentOf(string secret) => !SecretForm().IsMatch(secret)
        ? null
        : secret.StartsWith(SecretPrefix(KeyEnvironment.Live), StringComparison.Ordinal) ? KeyEnvironment.Live : KeyEnvironment.Test;

    /// <summary>What is stored in place of a secret. 256 random bits need no slow hash.</summary>
    public static byte[] HashOf(string secret) => SHA256.HashData(Encoding.UTF8.GetBytes(secret));

    /// <summary>The word for an environment in keys and answers: <c>live</c> or <c>test</c>.</summary>
    public static string EnvironmentName(KeyEnvironment environment) => environment == KeyEnvironment.Live ? "live" : "test";

    /// <summary>The account that a configured first key opens when nothing else says so: derived from the key, so that it is the same on every instance.</summary>
    public static string BootstrapAccount(byte[] hash) =>
        "acc_" + Convert.ToHexStringLower(SHA256.HashData([.. "account"u8, .. hash]).AsSpan(0, 16));

    /// <summary>The id of a configured first key, derived likewise.</summary>
    public static string BootstrapKeyId(byte[] hash) =>
        "key_" + Convert.ToHexStringLower(SHA256.HashData([.. "key_id"u8, .. hash]).AsSpan(0, 16));

    private static string SecretPrefix(KeyEnvironment environment) =>
        string.Create(CultureInfo.InvariantCulture, $"qfx_{EnvironmentName(environment)}_");

    [GeneratedRegex(@"\Aqfx_(live|test)_[0-9a-f]{64}\z")]
    private static partial Regex SecretForm();
}
