package dev.graft.peft.train;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// The folders `checkpoint-<step>` of a run. Each is there whole or not at all: written under another name, forced to disk, then renamed; and renamed
/// before it is deleted. So a process killed at any moment leaves the checkpoints it had.
public final class Checkpoints {
    private static final Pattern NAME = Pattern.compile("checkpoint-(\\d{1,18})");
    private static final String DRAFT = ".draft-";

    private final Path folder;

    Checkpoints(Path folder) {
        this.folder = folder;
    }

    Path folder() {
        return folder;
    }

    Path of(long step) {
        return folder.resolve("checkpoint-" + step);
    }

    /// Complete checkpoints by step.
    TreeMap<Long, Path> all() {
        TreeMap<Long, Path> found = new TreeMap<>();
        for (Path path : list()) {
            Matcher name = NAME.matcher(path.getFileName().toString());
            if (name.matches()) found.put(Long.parseLong(name.group(1)), path);
        }
        return found;
    }

    /// The last one, or null.
    Path latest() {
        Map.Entry<Long, Path> last = all().lastEntry();
        return last == null ? null : last.getValue();
    }

    /// Writes a checkpoint; `content` fills a folder with files that are on disk when it returns.
    Path write(long step, Saveable content) {
        Path target = of(step);
        Path draft = folder.resolve(DRAFT + target.getFileName());
        try {
            delete(draft);
            Files.createDirectories(draft);
            content.save(draft);
            force(draft);
            if (Files.exists(target)) remove(target);
            Files.move(draft, target, StandardCopyOption.ATOMIC_MOVE);
            force(folder);
            return target;
        } catch (IOException e) {
            throw new UncheckedIOException("the checkpoint " + target + " cannot be written: " + e.getMessage(), e);
        }
    }

    /// Removes all but the last `keep` checkpoints and that of `best`.
    void prune(int keep, long best) {
        TreeMap<Long, Path> all = all();
        int excess = all.size() - keep;
        for (Map.Entry<Long, Path> checkpoint : all.entrySet()) {
            if (excess-- <= 0) return;
            if (checkpoint.getKey() != best) remove(checkpoint.getValue());
        }
    }

    /// Removes what a killed process left half written or half deleted.
    void sweep() {
        for (Path path : list()) if (path.getFileName().toString().startsWith(DRAFT)) delete(path);
    }

    private void remove(Path checkpoint) {
        Path draft = folder.resolve(DRAFT + "removed-" + checkpoint.getFileName());
        try {
            delete(draft);
            Files.move(checkpoint, draft, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException e) {
            throw new UncheckedIOException("the old checkpoint " + checkpoint + " cannot be removed: " + e.getMessage(), e);
        }
        delete(draft);
    }

    private List<Path> list() {
        if (!Files.isDirectory(folder)) return List.of();
        try (Stream<Path> paths = Files.list(folder)) {
            return paths.toList();
        } catch (IOException e) {
            throw new UncheckedIOException("the folder " + folder + " cannot be listed: " + e.getMessage(), e);
        }
    }

    /// Removes the checkpoints of a run that needs them no more.
    public static void removeAll(Path folder) {
        Checkpoints checkpoints = new Checkpoints(folder);
        checkpoints.all().values().forEach(checkpoints::remove);
    }

    /// Deletes a folder and what is in it.
    public static void delete(Path tree) {
        if (!Files.exists(tree)) return;
        try (Stream<Path> paths = Files.walk(tree)) {
            for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) Files.delete(path);
        } catch (IOException e) {
            throw new UncheckedIOException("the folder " + tree + " cannot be deleted: " + e.getMessage(), e);
        }
    }

    private static void force(Path folder) {
        try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
            channel.force(true);
        } catch (IOException e) {
            // Not every system opens folders; there the move is as durable as the system makes it.
        }
    }
}
