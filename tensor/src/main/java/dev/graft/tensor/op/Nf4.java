package dev.graft.tensor.op;

import java.util.Arrays;

/// The number format NF4 and the 8-bit format of its scales, with the values of bitsandbytes (QLoRA, Dettmers et al. 2023, arXiv:2305.14314).
///
/// A weight is read row by row, in blocks of 64 values whatever the length of a row:
///
/// ```
/// w[i] ≈ VALUE[code[i]] · absmax[i/64]          two codes a byte, the earlier one in the upper half
/// absmax[b] ≈ DYNAMIC[code[b]] · nested[b/256] + offset        double quantisation: the scales are blocks themselves, offset their mean
/// ```
/// 4 bits a value and 32/64 for F32 scales, or 8/64 + 32/(64·256) for quantised ones: 4.5 or 4.127 bits.
public final class Nf4 {
    /// Values that share a scale.
    public static final int BLOCK = 64;

    /// Scales that share a scale.
    public static final int NESTED_BLOCK = 256;

    /// Quantiles of a normal distribution, eight above zero and seven below, over the largest: as likely as one another for weights that are normal.
    private static final float[] VALUES = {-1, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
            -0.18477343022823334f, -0.09105003625154495f, 0, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f,
            0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1};

    /// Half way between neighbours, as published: a code is the number of these below the value.
    private static final float[] THRESHOLDS = {-0.8480964004993439f, -0.6106329262256622f, -0.4599952697753906f, -0.33967943489551544f,
            -0.23460740596055984f, -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f, 0.1202552504837513f,
            0.2035212516784668f, 0.2920137718319893f, 0.3893125355243683f, 0.5016634166240692f, 0.6427869200706482f, 0.8614784178118011f,
            Float.POSITIVE_INFINITY};

    /// Cells of -1 … 1, narrower than the distance of two thresholds; of each the thresholds below it. Finding a code by halves takes a branch each time that no
    /// processor can foresee.
    private static final int CELLS = 128;
    private static final int[] BELOW = below();

    private static final float[] DYNAMIC = dynamic();

    private Nf4() {
    }

    /// The 16 values, in the order of their codes.
    public static float[] values() {
        return VALUES.clone();
    }

    /// The 256 values of the scales' format, in the order of their codes. Dense near zero and spread over seven decades.
    ///
    /// ```
    /// ±10^(i−6) · (0.1 + 0.9 (j + ½)/2^i)      0 ≤ j < 2^i, 0 ≤ i ≤ 6;   0;   1
    /// ```
    public static float[] dynamicValues() {
        return DYNAMIC.clone();
    }

    /// The code of a value in -1 … 1.
    public static int code(float value) {
        int below = BELOW[Math.clamp((int) ((value + 1) * CELLS / 2), 0, CELLS)];
        return below + (value > THRESHOLDS[below] ? 1 : 0);
    }

    /// The code of the nearest of [#dynamicValues].
    public static int dynamicCode(float value) {
        int at = Arrays.binarySearch(DYNAMIC, value);
        if (at >= 0) return at;
        int above = -at - 1;
        if (above == 0) return 0;
        if (above == DYNAMIC.length) return above - 1;
        return value - DYNAMIC[above - 1] <= DYNAMIC[above] - value ? above - 1 : above;
    }

    private static int[] below() {
        int[] below = new int[CELLS + 1];
        for (int i = 0; i <= CELLS; i++) {
            float begin = 2f * i / CELLS - 1 - 1e-6f;                   // a value just below the cell may be rounded into it
            while (THRESHOLDS[below[i]] < begin) below[i]++;
        }
        return below;
    }

    private static float[] dynamic() {
        float[] values = new float[256];
        int n = 0;
        for (int i = 0; i < 7; i++) {
            for (int j = 0; j < 1 << i; j++) {
                float value = (float) (Math.pow(10, i - 6) * (0.1 + 0.9 * (j + 0.5) / (1 << i)));
                values[n++] = value;
                values[n++] = -value;
            }
        }
        values[n++] = 0;
        values[n] = 1;
        Arrays.sort(values);
        return values;
    }
}
