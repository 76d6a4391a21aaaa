package dev.graft.peft.train;

import dev.graft.nn.Parameter;
import dev.graft.optim.Groups;
import dev.graft.tensor.Tensor;
import java.util.List;

/// What a run trains, and what it wants to know of the run.
public interface Trainee {
    /// What the optimizer changes: F32 or F64, trainable, where it goes by gradients; also F16 where it goes by losses.
    List<Parameter> parameters();

    /// Those of the parameters that say how the others are used: in bi-level training they follow examples of their own.
    default List<Parameter> structure() {
        return List.of();
    }

    /// The largest learning rate of these, where a run's settings say none.
    default double structureLearningRate() {
        return 1e-6;
    }

    /// Which of the parameters learn faster or slower, besides what the settings say.
    default Groups groups() {
        return Groups.ONE;
    }

    /// Whether tokens of a prompt are computed by way of later ones, so that a prompt is nothing to be learned.
    default boolean looksAhead() {
        return false;
    }

    /// What else changes from step to step. Checkpoints hold it, bit for bit, and a resumed run goes on from it.
    default List<Parameter> state() {
        return List.of();
    }

    /// Gets ready for a run of this many steps, also when it is resumed.
    default void begin(long steps) {
    }

    /// What is added to the mean loss of a step, a scalar; null for nothing. Counted once, whatever the micro-batches; validation does without it.
    default Tensor penalty() {
        return null;
    }

    /// Has its say after the optimizer's step.
    default void after(Step step) {
    }

    /// Parameters and nothing else.
    static Trainee of(List<Parameter> parameters) {
        return () -> parameters;
    }

    /// Parameters that do not all learn alike.
    static Trainee of(List<Parameter> parameters, Groups groups) {
        return new Trainee() {
            @Override
            public List<Parameter> parameters() {
                return parameters;
            }

            @Override
            public Groups groups() {
                return groups;
            }
        };
    }
}
