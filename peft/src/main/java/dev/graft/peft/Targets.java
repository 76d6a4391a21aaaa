package dev.graft.peft;

import dev.graft.models.Block;
import dev.graft.models.CausalLm;
import dev.graft.nn.Layer;
import dev.graft.nn.Linear;
import dev.graft.nn.Module;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Which parts of a model an adapter goes to, by their names, with the fields and the rules of PEFT.
///
/// @param targetModules layers to adapt; null for the method's default for the architecture
/// @param excludeModules layers to leave out all the same, or null
/// @param layersToTransform numbers of the blocks to adapt, or null for all
/// @param layersPattern what the list of blocks may be called (`layers`, `h`), or null for any name
/// @param modulesToSave parts that are trained as a whole, and saved, instead of being adapted; or null
public record Targets(Names targetModules, Names excludeModules, List<Integer> layersToTransform, List<String> layersPattern,
        List<String> modulesToSave) {

    /// Wherever the method goes by default.
    public static final Targets DEFAULT = new Targets(null, null, null, null, null);

    /// No layers.
    public static final Targets NONE = DEFAULT.named(new Nowhere());

    public Targets {
        layersToTransform = emptyToNull(layersToTransform);
        layersPattern = emptyToNull(layersPattern == null ? null : layersPattern.stream().filter(p -> !p.isEmpty()).toList());
        modulesToSave = emptyToNull(modulesToSave);
        if (layersToTransform != null && targetModules instanceof Matching) {
            throw new AdapterException("layers_to_transform goes with a list of target_modules; say it in the pattern " + targetModules);
        }
        if (layersPattern != null && layersToTransform == null)
            throw new AdapterException("layers_pattern says nothing without layers_to_transform");
        for (String p : layersPattern == null ? List.<String>of() : layersPattern) compile(p);
    }

    /// Layers whose path is one of these or ends with `.` and one of these.
    public static Targets of(String... names) {
        return DEFAULT.named(new Listed(List.of(names)));
    }

    /// Layers whose whole path matches a regular expression.
    public static Targets matching(String regex) {
        return DEFAULT.named(new Matching(regex));
    }

    /// Every linear layer but the output layer.
    public static Targets allLinear() {
        return DEFAULT.named(new AllLinear());
    }

    /// All layers at a place, whatever the architecture calls them; of a series adapter, those where one goes.
    public static Targets at(Place place) {
        return DEFAULT.named(place);
    }

    /// Every block of a decoder, each as a whole; with [#inLayers] some of them.
    public static Targets allBlocks() {
        return DEFAULT.named(new AllBlocks());
    }

    public Targets named(Names names) {
        return new Targets(names, excludeModules, layersToTransform, layersPattern, modulesToSave);
    }

    public Targets except(String... names) {
        return new Targets(targetModules, new Listed(List.of(names)), layersToTransform, layersPattern, modulesToSave);
    }

    public Targets inLayers(int... layers) {
        return new Targets(targetModules, excludeModules, Arrays.stream(layers).boxed().toList(), layersPattern, modulesToSave);
    }

    public Targets saving(String... modules) {
        return new Targets(targetModules, excludeModules, layersToTransform, layersPattern, List.of(modules));
    }

    /// A choice of layers by name. In JSON a list, a regular expression, a [Place], `"all-linear"`, or `"all-blocks"`.
    public sealed interface Names extends JsonValue permits Listed, Matching, AllLinear, AllBlocks, Place, Nowhere {
        /// Whether a word stands for many layers, so that it is none of their names.
        static boolean isWord(String word) {
            return word.equals("all-linear") || word.equals("all-blocks") || Place.NAMES.contains(word);
        }

        boolean include(Layer layer, Module model);

        /// Whether a path is among these, as far as a path alone tells.
        default boolean fit(String path) {
            return switch (this) {
                case Listed(List<String> names) -> endsWithAny(path, names);
                case Matching(String regex) -> path.matches(regex);
                case AllLinear(),AllBlocks() -> true;
                case Place place -> Placements.layers(place).values().stream().anyMatch(names -> endsWithAny(path, names));
                case Nowhere() -> false;
            };
        }

        static Names of(Object json) {
            return switch (json) {
                case List<?> names when names.stream().allMatch(String.class::isInstance) -> new Listed(
                        names.stream().map(String.class::cast).toList());
                case String s when s.equals("all-linear") -> new AllLinear();
                case String s when s.equals("all-blocks") -> new AllBlocks();
                case String s when Place.NAMES.contains(s) -> Place.valueOf(s.toUpperCase(Locale.ROOT));
                case String s -> new Matching(s);
                case null, default -> throw new AdapterException(
                        "must be a list of names, a regular expression, \"all-linear\", \"all-blocks\", \"attention\", \"mlp\" or \"both\", got "
                                + json);
            };
        }
    }

    /// By the last components of the path.
    public record Listed(List<String> names) implements Names {
        public Listed {
            names = List.copyOf(names);
        }

        @Override
        public boolean include(Layer layer, Module model) {
            return endsWithAny(layer.path(), names);
        }

        @Override
        public Object json() {
            return names;
        }
    }

    /// By a regular expression over the whole path.
    public record Matching(String regex) implements Names {
        public Matching {
            compile(regex);
        }

        @Override
        public boolean include(Layer layer, Module model) {
            return layer.path().matches(regex);
        }

        @Override
        public Object json() {
            return regex;
        }

        @Override
        public String toString() {
            return "'" + regex + "'";
        }
    }

    /// All linear layers but the output layer.
    public record AllLinear() implements Names {
        @Override
        public boolean include(Layer layer, Module model) {
            return layer instanceof Linear && !(model instanceof CausalLm lm && lm.head() == layer);
        }

        @Override
        public Object json() {
            return "all-linear";
        }
    }

    /// A part of every block, under one name for all architectures (see [Placements#layers]): `"attention"`, `"mlp"` or `"both"`. An adapter that is
    /// attached has the layers' names instead, which is what its file says.
    public enum Place implements Names {
        ATTENTION, MLP, BOTH;

        /// As in JSON.
        public static final List<String> NAMES = Stream.of(values()).map(Place::json).toList();

        @Override
        public boolean include(Layer layer, Module model) {
            return model instanceof CausalLm lm
                    && endsWithAny(layer.path(), Placements.layers(this).getOrDefault(lm.config().modelType(), List.of()));
        }

        @Override
        public String json() {
            return name().toLowerCase(Locale.ROOT);
        }

        @Override
        public String toString() {
            return json();
        }
    }

    /// All blocks, each as a whole.
    public record AllBlocks() implements Names {
        @Override
        public boolean include(Layer layer, Module model) {
            return layer instanceof Block;
        }

        @Override
        public Object json() {
            return "all-blocks";
        }
    }

    /// None, for methods that act on the model as a whole. No field of a file says this.
    public record Nowhere() implements Names {
        @Override
        public boolean include(Layer layer, Module model) {
            return false;
        }

        @Override
        public Object json() {
            return List.of();
        }
    }

    /// The layers to adapt, in the model's order. Throws when there are none and there should be.
    List<Layer> layers(Module model) {
        List<Layer> found = model.modules(Layer.class).filter(l -> adapts(l, model)).toList();
        if (found.isEmpty() && !(targetModules instanceof Nowhere))
            throw new AdapterException("no layer matches %s; %s".formatted(this, choices(model)));
        return found;
    }

    /// Throws when one of the listed names is nowhere in the model.
    void requireEach(Module model) {
        if (!(targetModules instanceof Listed(List<String> names))) return;
        for (String name : names) {
            if (model.modules(Layer.class).noneMatch(l -> endsWithAny(l.path(), List.of(name)))) {
                throw new AdapterException("no layer matches '%s'; %s".formatted(name, choices(model)));
            }
        }
    }

    /// The parts to be trained as a whole. Throws when a name fits none.
    List<Module> saved(Module model) {
        if (modulesToSave == null) return List.of();
        for (String name : modulesToSave) {
            if (model.modules(Module.class).noneMatch(m -> endsWithAny(m.path(), List.of(name)))) {
                throw new AdapterException("no part of the model matches '%s' of modules_to_save; %s".formatted(name, choices(model)));
            }
        }
        return model.modules(Module.class).filter(m -> endsWithAny(m.path(), modulesToSave)).toList();
    }

    private boolean adapts(Layer layer, Module model) {
        return targetModules.include(layer, model) && (excludeModules == null || !excludeModules.include(layer, model))
                && (layersToTransform == null || layersToTransform.contains(block(layer.path())))
                && (modulesToSave == null
                        || saved(model).stream().noneMatch(m -> layer.path().equals(m.path()) || layer.path().startsWith(m.path() + ".")));
    }

    /// The number of the block a layer is in, or -1.
    private int block(String path) {
        for (String list : layersPattern == null ? List.of("[^.]*") : layersPattern) {
            Matcher m = Pattern.compile(".*?\\.(?:" + list + ")\\.(\\d+)(?:\\.|$)").matcher(path);
            if (m.lookingAt()) return Integer.parseInt(m.group(1));
        }
        return -1;
    }

    private static String choices(Module model) {
        return "the model has "
                + model.modules(Layer.class).filter(l -> !(l instanceof Block)).map(l -> l.path().substring(l.path().lastIndexOf('.') + 1))
                        .collect(Collectors.toCollection(TreeSet::new));
    }

    private static boolean endsWithAny(String path, List<String> names) {
        return names.stream().anyMatch(n -> path.equals(n) || path.endsWith("." + n));
    }

    private static void compile(String regex) {
        try {
            Pattern.compile(regex);
        } catch (PatternSyntaxException e) {
            throw new AdapterException("'%s' is not a regular expression: %s".formatted(regex, e.getDescription()));
        }
    }

    private static <T> List<T> emptyToNull(List<T> list) {
        return list == null || list.isEmpty() ? null : List.copyOf(list);
    }

    /// What was asked for, without what was not.
    @Override
    public String toString() {
        return Stream.of(part("", targetModules), part("except ", excludeModules), part("in layers ", layersToTransform),
                part("of ", layersPattern), part("saving ", modulesToSave)).filter(s -> !s.isEmpty()).collect(Collectors.joining(" "));
    }

    private static String part(String label, Object value) {
        return switch (value) {
            case null -> "";
            case Listed(List<String> names) -> label + names;
            case AllLinear() -> label + "all-linear";
            case AllBlocks() -> label + "all-blocks";
            default -> label + value;
        };
    }
}
