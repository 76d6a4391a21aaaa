package dev.graft.peft.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.graft.models.Inputs;
import dev.graft.nn.LayerHook;
import dev.graft.nn.Parameter;
import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Grads;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tape;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class CausalLossTest {
    private static final int[][] IDS = {{1, 2, 3, 4, 5, 6}, {7, 8, 9, 10, 1, 2}};
    private static final int[][] LABELS = {{1, 2, -100, 4, 5, 6}, {-100, -100, -100, -100, 1, -100}};

    private Scope scope;
    private ToyLm model;

    @BeforeEach
    void open() {
        scope = Scope.open(Backends.named("reference"));
        model = new ToyLm(DType.F64, 0);
    }

    @AfterEach
    void close() {
        model.close();
        scope.close();
    }

    /// From all logits, as the formula says.
    private double[] expected() {
        Tensor logits = model.lm().logits(Inputs.of(IDS, null)).logSoftmax();
        List<Double> losses = new ArrayList<>();
        double[] flat = logits.toDoubles();
        for (int b = 0; b < 2; b++) {
            for (int t = 1; t < 6; t++) if (LABELS[b][t] != -100) losses.add(-flat[(b * 6 + t - 1) * ToyLm.VOCABULARY + LABELS[b][t]]);
        }
        return losses.stream().mapToDouble(l -> l).toArray();
    }

    private List<double[]> gradients() {
        return gradients(1 << 22);
    }

    private List<double[]> gradients(int chunk) {
        try (Tape tape = Tape.open();
                Grads grads = tape.backward(CausalLoss.losses(model.lm(), Inputs.of(IDS, null), LABELS, chunk).sum())) {
            return model.weights().stream().map(p -> grads.of(p).toDoubles()).toList();
        }
    }

    @Test
    void lossesAreThoseOfTheFormula() {
        assertThat(expected()).hasSize(5);
        assertThat(CausalLoss.losses(model.lm(), Inputs.of(IDS, null), LABELS).toDoubles()).containsExactly(expected(), within(1e-12));
        assertThat(CausalLoss.count(LABELS)).isEqualTo(5);
    }

    @Test
    void gradientsAgreeWithCentralDifferences() {
        List<double[]> gradients = gradients();
        for (int i = 0; i < gradients.size(); i++) {
            Parameter p = model.weights().get(i);
            double[] values = p.value().toDoubles();
            for (int j = 0; j < values.length; j += 5) {
                double slope = (lossWith(p, values, j, 1e-5) - lossWith(p, values, j, -1e-5)) / 2e-5;
                assertThat(gradients.get(i)[j]).as(p + " at " + j).isCloseTo(slope, within(1e-6));
            }
            lossWith(p, values, 0, 0);
        }
    }

    private double lossWith(Parameter p, double[] values, int j, double change) {
        double[] changed = values.clone();
        changed[j] += change;
        p.value().assign(Tensor.of(changed, p.shape().dims()));
        return CausalLoss.losses(model.lm(), Inputs.of(IDS, null), LABELS).sum().item();
    }

    @Test
    void surroundedHeadGivesTheSameLossesAndGradients() {
        double[] expected = expected();
        List<double[]> plain = gradients();
        List<Integer> rows = new ArrayList<>();
        LayerHook hook = (x, next) -> {
            rows.add(x.dim(0));
            return next.apply(x);
        };
        model.lm().head().attach(hook);
        assertThat(CausalLoss.losses(model.lm(), Inputs.of(IDS, null), LABELS).toDoubles()).containsExactly(expected, within(1e-12));
        assertThat(rows).as("logits of masked positions are never computed").containsExactly(5);
        List<double[]> surrounded = gradients();
        for (int i = 0; i < plain.size(); i++) assertThat(surrounded.get(i)).containsExactly(plain.get(i), within(1e-12));
        rows.clear();
        List<double[]> rowByRow = gradients(1);
        assertThat(rows).as("one row at a time, and again in the backward pass").containsOnly(1).hasSize(10);
        for (int i = 0; i < plain.size(); i++) assertThat(rowByRow.get(i)).containsExactly(plain.get(i), within(1e-12));
    }

    @Test
    void paddingOnEitherSideChangesNothing() {
        List<Example> examples = Texts.of(7, 4);
        double apart = examples.stream().mapToDouble(e -> model.loss().sum(new Batch(List.of(e), Padding.RIGHT, 1)).item()).sum();
        Stream.of(Padding.values()).forEach(side -> {
            double together = model.loss().sum(new Batch(examples, side, 8)).item();
            assertThat(together).isCloseTo(apart, within(1e-10));
        });
    }

    @Test
    void batchWithoutLabelsIsRefused() {
        int[][] none = {{1, -100, -100, -100, -100, -100}, {-100, -100, -100, -100, -100, -100}};
        assertThatThrownBy(() -> CausalLoss.losses(model.lm(), Inputs.of(IDS, null), none)).hasMessageContaining("no label counts");
    }
}
