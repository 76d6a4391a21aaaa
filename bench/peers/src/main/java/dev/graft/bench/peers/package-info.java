/// Other libraries on the tasks of our benches, under the same harness, so that one run measures both.
package dev.graft.bench.peers;
