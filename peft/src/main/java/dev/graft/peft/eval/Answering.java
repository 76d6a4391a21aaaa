package dev.graft.peft.eval;

import dev.graft.models.generate.Generation;
import dev.graft.models.generate.GenerationException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/// Has prompts answered in batches, the longest first, and goes on where an earlier run ended.
///
/// @param listener told after each batch
/// @param earlier  responses of a run that was interrupted; their prompts are not asked again
record Answering(int batchSize, EvalListener listener, List<Response> earlier) {
    /// Continues the prompts of one batch.
    @FunctionalInterface
    interface Writer {
        /// @param indices which of all prompts they are
        List<Generation> write(List<int[]> prompts, int[] indices);
    }

    /// Makes a response of what was written.
    @FunctionalInterface
    interface Reader {
        Response read(int index, Generation written);
    }

    /// @param responses one per prompt, in their order
    /// @param newTokens written during this run
    /// @param seconds   this run took
    record Answered(List<Response> responses, long newTokens, double seconds) {
    }

    Answered of(List<int[]> prompts, Writer writer, Reader reader) {
        long start = System.nanoTime();
        long newTokens = 0;
        Response[] responses = new Response[prompts.size()];
        for (Response response : earlier) {
            if (response.index() < 0 || response.index() >= responses.length) {
                throw new DataException(
                        "an earlier response is to item %d, and there are %d".formatted(response.index(), responses.length));
            }
            responses[response.index()] = response;
        }
        List<Integer> longestFirst = IntStream.range(0, responses.length).boxed()
                .sorted(Comparator.comparingInt((Integer i) -> prompts.get(i).length).reversed()).toList();
        int done = (int) Stream.of(responses).filter(Objects::nonNull).count();
        for (int from = 0; from < responses.length; from += batchSize) {
            List<Integer> batch = longestFirst.subList(from, Math.min(responses.length, from + batchSize));
            if (batch.stream().noneMatch(i -> responses[i] == null)) continue;
            // One that was answered in part is asked whole: in other company its prompts might be rounded otherwise.
            List<Generation> texts = writer.write(batch.stream().map(prompts::get).toList(), batch.stream().mapToInt(i -> i).toArray());
            List<Response> answered = new ArrayList<>();
            Optional<String> failed = Optional.empty();
            for (int i = 0; i < texts.size(); i++) {
                int index = batch.get(i);
                if (responses[index] != null) continue;
                Optional<String> why = texts.get(i).failure();
                if (why.isPresent()) {
                    failed = failed.or(() -> Optional.of("record %d cannot be answered: %s".formatted(index, why.get())));
                    continue;
                }
                responses[index] = reader.read(index, texts.get(i));
                answered.add(responses[index]);
                newTokens += responses[index].newTokens();
            }
            done += answered.size();
            if (!answered.isEmpty()) listener.onResponses(answered, done, responses.length);
            failed.ifPresent(message -> {                                        // once what its neighbours were answered is kept
                throw new GenerationException(message);
            });
        }
        return new Answered(List.of(responses), newTokens, (System.nanoTime() - start) / 1e9);
    }
}
