/// The CPU backend: vectors through the Vector API, one pool of threads, native memory.
///
/// `CpuBackend` sends each primitive to its kernel, `CpuKernels` lists the composites that have one; what is in neither runs by its definition, or in the
/// reference loops. An op's kernel is the file `<Op>Kernel`, with its formula. Matrix products are `Gemm` and what it names; elementwise functions are in
/// `Functions`, one line each, over the loops of `VectorLoop`. To begin, read `RmsNormKernel`, then `Blocks`, then `Gemm`.
///
/// Two rules hold everywhere. Bits depend on shapes alone, neither on the number of threads nor on the JIT. And a vector loop is a small static method over whole
/// vectors in native memory, with the remainder apart: anything else the JIT may compile with vectors as objects, a thousand times slower.
package dev.graft.tensor.cpu;
