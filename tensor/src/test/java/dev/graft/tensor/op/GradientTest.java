package dev.graft.tensor.op;

import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.GradCheck;
import dev.graft.tensor.Scope;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/// Every op's gradient against central differences in double precision.
class GradientTest {
    @TestFactory
    Stream<DynamicTest> gradientAgreesWithCentralDifferences() {
        return OpCases.all().stream().map(c -> DynamicTest.dynamicTest(c.toString(), () -> {
            try (var _ = Scope.open(Backends.named("reference"))) {
                List<Tensor> in = c.inputs(DType.F64);
                int[] varied = IntStream.range(0, in.size()).filter(i -> in.get(i).dtype().isFloating() && !c.isConstant(i)).toArray();
                GradCheck.check(c.op().label(), x -> {
                    List<Tensor> all = new ArrayList<>(in);
                    for (int i = 0; i < varied.length; i++) all.set(varied[i], x.get(i));
                    return c.op().apply(all.toArray(Tensor[]::new));
                }, IntStream.of(varied).mapToObj(in::get).toArray(Tensor[]::new));
            }
        }));
    }
}
