package dev.graft.peft.train;

import dev.graft.nn.Parameter;
import dev.graft.optim.Groups;

/// LoRA+ (Hayou et al. 2024, arXiv:2402.12354): B learns faster than A, since the one starts at zero and the other does not.
///
/// ```
/// rate of B, and of all that has one dimension = ratio · lr        their biases without weight decay
/// rate of A and B on an embedding              = embedding rate
/// rate of all else                             = lr
/// ```
/// As PEFT's `create_loraplus_optimizer` groups them; the schedule's course is the same for all. The paper recommends a ratio of about 16, and a rate somewhat
/// lower than without.
///
/// @param ratio between the rates of B and A
/// @param embeddingShare the embedding's rate by that of A
record LoraPlus(double ratio, double embeddingShare) implements Groups {
    @Override
    public Group of(Parameter p) {
        String name = p.name();
        if (name.contains("lora_embedding_")) return new Group(embeddingShare, 1);
        if (name.contains("lora_B") || p.shape().rank() == 1) return new Group(ratio, name.contains("bias") ? 0 : 1);
        return Group.PLAIN;
    }
}
