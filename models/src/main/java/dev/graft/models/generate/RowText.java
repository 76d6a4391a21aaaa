package dev.graft.models.generate;

import dev.graft.models.text.StreamingDecoder;
import dev.graft.models.text.Tokenizer;

/// The text of one row as it grows: decoded token by token, searched for stop strings, handed out as soon as no stop string can begin in it.
final class RowText {
    private final StreamingDecoder decoder;
    private final StopStrings stops;
    private final StringBuilder text = new StringBuilder();
    private int released;
    private boolean stopped;

    RowText(Tokenizer tokenizer, StopStrings stops) {
        decoder = tokenizer.stream(true);
        this.stops = stops;
    }

    /// Takes one token; returns the text that can be handed out now.
    String push(int id) {
        return take(decoder.push(id));
    }

    /// The rest, once no more tokens come.
    String finish() {
        String piece = stopped ? "" : take(decoder.finish());
        String rest = text.substring(released);
        released = text.length();
        return piece + rest;
    }

    boolean stopped() {
        return stopped;
    }

    String text() {
        return text.toString();
    }

    private String take(String piece) {
        int from = Math.max(0, text.length() - stops.longest() + 1);
        text.append(piece);
        int at = stops.find(text, from);
        if (at >= 0) {
            text.setLength(at);
            stopped = true;
        }
        int certain = stopped ? text.length() : text.length() - stops.suspicious(text);
        String out = text.substring(released, Math.max(released, certain));
        released = Math.max(released, certain);
        return out;
    }
}
