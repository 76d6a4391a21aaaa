package dev.graft.models.text;

import java.util.stream.IntStream;
import java.util.stream.Stream;

/// What is put around a text. `tokenizer.json` has a template for it; explicit `add_bos_token` and `add_eos_token` of
/// `tokenizer_config.json` override the template, as in transformers.
///
/// @param before    ids in front of the text
/// @param after     ids behind it
/// @param byLibrary the library's template does exactly this
record Surround(int[] before, int[] after, boolean byLibrary) {
    private static final int[] NONE = {};

    /// @param template what the library makes of an empty text
    static Surround of(TokenizerConfigs configs, SpecialIds ids, int[] template) {
        boolean templateBegins = ids.bos().isPresent() && template.length > 0 && template[0] == ids.bos().getAsInt();
        boolean templateEnds = template.length > (templateBegins ? 1 : 0) && ids.eos().contains(template[template.length - 1]);
        boolean begins = configs.flag("add_bos_token").orElse(templateBegins) && ids.bos().isPresent();
        boolean ends = configs.flag("add_eos_token").orElse(templateEnds) && !ids.eos().isEmpty();
        int[] before = begins ? new int[] {ids.bos().getAsInt()} : NONE;
        int[] after = ends ? new int[] {ids.eos().getFirst()} : NONE;
        return new Surround(before, after, begins == templateBegins && ends == templateEnds);
    }

    int[] around(int[] ids) {
        return Stream.of(before, ids, after).flatMapToInt(IntStream::of).toArray();
    }
}
