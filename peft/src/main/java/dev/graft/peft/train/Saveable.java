package dev.graft.peft.train;

import java.nio.file.Path;

/// What a run produces, as far as the trainer knows: something that writes itself into a folder, such as an attached adapter or a whole model.
@FunctionalInterface
public interface Saveable {
    /// Writes into a folder, which exists, over what is there.
    void save(Path folder);
}
