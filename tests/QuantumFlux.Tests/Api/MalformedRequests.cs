using System.Globalization;
using System.Text;

namespace QuantumFlux.Tests.Api;

/// <summary>Requests that nobody should send, made from a seed: each is wrong in one or several ways, and a few are only strange.</summary>
/// <param name="key">A valid API key.</param>
/// <param name="objectId">An object that exists, and the id of a vector of two coordinates that does.</param>
/// <param name="entanglementId">An entanglement that exists.</param>
public sealed class MalformedRequests(string key, string objectId, string entanglementId)
{
    private static readonly string[] _verbs =
    [
        "PATCH", "OPTIONS", "TRACE", "get", "Post", "hEAD", "QUERY", "PROPFIND", "M-SEARCH", "X", "GETT", "HEAD", "DELETE", "PUT",
    ];

    private static readonly string[] _ids =
    [
        "a", "-a", ".", "..", "...", "%2e%2e", "%2F", "a%2Fb", "a%5Cb", "%C3%A9", "%ED%A0%80", "%FF", "%E2%80%AE", "a%20b", "a+b", "%25", "%2500", "*", "'", "%27%20or%20%271", "{id}",
        "~a", "a;b=c", "a:b", "a,b", "%0d%0aX:%20y", "%7F", "%F0%9F%98%80", "null", "undefined", "0", "versions", "uploads", "commit", "%EF%BC%91", "%", "%zz", "%u0041",
        "ent_0123456789abcdef0123456789abcdef", "ent_", "ENT_0123456789ABCDEF0123456789ABCDEF", "bak_0123456789abcdef0123456789abcdef", "upl_0123456789abcdef0123456789abcdef", "key_0", "key_0123456789abcdef0123456789abcdef",
    ];

    private static readonly string[] _paths =
    [
        "", "/", "//", "/quantum", "/quantum/", "/quantum/nothing", "/quantum/objects/", "/quantum/entangle/", "/quantum/entangle//", "/auth", "/%61uth/keys", "/auth/keys/", "/auth/keys/a",
        "/.well-known/x", "/\u00e9", "/favicon.ico", "/*", "*", "/?", "/#a", "/quantum/objects/%00", "/quantum/objects/a%00b", "/quantum/objects/a/b/c/d/e", "/quantum//objects", "/quantum\\objects",
    ];

    private static readonly string[] _values =
    [
        "", " ", "0", "-1", "1", "00", "+1", "1.0", "1e3", "1e309", "-1e309", "NaN", "Infinity", "9223372036854775807", "9223372036854775808", "99999999999999999999999999", "0x10", "1_000",
        "%EF%BC%91%EF%BC%92", "%D9%A1", "true", "TRUE", "yes", "null", "[]", "{}", "%00", "%FF%FE", "%zz", "%", "%2", "&&", "=", "a%0Ab", "%E2%82", "2024-11-19T14:23:47.470Z",
        "2024-11-19T14:23:47", "2024-02-30T00:00:00Z", "0000-00-00T00:00:00Z", "9999-12-31T23:59:59.9999999Z", "2024-11-19T25:00:00Z", "2024-11-19T14:23:47+99:99", "T", "-created_at", "active",
        "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "1969-12-31T23:59:59Z",
    ];

    private static readonly string[] _parameters =
    [
        "limit", "starting_after", "prefix", "version", "at", "anchor", "status", "min_strength", "page", "per_page", "sort", "graceful", "backup", "anchor_type", "dataset_id", "decompress", "key", "size", "include_vectors", "include_metadata", "Limit", "limit[]", "__proto__", "a%00b", "",
    ];

