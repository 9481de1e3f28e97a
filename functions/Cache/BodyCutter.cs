using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using QuantumFlux.Api;

namespace QuantumFlux.Cache;

/// <summary>
/// Cuts one member's value out of a JSON object that arrives in pieces, so that a large value need not be held in memory: the rest is small, and is
/// parsed as a whole with <c>true</c> in the value's place. The value stays as it is, byte for byte.
/// </summary>
/// <remarks>
/// Checks the grammar of RFC 8259 and the UTF-8 of all of it on the way. Names that occur twice inside the value, numbers of any size and escaped lone
/// surrogates are grammatical, and pass.
/// </remarks>
/// <param name="member">The member's name.</param>
public sealed class BodyCutter(string member)
{
    /// <summary>The deepest nesting, the object itself included.</summary>
    public const int DepthMax = 512;

    private static readonly SearchValues<byte> _stringStops = SearchValues.Create(
        [(byte)'"', (byte)'\\', .. Enumerable.Range(0, 0x20).Select(control => (byte)control)]);

    private readonly byte[] _member = Encoding.UTF8.GetBytes(member);
    private readonly ArrayBufferWriter<byte> _rest = new(1024);
    private readonly ArrayBufferWriter<byte> _name = new(64);
    private readonly bool[] _isObject = new bool[DepthMax];
    private readonly byte[] _character = new byte[4];
    private int _characterBytes;
    private int _depth;
    private State _state = State.Value;
    private bool _isName;
    private bool _isMemberNext;
    private bool _hasMember;
    private bool _isInside;
    private byte[] _literal = [];
    private int _matched;
    private long _position;
    private long _at;

    private enum State
    {
        Value,
        ValueOrEnd,
        Name,
        NameOrEnd,
        Colon,
        CommaOrEnd,
        Text,
        Escape,
        Hex,
        Literal,
        Minus,
        Zero,
        Whole,
        Point,
        Fraction,
        Exponent,
        ExponentSign,
        ExponentDigits,
    }

    /// <summary>The body without the value, as far as it has come.</summary>
    public ReadOnlyMemory<byte> Rest => _rest.WrittenMemory;

    /// <summary>Takes the next bytes, as far as they belong together.</summary>
    /// <param name="bytes">What has arrived and was not taken yet.</param>
    /// <param name="isValue">Whether the bytes taken are of the value; the others have gone to <see cref="Rest"/>.</param>
    /// <returns>How many bytes were taken: at least one, unless only the value ended.</returns>
    /// <exception cref="ApiException">400 when this is not JSON, is nested too deeply, or has too much beside the value.</exception>
    public int Take(ReadOnlySpan<byte> bytes, out bool isValue)
    {
        isValue = _isInside;
        var index = 0;
        while (index < bytes.Length)
        {
            if (!_isInside && _isMemberNext && _state == State.Value && !IsSpace(bytes[index]))
            {
                if (index > 0)
                {
                    break;
                }

                (_isInside, _isMemberNext, _hasMember, isValue) = (true, false, true, true);
                _rest.Write("true"u8);
            }

            _at = _position + index;
            index += Step(bytes[index..]);
            if (_isInside && _depth == 1 && _state == State.CommaOrEnd)
            {
                _isInside = false;
                break;
            }
        }

        _position += index;
        if (!isValue)
        {
            _rest.Write(bytes[..index]);
            if (_rest.WrittenCount > JsonBody.BytesMaxDefault)
            {
                throw ApiException.InvalidParameter(
                    "body", string.Create(CultureInfo.InvariantCulture, $"must have no more than {JsonBody.BytesMaxDefault} bytes beside {member}"));
            }
        }

        return index;
    }

    /// <summary>Says that nothing more comes.</summary>
    /// <exception cref="ApiException">400 when something is missing.</exception>
    public void End()
    {
        if (_position > 0 && !(_depth == 0 && _state is State.CommaOrEnd or State.Zero or State.Whole or State.Fraction or State.ExponentDigits))
        {
            throw Fault();
        }
    }

