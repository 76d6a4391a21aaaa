/// JMH benchmarks of operations, training steps and decoding.
package dev.graft.bench;
