package dev.graft.peft;

import java.util.List;

/// What did not fit when an adapter was loaded leniently.
///
/// @param unusedKeys tensors of the file that have no place in the adapted model
/// @param missingKeys parameters that the file has no tensor for, and which keep their first values
public record Loading(List<String> unusedKeys, List<String> missingKeys) {
    public boolean isComplete() {
        return unusedKeys.isEmpty() && missingKeys.isEmpty();
    }
}
