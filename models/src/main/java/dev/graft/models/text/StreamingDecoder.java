package dev.graft.models.text;

import java.util.ArrayList;
import java.util.List;

/// Decodes a running stream of ids. Text comes out as soon as it is certain: bytes wait until they form a character, and the space in
/// front of a word is there although every id is decoded alone (a tokenizer with a dummy prefix drops it from the start of what it
/// decodes). The pieces joined are what [Tokenizer#decode(int\[\], boolean)] gives for all ids at once.
///
/// One difference: where bytes form no character at all, the library sometimes replaces characters before them too; a stream
/// cannot take back what it has handed out.
public final class StreamingDecoder {
    private static final char REPLACEMENT = '\uFFFD';
    private static final int LONGEST_CHARACTER = 4; // bytes of UTF-8, and so the most ids that can share one

    private final Tokenizer tokenizer;
    private final boolean skipSpecialTokens;
    private final int[] context; // stands for everything before, so that what follows is not decoded as a beginning
    private final int contextLength;
    private final List<Integer> pending = new ArrayList<>();
    private boolean started;
    private int emitted; // characters of the pending ids already handed out
    private int waiting; // ids that have come since something was handed out

    StreamingDecoder(Tokenizer tokenizer, boolean skipSpecialTokens) {
        this.tokenizer = tokenizer;
        this.skipSpecialTokens = skipSpecialTokens;
        context = tokenizer.encode("a", false);
        contextLength = tokenizer.decode(context, false).length();
    }

    /// The text that has become certain with `id`, often empty.
    public String push(int id) {
        if (skipSpecialTokens && tokenizer.special(id) || tokenizer.token(id).isEmpty()) {
            return "";
        }
        pending.add(id);
        waiting++;
        String text = pendingText();
        int certain = text.length();
        while (certain > 0 && text.charAt(certain - 1) == REPLACEMENT) {
            certain--;
        }
        if (certain == text.length() || waiting >= LONGEST_CHARACTER && certain <= emitted) {
            return flush(text);
        }
        if (certain <= emitted) {
            return "";
        }
        String piece = text.substring(emitted, certain);
        emitted = certain;
        waiting = 1;
        return piece;
    }

    /// The rest at the end of the stream: bytes still waiting come out as U+FFFD. The decoder can then be used for another stream.
    public String finish() {
        String rest = pending.isEmpty() ? "" : flush(pendingText());
        started = false;
        return rest;
    }

    private String flush(String text) {
        String piece = text.substring(Math.min(emitted, text.length()));
        pending.clear();
        started = true;
        emitted = 0;
        waiting = 0;
        return piece;
    }

    private String pendingText() {
        int before = started ? context.length : 0;
        int[] ids = new int[before + pending.size()];
        System.arraycopy(context, 0, ids, 0, before);
        for (int i = 0; i < pending.size(); i++) {
            ids[before + i] = pending.get(i);
        }
        String text = tokenizer.decode(ids, false);
        return started ? text.substring(Math.min(contextLength, text.length())) : text;
    }
}