    private static readonly string[] _json =
    [
        "null", "true", "0", "-0", "1e400", "-1e400", "1e-400", "0.1e", "01", "1.", ".5", "+1", "NaN", "Infinity", "\"\"", "\"text\"", "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\\u0000\"", "\"\\x\"",
        "\"\ttab\"", "[]", "{}", "[[]]", "[1,2,3]", "[1,]", "{\"a\":1,}", "{\"a\"}", "{'a':1}", "{\"a\":1}{\"b\":2}", "// comment", "/* */{}", "99999999999999999999999999999999999999",
        "[0]", "[8]", "[1,1]", "[1.5]", "[\"1\"]", "[null]", "[1,2,3,4,5,6,7,8]", "{\"bidirectional\":\"yes\"}", "{\"bidirectional\":null,\"x\":1}", "\"eternal\"", "\"temporal\"", "0.9847", "0.1", "1.0000001",
        "\"2024-13-01\"", "{\"\":0}", "{\"\\ud800\":0}", "[\"read\",\"read\"]", "[\"root\"]", "\"free\"", "\"live\"", "\"src_4a7b9c3d2e1f5g8h4j6k7m9n0p2q3r5s\"",
        "[0.1,-0.2]", "[1e-400,1e38]", "[1e15,1e15]", "[1,1e400]", "[null,0]", "[{}]", "[{\"name\":\"a\",\"weight\":0.5}]", "[{\"name\":\"\\ud800\",\"weight\":2},{}]", "\"exploratory\"", "\"precise\"", "\"eventual\"",
        "\"dot\"", "\"euclidean\"", "1000", "1001", "3153600000000", "{\"metadata.a\":1}", "{\"metadata.a\":{\"$gt\":\"\\ud800\"}}", "{\"metadata.\":{\"$in\":[null,1e400,\"\",true]}}", "{\"$or\":[]}", "{\"$and\":[{}]}",
        "{\"$not\":{\"metadata.a.b\":{\"$not\":{\"$exists\":1}}}}", "{\"metadata.a\":{\"$not\":{}}}", "{\"metadata.a\":{\"$nin\":[[],{}]}}", "{\"metadata\":1}", "{\"a\":{\"\\ud800\":[[[1e999,\"\\ud800\"]]]}}",
        "[{\"id\":\"b\",\"vector\":[1,2]},{\"id\":\"b\",\"vector\":[1]},{}]", "[{\"id\":\"..\",\"vector\":[\"1\"]}]", "\"batch\"", "\"\\u0000\"",
    ];

    private static readonly string[] _members =
    [
        "source_id", "target_id", "entanglement_strength", "dimensional_pathway", "persistence", "options", "name", "environment", "tier", "scopes", "account_id", "key_id", "key",
        "block_ids", "sha256", "content_type", "value", "ttl_seconds", "operations", "unknown", "", "__proto__", "Source_Id", "$where", "a.b", "\\u0073ource_id",
        "dataset_id", "anchor_time", "anchor_type", "duration_seconds", "period_seconds",
        "id", "vector", "vectors", "contexts", "coherence_time_ms", "metadata", "metric", "transaction", "context", "mode", "enable_tunneling", "top_k", "timeout_ms", "filters",
        "include_vectors", "include_metadata", "consistency",
    ];

    private static readonly string[] _batches =
    [
        "\"vectors\":[{\"id\":\"b\",\"vector\":[1,2]}]", "\"vectors\":[{\"id\":\"b\",\"vector\":[1,2]},{\"id\":\"b\",\"vector\":[1]}],\"transaction\":false",
        "\"vectors\":[{}],\"transaction\":false", "\"vectors\":[{\"id\":\"b\",\"vector\":[1,2,3]}],\"transaction\":false",
    ];

    private static readonly string[] _queries =
    [
        "\"vector\":[1,2]", "\"vector\":[1,2],\"context\":\"a\"", "\"vector\":[1,2],\"timeout_ms\":1", "\"vector\":[1,2],\"top_k\":1000,\"mode\":\"exploratory\",\"enable_tunneling\":true",
        "\"vector\":[1,2],\"filters\":{\"$or\":[{\"metadata.a\":{\"$in\":[1,null,\"\"]}},{\"$not\":{\"metadata.b\":{\"$gt\":1e400}}}]}",
    ];

    private static readonly string[] _headers =
    [
        "If-Match", "If-None-Match", "If-Range", "If-Modified-Since", "If-Unmodified-Since", "Range", "X-Quantum-Signature", "X-Dimensional-Routing", "X-Client-Request-Id", "Content-Type",
        "Content-Encoding", "Expect", "Accept", "Accept-Encoding", "Connection", "Upgrade", "Cookie", "X-Forwarded-For", "X-HTTP-Method-Override",
        "QFlux-Token", "Authorization", "X-API-Key", "Idempotency-Key", "Date", "TE", "Trailer", "Content-MD5", "Content-Digest", "Repr-Digest", "Digest", "Last-Event-ID",
    ];

