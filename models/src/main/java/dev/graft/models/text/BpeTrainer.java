package dev.graft.models.text;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// Trains a byte-level BPE vocabulary (Sennrich et al. 2016, arXiv:1508.07909; bytes as in GPT-2) and writes it as `tokenizer.json`.
///
/// The vocabulary is `<pad>` 0, `<s>` 1, `</s>` 2, the 256 bytes, then one entry per merge: again and again the pair of neighbours that
/// occurs most often within words becomes one token. Any text encodes, since every byte is a token. A digit is always a token of its own
/// (with the space before it, if there is one), so that numbers look alike wherever they stand.
public final class BpeTrainer {
    public static final String PAD = "<pad>";
    public static final String BOS = "<s>";
    public static final String EOS = "</s>";

    // GPT-2's, but for digits, which stand alone.
    private static final String WORDS = " ?\\p{L}+| ?\\p{N}| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
    private static final Pattern WORD = Pattern.compile(WORDS, Pattern.UNICODE_CHARACTER_CLASS);
    private static final List<String> SPECIALS = List.of(PAD, BOS, EOS);
    private static final String[] LETTERS = byteLetters();

    private record Pair(String left, String right) {
        String merged() {
            return left + right;
        }
    }

    private static final class Word {
        final List<String> tokens = new ArrayList<>();
        final long count;

        Word(String text, long count) {
            this.count = count;
            for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
                tokens.add(LETTERS[b & 0xFF]);
            }
        }

        void merge(Pair pair) {
            for (int i = 0; i + 1 < tokens.size(); i++) {
                if (tokens.get(i).equals(pair.left) && tokens.get(i + 1).equals(pair.right)) {
                    tokens.set(i, pair.merged());
                    tokens.remove(i + 1);
                }
            }
        }
    }

    private BpeTrainer() {}

    /// Trains on `texts` and writes `tokenizer.json` and `tokenizer_config.json` into `dir`. The same texts give the same files.
    ///
    /// @param vocabSize entries wanted, at least 259; fewer come out if the texts have no more pairs that occur twice
    public static void train(Stream<String> texts, int vocabSize, Path dir) throws IOException {
        int fixed = SPECIALS.size() + LETTERS.length;
        if (vocabSize < fixed) {
            throw new IllegalArgumentException(
                    "vocabSize must be at least %d (special tokens and bytes), got %d".formatted(fixed, vocabSize));
        }
        List<Pair> merges = merges(words(texts), vocabSize - fixed);
        Files.createDirectories(dir);
        ObjectMapper json = new ObjectMapper();
        json.writerWithDefaultPrettyPrinter().writeValue(dir.resolve("tokenizer.json").toFile(), tokenizerJson(json, merges));
        ObjectNode config = json.createObjectNode().put("tokenizer_class", "PreTrainedTokenizerFast").put("bos_token", BOS)
                .put("eos_token", EOS)
                .put("pad_token", PAD).put("padding_side", "left").put("clean_up_tokenization_spaces", false);
        json.writerWithDefaultPrettyPrinter().writeValue(dir.resolve("tokenizer_config.json").toFile(), config);
    }

    private static List<Word> words(Stream<String> texts) {
        Map<String, Long> counts = new TreeMap<>();
        texts.forEach(text -> {
            Matcher matcher = WORD.matcher(text);
            while (matcher.find()) {
                counts.merge(matcher.group(), 1L, Long::sum);
            }
        });
        return counts.entrySet().stream().map(entry -> new Word(entry.getKey(), entry.getValue())).toList();
    }

    private static List<Pair> merges(List<Word> words, int wanted) {
        List<Pair> merges = new ArrayList<>();
        while (merges.size() < wanted) {
            Map<Pair, Long> counts = new LinkedHashMap<>();
            for (Word word : words) {
                for (int i = 0; i + 1 < word.tokens.size(); i++) {
                    counts.merge(new Pair(word.tokens.get(i), word.tokens.get(i + 1)), word.count, Long::sum);
                }
            }
            // Ties go to the alphabet, so that the result does not depend on the order of a map.
            var best = counts.entrySet().stream().filter(entry -> entry.getValue() > 1)
                    .max(Comparator.comparingLong((Map.Entry<Pair, Long> entry) -> entry.getValue())
                            .thenComparing(entry -> entry.getKey().left, Comparator.reverseOrder())
                            .thenComparing(entry -> entry.getKey().right, Comparator.reverseOrder()));
            if (best.isEmpty()) {
                break;
            }
            Pair pair = best.get().getKey();
            merges.add(pair);
            words.forEach(word -> word.merge(pair));
        }
        return merges;
    }

    private static ObjectNode tokenizerJson(ObjectMapper json, List<Pair> merges) {
        ObjectNode root = json.createObjectNode().put("version", "1.0").putNull("truncation").putNull("padding");
        ArrayNode added = root.putArray("added_tokens");
        for (int id = 0; id < SPECIALS.size(); id++) {
            added.addObject().put("id", id).put("content", SPECIALS.get(id)).put("single_word", false).put("lstrip", false)
                    .put("rstrip", false)
                    .put("normalized", false).put("special", true);
        }
        root.putNull("normalizer");
        ObjectNode preTokenizer = root.putObject("pre_tokenizer").put("type", "Sequence");
        ArrayNode steps = preTokenizer.putArray("pretokenizers");
        ObjectNode split = steps.addObject().put("type", "Split");
        split.putObject("pattern").put("Regex", WORDS);
        split.put("behavior", "Isolated").put("invert", false);
        steps.addObject().put("type", "ByteLevel").put("add_prefix_space", false).put("trim_offsets", true).put("use_regex", false);
        ObjectNode template = root.putObject("post_processor").put("type", "TemplateProcessing");
        ArrayNode single = template.putArray("single");
        single.addObject().putObject("SpecialToken").put("id", BOS).put("type_id", 0);
        single.addObject().putObject("Sequence").put("id", "A").put("type_id", 0);
        ArrayNode pair = template.putArray("pair");
        pair.addAll(single.deepCopy());
        pair.addObject().putObject("SpecialToken").put("id", BOS).put("type_id", 1);
        pair.addObject().putObject("Sequence").put("id", "B").put("type_id", 1);
        ObjectNode bos = template.putObject("special_tokens").putObject(BOS).put("id", BOS);
        bos.putArray("ids").add(SPECIALS.indexOf(BOS));
        bos.putArray("tokens").add(BOS);
        root.putObject("decoder").put("type", "ByteLevel").put("add_prefix_space", true).put("trim_offsets", true).put("use_regex", true);

        ObjectNode model = root.putObject("model").put("type", "BPE").putNull("dropout").putNull("unk_token")
                .putNull("continuing_subword_prefix")
                .putNull("end_of_word_suffix").put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", false);
        ObjectNode vocab = model.putObject("vocab");
        Stream.of(SPECIALS.stream(), Arrays.stream(LETTERS), merges.stream().map(Pair::merged)).flatMap(tokens -> tokens)
                .forEach(token -> vocab.put(token, vocab.size()));
        ArrayNode mergesJson = model.putArray("merges");
        merges.forEach(merge -> mergesJson.addArray().add(merge.left).add(merge.right));
        return root;
    }

    /// GPT-2's table: printable bytes stand for themselves, the other 68 for code points from U+0100 upwards.
    private static String[] byteLetters() {
        String[] letters = new String[256];
        int next = 0x100;
        for (int b = 0; b < 256; b++) {
            boolean printable = 33 <= b && b <= 126 || 161 <= b && b <= 172 || 174 <= b;
            letters[b] = Character.toString(printable ? b : next++);
        }
        return letters;
    }
}
