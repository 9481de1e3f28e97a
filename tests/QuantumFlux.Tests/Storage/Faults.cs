namespace QuantumFlux.Tests.Storage;

/// <summary>What goes wrong with the first request of an implementation under test.</summary>
public enum LostAnswer
{
    /// <summary>It is applied, then the connection breaks.</summary>
    Dropped,

    /// <summary>It is applied, then a gateway says 503.</summary>
    Busy,

    /// <summary>It is not applied: 503.</summary>
    NotApplied,

    /// <summary>Every request breaks.</summary>
    Always,
}

/// <summary>The faults of the conformance suites, as a transport and as the implementations in memory know them.</summary>
public static class Faults
{
    public static Func<int, Azure.Core.Request, Fault> Transport(LostAnswer fault) => (number, _) => (fault, number) switch
    {
        (LostAnswer.Always, _) => Fault.ResetBefore,
        (LostAnswer.Dropped, 1) => Fault.ResetAfter,
        (LostAnswer.Busy, 1) => Fault.BusyAfter,
        (LostAnswer.NotApplied, 1) => Fault.BusyBefore,
        _ => Fault.None,
    };

    public static MemoryHook Hook(LostAnswer fault)
    {
        var isOver = false;
        return (_, moment) =>
        {
            if (fault == LostAnswer.Always)
            {
                return ValueTask.FromResult(MemoryFault.GiveUp);
            }

            if (isOver || (moment == MemoryMoment.Before) != (fault == LostAnswer.NotApplied))
            {
                return ValueTask.FromResult(MemoryFault.None);
            }

            isOver = true;
            return ValueTask.FromResult(MemoryFault.Lost);
        };
    }
}
