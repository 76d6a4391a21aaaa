package dev.graft.peft.eval;

import dev.graft.models.text.SpecialIds;
import dev.graft.models.text.Tokenizer;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/// A tokenizer of one token per ASCII character: id 0 begins and ends a text, 1 is a new line, 2 … 95 are the characters from the blank on.
class Letters implements Tokenizer {
    static final int END = 0;

    @Override
    public int[] encode(String text, boolean specialTokens) {
        IntStream letters = text.chars().map(c -> c == '\n' ? 1 : Math.clamp(c - ' ' + 2, 2, 95));
        return specialTokens ? IntStream.concat(IntStream.of(END), letters).toArray() : letters.toArray();
    }

    @Override
    public List<int[]> encode(List<String> texts, boolean specialTokens) {
        return texts.stream().map(text -> encode(text, specialTokens)).toList();
    }

    @Override
    public String decode(int[] ids, boolean skipSpecialTokens) {
        return IntStream.of(ids).filter(id -> !skipSpecialTokens || id != END).mapToObj(id -> token(id).orElseThrow())
                .collect(Collectors.joining());
    }

    @Override
    public int vocabSize() {
        return 96;
    }

    @Override
    public OptionalInt id(String token) {
        return OptionalInt.of(encode(token, false)[0]);
    }

    @Override
    public Optional<String> token(int id) {
        return Optional.of(id == END ? "<end>" : id == 1 ? "\n" : Character.toString(id - 2 + ' '));
    }

    @Override
    public boolean special(int id) {
        return id == END;
    }

    @Override
    public SpecialIds specialIds() {
        return new SpecialIds(OptionalInt.empty(), List.of(END), OptionalInt.empty(), OptionalInt.empty(), List.of());
    }

    @Override
    public void close() {
    }
}
