package dev.graft.peft.method;

import dev.graft.nn.Init;
import dev.graft.nn.Layer;
import dev.graft.nn.Parameter;
import dev.graft.peft.Adapter;
import dev.graft.peft.AdapterException;
import dev.graft.peft.AdapterFormat;
import dev.graft.peft.Attach;
import dev.graft.peft.Graft;
import dev.graft.peft.Placements;
import dev.graft.peft.Targets;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;

/// Learned-Adapter (Zhang et al. 2023, Learned Adapters Are Better Than Manually Designed Adapters, Findings of ACL): in each block a bottleneck whose place, wiring, activation and encoder are found
/// by gradients.
///
/// ```
/// at the attention and at the MLP of a block, x ↦ o:
/// h = β₁ o + β₂ x                      wiring: series or parallel
/// a = Σⱼ αⱼ σⱼ(D h + d)                activation, one of the candidates            D: [m, C], d: [m]
/// e = ε₁ a + ε₂ E a                    encoder: none or linear                      E: [m, m]
/// y = o + 2 γ (U e + u)                place: γ at the attention, 1 − γ at the MLP  U: [C, m], u: [C]
/// ```
/// Each of α, β, γ and ε is a softmax of numbers that start at 0. They are the structure of bi-level training, which has examples of its own. Once they are trained, a folder's `chosen` has the largest
/// of each, block by block; with this as `architecture` the blocks have that adapter alone, to be trained from the start:
///
/// ```
/// y = o + U e + u                      at one place, with one wiring, activation and encoder
/// ```
/// Of the paper's encoders those that mix tokens are left out: a token that is generated has no others beside it.
///
/// Trained per block while searching, K candidates: `2 (2 m C + m² + m + C) + 2 (K + 4) + 2`; then `2 m C + m + C`, and m² with a linear encoder. Starts neutral: U and u at 0, D and E normal with deviation
/// 0.02. Not merged.
///
/// @param bottleneckSize m
/// @param candidates activations to choose from, by their names in the Transformers library
/// @param architecture `place-wiring-activation-encoder` of each block, such as `mlp-parallel-gelu-none`; empty while searching
/// @param chosen what a search preferred, as `architecture` has it; not heeded
/// @param targets the blocks
public record LearnedAdapter(int bottleneckSize, List<String> candidates, List<String> architecture, List<String> chosen, Targets targets)
        implements
            Adapter {
    private static final List<String> PLACES = List.of("attention", "mlp"), WIRINGS = List.of("series", "parallel"),
            ENCODERS = List.of("none", "linear");

    public static final LearnedAdapter DEFAULT = new LearnedAdapter(64, List.of("relu", "gelu", "silu", "tanh", "linear"), List.of(),
            List.of(), Targets.allBlocks());

    public LearnedAdapter {
        if (bottleneckSize < 1) throw new AdapterException("bottleneck_size must be at least 1, got " + bottleneckSize);
        if (candidates.isEmpty()) throw new AdapterException("candidates must name at least one activation");
        candidates.forEach(NonLinearity::named);
        architecture.forEach(LearnedAdapter::parts);
    }

    /// Place, wiring, activation and encoder.
    private static String[] parts(String word) {
        String[] parts = word.split("-");
        if (parts.length != 4 || !PLACES.contains(parts[0]) || !WIRINGS.contains(parts[1]) || !ENCODERS.contains(parts[3]))
            throw new AdapterException("an architecture is 'place-wiring-activation-encoder' of %s, %s, an activation and %s, got '%s'"
                    .formatted(PLACES, WIRINGS, ENCODERS, word));
        NonLinearity.named(parts[2]);
        return parts;
    }

    @Override
    public void onLayer(Layer block, Attach at) {
        if (architecture.isEmpty()) {
            Choice place = new Choice(at, "learned.place", 2);
            for (int i = 0; i < 2; i++) search(i, place, block, at);
            return;
        }
        List<String> blocks = at.layers().stream().map(Layer::path).toList();
        if (architecture.size() != blocks.size())
            throw new AdapterException("architecture names %d adapters for %d blocks; give one for each".formatted(architecture.size(),
                    blocks.size()));
        String[] parts = parts(architecture.get(blocks.indexOf(at.path())));
        Attach inner = inner(PLACES.indexOf(parts[0]), block, at);
        Bottle f = new Bottle(parts[0], Sublayers.width(block, at), parts[3].equals("linear"), at);
        NonLinearity sigma = NonLinearity.named(parts[2]);
        boolean isSeries = parts[1].equals("series");
        inner.after((x, o) -> {
            Tensor a = sigma.of(f.down(isSeries ? o : x));
            return o.add(f.up(f.encoder == null ? a : a.matmulT(f.encoder.value())));
        });
    }

    /// All at once, each as much as its share.
    private void search(int number, Choice place, Layer block, Attach at) {
        String name = PLACES.get(number);
        Attach inner = inner(number, block, at);
        Bottle f = new Bottle(name, Sublayers.width(block, at), true, at);
        Choice wiring = new Choice(at, "learned." + name + ".wiring", 2),
                activation = new Choice(at, "learned." + name + ".activation", candidates.size()),
                encoder = new Choice(at, "learned." + name + ".encoder", 2);
        List<NonLinearity> sigmas = candidates.stream().map(NonLinearity::named).toList();
        inner.after((x, o) -> {
            Tensor z = f.down(wiring.among(List.of(() -> o, () -> x)));
            Tensor a = activation.among(sigmas.stream().<Option>map(sigma -> () -> sigma.of(z)).toList());
            Tensor e = encoder.among(List.of(() -> a, () -> a.matmulT(f.encoder.value())));
            return o.add(f.up(e).mul(place.share(number)).mul(2));
        });
    }

    private static Attach inner(int place, Layer block, Attach at) {
        String name = Placements.sublayers(Targets.Place.BOTH).get(at.model().modelType()).get(place);
        Layer sublayer = block.modules(Layer.class).filter(l -> l.path().endsWith("." + name)).findFirst()
                .orElseThrow(() -> new AdapterException("'%s' has no '%s'; name blocks in target_modules".formatted(block.path(), name)));
        Attach inner = at.within(sublayer);
        inner.cannotFold("activation stands between the adapter's two matrices, so no plain layer computes the same");
        return inner;
    }

    /// The matrices of one bottleneck.
    private final class Bottle {
        final Parameter down, downBias, encoder, up, upBias;

        Bottle(String place, int width, boolean isEncoded, Attach at) {
            String name = "learned." + place;
            down = at.param(name + ".down.weight", Shape.of(bottleneckSize, width), Init.normal(0.02));
            downBias = at.param(name + ".down.bias", Shape.of(bottleneckSize), Init.zeros());
            encoder = isEncoded ? at.param(name + ".encode.weight", Shape.of(bottleneckSize, bottleneckSize), Init.normal(0.02)) : null;
            up = at.param(name + ".up.weight", Shape.of(width, bottleneckSize), Init.zeros());
            upBias = at.param(name + ".up.bias", Shape.of(width), Init.zeros());
        }

        Tensor down(Tensor h) {
            return h.matmulT(down.value()).add(downBias.value());
        }

        Tensor up(Tensor e) {
            return e.matmulT(up.value()).add(upBias.value());
        }
    }

    private interface Option {
        Tensor value();
    }

    /// A softmax over some options.
    private record Choice(Parameter scores) {
        Choice(Attach at, String name, int options) {
            this(at.structure(name, Shape.of(options), Init.zeros()));
        }

        Tensor share(int option) {
            return scores.value().softmax().slice(0, option, option + 1);
        }

        Tensor among(List<Option> options) {
            return IntStream.range(0, options.size()).mapToObj(i -> options.get(i).value().mul(share(i))).reduce(Tensor::add).orElseThrow();
        }
    }

    /// With what the search prefers by now.
    @Override
    public Adapter trained(Graft graft) {
        if (!architecture.isEmpty()) return this;
        List<String> words = new ArrayList<>();
        for (String block : graft.places()) {
            UnaryOperator<String> path = name -> block + ".learned." + name;
            String place = best(graft, path.apply("place"), PLACES);
            words.add(String.join("-", place, best(graft, path.apply(place + ".wiring"), WIRINGS),
                    best(graft, path.apply(place + ".activation"), candidates), best(graft, path.apply(place + ".encoder"), ENCODERS)));
        }
        return with("chosen", words);
    }

    private static String best(Graft graft, String path, List<String> options) {
        float[] scores = graft.parameter(path).value().toFloats();
        return options.get(IntStream.range(0, scores.length).reduce((a, b) -> scores[b] > scores[a] ? b : a).orElseThrow());
    }

    /// While searching that of S3Delta; the paper names none.
    @Override
    public double structureLearningRate() {
        return architecture.isEmpty() ? 0.1 : Adapter.super.structureLearningRate();
    }

    @Override
    public AdapterFormat format() {
        return AdapterFormat.GRAFT;
    }
}