    private static bool IsSpace(byte value) => value is (byte)' ' or (byte)'\t' or (byte)'\n' or (byte)'\r';

    private static bool IsDigit(byte value) => value is >= (byte)'0' and <= (byte)'9';

    // Goes on by as many bytes as it returns; by none when a number has ended before this byte.
    private int Step(ReadOnlySpan<byte> bytes)
    {
        var value = bytes[0];
        switch (_state)
        {
            case State.Text:
                return Text(bytes);
            case State.Escape:
                _state = value switch
                {
                    (byte)'"' or (byte)'\\' or (byte)'/' or (byte)'b' or (byte)'f' or (byte)'n' or (byte)'r' or (byte)'t' => State.Text,
                    (byte)'u' => State.Hex,
                    _ => throw Fault(),
                };
                _matched = 0;
                NoteName(bytes[..1]);
                return 1;
            case State.Hex:
                if (!char.IsAsciiHexDigit((char)value))
                {
                    throw Fault();
                }

                NoteName(bytes[..1]);
                _state = ++_matched == 4 ? State.Text : State.Hex;
                return 1;
            case State.Literal:
                if (value != _literal[_matched])
                {
                    throw Fault();
                }

                _state = ++_matched == _literal.Length ? State.CommaOrEnd : State.Literal;
                return 1;
            case State.Minus:
            case State.Zero:
            case State.Whole:
            case State.Point:
            case State.Fraction:
            case State.Exponent:
            case State.ExponentSign:
            case State.ExponentDigits:
                return Number(value);
        }

        if (IsSpace(value))
        {
            return 1;
        }

        _state = (_state, value) switch
        {
            (State.NameOrEnd or State.Name, (byte)'"') => BeginText(isName: true),
            (State.NameOrEnd, (byte)'}') or (State.ValueOrEnd, (byte)']') => EndContainer(),
            (State.Colon, (byte)':') => State.Value,
            (State.CommaOrEnd, (byte)',') when _depth > 0 => _isObject[_depth - 1] ? State.Name : State.Value,
            (State.CommaOrEnd, (byte)'}') when _depth > 0 && _isObject[_depth - 1] => EndContainer(),
            (State.CommaOrEnd, (byte)']') when _depth > 0 && !_isObject[_depth - 1] => EndContainer(),
            (State.Value or State.ValueOrEnd, _) => BeginValue(value),
            _ => throw Fault(),
        };
        return 1;
    }

    private State BeginValue(byte value)
    {
        _isMemberNext = false;
        return value switch
        {
            (byte)'{' => BeginContainer(isObject: true),
            (byte)'[' => BeginContainer(isObject: false),
            (byte)'"' => BeginText(isName: false),
            (byte)'-' => State.Minus,
            (byte)'0' => State.Zero,
            >= (byte)'1' and <= (byte)'9' => State.Whole,
            (byte)'t' => BeginLiteral("true"u8),
            (byte)'f' => BeginLiteral("false"u8),
            (byte)'n' => BeginLiteral("null"u8),
            _ => throw Fault(),
        };
    }

    private State BeginContainer(bool isObject)
    {
        if (_depth == DepthMax)
        {
            throw ApiException.InvalidParameter("body", string.Create(CultureInfo.InvariantCulture, $"must not be nested more than {DepthMax} deep"));
        }

        _isObject[_depth++] = isObject;
        return isObject ? State.NameOrEnd : State.ValueOrEnd;
    }

    private State EndContainer()
    {
        _depth--;
        return State.CommaOrEnd;
    }

    private State BeginText(bool isName)
    {
        _isName = isName;
        _name.ResetWrittenCount();
        return State.Text;
    }

    private State BeginLiteral(ReadOnlySpan<byte> literal)
    {
        _literal = literal.ToArray();
        _matched = 1;
        return State.Literal;
    }

