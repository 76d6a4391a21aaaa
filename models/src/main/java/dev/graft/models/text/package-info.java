/// From text to token ids and back: tokenizers read from `tokenizer.json`, decoding of a running stream, and the training of a small
/// byte-level BPE vocabulary. Start with [dev.graft.models.text.Tokenizer].
package dev.graft.models.text;
