using System.Buffers;
using System.Runtime.InteropServices;

namespace QuantumFlux.Vectors;

/// <summary>One record of a tenant's log of vectors: a vector written, or one deleted.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Vector">The vector; null when it is deleted.</param>
/// <param name="Metric">How the tenant's vectors are compared; of no meaning when it is deleted.</param>
public sealed record VectorChange(string Id, StoredVector? Vector, Metric Metric)
{
    private const byte Put = 1;
    private const byte Delete = 2;

    public static VectorChange Written(StoredVector vector, Metric metric) => new(vector.Id, vector, metric);

    public static VectorChange Deleted(string id) => new(id, null, default);

    /// <summary>
    /// The record: what it is (1 written, 2 deleted), the id; and of a vector that is written the metric in a byte, the number of coordinates, the coordinates
    /// in single precision, and the facts.
    /// </summary>
    public ReadOnlyMemory<byte> ToBytes()
    {
        var output = new ArrayBufferWriter<byte>(64 + ((Vector?.Values.Length ?? 0) * sizeof(float)) + (Vector?.Facts.Metadata.Length ?? 0));
        output.Write([Vector is null ? Delete : Put]);
        output.WriteText(Id);
        if (Vector is not null)
        {
            output.Write([(byte)Metric]);
            output.WriteVarInt((ulong)Vector.Values.Length);
            output.Write(MemoryMarshal.AsBytes(Vector.Values.AsSpan()));
            Vector.Facts.Write(output);
        }

        return output.WrittenMemory;
    }

    /// <summary>Reads a record.</summary>
    /// <exception cref="InvalidDataException">It is of a kind that a later version writes.</exception>
    public static VectorChange Parse(ReadOnlySpan<byte> record)
    {
        var reader = new ByteReader(record);
        switch (reader.Byte())
        {
            case Delete:
                return Deleted(reader.Text());
            case Put:
                var id = reader.Text();
                var metric = (Metric)reader.Byte();
                var values = MemoryMarshal.Cast<byte, float>(reader.Bytes((int)reader.VarInt() * sizeof(float))).ToArray();
                return Written(new StoredVector(id, values, VectorFacts.Read(reader.Rest)), metric);
            default:
                throw new InvalidDataException("A record of a log of vectors is of no known kind.");
        }
    }
}
