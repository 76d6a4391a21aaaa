package dev.graft.peft.eval.protocol;

import dev.graft.peft.eval.DataException;
import dev.graft.peft.eval.Question;
import dev.graft.peft.eval.Response;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;

/// Sets whose questions come in groups: a folder with a file for each. A question has its group's name as `group`.
final class Groups {
    static final String GROUP = "group";

    private Groups() {
    }

    /// A folder's files by the order of their names, at least one.
    ///
    /// @param names such as `*.csv`
    /// @param whose of what set the files are, to be said where there are none
    static List<Path> files(Path folder, String names, String whose) {
        if (!Files.isDirectory(folder))
            throw new DataException("%s is no folder; %s are a folder of files %s".formatted(folder, whose, names));
        List<Path> files = new ArrayList<>();
        try (DirectoryStream<Path> found = Files.newDirectoryStream(folder, names)) {
            found.forEach(files::add);
        } catch (IOException e) {
            throw new DataException("%s cannot be read: %s".formatted(folder, e.getMessage()), e);
        }
        if (files.isEmpty()) throw new DataException("%s has no file %s".formatted(folder, names));
        Collections.sort(files);
        return files;
    }

    /// The mean of the groups' own accuracies.
    static double accuracy(List<Question> questions, List<Response> responses) {
        return responses.stream().collect(Collectors.groupingBy(r -> questions.get(r.index()).about().get(GROUP),
                Collectors.averagingDouble(r -> r.verdict().correct() ? 1 : 0))).values().stream().mapToDouble(Double::doubleValue)
                .average()
                .orElseThrow();
    }
}