    private static readonly string[] _headerValues =
    [
        "", " ", "*", "\"\"", "\"a\"", "W/\"a\"", "w/\"a\"", "a", "\"a", "\"a\", \"b\"", "*, \"a\"", ",", ",,,", "\"a\",,\"b\"", "bytes=0-", "bytes=-", "bytes=-0", "bytes=-1", "bytes=5-1", "bytes=99999-",
        "bytes=0-0,2-3", "bytes=0-99999999999999999999", "bytes=18446744073709551616-", "items=0-1", "bytes", "bytes=a-b", "bytes = 0 - 1", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 99 Foo 2015 07:28:00 GMT",
        "2015-10-21", "0", "-1", "1e9", "application/json", "application/json; charset=utf-16", "application/json; charset=\"utf-8\"", "application/json; charset=", "application/json;;;", "APPLICATION/JSON",
        "text/plain", "multipart/form-data", "application/vnd.x+json", "application", "/", "a/b; c=\"", "application/json, text/plain", "gzip", "identity", "br, gzip", "chunked", "gzip, chunked", "100-continue",
        "200-ok", "close", "keep-alive, Upgrade", "h2c", "websocket", "enabled", "disabled", "maybe", "qs_00000000000000000000000000000000", "Bearer", "Bearer ", "Bearer x", "Basic eDp5", "bearer  x  y", "null",
        "\t", "a\tb", "sha-256=:AA==:", "sha-256=:!!:", "localhost", "[::1", "a b", "evil.example:99999", "()<>@,;:\\\"/[]?={}",
    ];

    /// <summary>The bytes of a request, one in eight with a few that are not what they should be.</summary>
    public byte[] Make(Random random)
    {
        var request = Unmutated(random);
        return random.Next(8) == 0 ? Mutate(random, request) : request;
    }

    /// <summary>The bytes of a request as they are meant to be.</summary>
    public byte[] Unmutated(Random random)
    {
        var head = Head(random, out var body);
        return [.. head, .. body];
    }

    private byte[] Head(Random random, out byte[] body)
    {
        var version = random.Next(3) == 0 ? 2 : 3;
        var (verb, path) = version == 2 ? QStoreOperation(random) : Operation(random);
        verb = random.Next(10) == 0 ? Pick(random, _verbs) : verb;
        var target = Root(random, version) + path + (random.Next(3) == 0 ? "?" + Query(random) : "");
        body = verb is "PUT" or "POST" or "PATCH" || random.Next(10) == 0 ? Body(random, path) : [];

        var head = new StringBuilder($"{verb} {target} HTTP/1.1\r\nHost: localhost\r\n");
        AddKey(random, head);
        if (body.Length > 0 || random.Next(2) == 0)
        {
            head.Append(CultureInfo.InvariantCulture, $"Content-Length: {body.Length}\r\n");
        }

        if (random.Next(8) > 0)
        {
            head.Append("Content-Type: application/json\r\n");
        }

        for (var count = random.Next(4); count > 0; count--)
        {
            head.Append(CultureInfo.InvariantCulture, $"{HeaderName(random)}: {HeaderValue(random)}\r\n");
        }

        return Encoding.Latin1.GetBytes(head.Append("\r\n").ToString());
    }

    private static string Root(Random random, int version) => random.Next(12) == 0
        ? Pick(random, ["/api/v2", "/v2", "/api", "", "/API/V3", "//api//v3", "/api/v3/.", "/api/../api/v3", "http://localhost/v3", "http://evil.example/api/v3", "/%61pi/v3", "/v3/v3", "/api/v3%2F"])
        : Pick(random, [$"/api/v{version}", $"/v{version}"]);

