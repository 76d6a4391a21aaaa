package dev.graft.peft.eval;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Reads answers out of responses by the rules of LLM-Adapters' evaluators, quirks included: published numbers depend on them.
///
/// ```
/// number   without commas, the last match of  -?\d+\.?\d*  as a double; +∞ if there is none; right if within 0.001 of the gold answer
/// letter   the first (or last) of the capitals A to E, even inside a word; empty if there is none
/// choice   the first occurrence of an alternative, case-sensitive, even inside a word; empty if there is none
/// ```
///
/// So "10-5" says -5, "3/4" says 4, ".5" says 5; "Because" says B; "untrue" says true and "True" nothing.
public final class Answers {
    /// How far a number may be from the gold answer.
    public static final double TOLERANCE = 0.001;

    /// Which capital letter of a response is its answer.
    public enum LetterRule {
        /// As the published tables were made.
        FIRST,
        /// The better reading of a chain of thought.
        LAST
    }

    private static final Pattern NUMBER = Pattern.compile("-?\\d+\\.?\\d*");
    private static final Pattern LETTER = Pattern.compile("[A-E]");

    private Answers() {}

    /// The number a response says, or positive infinity.
    public static double number(String response) {
        Matcher matcher = NUMBER.matcher(response.replace(",", ""));
        double last = Double.POSITIVE_INFINITY;
        while (matcher.find()) {
            last = Double.parseDouble(matcher.group());
        }
        return last;
    }

    /// The letter a response says, or nothing.
    public static String letter(String response, LetterRule rule) {
        List<String> letters = LETTER.matcher(response).results().map(match -> match.group()).toList();
        if (letters.isEmpty()) {
            return "";
        }
        return switch (rule) {
            case FIRST -> letters.getFirst();
            case LAST -> letters.getLast();
        };
    }

    /// The alternative a response says, or nothing. Where two begin at the same place, the earlier in the list.
    public static String choice(String response, List<String> alternatives) {
        String first = "";
        int earliest = response.length();
        for (String alternative : alternatives) {
            int at = response.indexOf(alternative);
            if (at >= 0 && at < earliest) {
                earliest = at;
                first = alternative;
            }
        }
        return first;
    }

    /// A numeric gold answer.
    ///
    /// @throws DataException if it is no number
    static double gold(String answer) {
        try {
            return Double.parseDouble(answer.strip());
        } catch (NumberFormatException e) {
            throw new DataException("the gold answer '%s' is no number, but the task is numeric".formatted(answer), e);
        }
    }

    static boolean isNumber(String answer) {
        try {
            return Double.isFinite(gold(answer));
        } catch (DataException e) {
            return false;
        }
    }
}