    private int Text(ReadOnlySpan<byte> bytes)
    {
        var stop = bytes.IndexOfAny(_stringStops);
        var run = stop < 0 ? bytes : bytes[..stop];
        CheckUtf8(run, isEnd: stop >= 0);
        NoteName(run);
        if (stop < 0)
        {
            return run.Length;
        }

        switch (bytes[stop])
        {
            case (byte)'"':
                _state = _isName ? State.Colon : State.CommaOrEnd;
                _isMemberNext = _isName && _depth == 1 && !_hasMember && IsMember();
                break;
            case (byte)'\\':
                _state = State.Escape;
                NoteName(bytes.Slice(stop, 1));
                break;
            default:
                throw Fault();
        }

        return stop + 1;
    }

    private int Number(byte value)
    {
        var next = (_state, value) switch
        {
            (State.Minus, (byte)'0') => State.Zero,
            (State.Minus, _) when IsDigit(value) => State.Whole,
            (State.Whole, _) when IsDigit(value) => State.Whole,
            (State.Zero or State.Whole, (byte)'.') => State.Point,
            (State.Point or State.Fraction, _) when IsDigit(value) => State.Fraction,
            (State.Zero or State.Whole or State.Fraction, (byte)'e' or (byte)'E') => State.Exponent,
            (State.Exponent, (byte)'+' or (byte)'-') => State.ExponentSign,
            (State.Exponent or State.ExponentSign or State.ExponentDigits, _) when IsDigit(value) => State.ExponentDigits,
            (State.Zero or State.Whole or State.Fraction or State.ExponentDigits, _) => State.CommaOrEnd,
            _ => throw Fault(),
        };
        _state = next;
        return next == State.CommaOrEnd ? 0 : 1;
    }

    // Only the names of the outer object are looked at, and those must be short enough for the rest.
    private void NoteName(ReadOnlySpan<byte> bytes)
    {
        if (_isName && _depth == 1 && _name.WrittenCount <= JsonBody.BytesMaxDefault)
        {
            _name.Write(bytes);
        }
    }

    private bool IsMember()
    {
        if (_name.WrittenSpan.IndexOf((byte)'\\') < 0)
        {
            return _name.WrittenSpan.SequenceEqual(_member);
        }

        var reader = new Utf8JsonReader([(byte)'"', .. _name.WrittenSpan, (byte)'"']);
        reader.Read();
        return reader.ValueTextEquals(_member);
    }

    // A character may come in two pieces: its beginning is kept until the rest is here.
    private void CheckUtf8(ReadOnlySpan<byte> run, bool isEnd)
    {
        while (_characterBytes > 0 && !run.IsEmpty)
        {
            _character[_characterBytes++] = run[0];
            run = run[1..];
            var status = Rune.DecodeFromUtf8(_character.AsSpan(0, _characterBytes), out _, out _);
            if (status == OperationStatus.Done)
            {
                _characterBytes = 0;
            }
            else if (status == OperationStatus.InvalidData)
            {
                throw Utf8Fault();
            }
        }

        for (var tail = 1; tail <= Math.Min(3, run.Length); tail++)
        {
            if (Rune.DecodeFromUtf8(run[^tail..], out _, out _) == OperationStatus.NeedMoreData)
            {
                run[^tail..].CopyTo(_character);
                _characterBytes = tail;
                run = run[..^tail];
                break;
            }
        }

        if (!Utf8.IsValid(run) || (isEnd && _characterBytes > 0))
        {
            throw Utf8Fault();
        }
    }

    private static ApiException Utf8Fault() => ApiException.InvalidParameter("body", "is not valid UTF-8");

    private ApiException Fault() => ApiException.InvalidParameter(
        "body", string.Create(CultureInfo.InvariantCulture, $"is not valid JSON near byte {_at}"));
}
