namespace QuantumFlux.VectorBenchmarks;

/// <summary>What "near" means.</summary>
public enum Metric
{
    /// <summary>A small Euclidean distance.</summary>
    L2,

    /// <summary>A small angle. Vectors are scaled to unit length when they are read, so it ranks as <see cref="Dot"/> and as <see cref="L2"/> do.</summary>
    Cosine,

    /// <summary>A large inner product.</summary>
    Dot,
}
