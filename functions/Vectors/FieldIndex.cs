namespace QuantumFlux.Vectors;

/// <summary>Finds the rows of a segment whose metadata passes a filter, by an inverted index of it: for every value the rows that have it.</summary>
/// <remarks>
/// <para>
/// The index is bytes, made by <see cref="FieldIndexWriter"/> and read where they are, so opening it costs nothing, however many fields and values it has.
/// It is a <see cref="KeyTable"/> of the paths in UTF-8. The content of a path is a <see cref="KeyTable"/> of its values, whose keys are
/// <see cref="ValueKey"/>s and whose contents are their rows, as <see cref="Postings"/>. Two more keys in it: the first is for all rows that have the
/// path, the last for those that have several different values under it.
/// </para>
/// <para>
/// Of texts over <see cref="FieldIndexWriter.TextBytesMax"/> bytes only the beginning is kept, and less of those that only one row has. Where that does not
/// decide, the row's own metadata does, so the answer is always that of <see cref="Filter.Matches"/>.
/// </para>
/// </remarks>
public static class FieldIndex
{
    /// <summary>The rows that pass a filter. The caller disposes of the set.</summary>
    /// <param name="filter">The filter.</param>
    /// <param name="index">What <see cref="FieldIndexWriter.Write"/> wrote.</param>
    /// <param name="rows">How many rows the segment has, those without metadata included.</param>
    /// <param name="read">Reads the metadata of a row.</param>
    /// <param name="isOver">Says when time is up, and from then on always.</param>
    /// <returns>The rows; null when time is up, and they are not known.</returns>
    /// <remarks>
    /// Reads the rows of the values that match, and one bit for every row and condition. Where few rows are left that pass the cheapest of several
    /// conditions, the others are not looked up, but checked on the metadata of those rows.
    /// </remarks>
    /// <exception cref="InvalidDataException">The bytes are no index. Damage may also show as an exception of a range.</exception>
    public static RowSet? Evaluate(Filter filter, ReadOnlySpan<byte> index, int rows, Func<int, MetadataFields> read, Func<bool> isOver)
    {
        var set = new Evaluation(index, rows, read, isOver).Rows(new RowPlanner(index).Plan(filter));
        if (!isOver())
        {
            return set;
        }

        set.Dispose();
        return null;
    }

    // Once time is up, its sets are of no meaning: what was left out may have been to be taken away.
    private readonly ref struct Evaluation(ReadOnlySpan<byte> index, int rows, Func<int, MetadataFields> read, Func<bool> isOver)
    {
        private readonly ReadOnlySpan<byte> _index = index;

        public RowSet Rows(RowPlan plan)
        {
            switch (plan)
            {
                case RowPlan.All { Plans: [] }:
                    var all = new RowSet(rows);
                    all.Fill();
                    return all;
                case RowPlan.All { Plans: var plans }:
                    return Common(plans);
                case RowPlan.Not { Inner: var inner }:
                    var others = Rows(inner);
                    others.Complement();
                    return others;
                default:
                    var set = new RowSet(rows);
                    AddTo(set, plan);
                    return set;
            }
        }

        private RowSet Common(IReadOnlyList<RowPlan> plans)
        {
            // What keeps few rows goes first; what takes rows away must have some to take from.
            RowPlan[] ordered = [.. plans.OrderBy(plan => plan is RowPlan.Not).ThenBy(plan => plan.Cost)];
            var set = Rows(ordered[0]);
            for (var index = 1; index < ordered.Length && !isOver(); index++)
            {
                var left = ordered.AsSpan(index);
                if (set.Count * RowPlan.ReadCost < Cost(left))
                {
                    KeepMatching(set, left);
                    break;
                }

                var next = left[0];
                using var other = Rows(next is RowPlan.Not { Inner: var inner } ? inner : next);
                if (next is RowPlan.Not)
                {
                    set.AndNot(other);
                }
                else
                {
                    set.And(other);
                }
            }

            return set;
        }

        private void AddTo(RowSet target, RowPlan plan)
        {
            switch (plan)
            {
                case RowPlan.Any { Plans: var plans }:
                    foreach (var one in plans)
                    {
                        if (isOver())
                        {
                            return;
                        }

                        AddTo(target, one);
                    }

                    break;
                case RowPlan.Lists lists:
                    foreach (var slice in lists.Sure)
                    {
                        Postings.AddTo(target, _index.Slice(slice.Start, slice.Length), isOver);
                    }

                    AddMatching(target, lists);
                    break;
                default:
                    using (var set = Rows(plan))
                    {
                        target.Or(set);
                    }

                    break;
            }
        }

        private void AddMatching(RowSet target, RowPlan.Lists lists)
        {
            if (lists.Doubtful.Count == 0)
            {
                return;
            }

            using var candidates = new RowSet(rows);
            foreach (var slice in lists.Doubtful)
            {
                Postings.AddTo(candidates, _index.Slice(slice.Start, slice.Length), isOver);
            }

            foreach (var row in candidates)
            {
                if (isOver())
                {
                    return;
                }

                if (lists.Filter.Matches(read(row)))
                {
                    target.Add(row);
                }
            }
        }

        private void KeepMatching(RowSet set, ReadOnlySpan<RowPlan> plans)
        {
            foreach (var row in set)
            {
                if (isOver())
                {
                    return;
                }

                var fields = read(row);
                foreach (var plan in plans)
                {
                    if (!plan.Filter.Matches(fields))
                    {
                        set.Remove(row);
                        break;
                    }
                }
            }
        }

        private static long Cost(ReadOnlySpan<RowPlan> plans)
        {
            var cost = 0L;
            foreach (var plan in plans)
            {
                cost += plan.Cost;
            }

            return cost;
        }
    }
}
