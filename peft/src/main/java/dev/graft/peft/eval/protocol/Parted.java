package dev.graft.peft.eval.protocol;

import dev.graft.peft.eval.Protocol;
import dev.graft.peft.eval.Question;
import java.nio.file.Path;

/// A set that has a part to learn from.
public interface Parted extends Protocol {
    /// Its parts, from the published files below a folder: that of training lies beside that of development, and is named so.
    default Split<Question> parts(Path root) {
        Path dev = file(root);
        return Split.of(read(dev.resolveSibling(dev.getFileName().toString().replaceFirst("^(dev|val)", "train"))), read(dev));
    }
}
