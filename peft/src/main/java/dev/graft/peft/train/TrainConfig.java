package dev.graft.peft.train;

import dev.graft.models.io.Json;
import dev.graft.models.io.JsonObject;
import dev.graft.nn.Parameter;
import dev.graft.optim.AdamW;
import dev.graft.optim.Groups;
import dev.graft.optim.Mezo;
import dev.graft.optim.MoFo;
import dev.graft.optim.Optimizer;
import dev.graft.optim.Schedule;
import dev.graft.optim.Sgd;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;

/// All settings of a run. The defaults are the recipe of LLM-Adapters (Hu et al. 2023) where nothing speaks against it; [#LLM_ADAPTERS] is that recipe to the
/// letter.
///
/// ```java
/// TrainConfig config = TrainConfig.with(c -> c.epochs(3).batchSize(16).learningRate(3e-4));
/// ```
/// In JSON the keys are the names in snake case; what is missing has its default.
///
/// @param steps optimizer steps; 0 for as many as `epochs` take
/// @param epochs times the data is gone through; may be a fraction
/// @param batchSize examples per optimizer step
/// @param microBatchSize examples that go through the model together; fewer need less memory, and the step is the same
/// @param average what the loss of a step is the mean of
/// @param dropLast leave out an epoch's last batch unless it has as many micro-batches as the others, as LLM-Adapters does
/// @param groupByLength put texts of like length into one batch: less padding, a less random order
/// @param padding on which side; the loss is the same
/// @param padToMultipleOf lengths are rounded up to a multiple of this
/// @param optimizer the rule of a step
/// @param learningRate the largest
/// @param schedule its course after the warm-up; where it is not chosen linear, after a warm-up, and for MeZO constant, without one
/// @param warmupSteps optimizer steps of rising rate
/// @param warmupRatio the same as a share of all steps; only one of the two may be set
/// @param weightDecay decoupled; SGD's, added to the gradient; unless said 0, and 0.1 with MoFO
/// @param beta1 AdamW's and MoFO's, of the average of gradients
/// @param beta2 AdamW's and MoFO's, of the average of squares
/// @param epsilon AdamW's and MoFO's
/// @param structureLearningRate the largest for parameters that say how others are used, such as an activation's coefficients, where an adapter has such; their course is that of the others. -1: what the adapter says, 1e-6, and 0.1 for one that searches
/// @param structureShare share of the training examples that is kept for those parameters alone (bi-level training); 0 trains them with the others
/// @param mofoFraction MoFO's, of each tensor's elements that move
/// @param mezoEpsilon MeZO's, how far to either side of the weights the loss is looked at
/// @param mezoSamples MeZO's, directions of a step
/// @param momentum SGD's
/// @param nesterov SGD's look ahead
/// @param loraplusLrRatio LoRA+: what the learning rate of B is of that of A; 0 for one rate for all
/// @param loraplusLrEmbedding LoRA+: the learning rate on embeddings
/// @param rateFactors what the learning rate of some parameters is multiplied by, by expressions their names match somewhere: `pedro\.up\.bias=100,lora_A=0.5`; or `none`
/// @param clipNorm largest norm of the gradient; 0 leaves it as it is. MeZO has none
/// @param recompute hold only each block's input for the backward pass and compute its inside again: less memory, about a third more time
/// @param evaluateEvery steps between validations; 0 for one at the end
/// @param patience validations without a better loss after which the run stops; 0 for never
/// @param loadBest end with the weights of the best validation instead of the last step's
/// @param saveEvery steps between checkpoints; 0 for none but those of the best validation and the end
/// @param keepCheckpoints how many to keep; the best is kept beside them
/// @param seed of the data's order and of dropout
public record TrainConfig(int steps, double epochs, int batchSize, int microBatchSize, Average average, boolean dropLast,
        boolean groupByLength,
        Padding padding, int padToMultipleOf, Rule optimizer, double learningRate, Schedule.Law schedule, int warmupSteps,
        double warmupRatio,
        double weightDecay, double beta1, double beta2, double epsilon, double structureLearningRate, double structureShare,
        double mofoFraction,
        double mezoEpsilon, int mezoSamples, double momentum, boolean nesterov,
        double loraplusLrRatio,
        double loraplusLrEmbedding, String rateFactors, double clipNorm,
        boolean recompute,
        int evaluateEvery, int patience, boolean loadBest, int saveEvery, int keepCheckpoints, long seed) {

    /// What the loss of a step is the mean of.
    public enum Average {
        /// Over all predicted tokens of the batch: the size of a micro-batch changes nothing.
        TOKENS,
        /// Over the micro-batches' own means, as LLM-Adapters does: a token in a short micro-batch weighs more.
        MICRO_BATCHES
    }

    /// The rule of a step.
    public enum Rule {
        ADAMW, SGD, MOFO, MEZO
    }

    private static final double STRUCTURE_SHARE = 0.05, OWN_RATE = -1;

    public static final TrainConfig DEFAULT = new Builder().build();

    /// What LLM-Adapters' training script does, batch size apart (16 in all its published runs).
    public static final TrainConfig LLM_ADAPTERS = with(
            c -> c.average(Average.MICRO_BATCHES).dropLast(true).warmupRatio(0).warmupSteps(100));

    public TrainConfig {
        require(steps >= 0, "steps", "at least 0", steps);
        require(steps > 0 || epochs > 0 && epochs < 1e6, "epochs", "above 0", epochs);
        require(batchSize >= 1, "batch_size", "at least 1", batchSize);
        require(microBatchSize >= 1, "micro_batch_size", "at least 1", microBatchSize);
        require(padToMultipleOf >= 1, "pad_to_multiple_of", "at least 1", padToMultipleOf);
        require(learningRate > 0 && learningRate < Double.POSITIVE_INFINITY, "learning_rate", "above 0", learningRate);
        require(warmupSteps >= 0, "warmup_steps", "at least 0", warmupSteps);
        require(warmupRatio >= 0 && warmupRatio <= 1, "warmup_ratio", "between 0 and 1", warmupRatio);
        require(warmupSteps == 0 || warmupRatio == 0, "warmup_ratio", "0 when warmup_steps is set", warmupRatio);
        require(weightDecay >= 0 && weightDecay < Double.POSITIVE_INFINITY, "weight_decay", "at least 0", weightDecay);
        require(beta1 >= 0 && beta1 < 1, "beta1", "in [0, 1)", beta1);
        require(beta2 >= 0 && beta2 < 1, "beta2", "in [0, 1)", beta2);
        require(epsilon > 0, "epsilon", "above 0", epsilon);
        require(structureLearningRate == OWN_RATE || structureLearningRate >= 0 && structureLearningRate < Double.POSITIVE_INFINITY,
                "structure_learning_rate", "at least 0, or -1 for the adapter's own", structureLearningRate);
        require(structureShare >= 0 && structureShare < 1, "structure_share", "in [0, 1)", structureShare);
        require(mofoFraction > 0 && mofoFraction <= 1, "mofo_fraction", "in (0, 1]", mofoFraction);
        require(mezoEpsilon > 0 && mezoEpsilon < Double.POSITIVE_INFINITY, "mezo_epsilon", "above 0", mezoEpsilon);
        require(mezoSamples >= 1, "mezo_samples", "at least 1", mezoSamples);
        require(momentum >= 0 && momentum < 1, "momentum", "in [0, 1)", momentum);
        require(!nesterov || momentum > 0, "momentum", "above 0 with nesterov", momentum);
        require(loraplusLrRatio >= 0 && loraplusLrRatio < Double.POSITIVE_INFINITY, "loraplus_lr_ratio",
                "at least 0, which switches it off",
                loraplusLrRatio);
        require(loraplusLrEmbedding >= 0 && loraplusLrEmbedding < Double.POSITIVE_INFINITY, "loraplus_lr_embedding", "at least 0",
                loraplusLrEmbedding);
        RateFactors.of(rateFactors);
        require(clipNorm >= 0, "clip_norm", "at least 0, which switches it off", clipNorm);
        require(evaluateEvery >= 0, "evaluate_every", "at least 0", evaluateEvery);
        require(patience >= 0, "patience", "at least 0", patience);
        require(saveEvery >= 0, "save_every", "at least 0", saveEvery);
        require(keepCheckpoints >= 1, "keep_checkpoints", "at least 1", keepCheckpoints);
        if (optimizer == Rule.MEZO) {
            if (recompute) throw new IllegalArgumentException("recompute must be off with mezo, which has no backward pass");
            require(structureShare == 0 || structureShare == STRUCTURE_SHARE, "structure_share",
                    "0 with mezo, which trains all parameters alike",
                    structureShare);
            require(structureLearningRate == OWN_RATE || structureLearningRate == 1e-6, "structure_learning_rate",
                    "left as it is with mezo, which trains all parameters alike", structureLearningRate);
        }
    }

    private static void require(boolean holds, String name, String wanted, Number got) {
        if (!holds) throw new IllegalArgumentException("%s must be %s, got %s".formatted(name, wanted, got));
    }

    /// MoFO's is that of its code.
    private static double usualDecay(Rule rule) {
        return rule == Rule.MOFO ? 0.1 : 0;
    }

    /// The defaults, changed.
    public static TrainConfig with(Consumer<Builder> changes) {
        Builder builder = new Builder();
        changes.accept(builder);
        return builder.build();
    }

    /// Steps of a run over data of this many batches.
    public int steps(int batchesPerEpoch) {
        return steps > 0 ? steps : Math.max(1, Math.toIntExact((long) Math.ceil(epochs * batchesPerEpoch)));
    }

    public Schedule scheduleOver(int total) {
        return new Schedule(schedule, learningRate, warmupSteps > 0 ? warmupSteps : Schedule.warmup(warmupRatio, total), total);
    }

    public Optimizer optimizerOf(List<Parameter> parameters) {
        return optimizerOf(parameters, Groups.ONE);
    }

    /// @param others than those of these settings
    public Optimizer optimizerOf(List<Parameter> parameters, Groups others) {
        Groups own = loraplusLrRatio == 0 ? Groups.ONE : new LoraPlus(loraplusLrRatio, loraplusLrEmbedding / learningRate);
        Groups groups = own.and(RateFactors.of(rateFactors)).and(others);
        return switch (optimizer) {
            case ADAMW -> new AdamW(parameters, new AdamW.Config(beta1, beta2, epsilon, weightDecay), groups);
            case MOFO -> new MoFo(parameters, new MoFo.Config(beta1, beta2, epsilon, weightDecay, mofoFraction), groups);
            case MEZO -> new Mezo(parameters, new Mezo.Config(mezoEpsilon, mezoSamples, weightDecay, seed), groups);
            case SGD -> new Sgd(parameters, new Sgd.Config(momentum, nesterov, weightDecay), groups);
        };
    }

    /// The same where some of the parameters are structure. A rule that goes by losses alone makes no difference between them.
    ///
    /// @param ownRate of the structure, where these settings say none
    /// @param heldOut whether examples are kept for these
    Optimizer optimizerOf(List<Parameter> parameters, Groups groups, List<Parameter> structure, double ownRate, boolean heldOut) {
        List<Parameter> weights = parameters.stream().filter(p -> !structure.contains(p)).toList();
        if (structure.isEmpty() || weights.isEmpty()) return optimizerOf(parameters, groups);
        return optimizerOf(weights, groups) instanceof Optimizer.ByGradients rule
                ? new Bilevel(rule, structure, new AdamW.Config(beta1, beta2, epsilon, 0), RateFactors.of(rateFactors),
                        (structureLearningRate == OWN_RATE ? ownRate : structureLearningRate) / learningRate, heldOut)
                : optimizerOf(parameters, groups);
    }

    public static TrainConfig read(Path file) {
        return DEFAULT.with(Json.read(file));
    }

    /// These settings with others from JSON instead. Warm-up in steps stands for one as a share, and the other way round; where the optimizer becomes MeZO,
    /// or was, the new one's own schedule stands for that of before; likewise a weight decay that was the optimizer's own.
    public TrainConfig with(JsonObject given) {
        Map<String, Object> settings = toMap();
        Map<String, Object> others = given.toMap();
        if (others.containsKey("warmup_steps") && !others.containsKey("warmup_ratio")) settings.put("warmup_ratio", 0.0);
        if (others.containsKey("warmup_ratio") && !others.containsKey("warmup_steps")) settings.put("warmup_steps", 0);
        if (name(Rule.MEZO).equals(others.get("optimizer")) && optimizer != Rule.MEZO) {
            settings.put("schedule", name(Schedule.Law.CONSTANT));
            settings.put("warmup_ratio", 0.0);
            settings.put("warmup_steps", 0);
        }
        if (optimizer == Rule.MEZO && others.containsKey("optimizer") && !name(Rule.MEZO).equals(others.get("optimizer"))) {
            settings.keySet().removeAll(List.of("schedule", "warmup_ratio", "warmup_steps"));
        }
        if (others.containsKey("optimizer") && weightDecay == usualDecay(optimizer)) settings.remove("weight_decay");
        settings.putAll(others);
        return of(Json.parse(Json.format(settings), given.source()));
    }

    /// The same, every example being used.
    TrainConfig withoutDropping() {
        return dropLast ? with(Json.parse(Json.format(Map.of("drop_last", false)), "settings")) : this;
    }

    public void write(Path file) {
        Json.write(file, toMap());
    }

    /// Settings from JSON; a key that is none is an error.
    public static TrainConfig of(JsonObject json) {
        Builder b = new Builder();
        b.steps = json.optInt("steps", b.steps);
        b.epochs = json.optDouble("epochs", b.epochs);
        b.batchSize = json.optInt("batch_size", b.batchSize);
        b.microBatchSize = json.optInt("micro_batch_size", b.microBatchSize);
        b.average = constant(json, "average", b.average);
        b.dropLast = json.optBoolean("drop_last", b.dropLast);
        b.groupByLength = json.optBoolean("group_by_length", b.groupByLength);
        b.padding = constant(json, "padding", b.padding);
        b.padToMultipleOf = json.optInt("pad_to_multiple_of", b.padToMultipleOf);
        b.optimizer = constant(json, "optimizer", b.optimizer);
        b.learningRate = json.optDouble("learning_rate", b.learningRate);
        if (json.has("schedule")) b.schedule = constant(json, "schedule", Schedule.Law.LINEAR);
        b.warmupSteps = json.optInt("warmup_steps", b.warmupSteps);
        if (json.has("warmup_ratio")) b.warmupRatio = json.requireDouble("warmup_ratio");
        else if (b.warmupSteps > 0) b.warmupRatio = 0.0;
        if (json.has("weight_decay")) b.weightDecay = json.requireDouble("weight_decay");
        b.beta1 = json.optDouble("beta1", b.beta1);
        b.beta2 = json.optDouble("beta2", b.beta2);
        b.epsilon = json.optDouble("epsilon", b.epsilon);
        b.structureLearningRate = json.optDouble("structure_learning_rate", b.structureLearningRate);
        b.structureShare = json.optDouble("structure_share", b.structureShare);
        b.mofoFraction = json.optDouble("mofo_fraction", b.mofoFraction);
        b.mezoEpsilon = json.optDouble("mezo_epsilon", b.mezoEpsilon);
        b.mezoSamples = json.optInt("mezo_samples", b.mezoSamples);
        b.momentum = json.optDouble("momentum", b.momentum);
        b.nesterov = json.optBoolean("nesterov", b.nesterov);
        b.loraplusLrRatio = json.optDouble("loraplus_lr_ratio", b.loraplusLrRatio);
        b.loraplusLrEmbedding = json.optDouble("loraplus_lr_embedding", b.loraplusLrEmbedding);
        b.rateFactors = json.optString("rate_factors", b.rateFactors);
        b.clipNorm = json.optDouble("clip_norm", b.clipNorm);
        b.recompute = json.optBoolean("recompute", b.recompute);
        b.evaluateEvery = json.optInt("evaluate_every", b.evaluateEvery);
        b.patience = json.optInt("patience", b.patience);
        b.loadBest = json.optBoolean("load_best", b.loadBest);
        b.saveEvery = json.optInt("save_every", b.saveEvery);
        b.keepCheckpoints = json.optInt("keep_checkpoints", b.keepCheckpoints);
        b.seed = json.optLong("seed", b.seed);
        if (!json.unknownKeys().isEmpty()) {
            throw json.problem(json.unknownKeys().getFirst(), "is no setting of a training run; there are " + DEFAULT.toMap().keySet());
        }
        try {
            return b.build();
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(json.source() + ": " + e.getMessage(), e);
        }
    }

    /// The settings as plain values, for JSON.
    public Map<String, Object> toMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("steps", steps);
        map.put("epochs", epochs);
        map.put("batch_size", batchSize);
        map.put("micro_batch_size", microBatchSize);
        map.put("average", name(average));
        map.put("drop_last", dropLast);
        map.put("group_by_length", groupByLength);
        map.put("padding", name(padding));
        map.put("pad_to_multiple_of", padToMultipleOf);
        map.put("optimizer", name(optimizer));
        map.put("learning_rate", learningRate);
        map.put("schedule", name(schedule));
        map.put("warmup_steps", warmupSteps);
        map.put("warmup_ratio", warmupRatio);
        map.put("weight_decay", weightDecay);
        map.put("beta1", beta1);
        map.put("beta2", beta2);
        map.put("epsilon", epsilon);
        map.put("structure_learning_rate", structureLearningRate);
        map.put("structure_share", structureShare);
        map.put("mofo_fraction", mofoFraction);
        map.put("mezo_epsilon", mezoEpsilon);
        map.put("mezo_samples", mezoSamples);
        map.put("momentum", momentum);
        map.put("nesterov", nesterov);
        map.put("loraplus_lr_ratio", loraplusLrRatio);
        map.put("loraplus_lr_embedding", loraplusLrEmbedding);
        map.put("rate_factors", rateFactors);
        map.put("clip_norm", clipNorm);
        map.put("recompute", recompute);
        map.put("evaluate_every", evaluateEvery);
        map.put("patience", patience);
        map.put("load_best", loadBest);
        map.put("save_every", saveEvery);
        map.put("keep_checkpoints", keepCheckpoints);
        map.put("seed", seed);
        return map;
    }

    private static String name(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }

    private static <E extends Enum<E>> E constant(JsonObject json, String key, E otherwise) {
        String value = json.optString(key, name(otherwise));
        List<E> all = List.of(otherwise.getDeclaringClass().getEnumConstants());
        return all.stream().filter(e -> name(e).equals(value)).findFirst()
                .orElseThrow(() -> json.problem(key,
                        "must be one of %s, got '%s'".formatted(all.stream().map(TrainConfig::name).toList(), value)));
    }

    /// Collects settings, from the defaults on.
    public static final class Builder {
        private int steps = 0;
        private double epochs = 3;
        private int batchSize = 16;
        private int microBatchSize = 4;
        private Average average = Average.TOKENS;
        private boolean dropLast = false;
        private boolean groupByLength = false;
        private Padding padding = Padding.LEFT;
        private int padToMultipleOf = 8;
        private Rule optimizer = Rule.ADAMW;
        private double learningRate = 3e-4;
        private Schedule.Law schedule; // null: the optimizer's own
        private int warmupSteps = 0;
        private Double warmupRatio;
        private Double weightDecay; // null: the optimizer's own
        private double beta1 = 0.9;
        private double beta2 = 0.999;
        private double epsilon = 1e-8;
        private double structureLearningRate = OWN_RATE;
        private double structureShare = STRUCTURE_SHARE;
        private double mofoFraction = 0.15;
        private double mezoEpsilon = 1e-3;
        private int mezoSamples = 1;
        private double momentum = 0;
        private boolean nesterov = false;
        private double loraplusLrRatio = 0;
        private double loraplusLrEmbedding = 1e-6;
        private String rateFactors = RateFactors.NONE;
        private double clipNorm = 1;
        private boolean recompute = false;
        private int evaluateEvery = 200;
        private int patience = 0;
        private boolean loadBest = true;
        private int saveEvery = 200;
        private int keepCheckpoints = 3;
        private long seed = 42;

        private Builder() {
        }

        // @formatter:off
        public Builder steps(int v) { steps = v; return this; }
        public Builder epochs(double v) { epochs = v; return this; }
        public Builder batchSize(int v) { batchSize = v; return this; }
        public Builder microBatchSize(int v) { microBatchSize = v; return this; }
        public Builder average(Average v) { average = v; return this; }
        public Builder dropLast(boolean v) { dropLast = v; return this; }
        public Builder groupByLength(boolean v) { groupByLength = v; return this; }
        public Builder padding(Padding v) { padding = v; return this; }
        public Builder padToMultipleOf(int v) { padToMultipleOf = v; return this; }
        public Builder optimizer(Rule v) { optimizer = v; return this; }
        public Builder learningRate(double v) { learningRate = v; return this; }
        public Builder schedule(Schedule.Law v) { schedule = v; return this; }
        public Builder warmupSteps(int v) { warmupSteps = v; warmupRatio = 0.0; return this; }
        public Builder warmupRatio(double v) { warmupRatio = v; warmupSteps = 0; return this; }
        public Builder weightDecay(double v) { weightDecay = v; return this; }
        public Builder beta1(double v) { beta1 = v; return this; }
        public Builder beta2(double v) { beta2 = v; return this; }
        public Builder epsilon(double v) { epsilon = v; return this; }
        public Builder structureLearningRate(double v) { structureLearningRate = v; return this; }
        public Builder structureShare(double v) { structureShare = v; return this; }
        public Builder mofoFraction(double v) { mofoFraction = v; return this; }
        public Builder mezoEpsilon(double v) { mezoEpsilon = v; return this; }
        public Builder mezoSamples(int v) { mezoSamples = v; return this; }
        public Builder momentum(double v) { momentum = v; return this; }
        public Builder nesterov(boolean v) { nesterov = v; return this; }
        public Builder loraplusLrRatio(double v) { loraplusLrRatio = v; return this; }
        public Builder loraplusLrEmbedding(double v) { loraplusLrEmbedding = v; return this; }
        public Builder rateFactors(String v) { rateFactors = v; return this; }
        public Builder clipNorm(double v) { clipNorm = v; return this; }
        public Builder recompute(boolean v) { recompute = v; return this; }
        public Builder evaluateEvery(int v) { evaluateEvery = v; return this; }
        public Builder patience(int v) { patience = v; return this; }
        public Builder loadBest(boolean v) { loadBest = v; return this; }
        public Builder saveEvery(int v) { saveEvery = v; return this; }
        public Builder keepCheckpoints(int v) { keepCheckpoints = v; return this; }
        public Builder seed(long v) { seed = v; return this; }
        // @formatter:on

        public TrainConfig build() {
            boolean byLosses = optimizer == Rule.MEZO;
            Schedule.Law law = schedule != null ? schedule : byLosses ? Schedule.Law.CONSTANT : Schedule.Law.LINEAR;
            double ratio = warmupRatio != null ? warmupRatio : byLosses ? 0 : 0.05;
            double decay = weightDecay != null ? weightDecay : usualDecay(optimizer);
            return new TrainConfig(steps, epochs, batchSize, microBatchSize, average, dropLast, groupByLength, padding, padToMultipleOf,
                    optimizer, learningRate,
                    law, warmupSteps, ratio, decay, beta1, beta2, epsilon, structureLearningRate, structureShare, mofoFraction,
                    mezoEpsilon, mezoSamples, momentum, nesterov,
                    loraplusLrRatio,
                    loraplusLrEmbedding, rateFactors, clipNorm, recompute,
                    evaluateEvery, patience,
                    loadBest, saveEvery, keepCheckpoints, seed);
        }
    }
}
