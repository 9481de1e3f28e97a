using System.Runtime.InteropServices;

namespace QuantumFlux.Vectors;

/// <summary>Codes the vectors of a cluster.</summary>
/// <param name="metric">How they are compared.</param>
/// <param name="dimension">The coordinates of each.</param>
public sealed class ChunkEncoder(Metric metric, int dimension)
{
    private readonly Rotation _rotation = Rotation.Of(dimension);
    private readonly float[] _residual = new float[Rotation.Of(dimension).Length];

    /// <summary>Codes a cluster.</summary>
    /// <param name="rows">Its rows.</param>
    /// <param name="centre">Its centre.</param>
    /// <param name="chunk">Receives the codes; it is zero.</param>
    public void Encode(ReadOnlySpan<SegmentRow> rows, ReadOnlySpan<float> centre, Span<byte> chunk)
    {
        var length = _rotation.Length;
        var blockBytes = SegmentFormat.BlockBytes(length);
        var bytesAt = SegmentFormat.Blocks(rows.Length) * blockBytes;
        var rowBytes = MemoryMarshal.Cast<byte, sbyte>(chunk.Slice(bytesAt, rows.Length * length));
        var entries = MemoryMarshal.Cast<byte, RowEntry>(chunk[(bytesAt + (rows.Length * length))..]);
        for (var row = 0; row < rows.Length; row++)
        {
            var values = rows[row].Values;
            _rotation.Rotate(values, metric.Divisor(values), _residual);
            for (var index = 0; index < length; index++)
            {
                _residual[index] -= centre[index];
            }

            WriteCode(centre, chunk.Slice(row / BitCodes.BlockVectors * blockBytes, blockBytes), row % BitCodes.BlockVectors);
            entries[row] = Quantize(centre, rowBytes.Slice(row * length, length));
        }
    }

    /// <summary>Codes the middles of all blocks.</summary>
    /// <param name="clustering">The clusters.</param>
    /// <param name="bytes">Receives the codes; it is zero.</param>
    public void EncodeMiddles(Clustering clustering, Span<byte> bytes)
    {
        var length = _rotation.Length;
        var blockBytes = SegmentFormat.BlockBytes(length);
        for (var cluster = 0; cluster < clustering.Clusters.Length; cluster++)
        {
            var entry = clustering.Clusters[cluster];
            var centre = clustering.Centre(cluster);
            for (var middle = entry.FirstBlock; middle < entry.FirstBlock + entry.Blocks; middle++)
            {
                for (var index = 0; index < length; index++)
                {
                    _residual[index] = clustering.Middles[((long)middle * length) + index] - centre[index];
                }

                WriteCode(centre, bytes.Slice(middle / BitCodes.BlockVectors * blockBytes, blockBytes), middle % BitCodes.BlockVectors);
            }
        }
    }

    private void WriteCode(ReadOnlySpan<float> centre, Span<byte> block, int place)
    {
        BitCodes.Write(_residual, place, block);
        var numbers = MemoryMarshal.Cast<byte, float>(block[BitCodes.BlockBytes(_rotation.Length)..]);
        (numbers[place], numbers[BitCodes.BlockVectors + place]) = CodeNumbers(centre);
    }

    // RaBitQ's estimate of ⟨r, q⟩ for a residual r with the code b (±1 a coordinate) is |r|² / Σ|rᵢ| × ⟨b, q⟩. It is used for q − centre, so that
    // its error shrinks with the distance to the cluster, and ⟨b, q⟩ needs no table of each cluster's own.
    private (float Constant, float Factor) CodeNumbers(ReadOnlySpan<float> centre)
    {
        double squares = 0, sum = 0, alongCentre = 0, codeAlongCentre = 0;
        for (var index = 0; index < _residual.Length; index++)
        {
            var value = _residual[index];
            squares += (double)value * value;
            sum += Math.Abs(value);
            alongCentre += (double)value * centre[index];
            codeAlongCentre += value > 0 ? centre[index] : -centre[index];
        }

        var factor = sum > 0 ? squares / sum : 0;
        return metric == Metric.Dot
            ? ((float)((factor * codeAlongCentre) - alongCentre), (float)-factor)
            : ((float)(squares + (2 * factor * codeAlongCentre)), (float)(-2 * factor));
    }

    private RowEntry Quantize(ReadOnlySpan<float> centre, Span<sbyte> bytes)
    {
        var scale = SignedBytes.Round(_residual, bytes);
        double squares = 0, missed = 0, alongCentre = 0, bytesAlongCentre = 0;
        for (var index = 0; index < _residual.Length; index++)
        {
            var value = _residual[index];
            var kept = (double)bytes[index] * scale;
            squares += (double)value * value;
            missed += (value - kept) * (value - kept);
            alongCentre += (double)value * centre[index];
            bytesAlongCentre += kept * centre[index];
        }

        return new RowEntry(
            (float)(metric == Metric.Dot ? bytesAlongCentre - alongCentre : squares + (2 * bytesAlongCentre)), scale, (float)Math.Sqrt(missed));
    }
}
