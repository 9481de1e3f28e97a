using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;

namespace QuantumFlux.Vectors;

/// <summary>
/// A large piece of memory whose content the operating system may leave on disk: a temporary file that nobody else sees and that is gone with the
/// process, or plain memory where no file can be made.
/// </summary>
/// <remarks>Whoever reads it holds it meanwhile (<see cref="TryHold"/>), so that disposing it never takes memory away from under a search.</remarks>
public sealed unsafe class MappedBytes : IDisposable
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _start;

    /// <summary>Makes a piece of zeros.</summary>
    /// <param name="length">Its length in bytes, at least 1.</param>
    public MappedBytes(long length)
    {
        Length = length;
        _file = OpenFile(length) ?? MemoryMappedFile.CreateNew(null, length);
        _view = _file.CreateViewAccessor(0, length);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        _start += _view.PointerOffset;
    }

    public long Length { get; }

    /// <summary>Some of the bytes. Only valid while the memory is held.</summary>
    public Span<byte> Span(long offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + length, Length, nameof(length));
        return new Span<byte>(_start + offset, length);
    }

    /// <summary>Some of the bytes as numbers of a type. Only valid while the memory is held.</summary>
    public ReadOnlySpan<T> Span<T>(long offset, int count)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(Span(offset, checked(count * sizeof(T))));

    /// <summary>Keeps the memory until <see cref="Release"/>, also when it is disposed meanwhile; false when it is gone already.</summary>
    public bool TryHold()
    {
        var isHeld = false;
        try
        {
            _view.SafeMemoryMappedViewHandle.DangerousAddRef(ref isHeld);
        }
        catch (ObjectDisposedException)
        {
            // It was disposed just now.
        }

        return isHeld;
    }

    public void Release() => _view.SafeMemoryMappedViewHandle.DangerousRelease();

    public void Dispose()
    {
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _file.Dispose();
    }

    private static MemoryMappedFile? OpenFile(long length)
    {
        var path = Path.Combine(Path.GetTempPath(), $"quantumflux-{Guid.NewGuid():N}.tmp");
        FileStream? file = null;
        try
        {
            file = new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.ReadWrite,
                Options = FileOptions.DeleteOnClose,
                PreallocationSize = length,
                BufferSize = 0,
            });
            file.SetLength(length);
            if (!OperatingSystem.IsWindows())
            {
                // Nameless from now on, so that not even a killed process leaves it behind.
                File.Delete(path);
            }

            return MemoryMappedFile.CreateFromFile(file, null, length, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // No room, or no folder for temporary files.
            file?.Dispose();
            return null;
        }
    }
}
