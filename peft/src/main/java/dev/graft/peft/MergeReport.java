package dev.graft.peft;

import java.util.Comparator;
import java.util.List;
import java.util.Locale;

/// What merging changed.
public record MergeReport(List<Change> changes) {

    /// @param parameter name of the weight or bias
    /// @param largest the largest change of an element, before rounding to the type the weight is stored in
    /// @param rounding the largest error of that rounding; 0 where the weight is stored as it is computed
    public record Change(String parameter, double largest, double rounding) {
    }

    /// The largest change of any element.
    public double largest() {
        return changes.stream().mapToDouble(Change::largest).max().orElse(0);
    }

    /// The largest rounding error of any element.
    public double rounding() {
        return changes.stream().mapToDouble(Change::rounding).max().orElse(0);
    }

    @Override
    public String toString() {
        return changes.stream().max(Comparator.comparingDouble(Change::largest)).map(c -> String.format(Locale.ROOT,
                "merged into %d tensors; largest change of a weight %.3g (%s), largest rounding error %.3g", changes.size(), c.largest,
                c.parameter,
                rounding())).orElse("nothing to merge");
    }
}
