package dev.graft.peft;

import dev.graft.peft.method.Bottleneck;
import dev.graft.peft.method.Lora;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/// The list of methods. Adding one to the library adds a line; one of your own needs none.
public final class Adapters {
    /// All methods. Of those with the same `peft_type`, the first holds the defaults of its files.
    public static final List<Method> ALL = List.of(
            new Method("lora", "re-parametrisation", "Hu et al. 2021, arXiv:2106.09685", Lora.DEFAULT, true),
            new Method("series-h", "series", "Houlsby et al. 2019, arXiv:1902.00751; Hu et al. 2023, arXiv:2304.01933", Bottleneck.DEFAULT,
                    false),
            new Method("series", "series", "Pfeiffer et al. 2020, arXiv:2005.00247; Hu et al. 2023, arXiv:2304.01933", Bottleneck.AFTER_MLP,
                    false),
            new Method("parallel", "parallel", "He et al. 2022, arXiv:2110.04366; Hu et al. 2023, arXiv:2304.01933", Bottleneck.PARALLEL,
                    false),
            new Method("scaled-parallel", "parallel", "He et al. 2022, arXiv:2110.04366", Bottleneck.SCALED_PARALLEL, false));

    private Adapters() {
    }

    /// The method of this name. Throws, listing them, when there is none.
    public static Method named(String name) {
        return ALL.stream().filter(m -> m.name().equals(name)).findFirst()
                .orElseThrow(() -> new AdapterException(
                        "no method '%s'; there are %s".formatted(name, ALL.stream().map(Method::name).toList())));
    }

    /// An adapter of a method with fields as in `adapter_config.json`: `of("lora", Map.of("r", 16, "target_modules", List.of("q_proj")))`.
    public static Adapter of(String name, Map<String, ?> fields) {
        Adapter adapter = named(name).defaults();
        for (Map.Entry<String, ?> field : fields.entrySet()) adapter = adapter.with(field.getKey(), field.getValue());
        return adapter;
    }

    /// The adapter that a folder of PEFT or LLM-Adapters describes, without its weights.
    public static Adapter read(Path folder) {
        return AdapterFolder.open(folder, List.of()).adapter();
    }

    /// The adapter a file of this `peft_type` starts from: one of these, or the first of the methods of that type.
    static Optional<Adapter> ofPeftType(String peftType, List<Adapter> others) {
        return known(others).filter(a -> a.peftType().equals(peftType)).findFirst();
    }

    static List<String> peftTypes(List<Adapter> others) {
        return known(others).map(Adapter::peftType).distinct().toList();
    }

    private static Stream<Adapter> known(List<Adapter> others) {
        return Stream.concat(ALL.stream().map(Method::defaults), others.stream());
    }
}
