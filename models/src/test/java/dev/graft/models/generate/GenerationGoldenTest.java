package dev.graft.models.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.graft.models.Golden;
import dev.graft.models.generate.GenerationConfig.EarlyStopping;
import dev.graft.models.generate.GenerationConfig.LengthNorm;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// Greedy and beam search against transformers' generate() on a scripted model (docs/golden/generation.py).
class GenerationGoldenTest {
    private static JsonNode golden;
    private static ScriptedModel model;

    @BeforeAll
    static void read() throws Exception {
        golden = new ObjectMapper().readTree(Golden.path("generation/cases.json").toFile());
        float[][][] table = new ObjectMapper().convertValue(golden.get("table"), float[][][].class);
        model = new ScriptedModel(ids -> table[ids.length > 1 ? ids[ids.length - 2] : 0][ids[ids.length - 1]].clone());
    }

    @Test
    void onePromptGivesTheReferencesIdsAndScore() {
        assertThat(golden.get("cases").size()).isGreaterThan(300);
        for (JsonNode c : golden.get("cases")) {
            check(new Generator(model, config(c)).generate(List.of(ints(c.get("prompt")))).getFirst(), c);
        }
    }

    @Test
    void aBatchOfPromptsGivesWhatEachGivesAlone() {
        Map<GenerationConfig, List<JsonNode>> bySetting = new LinkedHashMap<>();
        golden.get("cases").forEach(c -> bySetting.computeIfAbsent(config(c), _ -> new ArrayList<>()).add(c));
        bySetting.forEach((config, cases) -> {
            List<Generation> all = new Generator(model, config).generate(cases.stream().map(c -> ints(c.get("prompt"))).toList());
            assertThat(all).hasSameSizeAs(cases);
            for (int i = 0; i < all.size(); i++) {
                check(all.get(i), cases.get(i));
            }
        });
    }

    private static void check(Generation generation, JsonNode c) {
        assertThat(generation.ids()).as(c.toString()).isEqualTo(ints(c.get("ids")));
        assertThat((double) generation.score()).as(c.toString()).isCloseTo(c.get("score").asDouble(),
                within(1e-5 + 1e-6 * Math.abs(c.get("score").asDouble())));
        boolean eos = config(c).eosIds().contains(generation.ids()[generation.ids().length - 1]);
        assertThat(generation.reason()).isEqualTo(eos ? FinishReason.EOS : FinishReason.LENGTH);
    }

    private static GenerationConfig config(JsonNode c) {
        EarlyStopping early = switch (c.get("early_stopping").asText()) {
            case "never" -> EarlyStopping.NEVER;
            case "true" -> EarlyStopping.AT_ONCE;
            default -> EarlyStopping.HEURISTIC;
        };
        List<Integer> eos = StreamSupport.stream(c.get("eos_token_id").spliterator(), false).map(JsonNode::asInt).toList();
        return GenerationConfig.defaults().withMaxNewTokens(c.get("max_new_tokens").asInt())
                .withMinNewTokens(c.path("min_new_tokens").asInt(0)).withEosIds(eos)
                .withRepetitionPenalty(c.path("repetition_penalty").asDouble(1))
                .withNoRepeatNgramSize(c.path("no_repeat_ngram_size").asInt(0))
                .withBeams(c.get("num_beams").asInt(), c.get("length_penalty").asDouble(), early, LengthNorm.GENERATED);
    }

    private static int[] ints(JsonNode array) {
        return StreamSupport.stream(array.spliterator(), false).mapToInt(JsonNode::asInt).toArray();
    }
}
