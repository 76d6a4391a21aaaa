package dev.graft.peft.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.models.SharedFolder;
import dev.graft.peft.eval.Answers.LetterRule;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The sixteen published test sets: their sizes, what the rules read out of their reference outputs, the bytes of their prompts.
class PublishedSetsTest {
    @ParameterizedTest
    @CsvSource({"MultiArith, 560", "gsm8k, 771", "AddSub, 370", "SingleEq, 484", "SVAMP, 803", "AQuA, 109", //
            "boolq, 3270", "piqa, 1838", "social_i_qa, 1954", "hellaswag, 10042", "winogrande, 1267", "ARC-Easy, 2376",
            "ARC-Challenge, 1172", "openbookqa, 500"})
    void theReferenceOutputsScoreAsPublished(String set, int correct) {
        assertThat(correct(set, LetterRule.FIRST)).isEqualTo(correct);
    }

    @Test
    void theLastLetterRuleReadsMoreOfAquaRight() {
        assertThat(correct("AQuA", LetterRule.LAST)).isEqualTo(123);
    }

    /// The constant answers of the paper's tables' sets, and for numbers the most frequent value, counted in Python.
    @ParameterizedTest
    @CsvSource({"MultiArith, 9.0, 43", "gsm8k, 5.0, 40", "AddSub, 12.0, 12", "AQuA, A, 63", "SingleEq, 9.0, 17", "SVAMP, 2.0, 77",
            "mawps, 5.0, 11", "mathqa, C, 676", "boolq, true, 2033", "piqa, solution2, 928", "social_i_qa, answer3, 657",
            "hellaswag, ending3, 2584", "winogrande, option2, 639", "ARC-Easy, answer3, 633", "ARC-Challenge, answer2, 311",
            "openbookqa, answer1, 138"})
    void theMostFrequentAnswerIsTheBaseline(String set, String answer, int times) {
        List<Item> items = items(set);
        EvalResult result = new EvalResult(Task.named(set), EvalConfig.DEFAULT, items, List.of(), 1, 0, 0);
        assertThat(result.majority()).isEqualTo(new EvalResult.Majority(answer, (double) times / items.size()));
    }

    private static long correct(String set, LetterRule rule) {
        Task task = Task.named(set);
        return items(set).stream().filter(item -> task.judge(item.output(), item.answer(), rule).correct()).count();
    }

