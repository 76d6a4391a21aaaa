package dev.graft.models.generate;

import java.util.List;

/// Finds stop strings in growing text.
///
/// @param stops none empty
record StopStrings(List<String> stops) {
    /// Where the first stop string begins in `text`, at or after `from`; -1 if nowhere.
    int find(CharSequence text, int from) {
        String searched = text.toString();
        int first = -1;
        for (String stop : stops) {
            int at = searched.indexOf(stop, from);
            first = at >= 0 && (first < 0 || at < first) ? at : first;
        }
        return first;
    }

    /// How many characters at the end of `text` might be the beginning of a stop string.
    int suspicious(CharSequence text) {
        int longest = 0;
        for (String stop : stops) {
            for (int n = Math.min(stop.length() - 1, text.length()); n > longest; n--) {
                if (stop.startsWith(text.subSequence(text.length() - n, text.length()).toString())) {
                    longest = n;
                }
            }
        }
        return longest;
    }

    int longest() {
        return stops.stream().mapToInt(String::length).max().orElse(0);
    }
}
