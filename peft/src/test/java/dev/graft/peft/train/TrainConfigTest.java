package dev.graft.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.io.Json;
import dev.graft.optim.Schedule;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainConfigTest {
    @TempDir
    Path folder;

    private static final TrainConfig ALL_CHANGED = TrainConfig.with(c -> c.steps(1).epochs(2.5).batchSize(3).microBatchSize(5)
            .average(TrainConfig.Average.MICRO_BATCHES).dropLast(true).groupByLength(true).padding(Padding.RIGHT).padToMultipleOf(6)
            .optimizer(TrainConfig.Rule.SGD).learningRate(0.7).schedule(Schedule.Law.COSINE).warmupSteps(8).weightDecay(0.1).beta1(0.11)
            .beta2(0.12)
            .epsilon(0.13).structureLearningRate(1e-4).structureShare(0.2).mofoFraction(0.23).mezoEpsilon(0.24).mezoSamples(25)
            .momentum(0.14).nesterov(true).loraplusLrRatio(0.21)
            .loraplusLrEmbedding(0.22).rateFactors("bias=2").clipNorm(15)
            .recompute(true)
            .evaluateEvery(16).patience(17).loadBest(false)
            .saveEvery(18)
            .keepCheckpoints(19).seed(-20));

    @Test
    void everySettingSurvivesTheFile() {
        ALL_CHANGED.write(folder.resolve("config.json"));
        assertThat(TrainConfig.read(folder.resolve("config.json"))).isEqualTo(ALL_CHANGED);
        TrainConfig.DEFAULT.toMap().forEach((name, value) -> {
            if (!name.equals("warmup_ratio")) assertThat(ALL_CHANGED.toMap().get(name)).as(name).isNotEqualTo(value);
        });
        assertThat(ALL_CHANGED.toMap()).hasSize(TrainConfig.class.getRecordComponents().length);
    }

    @Test
    void someParametersLearnAtRatesOfTheirOwn() {
        RateFactors factors = (RateFactors) RateFactors.of("up\\.bias$=100,up=0.5,down=0");
        assertThat(factors.factor("pedro.up.bias")).isEqualTo(50);
        assertThat(factors.factor("pedro.up.weight")).isEqualTo(0.5);
        assertThat(factors.factor("pedro.down.weight")).isZero();
        assertThat(factors.factor("other")).isEqualTo(1);
        for (String wrong : new String[] {"up", "=2", "up=", "up=-1", "up=x", "up=Infinity"})
            assertThatThrownBy(() -> TrainConfig.with(c -> c.rateFactors(wrong))).hasMessageContaining("rate_factors must be")
                    .hasMessageContaining(wrong);
        assertThatThrownBy(() -> TrainConfig.with(c -> c.rateFactors("u(p=1"))).hasMessageContaining("'u(p=1' the expression is none");
    }

    @Test
    void whatIsMissingHasItsDefault() {
        TrainConfig config = TrainConfig.of(Json.parse("{\"learning_rate\": 0.01, \"warmup_steps\": 7}", "text"));
        assertThat(config).isEqualTo(TrainConfig.with(c -> c.learningRate(0.01).warmupSteps(7)));
    }

    @Test
    void mofosWeightDecayIsThatOfItsCodeUnlessAnotherIsGiven() {
        TrainConfig mofo = TrainConfig.DEFAULT.with(Json.parse("{\"optimizer\": \"mofo\"}", "text"));
        assertThat(mofo).isEqualTo(TrainConfig.with(c -> c.optimizer(TrainConfig.Rule.MOFO)));
        assertThat(mofo.weightDecay()).isEqualTo(0.1);
        assertThat(mofo.with(Json.parse("{\"optimizer\": \"adamw\"}", "text")).weightDecay()).isZero();
        assertThat(TrainConfig.DEFAULT.with(Json.parse("{\"optimizer\": \"mofo\", \"weight_decay\": 0}", "text")).weightDecay()).isZero();
        assertThat(TrainConfig.with(c -> c.weightDecay(0.3)).with(Json.parse("{\"optimizer\": \"mofo\"}", "text")).weightDecay())
                .isEqualTo(0.3);
    }

    @Test
    void aStructuresRateMayBeTheAdaptersOwn() {
        assertThat(TrainConfig.of(Json.parse("{\"structure_learning_rate\": -1}", "text"))).isEqualTo(TrainConfig.DEFAULT);
        assertThatThrownBy(() -> TrainConfig.of(Json.parse("{\"structure_learning_rate\": -2}", "text")))
                .hasMessageContaining("structure_learning_rate must be at least 0, or -1 for the adapter's own, got -2");
    }

    @Test
    void mezosRateIsConstantUnlessAnotherCourseIsChosen() {
        TrainConfig mezo = TrainConfig.DEFAULT.with(Json.parse("{\"optimizer\": \"mezo\"}", "text"));
        assertThat(mezo).isEqualTo(TrainConfig.with(c -> c.optimizer(TrainConfig.Rule.MEZO)))
                .isEqualTo(TrainConfig.of(Json.parse("{\"optimizer\": \"mezo\"}", "text")));
        assertThat(mezo.scheduleOver(100).at(0)).isEqualTo(mezo.scheduleOver(100).at(99)).isEqualTo(mezo.learningRate());
        assertThat(TrainConfig.LLM_ADAPTERS.with(Json.parse("{\"optimizer\": \"mezo\"}", "text")).warmupSteps()).isZero();
        TrainConfig linear = TrainConfig.DEFAULT
                .with(Json.parse("{\"optimizer\": \"mezo\", \"schedule\": \"linear\", \"warmup_steps\": 3}", "text"));
        assertThat(linear.schedule()).isEqualTo(Schedule.Law.LINEAR);
        assertThat(linear.warmupSteps()).isEqualTo(3);
    }

    @Test
    void whatFollowsMezoHasItsOwnCourse() {
        TrainConfig mezo = TrainConfig.with(c -> c.optimizer(TrainConfig.Rule.MEZO));
        assertThat(mezo.with(Json.parse("{\"optimizer\": \"adamw\"}", "text"))).isEqualTo(TrainConfig.DEFAULT);
        assertThat(mezo.with(Json.parse("{\"optimizer\": \"adamw\", \"warmup_steps\": 3}", "text")))
                .isEqualTo(TrainConfig.with(c -> c.warmupSteps(3)));
        assertThat(mezo.with(Json.parse("{\"learning_rate\": 0.1}", "text")).schedule()).isEqualTo(Schedule.Law.CONSTANT);
    }

    @Test
    void mezoHasNoUseForSettingsOfGradients() {
        for (String setting : new String[] {"structure_share\": 0.2", "structure_learning_rate\": 0.1", "recompute\": true"}) {
            assertThatThrownBy(() -> TrainConfig.DEFAULT.with(Json.parse("{\"optimizer\": \"mezo\", \"" + setting + "}", "text")))
                    .hasMessageContaining(setting.substring(0, setting.indexOf('"')) + " must be ")
                    .hasMessageContaining(" with mezo, which ");
        }
        assertThat(TrainConfig.with(c -> c.optimizer(TrainConfig.Rule.MEZO).structureShare(0)).structureShare()).isZero();
    }

    @Test
    void mistakesAreNamed() {
        assertThatThrownBy(() -> TrainConfig.of(Json.parse("{\"lerning_rate\": 1}", "run.json"))).hasMessageContaining("run.json")
                .hasMessageContaining("lerning_rate").hasMessageContaining("learning_rate");
        assertThatThrownBy(() -> TrainConfig.of(Json.parse("{\"schedule\": \"step\"}", "run.json")))
                .hasMessageContaining("must be one of [constant, linear, cosine], got 'step'");
        assertThatThrownBy(() -> TrainConfig.of(Json.parse("{\"batch_size\": 0}", "run.json")))
                .hasMessage("run.json: batch_size must be at least 1, got 0");
        assertThatThrownBy(() -> TrainConfig.with(c -> c.learningRate(Double.NaN))).hasMessage("learning_rate must be above 0, got NaN");
        assertThatThrownBy(() -> TrainConfig.with(c -> c.nesterov(true))).hasMessage("momentum must be above 0 with nesterov, got 0.0");
    }
}
