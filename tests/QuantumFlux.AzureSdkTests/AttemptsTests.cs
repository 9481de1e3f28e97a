using System.Diagnostics.CodeAnalysis;
using Azure.Core;
using Azure.Core.Pipeline;
using QuantumFlux.AzureHost;

namespace QuantumFlux.AzureSdkTests;

public sealed class AttemptsTests
{
    private static readonly Uri _anywhere = new("http://localhost/");

    [Fact]
    public async Task ACallThatWasAnsweredAtOnceLeavesNoDoubt()
    {
        var attempts = new Attempts();

        await SendAsync(attempts, 409);

        Assert.True(attempts.WereAllAnswered);
        Assert.False(attempts.MayHaveApplied);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(500)]
    public async Task ACallWhoseFirstAnswerWasLostMayHaveApplied(int first)
    {
        var attempts = new Attempts();

        await SendAsync(attempts, first, 409);

        Assert.False(attempts.WereAllAnswered);
        Assert.True(attempts.MayHaveApplied);
    }

    [Fact]
    public async Task AThrottledAttemptDidNotApply()
    {
        var attempts = new Attempts();

        await SendAsync(attempts, 429, 404);

        Assert.True(attempts.WereAllAnswered);
    }

    [Fact]
    public void NothingIsCertainWithoutThePolicy()
    {
        var attempts = new Attempts();

        Assert.False(attempts.WereAllAnswered);
        Assert.False(attempts.MayHaveApplied);
    }

    [Fact]
    public async Task OtherCallsAreNotCounted()
    {
        var attempts = new Attempts();

        await SendAsync(null, 200);

        Assert.False(attempts.WereAllAnswered);
    }

    /// <summary>Sends one call that meets the given answers in turn; 0 is a broken connection.</summary>
    private static async Task SendAsync(Attempts? attempts, params int[] answers)
    {
        var options = new PlainOptions { Transport = new Script(answers) };
        options.Retry.Delay = TimeSpan.Zero;
        options.AddPolicy(Attempts.Policy, HttpPipelinePosition.PerRetry);
        var pipeline = HttpPipelineBuilder.Build(options);

        using var counting = attempts?.Count();
        using var message = pipeline.CreateMessage();
        message.Request.Uri.Reset(_anywhere);
        await pipeline.SendAsync(message, CancellationToken.None);
    }

    private sealed class PlainOptions : ClientOptions;

    private sealed class Script(int[] answers) : HttpPipelineTransport
    {
        private int _next;

        public override Request CreateRequest() => HttpClientTransport.Shared.CreateRequest();

        public override void Process(HttpMessage message) => throw new NotSupportedException("Everything here is asynchronous.");

        public override ValueTask ProcessAsync(HttpMessage message)
        {
            var status = answers[_next++];
            message.Response = status == 0 ? throw new IOException("The connection broke.") : new Answer(status);
            return ValueTask.CompletedTask;
        }
    }

    private sealed class Answer(int status) : Azure.Response
    {
        public override int Status => status;

        public override string ReasonPhrase => "";

        public override Stream? ContentStream { get; set; }

        public override string ClientRequestId { get; set; } = "";

        public override void Dispose()
        {
        }

        protected override bool ContainsHeader(string name) => false;

        protected override IEnumerable<HttpHeader> EnumerateHeaders() => [];

        protected override bool TryGetHeader(string name, [NotNullWhen(true)] out string? value)
        {
            value = null;
            return false;
        }

        protected override bool TryGetHeaderValues(string name, [NotNullWhen(true)] out IEnumerable<string>? values)
        {
            values = null;
            return false;
        }
    }
}
