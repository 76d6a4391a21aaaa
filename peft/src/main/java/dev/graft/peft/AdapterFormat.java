package dev.graft.peft;

/// How an adapter's folder looks. Both have an `adapter_config.json` and name tensors `base_model.model.<place>.<parameter>`.
public enum AdapterFormat {
    /// `adapter_model.safetensors`; a bias of an adapted layer is called `<place>.base_layer.bias`.
    PEFT("adapter_model.safetensors", "base_layer.bias"),
    /// `adapter_model.bin`, a torch zip; a bias keeps its name.
    LLM_ADAPTERS("adapter_model.bin", "bias");

    private final String file;
    private final String adaptedBias;

    AdapterFormat(String file, String adaptedBias) {
        this.file = file;
        this.adaptedBias = adaptedBias;
    }

    /// The file that holds the tensors.
    public String file() {
        return file;
    }

    /// What the bias of an adapted layer is called below its place.
    String adaptedBias() {
        return adaptedBias;
    }
}
