using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using QuantumFlux.Api;

namespace QuantumFlux.Tests.Api;

public sealed class ApiGateFailureTests
{
    [Fact]
    public async Task ARequestThatTheHostEndsIsNotTakenForSuccess()
    {
        var gate = (await TestApp.SharedAsync).Services.GetRequiredService<ApiGate>();
        var context = new DefaultHttpContext { Response = { Body = new MemoryStream() } };
        using var stopping = new CancellationTokenSource();
        await stopping.CancelAsync();

        await gate.RunAsync(context.Request, "route", _ => throw new OperationCanceledException(), stopping.Token);

        context.Response.Body.Position = 0;
        Assert.Equal(StatusCodes.Status503ServiceUnavailable, context.Response.StatusCode);
        var error = (await JsonDocument.ParseAsync(context.Response.Body)).RootElement.GetProperty("error");
        Assert.Equal("SERVICE_UNAVAILABLE", error.GetProperty("code").GetString());
        Assert.Equal(context.Response.Headers["X-Request-Id"].ToString(), error.GetProperty("request_id").GetString());
    }

    [Fact]
    public async Task AFaultOfOursSaysNothingOfItself()
    {
        var gate = (await TestApp.SharedAsync).Services.GetRequiredService<ApiGate>();
        var context = new DefaultHttpContext { Response = { Body = new MemoryStream() } };

        await gate.RunAsync(context.Request, "route", _ => throw new InvalidOperationException("secret"), CancellationToken.None);

        context.Response.Body.Position = 0;
        var text = await new StreamReader(context.Response.Body).ReadToEndAsync();
        Assert.Equal(StatusCodes.Status500InternalServerError, context.Response.StatusCode);
        Assert.Contains("INTERNAL_SERVER_ERROR", text, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", text, StringComparison.Ordinal);
    }
}
