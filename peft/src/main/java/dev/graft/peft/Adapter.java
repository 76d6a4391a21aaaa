package dev.graft.peft;

import dev.graft.models.CausalLm;
import dev.graft.models.Conversation.Turns;
import dev.graft.models.ModelConfig;
import dev.graft.nn.Embedding;
import dev.graft.nn.Layer;
import dev.graft.nn.Linear;
import dev.graft.peft.train.Step;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// A way of adapting a model: a record that holds the hyper-parameters and says what happens at each layer it goes to.
///
/// The record's components are the fields of `adapter_config.json`: `loraAlpha` is `lora_alpha`, and those of [Targets] stand among them.
/// A component `String bias` is understood for all methods alike: `none`, `all` (every bias of the model is trained), or a word that ends in
/// `_only` (those of the adapted layers).
///
/// Adding a method is one file with the formula on top, and a line in [Adapters].
public interface Adapter {
    /// Which layers, by name; [Targets#NONE] for a method that goes to none.
    Targets targets();

    /// Of the layers that the targets name, in the model's order, those it goes to.
    default List<Layer> among(List<Layer> named) {
        return named;
    }

    /// Puts the adapter on the model as a whole, before it goes to layers.
    default void onModel(CausalLm model, AttachModel at) {
    }

    /// Puts the adapter on a linear layer.
    default void onLinear(Linear base, Attach at) {
        throw unfit(base, at);
    }

    /// Puts the adapter on an embedding.
    default void onEmbedding(Embedding base, Attach at) {
        throw unfit(base, at);
    }

    /// Puts the adapter on a layer of another kind.
    default void onLayer(Layer base, Attach at) {
        throw unfit(base, at);
    }

    /// This with what it takes from the model written out, as it is saved. Throws where it says otherwise than the model.
    default Adapter fitted(ModelConfig model) {
        return this;
    }

    /// This with what it takes from the length of a run that trains it. Throws where it does not fit into that many steps.
    default Adapter forRun(long steps) {
        return this;
    }

    /// Has its say after each step of the optimizer in which the adapter was trained.
    default void afterStep(Graft graft, Step step) {
    }

    /// This as a checkpoint's config describes it, when training has made it another than it was attached as.
    default Adapter trained(Graft graft) {
        return this;
    }

    /// Names of the layers this goes to when the targets name none, by `model_type`: those of queries and values, as most methods of PEFT have it.
    default Map<String, List<String>> usualTargets() {
        return Placements.queryAndValue();
    }

    /// Names of the layers that a place stands for, by `model_type`: all layers there, unless the method has its own.
    default Map<String, List<String>> targetsAt(Targets.Place place) {
        return Placements.layers(place);
    }

    /// Those of [#usualTargets] for one `model_type`. Throws when the method has none for it.
    default List<String> defaultTargets(String modelType) {
        return Placements.of(modelType, usualTargets(), getClass().getSimpleName());
    }

    /// How many of a prompt's first tokens it must see together to say what it does at any of them: 0 for a method that asks about none, [Integer#MAX_VALUE] for all. Texts that are the same up to
    /// there share what was computed of all that they have in common.
    default int promptTokens() {
        return 0;
    }

    /// The largest learning rate of its structure ([Attach#structure]), where a run's settings say none.
    default double structureLearningRate() {
        return 1e-6;
    }

    /// Whether what it makes of a prompt's tokens, and not of their number alone, reaches the earlier of them, so that a prompt is nothing to be learned or scored.
    default boolean looksAhead() {
        return false;
    }

    /// What a further turn of a conversation does. What follows from the tokens before each, and nothing of the prompt as a whole, need not be computed again.
    default Turns turns() {
        return Turns.FIXED;
    }

    /// Names of the adapters that it makes use of, which are attached before it.
    default List<String> uses() {
        return List.of();
    }

    /// `none`, `all`, or a word that ends in `_only`.
    default String bias() {
        return "none";
    }

    /// The name of the method in `adapter_config.json`: `ScaleShift` is `SCALE_SHIFT` unless it says otherwise.
    default String peftType() {
        return getClass().getSimpleName().replaceAll("(?<=[a-z0-9])(?=[A-Z])", "_").toUpperCase(Locale.ROOT);
    }

    /// How its checkpoint is laid out on disk.
    default AdapterFormat format() {
        return AdapterFormat.PEFT;
    }

    /// Fields that other programs write into `adapter_config.json` and that do not change what is computed, with the values they may have.
    default Map<String, List<?>> harmless() {
        return Map.of();
    }

    /// All fields under their names in JSON, as plain values.
    default Map<String, Object> fields() {
        return Fields.of((Record) this);
    }

    /// This with one field changed, under its name in JSON: `lora.with("lora_dropout", 0.05)`. Throws when there is no such field or the value
    /// does not fit it.
    default Adapter with(String field, Object value) {
        return with(Collections.singletonMap(field, value));
    }

    /// This with several fields changed at once, where each alone would not fit the others: `oft.with(Map.of("r", 4, "oft_block_size", 0))`.
    default Adapter with(Map<String, ?> fields) {
        return (Adapter) Fields.with((Record) this, fields);
    }

    private AdapterException unfit(Layer base, Attach at) {
        return new AdapterException("%s cannot adapt '%s', which is %s %s; name other target_modules".formatted(getClass().getSimpleName(),
                at.path(), base.getClass().getSimpleName().matches("[AEIOU].*") ? "an" : "a", base.getClass().getSimpleName()));
    }
}
