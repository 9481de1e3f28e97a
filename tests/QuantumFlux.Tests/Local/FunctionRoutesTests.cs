using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Azure.Functions.Worker;
using Microsoft.Extensions.DependencyInjection;
using QuantumFlux.Api;

namespace QuantumFlux.Tests.Local;

public sealed class FunctionRoutesTests
{
    private readonly FunctionRoutes _routes = new([typeof(Samples)]);

    [Fact]
    public void FunctionsAreTriedInTheOrderOfTheirNamesWhateverTheCase() =>
        Assert.Equal(["Alpha", "beta", "Gamma", "zz_NotFound"], _routes.All.Select(route => route.Name));

    [Theory]
    [InlineData("/api/things", "beta")]
    [InlineData("/API/Things/7", "beta")]
    [InlineData("/api/things/7/", "beta")]
    [InlineData("/api/things/7/parts", "zz_NotFound")]
    [InlineData("/api/one/two", "Alpha")]
    [InlineData("/Gamma", "Gamma")]
    [InlineData("/", "zz_NotFound")]
    [InlineData("", "zz_NotFound")]
    [InlineData("//", "zz_NotFound")]
    [InlineData("/some//where", "zz_NotFound")]
    public void TheFirstTemplateThatMatchesWins(string path, string? name) => Assert.Equal(name, _routes.Match(path, [])?.Name);

    [Fact]
    public void APreciseTemplateDoesNotWinOverAnEarlierName()
    {
        // "Alpha" takes api/one/{x} and sorts before "Delta", which is exactly this path.
        var routes = new FunctionRoutes([typeof(Samples), typeof(Shadowed)]);

        Assert.Equal("Alpha", routes.Match("/api/one/exactly", [])?.Name);
    }

    [Fact]
    public void AnOptionalPartThatIsAbsentHasNoValue()
    {
        var values = new RouteValueDictionary();

        _routes.Match("/api/things", values);

        Assert.Empty(values);
    }

    [Theory]
    [InlineData("/api/things/a%2Fb", "id", "a%2Fb")]
    [InlineData("/api/things/ä ö", "id", "ä ö")]
    [InlineData("/api/things/%41", "id", "%41")]
    [InlineData("/some/where/else", "path", "some/where/else")]
    public void ValuesAreTakenAsThePathHasThem(string path, string name, string value)
    {
        var values = new RouteValueDictionary();

        _routes.Match(path, values);

        Assert.Equal(value, Assert.Single(values, pair => pair.Key == name).Value);
    }

    [Fact]
    public void ATemplateThatFailsLeavesNoValuesBehind()
    {
        var values = new RouteValueDictionary { ["old"] = 1 };

        _routes.Match("/api/one/two", values);

        Assert.Equal(["x"], values.Keys);
    }

    [Fact]
    public void APathThatNothingMatchesHasNoFunction()
    {
        var values = new RouteValueDictionary();

        Assert.Null(new FunctionRoutes([typeof(Shadowed)]).Match("/elsewhere", values));
        Assert.Empty(values);
    }

    [Fact]
    public async Task AFunctionRunsOnTheInstanceOfTheServices()
    {
        var samples = new Samples();
        using var services = new ServiceCollection().AddSingleton(samples).BuildServiceProvider();
        using var cancellation = new CancellationTokenSource();
        var request = new DefaultHttpContext().Request;

        await _routes.Match("/api/one/two", [])!.InvokeAsync(services, request, cancellation.Token);
        await _routes.Timers.Single().InvokeAsync(services, new TimerInfo { IsPastDue = true }, cancellation.Token);

        Assert.Equal([request, cancellation.Token, true], samples.Seen);
    }

    [Fact]
    public void ATimerHasItsNameAndSchedule()
    {
        var timer = Assert.Single(_routes.Timers);

        Assert.Equal(("Omega", "0 */5 * * * *"), (timer.Name, timer.Schedule));
    }

    [Theory]
    [InlineData(typeof(WithVerbs), "verbs")]
    [InlineData(typeof(WithConstraint), "constraint")]
    [InlineData(typeof(WithForeignParameter), "String")]
    [InlineData(typeof(WithResult), "task")]
    [InlineData(typeof(WithNameTwice), "Two functions")]
    public void ADeclarationThatTheHostsWouldTreatDifferentlyIsRefused(Type type, string complaint)
    {
        var exception = Assert.Throws<InvalidOperationException>(() => new FunctionRoutes([type]));

        Assert.Contains(complaint, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TheApplicationsOwnFunctionsAreWellDeclared() => Assert.NotEmpty(new FunctionRoutes(typeof(FunctionRoutes).Assembly).All);

    private sealed class Samples
    {
        public List<object> Seen { get; } = [];

        [Function("zz_NotFound")]
        public Task Rest([HttpTrigger(AuthorizationLevel.Anonymous, Route = "{*path}")] HttpRequest request) => Task.CompletedTask;

        [Function("beta")]
        public Task Things([HttpTrigger(AuthorizationLevel.Anonymous, Route = "api/things/{id?}")] HttpRequest request) => Task.CompletedTask;

        [Function("Gamma")]
        public Task Named([HttpTrigger(AuthorizationLevel.Anonymous)] HttpRequest request) => Task.CompletedTask;

        [Function("Alpha")]
        public Task One([HttpTrigger(AuthorizationLevel.Anonymous, Route = "api/one/{x}")] HttpRequest request, CancellationToken cancellationToken)
        {
            Seen.AddRange([request, cancellationToken]);
            return Task.CompletedTask;
        }

        [Function("Omega")]
        public Task Tick([TimerTrigger("0 */5 * * * *")] TimerInfo timer)
        {
            Seen.Add(timer.IsPastDue);
            return Task.CompletedTask;
        }

        public Task NoFunction(HttpRequest request) => Task.CompletedTask;
    }

    private sealed class Shadowed
    {
        [Function("Delta")]
        public Task Run([HttpTrigger(AuthorizationLevel.Anonymous, Route = "api/one/exactly")] HttpRequest request) => Task.CompletedTask;
    }

    private sealed class WithVerbs
    {
        [Function("A")]
        public Task Run([HttpTrigger(AuthorizationLevel.Anonymous, "get", Route = "a")] HttpRequest request) => Task.CompletedTask;
    }

    private sealed class WithConstraint
    {
        [Function("A")]
        public Task Run([HttpTrigger(AuthorizationLevel.Anonymous, Route = "a/{id:int}")] HttpRequest request) => Task.CompletedTask;
    }

    private sealed class WithForeignParameter
    {
        [Function("A")]
        public Task Run([HttpTrigger(AuthorizationLevel.Anonymous, Route = "a/{id}")] HttpRequest request, string id) => Task.CompletedTask;
    }

    private sealed class WithResult
    {
        [Function("A")]
        public string Run([HttpTrigger(AuthorizationLevel.Anonymous, Route = "a")] HttpRequest request) => "";
    }

    private sealed class WithNameTwice
    {
        [Function("A")]
        public Task Run([HttpTrigger(AuthorizationLevel.Anonymous, Route = "a")] HttpRequest request) => Task.CompletedTask;

        [Function("a")]
        public Task RunToo([HttpTrigger(AuthorizationLevel.Anonymous, Route = "b")] HttpRequest request) => Task.CompletedTask;
    }
}
