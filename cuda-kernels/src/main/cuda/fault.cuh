// What a kernel finds wrong with its inputs, told to the host: see Fault.java.
#pragma once
#include "kernel.cuh"

// In the host's memory, one per device.
struct Fault {
    int state, what;                                                 // state: 0 none, 1 being written, 2 there
    i64 index, bound, extra;
};

// In the order of Fault.What.
enum Wrong { GATHER_INDEX, SCATTER_INDEX, ROPE_POSITION, CROSS_ENTROPY_TARGET };

// The first one counts.
DEVICE void report(Fault* fault, Wrong what, i64 index, i64 bound, i64 extra = 0) {
    if (atomicCAS(&fault->state, 0, 1) != 0) return;
    fault->what = what;
    fault->index = index;
    fault->bound = bound;
    fault->extra = extra;
    __threadfence_system();
    atomicExch(&fault->state, 2);
}

// I32, or I64 where `isLong`.
DEVICE i64 indexAt(const char* indices, int isLong, i64 i) { return isLong ? reinterpret_cast<const i64*>(indices)[i] : reinterpret_cast<const int*>(indices)[i]; }