    /// SHA-256 of the prompts of record 7, made in Python from the description of the template.
    @ParameterizedTest
    @CsvSource({ //
            "MultiArith, 600, 1da173f55aeb9052680f88bed6c664d5baadb1c0e27fb5844218b41ab81a92fb, 3c5a7e6efa37775eb11c32060b1f831cd0cd91df6478caf33c33aa0af0714f79", //
            "gsm8k, 1319, 7f902ec6a5f8c44ba0c45b8125edba2a807b9091ebeaeef11d09a3a87cfbdcb8, f5f83016bfba482fec1b5f9ef8b9e345b27a51e24e9bd0a5adc348dba8219e19", //
            "AddSub, 395, 779e04052a4b0097090c1d10f4f9519a5f09487769d72dd1b22251a79af12c43, a6e83651b71f00d8cd665e5b185003d59b5a7f30c48122afe832b89bf3b54d32", //
            "AQuA, 254, 5967d45856bd01c0b3e04e004c436d5414259758fc47a96ef0430c5729da9fb3, af3e99e380408955d1589815c56714e74d8d0661f172ad3f20a7065625057d60", //
            "SingleEq, 508, c4bd8f50237bc3d1a69f8c35738f99940f637b1b426db6dc49af983d45600dcb, d932a54ec616bda12cb1c5723f90209d06f7efa13ce4c82619167911988215f7", //
            "SVAMP, 1000, 31208fae1334a281c37c554acc742345826f121eb6620e3b43271cc2a27a3c05, 30422ec0c9c6c794a2b55123135b547c39c4211a6421dec40a667740f82b572f", //
            "mawps, 238, 7823189a5f7b378f8b9cd0f3bc0b1dde052f90a1e8592729f214455469784fbf, ae862c89884705b50e4e6f193d92bb51617aefa06b37b169429c37d3cbe80ab5", //
            "mathqa, 2985, d7b8173c29be4f6dfc91a362634f41f0ab6c7c3c27c1b818985d0888bf251f55, 1df51e479edd1b038af194d0bb90102b83318a41fa2eb0819f0a9449b719412d", //
            "boolq, 3270, f1b35a9dbc7566e195abe2c74e635e4e6adb683eff148e145ac664dc11685e00, 7f65b56449880ac317fe413eaed58643bb66a7f46a8828fc52504a292084f94a", //
            "piqa, 1838, 49f9c5a88572904be968bee58960383c806b6f22daa11d8d9529d50fa1552b72, 751dad9ee5390c6d5ef10db5230240abff6c06db4144ed6bc5b76ef306a3f20e", //
            "social_i_qa, 1954, f14b9ee68fd26c72df3cd4405b5c65236ed774d818c8fe63e75595887c546f6d, f5b4a652e12b72972e8cc887b042dd157d3705631b4921c1c034c3d545d07d44", //
            "hellaswag, 10042, 452bb89150d48d4b6849500e5de0189b6573433c36efb10b57c641695f150a9b, a06cce4cf0227bbe669756ccaa4bd4bad39d0025e873a8dc550ed3b510139ffa", //
            "winogrande, 1267, 11d9a5d4396487855f5c294863317249618e239c08b59270fd006880bf535257, a47e2a608db9d4937c2d46e91190680a92860a65d9bc41ebd34313be9beb415a", //
            "ARC-Easy, 2376, 86ce7eb798e37ca8cd9d526b94369c34ba96dfcee8fe082cde38f90de386bef2, 34e8384fc396ec6aabd1594fb141706ecca8426648365deae5fd518b78bffb2d", //
            "ARC-Challenge, 1172, a071113131b29eaa05784be506d3b32af195b742e2e94a0cb339a5a2cfe65197, a5e18989c3671a5aeb504c05c3a8bc4583a5c84c2d06df2780931f5dc90d2845", //
            "openbookqa, 500, 7f06c4853112bc96dada6d5e977bd999898a2c48f7831766334420b361203177, 5832b6706534e3b8e35b099f6f411f04efd801f2ff553793d2d41718f97431cf" //
    })
    void promptsHaveTheReferencesBytes(String set, int records, String training, String evaluation) throws Exception {
        List<Item> items = items(set);
        assertThat(items).hasSize(records);
        assertThat(Task.named(set).records()).hasValue(records);
        assertThat(sha256(PromptTemplate.COMPAT.training(items.get(7)))).isEqualTo(training);
        assertThat(sha256(PromptTemplate.COMPAT.evaluation(items.get(7)))).isEqualTo(evaluation);
    }

    @Test
    void trainingFilesAreRead() {
        assertThat(Items.forTraining(SharedFolder.path("data/llm-adapters/math_data.json"))).hasSize(3_260);
        List<Item> gsm8k = Items.forTraining(SharedFolder.path("data/llm-adapters/gsm8k/train_original.jsonl.gz"));
        assertThat(gsm8k).hasSize(7_473).allSatisfy(item -> {
            assertThat(item.output()).doesNotContain("<<").doesNotContain("####");
            assertThat(Answers.number(item.output())).isEqualTo(Double.parseDouble(item.answer()));
        });
        assertThat(gsm8k.getFirst().output()).endsWith("\nThe answer is 72.");
        assertThat(gsm8k.getFirst().answer()).isEqualTo("72.0");
        Path otherForm = SharedFolder.path("data/llm-adapters/mawps/trainset.json");
        assertThatThrownBy(() -> Items.forTraining(otherForm)).isInstanceOf(DataException.class)
                .hasMessageContaining("record 0 has no field 'instruction'")
                .hasMessageContaining("original_text");
    }

    private static List<Item> items(String set) {
        Path folder = SharedFolder.path("data/llm-adapters/" + set);
        Path plain = folder.resolve("test.json");
        return Items.forEvaluation(Files.exists(plain) ? plain : folder.resolve("test.json.gz"));
    }

    private static String sha256(String text) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    }
}
