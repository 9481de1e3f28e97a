using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace QuantumFlux.Vectors;

/// <summary>
/// A large piece of memory whose content the operating system may leave on disk: a temporary file that nobody else sees and that is gone with the
/// process, or plain memory where no file can be made.
/// </summary>
/// <remarks>Whoever reads it holds it meanwhile (<see cref="TryHold"/>), so that disposing it never takes memory away from under a search.</remarks>
public sealed class MappedBytes : IDisposable
{
    private readonly MemoryMappedFile _file;
    private readonly SafeFileHandle? _handle;
    private readonly MemoryMappedViewAccessor _view;
    private readonly unsafe byte* _start;

    // How many keep the memory; its owner, until it is disposed, is one of them.
    private int _holds = 1;
    private bool _isDisposed;

    /// <summary>Makes a piece of zeros.</summary>
    /// <param name="length">Its length in bytes, at least 1.</param>
    /// <param name="isSparse">
    /// Whether room is only taken for what <see cref="Write"/> writes. Else there is room for all of it, and it can be written in place.
    /// </param>
    public unsafe MappedBytes(long length, bool isSparse = false)
    {
        Length = length;
        (_file, _handle) = OpenFile(length, isSparse) is var (file, handle) ? (file, handle) : (MemoryMappedFile.CreateNew(null, length), null);
        _view = _file.CreateViewAccessor(0, length);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        _start += _view.PointerOffset;
    }

    // For what nobody disposed of. The pointer is what keeps the memory; all else has a finalizer of its own.
    ~MappedBytes() => _view?.SafeMemoryMappedViewHandle.ReleasePointer();

    public long Length { get; }

    /// <summary>Some of the bytes. Only valid while the memory is held.</summary>
    public unsafe Span<byte> Span(long offset, int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + length, Length, nameof(length));
        return new Span<byte>(_start + offset, length);
    }

    /// <summary>Some of the bytes as numbers of a type. Only valid while the memory is held.</summary>
    public unsafe ReadOnlySpan<T> Span<T>(long offset, int count)
        where T : unmanaged => MemoryMarshal.Cast<byte, T>(Span(offset, checked(count * sizeof(T))));

    /// <summary>Writes some of the bytes. When there is no room for them, that is an exception here, where in place it would end the process.</summary>
    /// <exception cref="IOException">There is no room left for temporary files.</exception>
    public void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        if (_handle is not null)
        {
            // Into the system's memory, from where it goes to disk if it must: nothing is waited for.
            RandomAccess.Write(_handle, bytes, offset);
        }
        else
        {
            bytes.CopyTo(Span(offset, bytes.Length));
        }
    }

    /// <summary>Keeps the memory until <see cref="Release"/>, also when it is disposed meanwhile; false when it is gone already.</summary>
    public bool TryHold()
    {
        for (var holds = Volatile.Read(ref _holds); holds > 0;)
        {
            var found = Interlocked.CompareExchange(ref _holds, holds + 1, holds);
            if (found == holds)
            {
                return true;
            }

            holds = found;
        }

        return false;
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _holds) == 0)
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _file.Dispose();
        }
    }

    public void Dispose()
    {
        if (!Interlocked.Exchange(ref _isDisposed, true))
        {
            Release();
        }

        GC.SuppressFinalize(this);
    }

    private static (MemoryMappedFile, SafeFileHandle)? OpenFile(long length, bool isSparse)
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
                PreallocationSize = isSparse ? 0 : length,
                BufferSize = 0,
            });
            file.SetLength(length);
            if (!OperatingSystem.IsWindows())
            {
                // Nameless from now on, so that not even a killed process leaves it behind.
                File.Delete(path);
            }

            var handle = file.SafeFileHandle;
            return (MemoryMappedFile.CreateFromFile(file, null, length, MemoryMappedFileAccess.ReadWrite, HandleInheritability.None, leaveOpen: false), handle);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // No room, or no folder for temporary files.
            file?.Dispose();
            return null;
        }
    }
}
