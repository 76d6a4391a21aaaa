package dev.graft.tensor;

import dev.graft.tensor.backend.Backend;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/// Skips tests that are to run on a backend which is not there (`graft.backend`), and says why; with `graft.backend.required=true` they fail instead. In force where JUnit looks for extensions.
public final class ChosenBackend implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        String name = System.getProperty("graft.backend");
        return Backends.all().stream().filter(b -> b.name().equals(name)).findFirst().map(ChosenBackend::result)
                .orElseGet(() -> missing("there is no backend '" + name + "'"));
    }

    private static ConditionEvaluationResult result(Backend b) {
        return b.isAvailable() ? ConditionEvaluationResult.enabled("runs on " + b.description())
                : missing("backend '" + b.name() + "' cannot run here: " + b.description());
    }

    private static ConditionEvaluationResult missing(String why) {
        if (Boolean.getBoolean("graft.backend.required")) throw new IllegalStateException(why);
        return ConditionEvaluationResult.disabled(why);
    }
}
