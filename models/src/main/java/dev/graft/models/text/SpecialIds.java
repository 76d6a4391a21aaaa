package dev.graft.models.text;

import java.util.List;
import java.util.OptionalInt;

/// The ids that begin, end and fill a sequence. They come from the tokenizer's files first and from the model's configuration second;
/// `warnings` says where the two disagree.
///
/// @param bos      begins a text, if the model has such a token
/// @param eos      each of these ends a text; the tokenizer's own comes first. Empty if none is known
/// @param pad      fills a batch, if the files name one (LLaMA has none)
/// @param unk      stands for what the vocabulary cannot spell
/// @param warnings disagreements between the files, one sentence each
public record SpecialIds(OptionalInt bos, List<Integer> eos, OptionalInt pad, OptionalInt unk, List<String> warnings) {
    public SpecialIds {
        eos = List.copyOf(eos);
        warnings = List.copyOf(warnings);
    }

    /// The `eos` ids as an array.
    public int[] eosIds() {
        return eos.stream().mapToInt(Integer::intValue).toArray();
    }

    /// An id that is safe to fill a batch with: `pad`, or else the first of `eos`, or else 0. Padding is masked, so it never matters which.
    public int filler() {
        return pad.orElse(eos.isEmpty() ? 0 : eos.getFirst());
    }
}
