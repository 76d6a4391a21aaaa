package dev.graft.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.graft.tensor.Backends;
import dev.graft.tensor.DType;
import dev.graft.tensor.Scope;
import dev.graft.tensor.ShapeException;
import dev.graft.tensor.Spec;
import dev.graft.tensor.Tensor;
import dev.graft.tensor.TensorException;
import dev.graft.tensor.backend.Storage;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;

class KvCacheTest {
    private static final int HEADS = 2;
    private static final int DIM = 3;

    @Test
    void tokensAreWrittenInPlaceAndMovedOnlyWhenTheRoomIsUsedUp() {
        try (KvCache cache = new KvCache(1000); var _ = Scope.open()) {
            Set<Storage> blocks = new HashSet<>();
            for (int t = 0; t < 200; t++) {
                KeysValues all = append(cache, 0, t, 1, 2);
                assertThat(all.keys().shape().dims()).containsExactly(2, t + 1, HEADS, DIM);
                blocks.add(all.keys().view().storage());
                for (int s : new int[] {0, t / 2, t}) {
                    assertThat(all.keys().slice(1, s, s + 1).toFloats()).containsOnly(s);
                    assertThat(all.values().slice(1, s, s + 1).toFloats()).containsOnly(s + 0.5f);
                }
            }
            assertThat(blocks).as("64, 128 and 256 tokens of room").hasSize(3);
            assertThat(cache.length()).isEqualTo(200);
        }
    }

    @Test
    void rowsAreRepeatedSwappedAndLeftOut() {
        try (KvCache cache = new KvCache(100); var _ = Scope.open()) {
            Tensor k = Tensor.of(new float[] {0, 1, 2}, 3, 1, 1, 1).expand(3, 5, HEADS, DIM);
            for (int layer = 0; layer < 2; layer++) cache.append(layer, new KeysValues(k.add(10 * layer), k.add(100)));
            cache.advance(5);
            cache.reorder(2, 0, 0, 2);
            assertThat(cache.rows()).isEqualTo(4);
            for (int layer = 0; layer < 2; layer++) {
                Tensor next = Tensor.of(new float[] {7}, 1, 1, 1, 1).expand(4, 1, HEADS, DIM);
                KeysValues all = cache.append(layer, new KeysValues(next, next));
                int[] origin = {2, 0, 0, 2};
                for (int b = 0; b < 4; b++) {
                    assertThat(all.keys().slice(0, b, b + 1).slice(1, 0, 5).toFloats()).containsOnly(origin[b] + 10 * layer);
                    assertThat(all.values().slice(0, b, b + 1).slice(1, 0, 5).toFloats()).containsOnly(origin[b] + 100);
                    assertThat(all.values().slice(0, b, b + 1).slice(1, 5, 6).toFloats()).containsOnly(7);
                }
            }
            assertThatThrownBy(() -> cache.reorder(4)).isInstanceOf(ShapeException.class).hasMessageContaining("row 4 is outside 0 … 3");
        }
    }

    @Test
    void rowsThatStayAreNotMoved() {
        try (KvCache cache = new KvCache(100); var _ = Scope.open()) {
            Tensor k = Tensor.of(new float[] {0, 1, 2}, 3, 1, 1, 1).expand(3, 5, HEADS, DIM);
            Storage block = cache.append(0, new KeysValues(k, k.add(100))).keys().view().storage();
            cache.keep("x", Tensor.of(new float[] {0, 1, 2}, 3, 1), null);
            cache.advance(5);
            assertThat(cache.reorder(2, 0, 2)).containsExactly(2, 0, 1);
            assertThat(cache.reorder(1, 0)).containsExactly(1, 0);
            assertThat(cache.rows()).isEqualTo(2);
            KeysValues held = cache.held(0);
            assertThat(held.keys().view().storage()).isSameAs(block);
            for (int[] expected : new int[][] {{0, 0}, {1, 2}}) {
                assertThat(held.keys().slice(0, expected[0], expected[0] + 1).toFloats()).containsOnly(expected[1]);
                assertThat(held.values().slice(0, expected[0], expected[0] + 1).toFloats()).containsOnly(expected[1] + 100);
            }
            assertThat(cache.kept("x", null).toFloats()).containsExactly(0, 2);
        }
    }

    @Test
    void whatIsKeptForSomeRowsTakesMemoryForThoseAlone() {
        int n = 7;
        try (KvCache cache = new KvCache(100); var _ = Scope.open()) {
            for (int b = 0; b < n; b++) cache.keep(b, Tensor.of(new float[] {b, -b}, 1, 2), new Pass.Picked(new int[] {b}, n));
            assertThat(cache.bytes()).isEqualTo(n * 2 * Float.BYTES);
            Tensor rows = Tensor.zeros(Spec.of(DType.F32, n, 1, HEADS, DIM));
            cache.append(0, new KeysValues(rows, rows));
            cache.advance(1);
            assertThat(cache.kept(3, null)).as("not that of every row").isNull();
            assertThat(cache.reorder(3, 3, 3, 6, 0)).containsExactly(3, 1, 2, 4, 0);
            for (int b = 1; b < 4; b++) assertThat(cache.kept(3, new Pass.Picked(new int[] {b}, 5)).toFloats()).containsExactly(3, -3);
            assertThat(cache.kept(3, new Pass.Picked(new int[] {1, 2, 3}, 5)).shape().dims()).containsExactly(3, 2);
            assertThat(cache.kept(6, new Pass.Picked(new int[] {4}, 5)).toFloats()).containsExactly(6, -6);
            assertThat(cache.kept(3, new Pass.Picked(new int[] {4}, 5))).as("no longer row 4's").isNull();
        }
    }

    @Test
    void whatDoesNotFitIsRefused() {
        try (KvCache cache = new KvCache(4); var _ = Scope.open()) {
            append(cache, 0, 1, 3, 2);
            assertThatThrownBy(() -> append(cache, 0, 1, 2, 2)).isInstanceOf(TensorException.class)
                    .hasMessageContaining("5 tokens do not fit into a cache of 4");
            assertThatThrownBy(() -> append(cache, 0, 1, 1, 3)).isInstanceOf(ShapeException.class).hasMessageContaining("holds 2 rows");
            append(cache, 0, 1, 1, 2);
        }
    }

    @Test
    void closingGivesTheMemoryBack() {
        long before = Backends.best().memory().live();
        try (KvCache cache = new KvCache(1000)) {
            try (var _ = Scope.open()) {
                append(cache, 0, 1, 128, 2);
                append(cache, 0, 1, 100, 2);
                cache.reorder(1, 1, 1, 1);
                append(cache, 0, 1, 28, 4);
            }
            assertThat(cache.bytes()).isEqualTo(2L * 4 * 256 * HEADS * DIM * 4);
            assertThat(Backends.best().memory().live() - before).as("what was outgrown is let go").isEqualTo(cache.bytes());
        }
        assertThat(Backends.best().memory().live()).isEqualTo(before);
    }

    private static KeysValues append(KvCache cache, int layer, float value, int tokens, int rows) {
        Tensor k = Tensor.of(new float[] {value}, 1, 1, 1, 1).expand(rows, tokens, HEADS, DIM);
        KeysValues all = cache.append(layer, new KeysValues(k, k.add(0.5)));
        cache.advance(tokens);
        return all;
    }
}
