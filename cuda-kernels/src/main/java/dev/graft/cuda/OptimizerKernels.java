package dev.graft.cuda;

import static dev.graft.cuda.CudaKernel.Parameter.F32;
import static dev.graft.cuda.CudaKernel.Parameter.I32;
import static dev.graft.cuda.CudaKernel.Parameter.I64;
import static dev.graft.cuda.CudaKernel.Parameter.POINTER;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.graft.cuda.CudaKernel.Parameter;
import dev.graft.tensor.DType;
import dev.graft.tensor.Shape;
import dev.graft.tensor.Spec;
import dev.graft.tensor.backend.View;
import dev.graft.tensor.op.AdamMoments;
import dev.graft.tensor.op.AdamWStep;
import dev.graft.tensor.op.KthLargest;
import dev.graft.tensor.op.MoFoStep;
import dev.graft.tensor.op.Reduce;
import dev.graft.tensor.op.SquaredNorms;
import java.lang.foreign.MemorySegment;
import java.util.List;

/// Launches optimizer.cu, squared_norms.cu and kth_largest.cu.
final class OptimizerKernels {
    private static final int ADAM_BYTES = 24;
    private static final Parameter ADAM = new Parameter(ADAM_BYTES, 4);
    private static final int MOST = 56, LEARNED_BYTES = 64;
    private static final Parameter MANY = Parameter.struct(MOST * LEARNED_BYTES);
    private static final int MOST_VALUES = 240, NORM_BLOCKS = 64;
    private static final Parameter MANY_VALUES = Parameter.struct(MOST_VALUES * 16);
    private static final CudaKernel ADAMW = CudaKernel.declare("adamw_f32", ADAM, MANY),
            MOMENTS = CudaKernel.declare("adam_moments_f32", F32, F32, POINTER, POINTER, POINTER, POINTER, POINTER, I64),
            MOFO = CudaKernel.declare("mofo_f32", ADAM, F32, POINTER, POINTER, POINTER, POINTER, I64),
            SQUARED_NORMS = CudaKernel.declare("squared_norms_f32", MANY_VALUES, POINTER),
            BEGIN = CudaKernel.declare("kth_largest_begin", POINTER, I64),
            COUNT = CudaKernel.declare("kth_largest_count", POINTER, I64, POINTER, I32, I32, POINTER),
            CHOOSE = CudaKernel.declare("kth_largest_choose", POINTER, POINTER, I32, I32),
            END = CudaKernel.declare("kth_largest_end", POINTER, POINTER);
    private static final int[] DIGITS = {11, 10, 10};

    private OptimizerKernels() {
    }

    static void adamW(AdamWStep op, List<View> in, List<View> out) {
        Device device = Temporary.device(out.getFirst());
        int tensors = in.size() / 4;
        for (int first = 0; first < tensors; first += MOST) {
            int count = Math.min(MOST, tensors - first);
            Launch launch = ADAMW.on(device);
            write(launch.struct(ADAM), 1 - op.beta1(), 1 - op.beta2(), op.lr() / op.correction(op.beta1()),
                    1 / Math.sqrt(op.correction(op.beta2())), 1 - op.lr() * op.weightDecay(), op.eps());
            MemorySegment many = launch.struct(MANY);
            long largest = 0;
            for (int i = 0; i < count; i++) {
                MemorySegment one = many.asSlice((long) i * LEARNED_BYTES, LEARNED_BYTES);
                for (int k = 0; k < 4; k++) one.setAtIndex(JAVA_LONG, k, Launch.address(in.get(k * tensors + first + i)));
                for (int k = 0; k < 3; k++) one.setAtIndex(JAVA_LONG, 4 + k, Launch.address(out.get(k * tensors + first + i)));
                long n = in.get(first + i).size();
                one.setAtIndex(JAVA_LONG, 7, n);
                largest = Math.max(largest, n);
            }
            launch.rowsOver(largest, count);
        }
    }

    static void moments(AdamMoments op, List<View> in, List<View> out) {
        View m = out.getFirst();
        Launch launch = MOMENTS.on(Temporary.device(m)).f32(1 - op.beta1()).f32(1 - op.beta2());
        in.forEach(launch::pointer);
        out.forEach(launch::pointer);
        launch.i64(m.size()).over(m.size());
    }

    static void moFo(MoFoStep op, List<View> in, List<View> out) {
        View p = out.getFirst();
        Launch launch = MOFO.on(Temporary.device(p));
        write(launch.struct(ADAM), 0, 0, op.lr() / op.correction(op.beta1()), 1 / Math.sqrt(op.correction(op.beta2())),
                1 - op.lr() * op.weightDecay(), op.eps());
        launch.f32(op.threshold());
        in.forEach(launch::pointer);
        launch.pointer(p).i64(p.size()).over(p.size());
    }

    private static void write(MemorySegment to, double... numbers) {
        for (int i = 0; i < numbers.length; i++) to.setAtIndex(JAVA_FLOAT, i, (float) numbers[i]);
    }

    static void squaredNorms(SquaredNorms op, List<View> in, List<View> out) {
        View y = out.getFirst();
        Device device = Temporary.device(y);
        try (Temporary parts = Temporary.of(device, new Spec(Shape.of(in.size(), NORM_BLOCKS), DType.F32))) {
            for (int first = 0; first < in.size(); first += MOST_VALUES) {
                int count = Math.min(MOST_VALUES, in.size() - first);
                Launch launch = SQUARED_NORMS.on(device);
                MemorySegment many = launch.struct(MANY_VALUES);
                for (int i = 0; i < count; i++) {
                    many.setAtIndex(JAVA_LONG, 2L * i, Launch.address(in.get(first + i)));
                    many.setAtIndex(JAVA_LONG, 2L * i + 1, in.get(first + i).size());
                }
                launch.pointer(parts.view().slice(0, first, first + count)).run(NORM_BLOCKS, count, 1, 256);
            }
            ReduceKernels.run(new Reduce(Reduce.Law.SUM, 1), parts.view(), y);
        }
    }

    static void kthLargest(KthLargest op, List<View> in, List<View> out) {
        View x = in.getFirst();
        Device device = Temporary.device(x);
        try (Temporary search = Temporary.of(device, new Spec(Shape.of(2), DType.I64));
                Temporary counts = Temporary.of(device, new Spec(Shape.of(1 << DIGITS[0]), DType.I32))) {
            BEGIN.on(device).pointer(search.view()).i64(op.k()).run(1, 1, 1, 1);
            int end = 31;                                                        // the answer's bits from here on are known; the sign is 0
            for (int digit : DIGITS) {
                int from = end;
                end -= digit;
                device.zero(Launch.address(counts.view()), counts.view().spec().bytes());
                COUNT.on(device).pointer(x).i64(x.size()).pointer(search.view()).i32(from).i32(end).pointer(counts.view()).over(x.size());
                CHOOSE.on(device).pointer(search.view()).pointer(counts.view()).i32(from).i32(end).run(1, 1, 1, 1);
            }
            END.on(device).pointer(search.view()).pointer(out.getFirst()).run(1, 1, 1, 1);
        }
    }
}
