package dev.graft.peft.cli;

import dev.graft.models.CausalLm;
import dev.graft.models.bloom.Bloom;
import dev.graft.models.bloom.BloomConfig;
import dev.graft.models.gptj.GptJ;
import dev.graft.models.gptj.GptJConfig;
import dev.graft.models.llama.Llama;
import dev.graft.models.llama.LlamaConfig;
import dev.graft.models.llama.RopeScaling;
import dev.graft.models.text.SpecialIds;
import java.util.Optional;
import java.util.OptionalInt;

/// What can be pretrained: a model of each architecture, from the few numbers that they all have.
enum Architecture {
    /// A tied head; the MLP is 11/4 as wide as the model unless said otherwise.
    LLAMA {
        @Override
        CausalLm model(Size s, SpecialIds ids) {
            return new Llama(new LlamaConfig(s.vocab, s.hidden, s.intermediate.orElse(s.hidden * 11 / 4), s.layers, s.heads,
                    s.keyValueHeads.orElse(s.heads), s.hidden / s.heads, NORM_EPS, 10_000, new RopeScaling.None(), POSITIONS, false, false,
                    true, INITIALIZER_RANGE, ids.bos(), ids.eos(), PAD));
        }
    },
    /// A tied head.
    BLOOM {
        @Override
        CausalLm model(Size s, SpecialIds ids) {
            s.refuse("--intermediate-size", s.intermediate, 4 * s.hidden, "BLOOM's MLP is always four times as wide as the model");
            s.refuse("--key-value-heads", s.keyValueHeads, s.heads, "BLOOM's heads are not grouped");
            return new Bloom(new BloomConfig(s.vocab, s.hidden, s.layers, s.heads, NORM_EPS, false, POSITIONS, true, INITIALIZER_RANGE,
                    ids.bos(), ids.eos(), PAD));
        }
    },
    /// Half of each head turns, so that both kinds of elements are there; the published model turns a quarter of much larger heads.
    GPTJ {
        @Override
        CausalLm model(Size s, SpecialIds ids) {
            s.refuse("--key-value-heads", s.keyValueHeads, s.heads, "GPT-J's heads are not grouped");
            int turning = s.hidden / s.heads / 4 * 2;
            if (turning == 0) throw new IllegalArgumentException("--heads " + s.heads + " leaves less than 4 elements to a head of GPT-J");
            return new GptJ(new GptJConfig(s.vocab, s.hidden, s.intermediate.orElse(4 * s.hidden), s.layers, s.heads, turning, NORM_EPS,
                    POSITIONS, INITIALIZER_RANGE, ids.bos(), ids.eos(), PAD));
        }
    };

    /// @param intermediate empty for what the architecture usually has; `keyValueHeads` likewise
    record Size(int vocab, int hidden, Optional<Integer> intermediate, int layers, int heads, Optional<Integer> keyValueHeads) {
        private void refuse(String option, Optional<Integer> given, int only, String why) {
            if (given.orElse(only) != only) {
                throw new IllegalArgumentException(option + " " + given.get() + " must be " + only + ": " + why);
            }
        }
    }

    private static final double NORM_EPS = 1e-5;
    private static final double INITIALIZER_RANGE = 0.02;
    private static final int POSITIONS = 512;
    private static final OptionalInt PAD = OptionalInt.of(0);

    /// Without values yet.
    abstract CausalLm model(Size size, SpecialIds ids);
}
