using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using QuantumFlux.Api;

namespace QuantumFlux.Keys;

/// <summary>A request for a new key.</summary>
public sealed partial record CreateKey(string Name, KeyEnvironment Environment, Tier Tier, IReadOnlyList<string> Scopes, string AccountId)
{
    /// <summary>Reads and checks the request. What it leaves out is as in the caller's own key; scopes are <c>read</c> and <c>write</c>.</summary>
    /// <exception cref="ApiException">400 with every fault; 403 when the caller may not give what it asks for.</exception>
    public static CreateKey From(JsonBody body, Caller caller)
    {
        var own = caller.Key;
        var name = body.OptionalText("name", text => text.Length is > 0 and <= ApiKey.NameCharactersMax && !text.Any(char.IsControl)
            ? null
            : $"must have 1 to {ApiKey.NameCharactersMax} characters, none of them a control character");
        var environment = body.OptionalText("environment", text => text is "live" or "test" ? null : "must be one of: live, test");
        var tier = body.OptionalText("tier", text => TierOf(text) is null ? "must be one of: free, professional, enterprise" : null);
        var scopes = body.Texts("scopes", QuantumFlux.Keys.Scopes.All.Count, text =>
            QuantumFlux.Keys.Scopes.All.Contains(text, StringComparer.Ordinal)
                ? null
                : $"must hold only: {string.Join(", ", QuantumFlux.Keys.Scopes.All)}");
        var accountId = body.OptionalText("account_id", CheckAccount);
        if (scopes is [])
        {
            body.Faults.Add("scopes", "must hold at least one scope");
        }

        body.ThrowIfInvalid();

        var create = new CreateKey(
            name ?? "unnamed",
            environment switch { "live" => KeyEnvironment.Live, "test" => KeyEnvironment.Test, _ => own.Environment },
            tier is null ? own.Tier : TierOf(tier)!.Value,
            [.. QuantumFlux.Keys.Scopes.All.Where(scope => (scopes ?? ["read", "write"]).Contains(scope, StringComparer.Ordinal))],
            accountId ?? own.AccountId);

        // A key never hands on more than it has: not a tier, an account, a scope, nor, from the sandbox, production.
        var isMoreThanOwn = tier is not null
            || accountId is not null
            || create.Scopes.Except(own.Scopes).Any()
            || (create.Environment == KeyEnvironment.Live && own.Environment == KeyEnvironment.Test);
        if (isMoreThanOwn)
        {
            caller.Require(QuantumFlux.Keys.Scopes.Admin);
        }

        return create;
    }

    /// <summary>The request that a rotation stands for: a key that may do what another one may.</summary>
    /// <exception cref="ApiException">403 when that is more than the caller may give.</exception>
    public static CreateKey Like(ApiKey key, Caller caller)
    {
        if (key.Scopes.Except(caller.Key.Scopes).Any() || key.Tier > caller.Key.Tier)
        {
            caller.Require(QuantumFlux.Keys.Scopes.Admin);
        }

        return new CreateKey(key.Name, key.Environment, key.Tier, key.Scopes, key.AccountId);
    }

    /// <summary>The key that the request describes, and its secret, which nobody will see again. Every key but the first is made here.</summary>
    /// <remarks>
    /// Its rows lie in different partitions, so no transaction can keep the answer with them. Under an <c>Idempotency-Key</c> a second run makes the
    /// very same key instead.
    /// </remarks>
    public (ApiKey Key, string Secret) ToKey(Caller caller, DateTimeOffset now)
    {
        var madeAt = caller.Operation?.StartedAt ?? now;
        var secret = ApiKey.SecretOf(Environment, caller.NewSecret("api_key"));
        var key = new ApiKey(
            caller.NewId("key_", madeAt),
            ApiKey.HashOf(secret),
            secret[^4..],
            Name,
            AccountId,
            Environment,
            Tier,
            Scopes,
            madeAt,
            madeAt + ApiKey.Lifetime,
            null,
            null);
        return (key, secret);
    }

    /// <summary>Says what an account's id must be when a text is none, else null.</summary>
    public static string? CheckAccount(string text) => AccountForm().IsMatch(text) ? null : "must be 1 to 64 letters, digits, _ or -";

    private static Tier? TierOf(string text) => text switch
    {
        "free" => Keys.Tier.Free,
        "professional" => Keys.Tier.Professional,
        "enterprise" => Keys.Tier.Enterprise,
        _ => null,
    };

    [GeneratedRegex(@"\A[A-Za-z0-9_-]{1,64}\z")]
    private static partial Regex AccountForm();
}

/// <summary>A key in lists: the secret is masked.</summary>
public sealed record KeyView(
    string KeyId,
    string Key,
    string Name,
    string AccountId,
    string Environment,
    string Tier,
    IReadOnlyList<string> Scopes,
    DateTimeOffset CreatedAt,
    DateTimeOffset ExpiresAt,
    DateTimeOffset? RevokedAt,
    string? RotatedTo,
    DateTimeOffset? LastUsedAt)
{
    public static KeyView From(ApiKey key, DateTimeOffset? lastUsedAt) => new(
        key.KeyId,
        key.Masked,
        key.Name,
        key.AccountId,
        ApiKey.EnvironmentName(key.Environment),
        key.Tier.ToString().ToLowerInvariant(),
        key.Scopes,
        key.CreatedAt,
        key.ExpiresAt,
        key.RevokedAt,
        key.RotatedTo,
        lastUsedAt);
}

/// <summary>A page of keys.</summary>
public sealed record KeyListView(IReadOnlyList<KeyView> Keys, bool HasMore);

/// <summary>The answer to a creation or a rotation: the only time that the secret is shown. The previous key is a rotation's alone.</summary>
public sealed record NewKeyView(
    string KeyId,
    string Key,
    string Name,
    string AccountId,
    string Environment,
    string Tier,
    IReadOnlyList<string> Scopes,
    DateTimeOffset CreatedAt,
    DateTimeOffset ExpiresAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? PreviousKeyId,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DateTimeOffset? PreviousExpiresAt)
{
    public static NewKeyView From(ApiKey key, string secret, ApiKey? previous = null) => new(
        key.KeyId,
        secret,
        key.Name,
        key.AccountId,
        ApiKey.EnvironmentName(key.Environment),
        key.Tier.ToString().ToLowerInvariant(),
        key.Scopes,
        key.CreatedAt,
        key.ExpiresAt,
        previous?.KeyId,
        previous?.ExpiresAt);
}
