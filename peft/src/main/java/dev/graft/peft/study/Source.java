package dev.graft.peft.study;

import dev.graft.models.io.JsonObject;
import dev.graft.peft.eval.Item;
import dev.graft.peft.tinyworld.WordProblems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/// Where records come from: a file, or the word problems of the tiny world.
public sealed interface Source {
    /// A file of records.
    record Records(Path file) implements Source {
    }

    /// Generated problems; those to evaluate on share no numbers with those to train on.
    ///
    /// @param count how many
    /// @param problems which
    record Generated(int count, WordProblems problems) implements Source {
        public List<Item> training() {
            return problems.training(count);
        }

        public List<Item> evaluation() {
            return problems.evaluation(count);
        }
    }

    /// `{"file": "train.json"}`, relative to `folder`, or `{"word_problems": 4800, "most": 20, "operations": 2, "seed": 1}`.
    static Source of(JsonObject json, Path folder) {
        if (json.has("file") == json.has("word_problems")) {
            throw json.problem("file", "or \"word_problems\" must say where records come from: one of them");
        }
        if (json.has("file")) {
            Path file = folder.resolve(json.requireString("file"));
            if (!Files.isRegularFile(file)) throw json.problem("file", "must be a file of records; there is no " + file);
            return new Records(file);
        }
        WordProblems usual = WordProblems.standard(1);
        int count = json.optSize("word_problems", 0);
        try {
            return new Generated(count, new WordProblems(json.optLong("seed", usual.seed()), json.optInt("most", usual.most()),
                    json.optInt("operations", usual.operations())));
        } catch (IllegalArgumentException e) {
            throw json.problem("word_problems", "cannot be made: " + e.getMessage());
        }
    }
}
