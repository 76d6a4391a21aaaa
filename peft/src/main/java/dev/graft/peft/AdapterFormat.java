package dev.graft.peft;

/// How an adapter's folder looks. All have an `adapter_config.json` and name tensors `base_model.model.<place>.<parameter>`.
public enum AdapterFormat {
    /// `adapter_model.safetensors`; a bias of an adapted layer is called `<place>.base_layer.bias`.
    PEFT("PEFT", "adapter_model.safetensors", "base_layer.bias"),
    /// `adapter_model.bin`, a torch zip; a bias keeps its name.
    LLM_ADAPTERS("LLM-Adapters", "adapter_model.bin", "bias"),
    /// `adapter_model.safetensors`; a bias keeps its name. For methods that neither library has, whose fields and keys are ours.
    GRAFT("Graft", "adapter_model.safetensors", "bias");

    private final String library;
    private final String file;
    private final String adaptedBias;

    AdapterFormat(String library, String file, String adaptedBias) {
        this.library = library;
        this.file = file;
        this.adaptedBias = adaptedBias;
    }

    /// The library whose form this is.
    public String library() {
        return library;
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