    private (string Verb, string Path) QStoreOperation(Random random) => random.Next(8) switch
    {
        0 => ("POST", "/vectors"),
        1 => ("GET", Pick(random, ["/vectors", "/vectors/"])),
        2 => ("POST", "/vectors/batch"),
        3 => ("PUT", $"/vectors/{Id(random)}"),
        4 => (Pick(random, ["GET", "HEAD", "DELETE"]), $"/vectors/{Id(random)}"),
        5 => (Pick(random, ["GET", "PUT"]), $"/vectors/{Id(random)}{Pick(random, ["/", "//", "%2F"])}{Pick(random, _ids)}"),
        _ => ("POST", "/query"),
    };

    private string Id(Random random) => random.Next(8) switch
    {
        0 or 1 or 2 => objectId,
        3 => entanglementId,
        4 when random.Next(6) == 0 => new string('a', random.Next(8_000)),
        _ => Pick(random, _ids),
    };

    private (string Verb, string Path) Operation(Random random)
    {
        var id = Id(random);
        return random.Next(22) switch
        {
            0 => ("POST", "/auth/keys"),
            1 => ("GET", "/auth/keys"),
            2 => ("POST", "/auth/revoke"),
            3 => ("GET", "/quantum/objects"),
            4 or 5 => ("PUT", $"/quantum/objects/{id}"),
            6 => ("GET", $"/quantum/objects/{id}"),
            7 => (Pick(random, ["HEAD", "DELETE"]), $"/quantum/objects/{id}"),
            8 => ("GET", $"/quantum/objects/{id}/versions"),
            9 => ("POST", $"/quantum/objects/{id}/uploads"),
            10 => ("POST", $"/quantum/objects/{id}/uploads/{Pick(random, _ids)}/commit"),
            11 => ("POST", $"/quantum/objects/{id}/{Pick(random, _ids)}/{Pick(random, _ids)}"),
            12 => ("POST", "/quantum/entangle"),
            13 => random.Next(2) == 0 ? ("POST", "/temporal/anchor") : (Pick(random, ["GET", "DELETE"]), $"/temporal/anchor/{id}"),
            14 => ("GET", Pick(random, ["/quantum/entangle", "/temporal/anchor"])),
            15 => (Pick(random, ["GET", "DELETE"]), $"/quantum/entangle/{(random.Next(2) == 0 ? entanglementId : id)}"),
            16 => ("POST", $"/auth/keys/{Pick(random, _ids)}/rotate"),
            17 => ("GET", $"/quantum/backups/{id}/{Pick(random, _ids)}"),
            18 => ("POST", random.Next(2) == 0 ? "/cache/crystal" : "/cache/crystal/batch"),
            19 => ("GET", "/cache/crystal"),
            20 => (Pick(random, ["GET", "HEAD", "DELETE"]), $"/cache/crystal/{id}{Pick(random, ["", "/", "//", "%2F"])}{Pick(random, _ids)}"),
            _ => ("GET", Pick(random, _paths)),
        };
    }

    private static string Query(Random random) => string.Join('&', Enumerable.Range(0, 1 + random.Next(3)).Select(_ =>
    {
        var value = random.Next(30) == 0 ? new string('9', random.Next(6_000)) : Pick(random, _values);
        return random.Next(12) == 0 ? value : $"{Pick(random, _parameters)}={value}";
    }));

    private void AddKey(Random random, StringBuilder head) => head.Append(random.Next(24) switch
    {
        0 => "",
        1 => $"X-API-Key: {key}\r\n",
        2 => $"Authorization: bearer {key}\r\n",
        3 => $"QFlux-Token: {key}\r\n",
        4 => $"QFlux-Token: Bearer {key}\r\nQFlux-Token: Bearer {key}\r\n",
        5 => $"QFlux-Token: Bearer {key[..^1]}\r\n",
        6 => $"QFlux-Token: Bearer {key.ToUpperInvariant()}\r\n",
        7 => $"X-API-Key: {new string('k', random.Next(9_000))}\r\n",
        _ => $"QFlux-Token: Bearer {key}\r\n",
    });

    private static string HeaderName(Random random) => random.Next(200) switch
    {
        0 => "Bad Header",
        1 => "",
        2 => "X-\u00e9",
        3 => "Content-Length",
        4 => "Transfer-Encoding",
        5 => "Host",
        6 or 7 => new string('x', random.Next(3_000)),
        _ => Pick(random, _headers),
    };

    private static string HeaderValue(Random random) => random.Next(120) switch
    {
        0 => new string(',', random.Next(5_000)),
        1 => string.Join(", ", Enumerable.Repeat("\"a\"", random.Next(3_000))),
        2 => "bytes=" + string.Join(',', Enumerable.Range(0, random.Next(2_000)).Select(from => $"{from}-{from}")),
        3 => new string('z', random.Next(90_000)),
        4 => "a\0b",
        5 => "a\rb",
        6 => "\u00e9\u00ff",
        _ => Pick(random, _headerValues),
    };

    private static byte[] Body(Random random, string path) => random.Next(30) switch
    {
        0 => [],
        1 => Encoding.Unicode.GetBytes(Json(random, path)),
        2 => [0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes(Json(random, path))],
        3 => [0xFF, 0xFE, .. Encoding.Unicode.GetBytes(Json(random, path))],
        4 => [.. Encoding.UTF8.GetBytes("{\"name\":\""), 0xC0, 0xAF, 0xED, 0xA0, 0x80, 0xFF, .. Encoding.UTF8.GetBytes("\"}")],
        5 => Encoding.UTF8.GetBytes(new string('[', random.Next(100_000))),
        6 => Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("{\"a\":", random.Next(20_000)))),
        7 => Encoding.UTF8.GetBytes("{\"options\":" + new string('[', random.Next(10, 80)) + new string(']', 80) + "}"),
        8 => Encoding.UTF8.GetBytes($"{{\"entanglement_strength\":{new string('9', random.Next(40_000))}}}"),
        9 => Encoding.UTF8.GetBytes($"{{\"name\":\"{new string('n', random.Next(80_000))}\"}}"),
        10 => Enumerable.Range(0, random.Next(2_000)).Select(_ => (byte)random.Next(256)).ToArray(),
        11 => new byte[random.Next(2_000)],
        12 => Encoding.UTF8.GetBytes("{" + string.Join(',', Enumerable.Range(0, random.Next(5_000)).Select(index => $"\"m{index}\":0")) + "}"),
        13 => Encoding.UTF8.GetBytes(Pick(random, _json)),
        14 => Encoding.UTF8.GetBytes($"{{\"block_ids\":[{string.Join(',', Enumerable.Repeat(Pick(random, _json), random.Next(4_000)))}]}}"),
        15 => Encoding.UTF8.GetBytes($"{{\"id\":\"a\",\"vector\":[{string.Join(',', Enumerable.Repeat(Pick(random, _json), random.Next(5_000)))}]}}"),
        16 => Encoding.UTF8.GetBytes($"{{\"vectors\":[{string.Join(',', Enumerable.Repeat(Json(random, "/vectors"), random.Next(1_100)))}],\"transaction\":{Pick(random, ["true", "false", "null"])}}}"),
        17 => Encoding.UTF8.GetBytes($"{{\"vector\":[1,2],\"filters\":{string.Concat(Enumerable.Repeat(Pick(random, ["{\"$not\":", "{\"$or\":[", "{\"metadata.a\":{\"$not\":"]), random.Next(40)))}"),
        18 => Encoding.UTF8.GetBytes($"{{\"id\":\"a\",\"vector\":[1,2],\"metadata\":{{\"a\":{string.Concat(Enumerable.Repeat("[", random.Next(70)))}{new string(']', random.Next(70))}}}}}"),
        _ => Encoding.UTF8.GetBytes(Json(random, path)),
    };

    // Half of the members as they should be, so that a request gets beyond its first fault.
    private static string Json(Random random, string path)
    {
        var members = new List<string>();
        if (random.Next(2) == 0)
        {
            members.Add(path switch
            {
                "/vectors" => "\"id\":\"a\",\"vector\":[1,2]",
                "/vectors/batch" => Pick(random, _batches),
                "/query" => Pick(random, _queries),
                _ when random.Next(2) == 0 => "\"source_id\":\"a\",\"target_id\":\"b\",\"entanglement_strength\":0.9",
                _ => "\"dataset_id\":\"a\",\"anchor_time\":\"2024-11-19T14:47:23.470Z\",\"anchor_type\":\"periodic\"",
            });
        }

        for (var count = random.Next(5); count > 0; count--)
        {
            members.Add($"\"{Pick(random, _members)}\":{Pick(random, _json)}");
        }

        return $"{{{string.Join(',', members)}}}";
    }

    private static byte[] Mutate(Random random, byte[] request)
    {
        for (var count = 1 + random.Next(3); count > 0 && request.Length > 0; count--)
        {
            var at = random.Next(Math.Min(request.Length, 600));
            switch (random.Next(4))
            {
                case 0:
                    request[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    request[at] = (byte)random.Next(256);
                    break;
                case 2:
                    request = [.. request[..at], .. request[(at + 1)..]];
                    break;
                default:
                    request = [.. request[..at], request[at], .. request[at..]];
                    break;
            }
        }

        return request;
    }

    private static T Pick<T>(Random random, T[] from) => from[random.Next(from.Length)];
}
