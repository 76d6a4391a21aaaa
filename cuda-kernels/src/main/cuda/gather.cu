// Rows by index. Meaning: Gather.java, ScatterAdd.java.
//
//   gather:       y[i] = table[index[i]]
//   scatter_add:  y[index[i]] += x[i], in the order of i
//
// table: [n, ...], index: I32 or I64, any shape, x and y: [index..., ...]. Rows are read and written once.
//
// gather moves a row in units of up to 16 bytes. scatter_add has a thread for each column of y, which goes through all rows: what an index names twice adds up in one order, always.
// An index outside 0 ... rows - 1 is told to the host.
#include "elements.cuh"
#include "fault.cuh"

struct __align__(16) Sixteen {
    u32 parts[4];
};

// @param step units from row to row of the table; @param units those of a row
template <class T> DEVICE void gather(const T* table, i64 rows, i64 step, const char* index, int isLong, T* y, i64 n, i64 units, Fault* fault) {
    for (i64 e = threadNumber(); e < n * units; e += threadCount()) {
        i64 i = e / units, unit = e - i * units, row = indexAt(index, isLong, i);
        if (row < 0 || row >= rows) report(fault, GATHER_INDEX, row, rows - 1);
        else y[e] = table[row * step + unit];
    }
}

#define GATHER(bytes, T)                                                                                                                                  \
    KERNEL(256, gather_##bytes, (const T* table, i64 rows, i64 step, const char* index, int isLong, T* y, i64 n, i64 units, Fault* fault)) {               \
        gather<T>(table, rows, step, index, isLong, y, n, units, fault);                                                                                  \
    }
GATHER(1, u8)
GATHER(2, u16)
GATHER(4, u32)
GATHER(8, u64)
GATHER(16, Sixteen)

template <class R> DEVICE void scatterAdd(const char* index, int isLong, const char* x, char* y, int type, i64 n, i64 row, i64 rows, Fault* fault) {
    for (i64 column = threadNumber(); column < row; column += threadCount())
        for (i64 i = 0; i < n; i++) {
            i64 to = indexAt(index, isLong, i);
            if (to < 0 || to >= rows) {
                report(fault, SCATTER_INDEX, to, rows - 1);
                continue;
            }
            i64 at = to * row + column;
            Arithmetic<R>::put(y, type, at, Arithmetic<R>::get(y, type, at) + Arithmetic<R>::get(x, type, i * row + column));
        }
}

// y is zeros.
KERNEL(256, scatter_add_f32, (const char* index, int isLong, const char* x, char* y, int type, i64 n, i64 row, i64 rows, Fault* fault)) {
    scatterAdd<float>(index, isLong, x, y, type, n, row, rows, fault);
}
KERNEL(256, scatter_add_f64, (const char* index, int isLong, const char* x, char* y, int type, i64 n, i64 row, i64 rows, Fault* fault)) {
    scatterAdd<double>(index, isLong, x, y, type, n, row, rows, fault);
}
