package dev.graft.peft.eval.protocol;

import dev.graft.peft.eval.DataException;
import dev.graft.peft.eval.Protocol;
import dev.graft.peft.eval.Question;
import java.nio.file.Path;
import java.util.List;

/// A set that has a part to learn from.
public interface Parted extends Protocol {
    /// Whether a half of its development part is what is asked; see [Split].
    default boolean halved() {
        return false;
    }

    /// Its parts, from the published files below a folder: that of training lies beside that of development, and is named so.
    ///
    /// @throws DataException if the training part is not of the size that [#halved] goes by: then what is asked and what is developed on would be the same
    default Split<Question> parts(Path root) {
        Path dev = file(root), train = dev.resolveSibling(dev.getFileName().toString().replaceFirst("^(dev|val)", "train"));
        List<Question> learned = read(train);
        if (Split.isHalved(learned.size()) != halved())
            throw new DataException(
                    "%s has %d records, where the whole set has %s: with a part of it, parts would be cut otherwise than 'eval' cuts them"
                            .formatted(train, learned.size(), halved() ? "fewer than 10,000" : "10,000 and more"));
        return Split.of(learned, read(dev));
    }
}
