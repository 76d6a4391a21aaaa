/// Benches of the CUDA backend alone: to be run with `--backend cuda:0`.
package dev.graft.bench.gpu;
