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

    /// <summary>Every answer begins, and breaks before the first byte of its content.</summary>
    Content,
}

/// <summary>The faults of the conformance suites, as a transport and as the implementations in memory know them.</summary>
public static class Faults
{
    public static Func<int, Azure.Core.Request, Fault> Transport(LostAnswer fault) => (number, _) => (fault, number) switch
    {
        (LostAnswer.Always, _) => Fault.ResetBefore,
        (LostAnswer.Content, _) => Fault.NoBody,
        (LostAnswer.Dropped, 1) => Fault.ResetAfter,
        (LostAnswer.Busy, 1) => Fault.BusyAfter,
        (LostAnswer.NotApplied, 1) => Fault.BusyBefore,
        _ => Fault.None,
    };

    /// <param name="fault">What goes wrong.</param>
    /// <param name="meanwhile">What others do between the fault and the next try; null means nothing.</param>
    public static MemoryHook Hook(LostAnswer fault, Func<Task>? meanwhile = null)
    {
        var isOver = false;
        return async (_, moment) =>
        {
            // In memory the content comes with the answer.
            if (fault is LostAnswer.Always or LostAnswer.Content)
            {
                return MemoryFault.GiveUp;
            }

            if (isOver || (moment == MemoryMoment.Before) != (fault == LostAnswer.NotApplied))
            {
                return MemoryFault.None;
            }

            isOver = true;
            if (meanwhile is not null)
            {
                await meanwhile();
            }

            return MemoryFault.Lost;
        };
    }
}
