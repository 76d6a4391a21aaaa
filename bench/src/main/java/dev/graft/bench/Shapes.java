package dev.graft.bench;

import java.util.Map;

/// The shapes that benches run on, by name.
public final class Shapes {
    /// A product `[m, k] × [n, k]ᵀ`.
    public record Product(int m, int n, int k) {
    }

    private static final Map<String, Product> PRODUCTS = Map.of(
            "512x2048x2048", new Product(512, 2048, 2048),
            "128x4096x4096", new Product(128, 4096, 4096),
            "1024x1024x1024", new Product(1024, 1024, 1024),
            "lora-bench/qkv", new Product(1024, 768, 768),
            "lora-bench/up", new Product(1024, 2048, 768),
            "lora-bench/down", new Product(1024, 768, 2048),
            "lora-bench/head", new Product(1024, 8192, 768),
            "lora-bench/lora_A", new Product(1024, 8, 768),
            "lora-bench/lora_B", new Product(1024, 768, 8));

    private Shapes() {
    }

    public static Product product(String name) {
        Product p = PRODUCTS.get(name);
        if (p == null) throw new IllegalArgumentException("no shape '" + name + "'; known: " + PRODUCTS.keySet());
        return p;
    }
}
