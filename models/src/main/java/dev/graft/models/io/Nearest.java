package dev.graft.models.io;

import java.util.Collection;
import java.util.Comparator;
import java.util.List;

/// Which of the names there are a missing one was probably meant to be, for messages.
final class Nearest {
    private static final int SHOWN = 3;

    private Nearest() {}

    /// A phrase with the names that share most with `name`, counted from both ends, as a wrong prefix or a wrong suffix is the usual mistake.
    static String of(String name, Collection<String> names) {
        if (names.isEmpty()) return "there are no tensors at all";
        List<String> nearest = names.stream()
                .sorted(Comparator.comparingInt((String n) -> -shared(name, n)).thenComparing(Comparator.naturalOrder()))
                .limit(SHOWN)
                .map(CheckpointException::quote)
                .toList();
        return "the nearest of " + names.size() + (names.size() == 1 ? " name is " : " names are ") + String.join(", ", nearest);
    }

    private static int shared(String a, String b) {
        int shortest = Math.min(a.length(), b.length()), front = 0, back = 0;
        while (front < shortest && a.charAt(front) == b.charAt(front)) front++;
        while (back < shortest - front && a.charAt(a.length() - 1 - back) == b.charAt(b.length() - 1 - back)) back++;
        return front + back;
    }
}
