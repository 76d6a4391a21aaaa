package dev.graft.peft.eval;

import dev.graft.peft.eval.Task.Verdict;

/// What a model answered to one item.
///
/// @param index        of the item, from 0
/// @param text         the part of the generated text that answers, stripped
/// @param verdict      what it was taken to say
/// @param promptTokens tokens the model read
/// @param newTokens    tokens it wrote, an end token among them
public record Response(int index, String text, Verdict verdict, int promptTokens, int newTokens) {}
