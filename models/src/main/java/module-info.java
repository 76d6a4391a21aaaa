/// Language models, their files, tokenizers and text generation.
module dev.graft.models {
    requires transitive dev.graft.tensor;
}
