package dev.graft.peft.train;

import dev.graft.models.io.JsonObject;
import dev.graft.peft.train.TrainResult.Best;
import java.util.LinkedHashMap;
import java.util.Map;

/// Where a run stands between two steps, tensors apart. Order of the data and dropout are functions of the seed and these numbers.
///
/// @param step steps done
/// @param epoch epochs begun before the next batch, whole
/// @param position batches of that epoch done
/// @param tokens that went in, padding apart
/// @param seconds spent on steps
/// @param loss of the last step, NaN before the first
/// @param validatedAt step of the last validation, -1 before the first
/// @param best null before the first validation
/// @param stale validations since the best
record TrainState(long step, int epoch, int position, long tokens, double seconds, double loss, long validatedAt, Best best, int stale) {
    static final TrainState START = new TrainState(0, 0, 0, 0, 0, Double.NaN, -1, null, 0);

    TrainState stepped(Batches batches, StepReport report) {
        return new TrainState(report.step(), batches.epoch(), batches.position(), tokens + report.tokens(), seconds + report.seconds(),
                report.loss(), validatedAt,
                best, stale);
    }

    TrainState validated(double validationLoss) {
        boolean better = best == null || validationLoss < best.loss();
        return new TrainState(step, epoch, position, tokens, seconds, loss, step, better ? new Best(validationLoss, step) : best,
                better ? 0 : stale + 1);
    }

    Map<String, Object> toMap() {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("step", step);
        map.put("epoch", epoch);
        map.put("position", position);
        map.put("tokens", tokens);
        map.put("seconds", seconds);
        map.put("loss", loss);
        map.put("validated_at", validatedAt);
        map.put("best_loss", best == null ? null : best.loss());
        map.put("best_step", best == null ? null : best.step());
        map.put("stale", stale);
        return map;
    }

    static TrainState of(JsonObject json) {
        Best best = json.has("best_step") ? new Best(json.requireDouble("best_loss"), json.requireLong("best_step")) : null;
        return new TrainState(json.requireLong("step"), json.requireInt("epoch"), json.requireInt("position"), json.requireLong("tokens"),
                json.requireDouble("seconds"), json.requireDouble("loss"), json.requireLong("validated_at"), best,
                json.requireInt("stale"));
    }
}
