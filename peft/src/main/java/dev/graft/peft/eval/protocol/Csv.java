package dev.graft.peft.eval.protocol;

import dev.graft.peft.eval.DataException;
import dev.graft.peft.io.Records;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// Tables as text: `.csv` (RFC 4180: fields with commas, quotes and line breaks in quotes, a quote doubled) and `.tsv` (tabs, no quoting), the first line naming the columns.
final class Csv {
    private Csv() {
    }

    /// The rows, by column.
    static List<Map<String, String>> read(Path file) {
        List<List<String>> rows = rows(file);
        List<Map<String, String>> records = new ArrayList<>();
        for (int i = 1; i < rows.size(); i++) {
            List<String> row = rows.get(i);
            if (row.size() != rows.getFirst().size()) {
                throw new DataException("%s: record %d has %d fields and there are %d columns: %s".formatted(file, i - 1, row.size(),
                        rows.getFirst().size(), rows.getFirst()));
            }
            Map<String, String> record = new LinkedHashMap<>();
            for (int c = 0; c < row.size(); c++) record.put(rows.getFirst().get(c), row.get(c));
            records.add(record);
        }
        if (records.isEmpty()) throw new DataException("%s holds no records".formatted(file));
        return records;
    }

    /// The rows of a table whose first line is one of them.
    static List<List<String>> rows(Path file) {
        boolean tabs = file.toString().matches(".*\\.tsv(\\.gz)?");
        if (!Files.isRegularFile(file)) throw new DataException("there is no data file " + file);
        String text;
        try (InputStream stream = Records.open(file)) {
            text = new String(stream.readAllBytes(), StandardCharsets.UTF_8).replaceFirst("^\uFEFF", "");
        } catch (IOException e) {
            throw new DataException("%s cannot be read: %s".formatted(file, e.getMessage()), e);
        }
        return tabs ? text.lines().map(line -> List.of(line.split("\t", -1))).toList() : quoted(file, text);
    }

    /// @throws DataException if there is no such column
    static String field(Path file, int index, Map<String, String> record, String column) {
        String value = record.get(column);
        if (value == null)
            throw new DataException("%s: record %d has no column '%s'; it has %s".formatted(file, index, column, record.keySet()));
        return value;
    }

    private static List<List<String>> quoted(Path file, String text) {
        List<List<String>> rows = new ArrayList<>();
        List<String> row = new ArrayList<>();
        StringBuilder field = new StringBuilder();
        boolean within = false;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (within) {
                if (c != '"') field.append(c);
                else if (i + 1 < text.length() && text.charAt(i + 1) == '"') field.append(text.charAt(++i));
                else within = false;
            } else if (c == '"' && field.isEmpty()) {
                within = true;
            } else if (c == ',') {
                row.add(take(field));
            } else if (c == '\n') {
                row.add(take(field));
                rows.add(row);
                row = new ArrayList<>();
            } else if (c != '\r') {
                field.append(c);
            }
        }
        if (within) throw new DataException("%s: record %d has a quote that does not end".formatted(file, rows.size() - 1));
        if (!field.isEmpty() || !row.isEmpty()) {
            row.add(take(field));
            rows.add(row);
        }
        rows.removeIf(r -> r.equals(List.of("")));
        return rows;
    }

    private static String take(StringBuilder field) {
        String text = field.toString();
        field.setLength(0);
        return text;
    }
}
