package dev.graft.peft.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.graft.peft.eval.Item;
import dev.graft.peft.eval.Items;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `records`: what there is to learn from in a paper's set.
class SetRecordsTest extends CommandTest {
    @TempDir
    Path folder;

    private int run(String task) {
        return graft("records", "--task", task, "--data-root", folder, "--output", folder.resolve("out"));
    }

    private void file(String name, String text) throws IOException {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    private List<Item> written(String name) {
        return Items.forTraining(folder.resolve("out").resolve(name));
    }

    private static String rows(String prefix, int count) {
        return "sentence\tlabel\n"
                + IntStream.range(0, count).mapToObj(i -> prefix + i + "\t" + i % 2).collect(Collectors.joining("\n"));
    }

    @Test
    void aHalfOfASmallSetsDevelopmentPartIsNotAsked() throws IOException {
        String record = "{\"question\": \"is it %s\", \"passage\": \"It is.\", \"label\": true}\n";
        file("BoolQ/train.jsonl", record.formatted("a") + record.formatted("b"));
        file("BoolQ/val.jsonl", IntStream.range(0, 5).mapToObj(i -> record.formatted(i)).collect(Collectors.joining()));
        assertThat(run("pedro/boolq")).as(err.toString()).isZero();
        assertThat(written("train.json")).containsExactly(
                new Item("Document: It is.\nQuestion: is it a?\nAnswer:", "", "yes", "yes"),
                new Item("Document: It is.\nQuestion: is it b?\nAnswer:", "", "yes", "yes"));
        assertThat(written("dev.json")).as("2, 4 and 0 are asked").extracting(Item::instruction).satisfiesExactly(
                text -> assertThat(text).contains("is it 3?"), text -> assertThat(text).contains("is it 1?"));
    }

    @Test
    void aThousandOfALargeSetsTrainingPartAreForDevelopment() throws IOException {
        file("SST-2/train.tsv", rows("film ", 10_000));
        file("SST-2/dev.tsv", rows("asked ", 3));
        assertThat(run("pedro/sst2")).as(err.toString()).isZero();
        assertThat(written("train.json")).hasSize(9_000).allMatch(item -> item.instruction().startsWith("Sentence: film "));
        assertThat(written("dev.json")).hasSize(1_000).allMatch(item -> item.instruction().startsWith("Sentence: film "));
    }

    @Test
    void aPartOfASetIsRefusedWhereItWouldBeCutOtherwise() throws IOException {
        file("SST-2/train.tsv", rows("film ", 30));
        file("SST-2/dev.tsv", rows("asked ", 4));
        assertThat(run("pedro/sst2")).isEqualTo(1);
        assertThat(err.toString()).contains("has 30 records, where the whole set has 10,000 and more");
        file("e2e/trainset.csv", "mr,ref\nname[A],A.\n");
        file("e2e/devset.csv", "mr,ref\nname[B],B.\n");
        assertThat(run("pedro/e2e")).isEqualTo(1);
        assertThat(err.toString()).contains("so nothing is left to develop on");
    }

    @Test
    void anAnswerIsARecordEach() throws IOException {
        file("e2e/trainset.csv", "mr,ref\nname[A],A.\nname[A],It is A.\nname[A],A.\n");
        file("e2e/devset.csv", "mr,ref\nname[B],B.\n");
        file("e2e/testset_w_refs.csv", "mr,ref\nname[C],C.\n");
        assertThat(run("pedro/e2e")).as(err.toString()).isZero();
        assertThat(written("train.json")).containsExactly(new Item("Record: name[A]\nReview:", "", "A.", "A."),
                new Item("Record: name[A]\nReview:", "", "It is A.", "It is A."));
        assertThat(written("dev.json")).hasSize(1);
    }

    @Test
    void whatIsNotThereIsNamed() throws IOException {
        assertThat(run("pedro/mmlu")).isEqualTo(2);
        assertThat(err.toString()).contains("there is no set 'pedro/mmlu' to learn from; there are pedro/sst2, pedro/rte");
        assertThat(run("pedro/rte")).isEqualTo(1);
        assertThat(err.toString()).contains("there is no test set pedro/rte: looked for");
        file("RTE/dev.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n");
        assertThat(run("pedro/rte")).isEqualTo(1);
        assertThat(err.toString()).contains("there is no data file", "train.tsv");
    }
}
